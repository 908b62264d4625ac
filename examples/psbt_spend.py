"""A watch-only wallet hands over a PSBT, and the group gives it back signed: ``python examples/psbt_spend.py``.

    watcher ── tr(musig(…)) ──▶ sees three coins ── PSBT ──▶ Alice asks ──▶ two enclaves sign three inputs
    friend  ── finishes the fourth input, which is his ──▶ the chain accepts the transaction

The watcher is another program (btclib-wallet): it knows the descriptor and nothing else, and can spend nothing.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

from btclib.tx import Tx, TxOut
from btclib_wallet.descriptors import parse
from btclib_wallet.psbt.psbt import Psbt as WatcherPsbt
from btclib_wallet.psbt.psbt import extract_tx, finalize
from btclib_wallet.psbt.psbt_in import PsbtIn

if __package__ in (None, ""):  # run as a file: the folder above this one holds the package `examples`
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples.helpers.house import House
from examples.helpers.minutes import Minutes
from examples.helpers.people import Person
from examples.helpers.regtest import COIN, Coin, Regtest, transaction
from keymeld_client.keygens import Keygen
from keymeld_protocol.bitcoin.psbt import Psbt, Signed
from keymeld_protocol.bitcoin.transaction import taproot_script
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.wire.shapes import Rule

FEE: Final = 20_000
NONE: Final = Rule(approval="none")


class Friend:
    """Somebody with a taproot key of his own, who adds one coin to the payment."""

    def __init__(self, chain: Regtest) -> None:
        """The chain pays him a coin."""
        self._key = Keypair.generate()
        self.coin = chain.fund(taproot_script(self._key.key))

    def finish(self, raw: bytes) -> bytes:
        """Sign the last input, which is his, and finish the transaction with another wallet's finalizer."""
        made = WatcherPsbt.parse(raw)
        index = len(made.inputs) - 1
        made.inputs[index].taproot_key_spend_signature = self._key.sign(Psbt(raw).spend.sighash(index))
        return extract_tx(finalize(made)).serialize(include_witness=True)


def watcher_makes(descriptor: str, coins: list[Coin], friend: Coin) -> bytes:
    """Make the PSBT as a watch-only wallet does: it derives the script, finds its coins, and spends them all."""
    script = parse(descriptor, "regtest").script_pub_key().script
    spent = [*(coin for coin in coins if coin.script == script), friend]
    change = sum(coin.amount for coin in spent) - 60 * COIN - FEE
    roofer = taproot_script(Keypair.generate().key)
    unsigned = transaction(spent, [(60 * COIN, roofer), (change, script)])
    inputs = [PsbtIn(witness_utxo=TxOut(coin.amount, coin.script)) for coin in spent]
    return WatcherPsbt.from_tx(Tx.parse_without_witness(unsigned), inputs).to_v2().serialize()


async def opened(alice: Person, bob: Person, minutes: Minutes) -> Keygen:
    """Alice and Bob make a key of two, each sealed to an enclave of its own; Bob goes away for good."""
    keygen = await (await alice.wake()).create_keygen(2, label="treasury", network="regtest")
    for person, ticket in zip((alice, bob), keygen.tickets, strict=True):
        await (await person.wake()).join(ticket, rule=person.rule, enclave=person.enclave, label=person.name)
    safety = await keygen.safe()
    await bob.sleep()
    minutes.says("Alice", f"and Bob hold a key together, {safety}; Bob goes away")
    return keygen


async def signed(keygen: Keygen, psbt: bytes, minutes: Minutes) -> Signed:
    """Alice asks for every input that the group can sign, reads what it does, and takes the PSBT back."""
    signing = await keygen.request(psbts=[psbt], memo="a new roof")
    minutes.says("Alice", f"asks for the {len(signing.plan.items)} inputs that the group can sign:")
    minutes.notes(*signing.summary())
    (found,) = await signing.psbts([psbt])
    minutes.says("Alice", "has it back with three key-path signatures; the friend's input is still open")
    return found


async def tell(minutes: Minutes) -> None:
    """The whole story, in a house of its own."""
    minutes.opens("A watch-only wallet hands over a PSBT, and the group gives it back signed")
    async with House(enclaves=2) as house:
        alice, bob = (
            Person(name, house.folder / name, house.url, NONE, enclave.identity)
            for name, enclave in zip(("Alice", "Bob"), house.enclaves, strict=True)
        )
        try:
            with Regtest() as chain:
                await _spend(await opened(alice, bob, minutes), chain, minutes)
        finally:
            await alice.sleep()
            await bob.sleep()
    minutes.ends()


async def _spend(keygen: Keygen, chain: Regtest, minutes: Minutes) -> None:
    """From the descriptor to a block.

    Raises:
        AssertionError: the chain did not decide as it should.
    """
    descriptor = keygen.roster.descriptor()
    minutes.says("Alice", "gives the descriptor to a watch-only wallet:")
    minutes.notes(descriptor)
    friend = Friend(chain)
    coins = [chain.fund(keygen.roster.script()) for _ in range(3)]
    psbt = watcher_makes(descriptor, coins, friend.coin)
    minutes.says("The wallet", f"sees three coins, and makes a PSBT (version 2, {len(psbt)} bytes) with a friend")
    ours = await signed(keygen, psbt, minutes)
    if ours.final is not None:
        raise AssertionError("a transaction is complete that the friend has not signed")
    if not chain.mine(friend.finish(ours.psbt)):
        raise AssertionError("the chain refused what everybody signed")
    minutes.says("The chain", f"accepts the transaction in block {chain.height}")


if __name__ == "__main__":
    asyncio.run(tell(Minutes()))
