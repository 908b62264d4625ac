"""What contracts are made of: a coin that is named before it is paid, and spends that are signed before it exists.

    coin = purse.prepare(script, amount)   written, not signed: a txid covers no witness
    spending(unsigned, coin)               what a request says of a transaction that will spend it
    locked("or", S, T)                     ... and of a signature that a secret is to complete
    purse.publish()                        everything is signed: only now is the coin paid, for good

Nobody here believes a chain, a signer or an oracle: what must not happen is tried, and has to fail.
"""

from __future__ import annotations

from typing import Final, Literal

from examples.helpers.regtest import Coin, Regtest, made, transaction
from keymeld_client.shown.presigned import Presigned
from keymeld_client.signings import Signing
from keymeld_protocol.bitcoin.psbt import Signed
from keymeld_protocol.bitcoin.transaction import Spend, taproot_script
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.plaintext.body import Adaptor, RawTransaction, Spent, Transaction
from keymeld_protocol.plaintext.contents import Script
from keymeld_protocol.values import PlainKey

FEE: Final = 10_000
"""Satoshi that every transaction of these stories leaves to the miner."""

DAY: Final = 144
"""Blocks in a day."""


class Purse:
    """A taproot key of one's own on one chain, outside every group, with a miner's reward on it."""

    def __init__(self, chain: Regtest) -> None:
        """The chain pays the coin."""
        self._key = Keypair.generate()
        self._chain = chain
        self.script = taproot_script(self._key.key)
        self._coin = chain.fund(self.script)
        self._spend: Spend | None = None

    def prepare(self, script: bytes, amount: int) -> Coin:
        """Write a payment of ``amount`` to ``script``, the rest back to the purse; gives the coin that it will make."""
        change = self._coin.amount - amount - FEE
        unsigned = transaction([self._coin], [(amount, script), (change, self.script)])
        self._spend = Spend(unsigned, [(self._coin.amount, self._coin.script)])
        return made(unsigned, 0, amount, script)

    def publish(self) -> None:
        """Sign the payment that was prepared, and have it mined.

        Raises:
            AssertionError: nothing was prepared, or the chain refuses it.
        """
        if (spend := self._spend) is None:
            raise AssertionError("nothing was prepared")
        must_mine(self._chain, spend.finalize({0: self._key.sign(spend.sighash(0))}))


def somebody() -> bytes:
    """A fresh script of somebody who waits for a payment."""
    return taproot_script(Keypair.generate().key)


def spending(unsigned: bytes, coin: Coin) -> Transaction:
    """What a request says of a transaction with one input."""
    return Transaction(
        unsigned=RawTransaction(unsigned), spent=(Spent(amount=coin.amount, script=Script(coin.script)),)
    )


def locked(mode: Literal["single", "and", "or"], *points: bytes) -> Adaptor:
    """An item's lock: the secrets of these ``points`` (33 bytes each) complete it, the one, all, or any."""
    return Adaptor(mode=mode, points=tuple(map(PlainKey, points)))


def must_mine(chain: Regtest, *signed: bytes) -> None:
    """Have these mined in one block.

    Raises:
        AssertionError: consensus refuses them.
    """
    if not chain.mine(*signed):
        raise AssertionError("the chain refused what it had to accept")


def must_refuse(chain: Regtest, *signed: bytes) -> None:
    """Offer these in one block, in vain.

    Raises:
        AssertionError: consensus accepts them.
    """
    if chain.mine(*signed):
        raise AssertionError("the chain accepted what it had to refuse")


def finished(psbt: Signed) -> bytes:
    """The transaction of a PSBT that is complete.

    Raises:
        AssertionError: something is missing.
    """
    if psbt.final is None:
        raise AssertionError("something is missing in this transaction")
    return psbt.final


async def presigned(signing: Signing, index: int) -> tuple[Presigned, ...]:
    """The pre-signatures of an item: one, or of an ``or`` one for each point.

    Raises:
        AssertionError: it is no adaptor item, or failed.
    """
    result = (await signing.results())[index]
    if not isinstance(result, tuple):
        raise AssertionError(f"item {index} has no pre-signature but {result!r}")
    return result
