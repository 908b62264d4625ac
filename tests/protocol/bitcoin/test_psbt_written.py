"""psbt.py beside the library that it writes with: the same bytes, checked once where they came from outside.

The library's own way parses, fills and serializes, and checks at each of the three steps; ours checks as it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from btclib.exceptions import BTClibException
from btclib.script import Witness
from btclib.tx import Tx, TxOut
from btclib_wallet.bip32.key_origin import BIP32KeyOrigin
from btclib_wallet.psbt import psbt_in, psbt_utils
from btclib_wallet.psbt.psbt import Psbt as Wallet
from btclib_wallet.psbt.psbt_in import PsbtIn
from hypothesis import given
from hypothesis import strategies as st

from examples.helpers.regtest import Coin, transaction
from keymeld_protocol.bitcoin.psbt import InputSignature, Psbt
from keymeld_protocol.bitcoin.transaction import Spend, key_hash_script, taproot_script
from keymeld_protocol.curve.keyagg import KeyAgg, aggregate
from keymeld_protocol.errors import BadInput
from tests.fuzz.spoilt import either, raws
from tests.support.coordinator import key_of
from tests.world.profile import profile

KEY = key_of("somebody")
PLAIN = [b"\x02" + key_of(who).key for who in ("Alice", "Bob", "Carol")]
OURS, THEIRS = taproot_script(KEY.key), key_hash_script(PLAIN[0])
LISTS = [aggregate([b"\x02" + KEY.key]), aggregate(PLAIN[:2]), aggregate(PLAIN)]
ORIGIN = BIP32KeyOrigin.from_description("d34db33f/86h/0h/0h")
NO_POINT = b"\x02" + b"\xff" * 32
VENDOR = b"\xfc\x06vendor\x00"

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "sig_hash_type": st.sampled_from([None, 0, 1]),
    "hd_key_paths": st.just({PLAIN[0]: ORIGIN}),
    "sha256_preimages": st.just(
        {bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"): b""}
    ),
    "taproot_internal_key": st.just(KEY.key),
    "taproot_merkle_root": st.binary(min_size=32, max_size=32),
    "taproot_hd_key_paths": st.just({KEY.key: ([], ORIGIN)}),
    "taproot_script_spend_signatures": st.just({KEY.key + bytes(32): bytes(64)}),
    "musig2_participant_pub_keys": st.dictionaries(
        st.sampled_from([LISTS[1].aggregate, LISTS[2].aggregate, PLAIN[0]]), st.just(PLAIN[:1]), max_size=3
    ),
    "unknown": st.dictionaries(st.sampled_from([VENDOR, b"\x7f", b"\xef\1"]), st.binary(max_size=300), max_size=3),
    "final_script_witness": st.sampled_from([Witness(), Witness(), Witness([b"theirs", b""])]),
    "final_script_sig": st.sampled_from([b"", b"", b"\x51"]),
}
"""What other wallets may have written about an input."""
LATER: dict[str, st.SearchStrategy[Any]] = {
    "required_time_lock_time": st.integers(500_000_000, 2**32 - 1),
    "sequence": st.sampled_from([None, 0, 0xFFFFFFFF]),
}
"""The same in version 2."""


@st.composite
def drafts(draw: st.DrawFn) -> bytes:
    """A PSBT as another wallet makes it; its coins are ours and others'."""
    scripts = draw(st.lists(st.sampled_from([OURS, OURS, THEIRS]), min_size=1, max_size=4))
    coins = [Coin(bytes([i + 1]) * 32, i, 10_000, script) for i, script in enumerate(scripts)]
    inputs = [PsbtIn(witness_utxo=TxOut(coin.amount, coin.script)) for coin in coins]
    made = Wallet.from_tx(Tx.parse_without_witness(transaction(coins, [(1000, THEIRS)], lock=7)), inputs)
    fields = FIELDS
    if draw(st.booleans()):
        made, fields = made.to_v2(), FIELDS | LATER
        made.tx_modifiable = draw(st.sampled_from([None, 0, 1, 7]))
    made.unknown = draw(FIELDS["unknown"])
    made.signed_message = draw(st.sampled_from([None, b"", b"said"]))
    for each in made.inputs:
        for name in draw(st.sets(st.sampled_from(sorted(fields)), max_size=5)):
            setattr(each, name, draw(fields[name]))
    return made.serialize()


def signatures(psbt: Psbt, lists: Sequence[KeyAgg]) -> dict[int, InputSignature]:
    """Ours for each coin of ours; a stranger cannot see how one was made, so that any key list will do."""
    own = [i for i, output in enumerate(psbt.spend.inputs) if output.script == OURS]
    return {i: InputSignature(KEY.sign(psbt.spend.sighash(i)), lists[i % len(lists)]) for i in own}


def by_the_library(raw: bytes, made: dict[int, InputSignature]) -> Wallet:
    """The same PSBT, parsed and filled by the library, with everything checked again."""
    psbt = Wallet.parse(raw)
    for index, signature in made.items():
        psbt.inputs[index].taproot_key_spend_signature = signature.value
        psbt.inputs[index].sig_hash_type = None
        if len(signature.keyagg.keys) > 1:
            psbt.inputs[index].musig2_participant_pub_keys[signature.keyagg.aggregate] = list(signature.keyagg.keys)
    if made and psbt.tx_modifiable is not None:
        psbt.tx_modifiable &= 0b1111_1100
    return psbt


@profile(60)
@given(drafts(), st.lists(st.sampled_from(LISTS), min_size=1, max_size=3), st.booleans())
def test_what_we_write_is_what_the_library_writes_byte_by_byte_and_field_by_field(
    raw: bytes, lists: list[KeyAgg], any_of_ours: bool
) -> None:
    psbt = Psbt(raw)
    made = signatures(psbt, lists) if any_of_ours else {}
    expected = by_the_library(raw, made)
    written = psbt.sign(made).psbt
    assert written == expected.serialize()
    assert Wallet.parse(written) == Wallet.parse(expected.serialize())
    assert Psbt(written).spend.unsigned == psbt.spend.unsigned
    assert psbt.sign({}).psbt == Wallet.parse(raw).serialize(), "what was read has changed by writing"


@profile(60)
@given(drafts())
def test_the_transaction_is_what_the_library_makes_of_the_same_witnesses(raw: bytes) -> None:
    psbt = Psbt(raw)
    made = signatures(psbt, LISTS)
    expected, wallet = Tx.parse_without_witness(psbt.spend.unsigned), Wallet.parse(raw)
    for index, signature in made.items():
        expected.vin[index].script_witness = Witness([signature.value])
    values = {i: signature.value for i, signature in made.items()}
    assert psbt.spend.finalize(values) == expected.serialize(include_witness=True)
    whole = True
    for index, (each, tx_in) in enumerate(zip(wallet.inputs, expected.vin, strict=True)):
        if index not in made:
            tx_in.script_sig, tx_in.script_witness = each.final_script_sig, each.final_script_witness
            whole = whole and bool(each.final_script_sig or each.final_script_witness)
    assert psbt.sign(made).final == (expected.serialize(include_witness=True) if whole else None)


@profile(60)
@given(
    st.lists(
        st.tuples(st.integers(0, 10**14), st.sampled_from([OURS, THEIRS, b"", bytes(600)])), min_size=1, max_size=4
    )
)
def test_a_fresh_psbt_is_the_one_that_the_library_makes(spent: list[tuple[int, bytes]]) -> None:
    coins = [Coin(bytes([i + 1]) * 32, i, amount, script) for i, (amount, script) in enumerate(spent)]
    spend = Spend(transaction(coins, [(0, b"\x6a")]), spent)
    inputs = [PsbtIn(witness_utxo=TxOut(amount, script)) for amount, script in spent]
    expected = Wallet.from_tx(Tx.parse_without_witness(spend.unsigned), inputs).serialize()
    assert Psbt.of(spend).sign({}).psbt == expected


# Checked once, but checked -----------------------------------------------------------------------------------------


def spoilt(name: str, value: Any, version: int) -> bytes:
    """A PSBT with one field as it must not be."""
    coin = Coin(b"\1" * 32, 0, 10_000, OURS)
    inputs = [PsbtIn(witness_utxo=TxOut(coin.amount, coin.script))]
    made = Wallet.from_tx(Tx.parse_without_witness(transaction([coin], [(1000, THEIRS)])), inputs)
    made = made.to_v2() if version == 2 else made
    made.inputs[0].__class__ = Unread
    setattr(made.inputs[0], name, value)
    return made.serialize(check_validity=False)


class Unread(PsbtIn):
    """An input that nobody has checked."""

    def assert_valid(self) -> None: ...


LIES: list[tuple[str, Any]] = [
    ("partial_sigs", {PLAIN[0]: b"no DER"}),
    ("partial_sigs", {NO_POINT: b"\x30\x06\x02\x01\x01\x02\x01\x01\x01"}),
    ("sig_hash_type", 5),
    ("hd_key_paths", {b"\x02": ORIGIN}),
    ("sha256_preimages", {bytes(32): b"another"}),
    ("hash160_preimages", {bytes(20): b"another"}),
    ("taproot_internal_key", bytes(31)),
    ("taproot_key_spend_signature", bytes(63)),
    ("taproot_script_spend_signatures", {bytes(31): bytes(64)}),
    ("taproot_leaf_scripts", {bytes(2): (b"\x51", 0xC0)}),
    ("musig2_participant_pub_keys", {NO_POINT: PLAIN}),
    ("musig2_participant_pub_keys", {PLAIN[0]: [NO_POINT]}),
    ("musig2_pub_nonces", {bytes(66): bytes(65)}),
]


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize(("name", "value"), LIES, ids=lambda each: each if isinstance(each, str) else "")
def test_a_field_of_a_stranger_that_the_library_refuses_is_refused(name: str, value: Any, version: int) -> None:
    raw = spoilt(name, value, version)
    with pytest.raises(BTClibException):
        Wallet.parse(raw)
    with pytest.raises(BadInput, match="one whole valid PSBT"):
        Psbt(raw)


@profile(60)
@given(st.data(), drafts())
def test_whatever_the_library_refuses_we_refuse(data: st.DataObject, raw: bytes) -> None:
    bad = data.draw(raws([raw]))
    try:
        Wallet.parse(bad)
    except BTClibException:
        with pytest.raises(BadInput):
            Psbt(bad)
    else:
        either(BadInput, Psbt, bad)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Which aggregate keys the library checks from now on."""
    seen: list[bytes] = []
    check = psbt_utils.assert_valid_musig2_participant_pub_keys

    def checking(participants: dict[bytes, list[bytes]]) -> None:
        seen.extend(participants)
        check(participants)

    monkeypatch.setattr(psbt_in, "assert_valid_musig2_participant_pub_keys", checking)
    return seen


def test_a_strangers_keys_are_checked_once_and_ours_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = LISTS[1].aggregate, LISTS[2].aggregate
    raw = spoilt("musig2_participant_pub_keys", {theirs: PLAIN[:2]}, 0)
    seen = counted(monkeypatch)
    psbt = Psbt(raw)
    assert seen == [theirs]
    written = psbt.sign(signatures(psbt, LISTS[2:])).psbt
    assert seen == [theirs]
    assert Wallet.parse(written).inputs[0].musig2_participant_pub_keys.keys() == {theirs, ours}
