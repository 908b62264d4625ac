"""psbt.py between other wallets: what they wrote comes back, what we wrote is read, and combiners may do their work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from btclib.script import Witness
from btclib.tx import Tx, TxOut
from btclib_wallet.bip32.key_origin import BIP32KeyOrigin
from btclib_wallet.descriptors import parse
from btclib_wallet.psbt import musig2
from btclib_wallet.psbt.psbt import Psbt as Wallet
from btclib_wallet.psbt.psbt import assert_signatures_only, combine, extract_tx, finalize
from btclib_wallet.psbt.psbt_in import PsbtIn

from examples.helpers.regtest import Coin, transaction, verify_input
from keymeld_protocol.bitcoin.children import synthetic_xpub
from keymeld_protocol.bitcoin.descriptor import child_descriptor
from keymeld_protocol.bitcoin.psbt import InputSignature, Psbt, Signed
from keymeld_protocol.bitcoin.transaction import taproot_script
from keymeld_protocol.bitcoin.tweaks import child_steps, tweaked
from keymeld_protocol.curve.keyagg import KeyAgg, aggregate
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.curve.secp256k1 import pubkey_of
from keymeld_protocol.errors import BadInput
from keymeld_protocol.plaintext.contents import Terms

KEY, FRIEND = Keypair.generate(), Keypair.generate()
OWN, THEIRS = taproot_script(KEY.key), taproot_script(FRIEND.key)
OURS, OTHER = Coin(b"\1" * 32, 0, 10_000, OWN), Coin(b"\2" * 32, 0, 5000, THEIRS)
LONE = aggregate([b"\x02" + KEY.key])
VENDOR = {b"\xfc\x06vendor\x00": b"theirs"}
ORIGIN = BIP32KeyOrigin.from_description("d34db33f/86h/0h/0h")
PATH = (0, 7)


def draft(coins: Sequence[Coin] = (OURS, OTHER), version: int = 0) -> Wallet:
    """A PSBT as another wallet makes it."""
    inputs = [PsbtIn(witness_utxo=TxOut(coin.amount, coin.script)) for coin in coins]
    made = Wallet.from_tx(Tx.parse_without_witness(transaction(coins, [(1000, THEIRS), (2000, OWN)])), inputs)
    return made.to_v2() if version == 2 else made


def signed(raw: bytes) -> Signed:
    """Our input, signed by us."""
    psbt = Psbt(raw)
    return psbt.sign({i: InputSignature(KEY.sign(psbt.spend.sighash(i)), LONE) for i in psbt.inputs({OWN})})


def signed_by_the_friend(made: Wallet) -> bytes:
    """The other input, signed by its owner."""
    copy = Wallet.parse(made.serialize())
    copy.inputs[1].taproot_key_spend_signature = FRIEND.sign(Psbt(made.serialize()).spend.sighash(1))
    return copy.serialize()


# What they wrote ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0, 2])
def test_every_field_of_every_map_comes_back_and_signatures_alone_are_new(version: int) -> None:
    made = draft(version=version)
    made.unknown = dict(VENDOR)
    made.inputs[0].unknown, made.outputs[0].unknown = dict(VENDOR), dict(VENDOR)
    made.inputs[0].taproot_internal_key, made.inputs[0].taproot_merkle_root = KEY.key, bytes(32)
    made.inputs[0].taproot_hd_key_paths = {KEY.key: ([], ORIGIN)}
    made.inputs[1].hd_key_paths = {b"\x02" + FRIEND.key: ORIGIN}
    made.inputs[1].taproot_script_spend_signatures = {FRIEND.key + bytes(32): bytes(64)}
    made.inputs[1].musig2_pub_nonces = {2 * (b"\x02" + FRIEND.key): 2 * (b"\x02" + KEY.key)}
    made.outputs[1].taproot_internal_key, made.outputs[1].taproot_tree = KEY.key, [(0, 0xC0, b"\x51")]
    made.outputs[1].musig2_participant_pub_keys = {b"\x02" + KEY.key: [b"\x02" + FRIEND.key]}
    before = made.serialize(check_validity=False)
    after = Wallet.parse(signed(before).psbt)
    assert len(after.inputs[0].taproot_key_spend_signature) == 64
    after.inputs[0].taproot_key_spend_signature = b""
    if version == 2:
        after.tx_modifiable = made.tx_modifiable
    assert after.serialize(check_validity=False) == before


@pytest.mark.parametrize("version", [0, 2])
def test_another_wallet_agrees_that_only_signatures_were_added(version: int) -> None:
    made = draft(version=version)
    made.unknown = dict(VENDOR)
    assert_signatures_only(made, Wallet.parse(signed(made.serialize()).psbt))


@pytest.mark.parametrize("final", [True, False])
def test_what_others_have_signed_before_stays_and_completes_the_transaction(final: bool) -> None:
    first = Wallet.parse(signed_by_the_friend(draft()))
    if final:
        first.inputs[1].final_script_witness = Witness([first.inputs[1].taproot_key_spend_signature])
        first.inputs[1].taproot_key_spend_signature = b""
    both = signed(first.serialize())
    assert both.final is not None and accepted(both.final)
    assert Wallet.parse(both.psbt).inputs[1] == first.inputs[1]


@pytest.mark.parametrize("signature", [b"\1" * 64, b"\1" * 65])
def test_a_signature_of_others_that_does_not_verify_completes_nothing(signature: bytes) -> None:
    made = draft()
    made.inputs[1].taproot_key_spend_signature = signature
    found = signed(made.serialize(check_validity=False))
    assert found.final is None
    assert Wallet.parse(found.psbt, check_validity=False).inputs[1].taproot_key_spend_signature == signature


def test_a_signature_that_is_there_is_neither_replaced_nor_believed() -> None:
    twice = signed(draft([OURS]).serialize()).psbt
    with pytest.raises(BadInput, match=r"inputs\[0\]: is signed already"):
        Psbt(twice).inputs({OWN})


def test_a_map_that_says_a_thing_twice_is_refused() -> None:
    """BIP-174: a key occurs once in its map."""
    made = draft([OURS])
    made.inputs[0].taproot_internal_key = KEY.key
    field = b"\1\x17\x20" + KEY.key
    raw = made.serialize()
    assert raw.count(field) == 1 and Psbt(raw).inputs({OWN}) == (0,)
    with pytest.raises(BadInput, match="one whole valid PSBT"):
        Psbt(raw.replace(field, field + field))


# What we wrote -----------------------------------------------------------------------------------------------------


def accepted(final: bytes) -> bool:
    """Whether consensus code takes both inputs."""
    return all(verify_input(final, i, [(coin.amount, coin.script) for coin in (OURS, OTHER)]) for i in (0, 1))


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("first", [0, 1])
def test_a_combiner_merges_what_two_have_signed_apart_in_either_order(version: int, first: int) -> None:
    made = draft(version=version)
    raws = [signed(made.serialize()).psbt, signed_by_the_friend(made)]
    both = combine([Wallet.parse(raws[first]), Wallet.parse(raws[1 - first])])
    assert accepted(extract_tx(finalize(both)).serialize(include_witness=True))


def test_a_combiner_puts_a_fresh_psbt_of_ours_together_with_the_one_that_was_asked_about() -> None:
    made = draft()
    made.inputs[1].unknown = dict(VENDOR)
    fresh = signed(Psbt.of(Psbt(made.serialize()).spend).sign({}).psbt)
    both = combine([made, Wallet.parse(fresh.psbt)])
    assert both.inputs[0].taproot_key_spend_signature and both.inputs[1].unknown == VENDOR


def test_a_psbt_combined_with_itself_is_itself() -> None:
    raw = signed(draft().serialize()).psbt
    assert combine([Wallet.parse(raw), Wallet.parse(raw)]).serialize() == raw


def test_both_versions_end_in_the_same_transaction() -> None:
    finals = [signed(draft([OURS], version).serialize()).final for version in (0, 2)]
    assert len({Tx.parse(final).id for final in finals if final is not None}) == 1


# MuSig2 (BIP-373) --------------------------------------------------------------------------------------------------


@dataclass
class Pair:
    """Two keys, and a child of their aggregate that a watch-only wallet follows."""

    secrets: tuple[bytes, ...] = (bytes(31) + b"\5", bytes(31) + b"\6")

    @property
    def keys(self) -> tuple[bytes, ...]:
        return tuple(map(pubkey_of, self.secrets))

    @property
    def child(self) -> KeyAgg:
        return tweaked(self.keys, Terms(v=1, label="", network="bitcoin", tweak="bip86"), child_steps(PATH))

    @property
    def coin(self) -> Coin:
        return Coin(b"\3" * 32, 0, 10_000, taproot_script(self.child.output))

    def filled(self, descriptor: str) -> Wallet:
        """The PSBT as a wallet fills it that follows ``descriptor``."""
        followed = parse(descriptor)
        assert followed.script_pub_key().script == self.coin.script
        return followed.update_psbt_input(draft([self.coin]), 0)

    @property
    def watched(self) -> Wallet:
        """By a wallet that knows the xpub."""
        xpub = synthetic_xpub(self.child.aggregate, "bitcoin")
        return self.filled(child_descriptor(xpub, "0/7", "bip86"))

    @property
    def known(self) -> Wallet:
        """By a wallet that knows the participants, whose keys it has as xpubs."""
        inner = ",".join(synthetic_xpub(key, "bitcoin") for key in self.keys)
        return self.filled(f"tr(musig({inner})/0/7)")

    def sign(self, made: Wallet) -> bytes:
        """The signature of a BIP-373 session by another implementation."""
        parent = self.child.aggregate
        nonces = [musig2.nonce_gen(made, 0, secret, parent) for secret in self.secrets]
        for nonce, secret in zip(nonces, self.secrets, strict=True):
            musig2.partial_sign(made, 0, nonce, secret, parent, require_non_witness_utxo=False)
        musig2.partial_sigs_agg(made, 0, parent)
        return made.inputs[0].taproot_key_spend_signature


def test_a_childs_participants_are_written_under_the_aggregate_key_it_was_derived_from() -> None:
    pair = Pair()
    signature = pair.sign(pair.known)
    found = Psbt(pair.watched.serialize()).sign({0: InputSignature(signature, pair.child)})
    (ours,) = Wallet.parse(found.psbt).inputs
    assert ours.musig2_participant_pub_keys == pair.known.inputs[0].musig2_participant_pub_keys
    assert found.final is not None and verify_input(found.final, 0, [(pair.coin.amount, pair.coin.script)])


def test_other_signers_can_go_on_from_the_participants_that_we_wrote() -> None:
    pair = Pair()
    found = Psbt(pair.watched.serialize()).sign({0: InputSignature(pair.sign(pair.known), pair.child)})
    again = Wallet.parse(found.psbt)
    again.inputs[0].taproot_key_spend_signature = b""
    assert len(pair.sign(again)) == 64


def test_wallets_that_know_the_xpub_and_those_that_know_the_participants_hint_at_the_same_child() -> None:
    pair = Pair()
    for made in (pair.watched, pair.known):
        psbt = Psbt(made.serialize())
        assert psbt.hint(0, [pair.child.aggregate]) == (pair.child.aggregate, PATH)
        assert psbt.hint(0, pair.keys) is None


def test_a_wallet_of_bare_keys_hints_by_the_output_key() -> None:
    xpub = synthetic_xpub(Pair().child.aggregate, "bitcoin")
    followed = parse(child_descriptor(xpub, "0/7", "none"))
    made = followed.update_psbt_input(draft([OURS._replace(script=followed.script_pub_key().script)]), 0)
    assert not made.inputs[0].taproot_internal_key
    assert Psbt(made.serialize()).hint(0, [Pair().child.aggregate]) == (Pair().child.aggregate, PATH)
