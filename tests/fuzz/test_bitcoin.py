"""Transactions and PSBTs, fed with what another wallet, or whoever asks for a signature, might hand over."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from itertools import product

from btclib.tx import Tx, TxOut
from btclib_wallet.psbt.psbt import Psbt as Wallet
from btclib_wallet.psbt.psbt_in import PsbtIn
from hypothesis import given
from hypothesis import strategies as st

from examples.helpers.regtest import Coin, transaction
from keymeld_protocol.bitcoin.psbt import Psbt
from keymeld_protocol.bitcoin.transaction import Spend, taproot_script
from keymeld_protocol.curve.keyagg import aggregate
from keymeld_protocol.errors import BadInput
from tests.support.coordinator import key_of

from .spoilt import HUGE, QUICK, SLOW, either, raws

KEY = key_of("somebody")
OWN, KEY_HASH = taproot_script(KEY.key), b"\0\x14" + bytes(20)
COINS = [Coin(bytes([i + 1]) * 32, i, 10_000 * (i + 1), script) for i, script in enumerate([OWN, KEY_HASH, OWN])]
TRANSACTIONS = [transaction(COINS[:count], [(1000, OWN), (2000, KEY_HASH)], lock=7) for count in (1, 2, 3)]


def by_another_wallet(count: int, version: int, *, hinted: bool) -> bytes:
    """A PSBT with all that we read in it."""
    inputs = [PsbtIn(witness_utxo=TxOut(coin.amount, coin.script)) for coin in COINS[:count]]
    if hinted:
        inputs[0].taproot_internal_key = KEY.key
        inputs[0].taproot_key_spend_signature = bytes(64)
    made = Wallet.from_tx(Tx.parse_without_witness(TRANSACTIONS[count - 1]), inputs)
    return (made.to_v2() if version == 2 else made).serialize(check_validity=False)


PSBTS = [
    by_another_wallet(count, version, hinted=hinted)
    for count, version, hinted in product((1, 3), (0, 2), (False, True))
]
KEYS = [aggregate([b"\x02" + KEY.key]).point]

amounts = st.one_of(st.integers(0, 100_000), st.sampled_from([each for each in HUGE if isinstance(each, int)]))
spends = st.lists(st.tuples(amounts, st.sampled_from([OWN, KEY_HASH, b"", bytes(600)])), min_size=0, max_size=4)


@QUICK
@given(raws(TRANSACTIONS), spends)
def test_a_transaction_that_is_read_is_named_by_the_bytes_that_came(raw: bytes, spent: list[tuple[int, bytes]]) -> None:
    spend = either(BadInput, Spend, raw, spent)
    assert spend is None or spend.txid == sha256(sha256(raw).digest()).digest()[::-1].hex()


@QUICK
@given(st.integers(1, 3), spends, st.integers(-1, 3))
def test_what_an_input_signs_is_computed_or_refused(count: int, spent: list[tuple[int, bytes]], index: int) -> None:
    spend = either(BadInput, Spend, TRANSACTIONS[count - 1], spent)
    if spend is not None:
        either(BadInput, spend.sighash, index)
        either(BadInput, spend.key_hash_sighash, index)
        either(BadInput, spend.finalize, {index: bytes(64)})
        spend.summary("regtest", {OWN})


@SLOW
@given(raws(PSBTS), st.booleans())
def test_a_psbt_that_is_read_is_written_with_the_same_transaction(raw: bytes, armored: bool) -> None:
    psbt = either(BadInput, Psbt, b64encode(raw) if armored else raw)
    if psbt is not None:
        for index in range(len(psbt.spend.inputs)):
            psbt.hint(index, KEYS)
        either(BadInput, psbt.inputs, {OWN})
        signed = either(BadInput, psbt.sign, {})
        assert signed is None or Psbt(signed.psbt).spend.txid == psbt.spend.txid


def test_every_seed_is_read_as_it_is() -> None:
    for raw in PSBTS:
        assert Psbt(raw).spend.unsigned in TRANSACTIONS
