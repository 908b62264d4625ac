"""psbt.py: PSBTs reduced, filled and finished; nothing that they say about keys is believed."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from btclib.script import Witness
from btclib.tx import Tx, TxOut
from btclib_wallet.bip32.key_origin import BIP32KeyOrigin
from btclib_wallet.psbt.musig2 import assert_valid_participants
from btclib_wallet.psbt.psbt import Psbt as Wallet
from btclib_wallet.psbt.psbt import extract_tx, finalize
from btclib_wallet.psbt.psbt_in import PsbtIn
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.helpers.regtest import Coin, transaction, verify_input
from keymeld_protocol.bitcoin.psbt import MAX_PSBT, InputSignature, Psbt, Signed
from keymeld_protocol.bitcoin.transaction import Spend, taproot_script
from keymeld_protocol.curve.keyagg import KeyAgg, aggregate
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import BadInput

KEY = Keypair.generate()
OWN, FOREIGN = taproot_script(KEY.key), taproot_script(Keypair.generate().key)
COINS = [Coin(bytes([i + 1]) * 32, i, 10_000 * (i + 1), OWN) for i in range(3)]
OTHER = Coin(bytes([9]) * 32, 0, 5000, FOREIGN)
LONE = KeyAgg((b"\x02" + KEY.key,), (), b"\x02" + KEY.key, b"\x02" + KEY.key, (), None)
"""A key list of one."""


@dataclass
class Draft:
    """A PSBT as another wallet makes it; ``raw`` may change fields of one input."""

    coins: Sequence[Coin]
    version: int = 0

    def wallet(self) -> Wallet:
        raw = transaction(self.coins, [(1000, FOREIGN), (2000, OWN)], lock=7)
        inputs = [PsbtIn(witness_utxo=TxOut(coin.amount, coin.script)) for coin in self.coins]
        made = Wallet.from_tx(Tx.parse_without_witness(raw), inputs)
        return made.to_v2() if self.version == 2 else made

    def raw(self, index: int = 0, **changes: Any) -> bytes:
        made = self.wallet()
        for name, value in changes.items():
            setattr(made.inputs[index], name, value)
        return made.serialize(check_validity=False)


def signatures(psbt: Psbt, inputs: Sequence[int], keyagg: KeyAgg = LONE) -> dict[int, InputSignature]:
    """Sign inputs with the one key."""
    return {i: InputSignature(KEY.sign(psbt.spend.sighash(i)), keyagg) for i in inputs}


def signed(raw: bytes) -> Signed:
    """Sign every own input."""
    psbt = Psbt(raw)
    return psbt.sign(signatures(psbt, psbt.inputs({OWN})))


# In ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("form", [bytes, b64encode, lambda raw: b64encode(raw)[:60] + b"\n" + b64encode(raw)[60:]])
def test_a_psbt_comes_down_to_its_transaction_and_what_it_spends(version: int, form: Callable[[bytes], bytes]) -> None:
    psbt = Psbt(form(Draft([COINS[0], OTHER, COINS[2]], version).raw()))
    assert psbt.spend.unsigned == transaction([COINS[0], OTHER, COINS[2]], [(1000, FOREIGN), (2000, OWN)], lock=7)
    assert psbt.spend.inputs == ((10_000, OWN), (5000, FOREIGN), (30_000, OWN))
    assert psbt.inputs({OWN}) == (0, 2)


def previous(coin: Coin) -> Tx:
    """A transaction that makes ``coin`` its first output."""
    return Tx.parse_without_witness(transaction([OTHER], [(coin.amount, coin.script), (1, FOREIGN)]))


def test_a_whole_previous_transaction_tells_what_is_spent() -> None:
    before = previous(COINS[0])
    coin = COINS[0]._replace(txid=before.id[::-1], vout=0)
    raw = Draft([coin]).raw(non_witness_utxo=before, witness_utxo=None)
    assert Psbt(raw).spend.inputs == ((coin.amount, OWN),)


def test_a_missing_prevout_is_refused() -> None:
    with pytest.raises(BadInput, match=r"psbt\.inputs\[1\]: must name the output that it spends"):
        Psbt(Draft(COINS).raw(1, witness_utxo=None))


@pytest.mark.parametrize(
    "lie",
    [
        {"previous_tx_id": bytes(32)},
        {"output_index": 2},
        {"witness_utxo": TxOut(10_001, OWN)},
        {"witness_utxo": TxOut(10_000, FOREIGN)},
        {"output_index": 1},
    ],
)
def test_a_contradicted_prevout_is_refused(lie: dict[str, Any]) -> None:
    before = previous(COINS[0])
    coin = COINS[0]._replace(txid=before.id[::-1], vout=0)
    assert Psbt(Draft([coin]).raw(non_witness_utxo=before)).inputs({OWN}) == (0,)
    with pytest.raises(BadInput, match="contradicts itself"):
        Psbt(Draft([coin]).raw(**({"non_witness_utxo": before} | lie)))


@pytest.mark.parametrize(
    ("spoiled", "rule"),
    [
        ({"final_script_witness": Witness([bytes(64), b"\x50annex"])}, "is final already"),
        ({"final_script_sig": b"\x51"}, "is final already"),
        ({"taproot_key_spend_signature": b"\1" * 64}, "is signed already"),
        ({"sig_hash_type": 2}, "sighash_type: must be DEFAULT or ALL"),
        ({"sig_hash_type": 3}, "sighash_type: must be DEFAULT or ALL"),
        ({"sig_hash_type": 0x81}, "sighash_type: must be DEFAULT or ALL"),
    ],
)
def test_an_own_input_that_is_not_plainly_unsigned_is_refused_and_a_foreign_one_is_not_ours_to_judge(
    spoiled: dict[str, Any], rule: str
) -> None:
    with pytest.raises(BadInput, match=rf"inputs\[0\].*{rule}"):
        Psbt(Draft([COINS[0], OTHER]).raw(**spoiled)).inputs({OWN})
    assert Psbt(Draft([COINS[0], OTHER]).raw(1, **spoiled)).inputs({OWN}) == (0,)


@pytest.mark.parametrize("asked", [None, 0, 1])
def test_sighash_default_and_all_are_signed(asked: int | None) -> None:
    assert Psbt(Draft(COINS).raw(sig_hash_type=asked)).inputs({OWN}) == (0, 1, 2)


def test_keys_in_a_psbt_make_no_input_ours() -> None:
    raw = Draft([OTHER]).raw(taproot_internal_key=KEY.key)
    assert Psbt(raw).inputs({OWN}) == ()


@pytest.mark.parametrize(
    "bad", [b"", b"psbt\xff", b"cHNidP8=", b"cHNidP", b"0200", b"\xff" * 9, b"psbt\xff" + bytes(9)]
)
def test_what_is_no_psbt_is_refused(bad: bytes) -> None:
    with pytest.raises(BadInput, match="psbt"):
        Psbt(bad)


@pytest.mark.parametrize("size", [MAX_PSBT + 1, 2 * MAX_PSBT + 1])
def test_a_psbt_that_is_too_long_is_refused_unread(size: int) -> None:
    with pytest.raises(BadInput, match="at most"):
        Psbt(b"psbt\xff" + bytes(size - 5))


def test_outputs_worth_more_than_inputs_are_refused() -> None:
    with pytest.raises(BadInput, match="worth less"):
        Psbt(Draft([COINS[0]._replace(amount=2999)]).raw())


@settings(max_examples=150)
@given(st.data(), st.sampled_from([0, 2]))
def test_damaged_bytes_are_read_or_refused_and_never_crash(data: st.DataObject, version: int) -> None:
    raw = bytearray(Draft([COINS[0], OTHER], version).raw(taproot_internal_key=KEY.key, sig_hash_type=1))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(5, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    try:
        psbt = Psbt(bytes(raw))
        psbt.sign(signatures(psbt, psbt.inputs({OWN})))
    except BadInput:
        pass


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tail: bytes) -> None:
    for raw in (tail, b"psbt\xff" + tail, b64encode(b"psbt\xff" + tail)):
        with pytest.raises(BadInput):
            Psbt(raw)


# Out ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0, 2])
def test_a_signed_psbt_is_final_and_consensus_accepts_it(version: int) -> None:
    found = signed(Draft(COINS, version).raw())
    assert found.final is not None
    assert all(verify_input(found.final, i, [(c.amount, c.script) for c in COINS]) for i in range(3))


@pytest.mark.parametrize("version", [0, 2])
def test_another_wallet_finishes_what_we_signed_to_the_same_bytes(version: int) -> None:
    found = signed(Draft(COINS, version).raw())
    assert extract_tx(finalize(Wallet.parse(found.psbt))).serialize(include_witness=True) == found.final


def test_what_others_have_to_sign_stays_open() -> None:
    found = signed(Draft([COINS[0], OTHER]).raw())
    first, second = Wallet.parse(found.psbt).inputs
    assert found.final is None
    assert len(first.taproot_key_spend_signature) == 64 and not second.taproot_key_spend_signature


def test_what_others_have_finished_goes_into_the_transaction() -> None:
    found = signed(Draft([OTHER, COINS[0]]).raw(0, final_script_witness=Witness([b"theirs"])))
    assert found.final is not None
    assert Tx.parse(found.final).vin[0].script_witness == Witness([b"theirs"])


def test_everything_else_in_a_psbt_comes_back_as_it_was() -> None:
    origin = BIP32KeyOrigin.from_description("d34db33f/86h/0h/0h")
    changes = {
        "taproot_internal_key": KEY.key,
        "taproot_hd_key_paths": {KEY.key: ([], origin)},
        "unknown": {b"\xfc\x07keymeld\0": b"x"},
    }
    raw = Draft(COINS).raw(1, **changes)
    after = Wallet.parse(signed(raw).psbt)
    for each in after.inputs:
        each.taproot_key_spend_signature = b""
    assert after.serialize() == raw


def test_a_wish_for_sighash_all_is_met_by_default_and_then_dropped() -> None:
    found = signed(Draft(COINS).raw(sig_hash_type=1))
    assert Wallet.parse(found.psbt).inputs[0].sig_hash_type is None
    assert extract_tx(finalize(Wallet.parse(found.psbt))).serialize(include_witness=True) == found.final


def test_a_signed_v2_psbt_is_no_longer_modifiable() -> None:
    made = Draft(COINS, 2).wallet()
    made.tx_modifiable = 7
    assert Wallet.parse(signed(made.serialize()).psbt).tx_modifiable == 4


def test_a_signature_that_does_not_verify_is_not_put_in() -> None:
    psbt = Psbt(Draft(COINS).raw())
    with pytest.raises(BadInput, match=r"signatures\[0\]: does not verify"):
        psbt.sign({0: InputSignature(b"\1" * 64, LONE)})
    with pytest.raises(BadInput, match="no such input"):
        psbt.sign({3: InputSignature(b"\1" * 64, LONE)})


def test_musig2_participants_are_written_in_their_sorted_order_under_the_aggregate_key() -> None:
    """BIP-373; the signature is one key's, since nobody can see from outside how it was made."""
    keys = [Keypair.generate() for _ in range(3)]
    keyagg = aggregate([b"\x02" + key.key for key in keys])
    psbt = Psbt(Draft(COINS).raw())
    found = Wallet.parse(psbt.sign(signatures(psbt, [0, 1, 2], keyagg)).psbt)
    for each in found.inputs:
        assert each.musig2_participant_pub_keys == {keyagg.aggregate: sorted(b"\x02" + key.key for key in keys)}
        assert_valid_participants(each)


def test_a_key_list_of_one_has_no_participants() -> None:
    assert Wallet.parse(signed(Draft(COINS).raw()).psbt).inputs[0].musig2_participant_pub_keys == {}


def test_a_transaction_that_came_without_a_psbt_gets_one() -> None:
    spend = Spend(transaction(COINS, [(1000, FOREIGN)]), [(c.amount, c.script) for c in COINS])
    psbt = Psbt.of(spend)
    assert (psbt.spend.unsigned, psbt.spend.inputs) == (spend.unsigned, spend.inputs)
    assert psbt.inputs({OWN}) == (0, 1, 2)
    ours = signatures(psbt, [0, 1, 2])
    assert psbt.sign(ours).final == spend.finalize({i: signature.value for i, signature in ours.items()})


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 10**14), st.binary(max_size=600)), min_size=1, max_size=3))
def test_every_spend_can_be_told_as_a_psbt(outputs: list[tuple[int, bytes]]) -> None:
    coins = [Coin(bytes([i]) * 32, i, amount, script) for i, (amount, script) in enumerate(outputs)]
    spend = Spend(transaction(coins, [(0, b"\x6a")]), outputs)
    assert Psbt.of(spend).spend.inputs == spend.inputs
