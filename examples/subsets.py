"""One keygen, four keys: all three, Alice with Bob, Bob with Carol, and Carol alone, because she said yes to that.

    slots 0 1 2 ──▶ the group's address            slots 1 2 ──▶ subset 1
    slots 0 1   ──▶ subset 0                       slot 2    ──▶ subset 2: Carol's own key, under her own policy

Each has a coin; one of each is spent.  Bob's own key was declared too, but he gave no yes: it signs nothing.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

if __package__ in (None, ""):  # run as a file: the folder above this one holds the package `examples`
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples.helpers.gathering import gather, gone, people_of
from examples.helpers.house import House
from examples.helpers.minutes import Minutes
from examples.helpers.regtest import Coin, Regtest, transaction
from keymeld_client.errors import SigningEnded
from keymeld_client.keygens import Keygen
from keymeld_client.said.choosing import NOTHING, Allow
from keymeld_protocol.bitcoin.transaction import taproot_script
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.values import Id

FEE: Final = 10_000
SUBSETS: Final = ((0, 1), (1, 2), (2,), (1,))
PAYEE: Final = Keypair.generate().key


async def spend(keygen: Keygen, coin: Coin, subset: int | None) -> bytes:
    """Ask for the spend of a coin of a subset; gives the signed transaction."""
    unsigned = transaction([coin], [(coin.amount - FEE, taproot_script(PAYEE))])
    signing = await keygen.request(transactions=[(unsigned, [(coin.amount, coin.script)])], subset=subset)
    (signed,) = await signing.transactions()
    return signed


async def everybody_spends(minutes: Minutes, seen: list[Keygen], chain: Regtest) -> None:
    """The whole group and each subset that may spend its coin, asked by a member of it."""
    for subset, who in ((None, 0), (0, 0), (1, 1), (2, 2)):
        slots = seen[who].roster.slots_of(subset)
        signed = await spend(seen[who], chain.fund(seen[who].roster.script(subset)), subset)
        if not chain.mine(signed):
            raise AssertionError("the chain refused what the subset signed")
        minutes.says("The chain", f"accepts what slots {list(slots)} spent, in block {chain.height}")


async def bob_alone_cannot(minutes: Minutes, bob: Keygen, chain: Regtest) -> None:
    """His key was sealed without the yes for a subset of one: his enclave refuses, and says why."""
    try:
        await spend(bob, chain.fund(bob.roster.script(3)), 3)
    except SigningEnded as ended:
        minutes.says("Bob", f"is refused by his own enclave: {ended.code}")
        return
    raise AssertionError("a subset of one signed without its participant's yes")


async def tell(minutes: Minutes) -> None:
    """The whole story, in a house of its own."""
    minutes.opens("One keygen, four keys")
    async with House(enclaves=2) as house:
        people = people_of(house, ("Alice", "Bob", "Carol"))
        try:
            keygen = await gather(people, SUBSETS, [NOTHING, NOTHING, Allow(alone=True)])
            ident: Id = keygen.id
            seen = [person.keygen(ident) for person in people]
            with Regtest() as chain:
                await everybody_spends(minutes, seen, chain)
                await bob_alone_cannot(minutes, seen[1], chain)
        finally:
            await gone(people)
    minutes.ends()


if __name__ == "__main__":
    asyncio.run(tell(Minutes()))
