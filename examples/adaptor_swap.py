"""An atomic swap: Alice's gold for Bob's silver, on two chains that know nothing of one another.

    gold chain     Alice ── pays ──▶ both ─┬─ claim, locked to T ────▶ Bob
                                           └─ refund, in 4 days ─────▶ Alice
    silver chain   Bob ──── pays ──▶ both ─┬─ claim, locked to T ────▶ Alice
                                           └─ refund, in 2 days ─────▶ Bob

Alice alone knows t of T = t·G.  All four spends are signed before a coin moves, the claims as pre-signatures; each has
said yes to what was agreed, and under the rule ``self`` no key signs anything else.  Alice pays first, Bob once that is
mined.  To take the silver Alice completes her claim with t; whoever holds its pre-signature, as Bob does, reads t off
her signature, and has until the fourth day to take the gold.  No hash and no script on the chains connects the two.

What a real swap adds: some blocks on top before the next step is taken; a way to raise fees, for a claim that is not
mined when the refund opens may lose to it; somebody awake, or a watcher, all the while; and a price for Alice's choice:
she alone may let it be, and then both wait for their refunds.  Hers opens last because she is the one who moves first.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from pathlib import Path

if __package__ in (None, ""):  # run as a file: the folder above this one holds the package `examples`
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples.helpers.contracts import (
    DAY,
    FEE,
    Purse,
    finished,
    locked,
    must_mine,
    must_refuse,
    presigned,
    somebody,
    spending,
)
from examples.helpers.gathering import SELF, gather, gone, people_of
from examples.helpers.house import House
from examples.helpers.minutes import Minutes
from examples.helpers.people import Person
from examples.helpers.regtest import COIN, Coin, Regtest, transaction
from keymeld_client.signings import Signing
from keymeld_protocol.curve.secp256k1 import Bytes, Secret
from keymeld_protocol.plaintext.body import Body, SignInput
from keymeld_protocol.values import Id


@dataclass
class Leg:
    """One chain of the swap: ``giver`` pays a key of both; ``taker`` claims it, or it goes back after ``days``."""

    name: str
    chain: Regtest
    giver: Person
    taker: Person
    days: int
    amount: int
    claimed: bytes = field(default_factory=somebody)
    purse: Purse = field(init=False)
    coin: Coin = field(init=False)
    lock: int = field(init=False)
    keygen: Id = field(init=False)
    signing: Id = field(init=False)

    def seen_by(self, person: Person) -> Signing:
        """The contract's signing on this person's phone."""
        return person.signing(self.signing)

    def contract(self, point: bytes) -> Body:
        """The two ways that the coin can go: to the taker with the secret, or back to the giver when time is over."""
        claim = transaction([self.coin], [(self.amount - FEE, self.claimed)])
        refund = transaction([self.coin], [(self.amount - FEE, self.purse.script)], lock=self.lock)
        claims = SignInput(transaction=0, input=0, adaptor=locked("single", point))
        refunds = SignInput(transaction=1, input=0)
        both = (spending(claim, self.coin), spending(refund, self.coin))
        return Body(v=1, transactions=both, items=(claims, refunds), memo=f"swap: {self.name}")


async def prepare(leg: Leg, minutes: Minutes) -> None:
    """A key of both for this chain; the giver writes the payment to it, and keeps it to himself."""
    keygen = await gather((leg.giver, leg.taker))
    leg.keygen, leg.purse = keygen.id, Purse(leg.chain)
    leg.coin, leg.lock = leg.purse.prepare(keygen.roster.script(), leg.amount), leg.chain.height + leg.days * DAY
    minutes.says(leg.giver.name, f"prepares to pay {leg.amount // COIN} {leg.name} to a key of both, and waits")


async def sign(leg: Leg, point: bytes, minutes: Minutes) -> None:
    """The giver asks for the claim and the refund in one; the taker compares it with what was agreed, and says yes.

    Raises:
        AssertionError: it is not what was agreed.
    """
    asked = await leg.giver.keygen(leg.keygen).request(body=leg.contract(point))
    leg.signing = asked.id
    read = await leg.taker.hears(asked.id)
    if read.plan.body != leg.contract(point):
        raise AssertionError("this is not what was agreed")
    minutes.says(leg.taker.name, f"reads what {leg.giver.name} asks for, and approves:")
    minutes.notes(*read.summary())
    await read.approve()
    for person in (leg.giver, leg.taker):
        await leg.seen_by(person).results()
    minutes.says("Both", f"have verified the refund's signature and the claim's pre-signature: {leg.name} can be paid")


async def pay(leg: Leg, minutes: Minutes) -> None:
    """Now the giver pays; the refund is good, but no block takes it yet."""
    leg.purse.publish()
    _, refund = await leg.seen_by(leg.giver).psbts()
    must_refuse(leg.chain, finished(refund))
    minutes.says(leg.giver.name, f"pays the {leg.name}; the chain takes no refund before block {leg.lock + 1}")


async def claim(leg: Leg, secret: Bytes, minutes: Minutes) -> None:
    """The taker completes the claim with the secret, and has it mined."""
    signed, _ = await leg.seen_by(leg.taker).transactions(secrets=[secret])
    must_mine(leg.chain, signed)
    minutes.says(leg.taker.name, f"completes the claim; the {leg.name} chain accepts it in block {leg.chain.height}")


async def learnt(leg: Leg) -> bytes:
    """What the giver reads off his chain: the secret, in the signature that took his coin."""
    (claim,) = await presigned(leg.seen_by(leg.giver), 0)
    return claim.extract(leg.chain.signature_that_spent(leg.coin))


async def swap(gold: Leg, silver: Leg, minutes: Minutes) -> None:
    """From two purses to two claims."""
    for leg in (gold, silver):
        await prepare(leg, minutes)
    with Secret.generate() as secret:
        point = secret.point
        minutes.says("Alice", "draws a secret, and tells Bob its point:")
        minutes.notes(point.hex())
        for leg in (gold, silver):
            await sign(leg, point, minutes)
        for leg in (gold, silver):
            await pay(leg, minutes)
        await claim(silver, secret.buffer, minutes)
    found = await learnt(silver)
    minutes.says("Bob", "finds the secret in her signature on the silver chain:")
    minutes.notes(found.hex())
    await claim(gold, found, minutes)


async def tell(minutes: Minutes) -> None:
    """The whole story, in a house of its own."""
    minutes.opens("Gold for silver, on two chains")
    async with House(enclaves=2) as house:
        alice, bob = people = people_of(house, ("Alice", "Bob"), SELF)
        try:
            with Regtest() as gold, Regtest() as silver:
                legs = Leg("gold", gold, alice, bob, 4, COIN), Leg("silver", silver, bob, alice, 2, 20 * COIN)
                await swap(*legs, minutes)
        finally:
            await gone(people)
    minutes.ends()


if __name__ == "__main__":
    asyncio.run(tell(Minutes()))
