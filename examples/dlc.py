"""A contract on an outcome (DLC): three players, a market maker, an oracle that knows of none of them.

    Mona ── pays ──▶ all four ─┬─ home, locked to S_home ──▶ Mona, Alice, Bob ────▶ split 2 : 60 : 38
                               ├─ draw, locked to S_draw ──▶ Mona, Bob, Carol ────▶ split 2 : 49 : 49
                               ├─ away, locked to S_away ──▶ Mona, Alice, Carol ──▶ split 2 : 25 : 73
                               └─ nothing, in 30 days ─────▶ equal parts

Each outcome transaction is an adaptor, locked to the point of the oracle's attestation; each split is signed for good,
by the subset of those whom the outcome pays.  All seven are asked for in one request; each player reads it once, says
yes (under the rule ``self`` no key signs anything else) and goes away, and only then is the pot paid.  Whatever the
oracle attests completes one pair, in the hands of everybody who heard the signing, and no other.

What a real contract adds: how players pay for their places (here they have paid Mona before, and she pays the pot);
several oracles, for one that lies decides alone; and fees that can be raised, for all seven were fixed beforehand.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from os import urandom
from pathlib import Path
from typing import Final

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
from examples.helpers.oracle import Announcement, Oracle
from examples.helpers.people import Person
from examples.helpers.regtest import COIN, Coin, Regtest, made, transaction, witnessed
from keymeld_client.signings import Signing
from keymeld_protocol.curve import adaptor
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext.body import Body, SignInput, Transaction

PEOPLE: Final = ("Mona", "Alice", "Bob", "Carol")
"""By slot.  Mona is the market maker: she asks, so she is in every subset."""

OUTCOMES: Final[Mapping[str, Mapping[str, int]]] = {
    "home": {"Mona": 2, "Alice": 60, "Bob": 38},
    "draw": {"Mona": 2, "Bob": 49, "Carol": 49},
    "away": {"Mona": 2, "Alice": 25, "Carol": 73},
}
"""Who gets how many hundredths of the pot."""

SUBSETS: Final = tuple(tuple(map(PEOPLE.index, paid)) for paid in OUTCOMES.values())
EQUAL: Final = dict.fromkeys(PEOPLE, 25)


def shares(amount: int, weights: Mapping[str, int], payees: Mapping[str, bytes]) -> list[tuple[int, bytes]]:
    """The outputs that divide ``amount``; what is left of the division goes to the miner, as the fee does."""
    return [((amount - FEE) * weight // 100, payees[who]) for who, weight in weights.items()]


def contract(pot: Coin, lock: int, roster: Roster, announced: Announcement, payees: Mapping[str, bytes]) -> Body:
    """For each outcome its locked transaction and, behind it, the split of its subset; last what happens otherwise."""
    transactions: list[Transaction] = []
    items: list[SignInput] = []
    for subset, (outcome, weights) in enumerate(OUTCOMES.items()):
        script, amount = roster.script(subset), pot.amount - FEE
        decides = transaction([pot], [(amount, script)])
        won = made(decides, 0, amount, script)
        splits = transaction([won], shares(amount, weights, payees))
        items.append(SignInput(transaction=len(items), input=0, adaptor=locked("single", announced.point(outcome))))
        items.append(SignInput(transaction=len(items), input=0, subset=subset))
        transactions += [spending(decides, pot), spending(splits, won)]
    otherwise = transaction([pot], shares(pot.amount, EQUAL, payees), lock=lock)
    items.append(SignInput(transaction=len(items), input=0))
    return Body(v=1, transactions=(*transactions, spending(otherwise, pot)), items=tuple(items), memo="the match")


async def everybody_signs(people: list[Person], asked: Signing, agreed: Body, minutes: Minutes) -> None:
    """Each player compares the request with what was agreed, says yes, verifies what comes of it, and goes away.

    Raises:
        AssertionError: it is not what was agreed.
    """
    minutes.says("Mona", f"asks for all {len(agreed.items)} signatures in one request; what would complete them:")
    minutes.notes(*(line.strip() for line in asked.summary() if "pre-signature" in line))
    for person in people[1:]:
        read = await person.hears(asked.id)
        if read.plan.body != agreed:
            raise AssertionError("this is not what was agreed")
        await read.approve()
        minutes.says(person.name, "reads it, finds what was agreed, and approves")
    for person in people:
        await person.signing(asked.id).results()
    minutes.says("All four", "have verified three pre-signatures and four signatures")
    await gone(people[1:])
    minutes.says("Players", "put their phones away; nothing will be asked of them again")


async def the_others_cannot(
    signing: Signing, oracle: Announcement, happened: str, attestation: bytes, chain: Regtest, minutes: Minutes
) -> None:
    """What did not happen stays locked: to the attestation of something else, and to one that somebody makes up."""
    splits = (await signing.psbts(secrets=[attestation]))[1::2]
    for index, outcome in enumerate(OUTCOMES):
        if outcome == happened:
            continue
        (other,), unsigned = await presigned(signing, 2 * index), signing.plan.spends[2 * index].unsigned
        if other.missing([attestation]) != (oracle.point(outcome),):
            raise AssertionError("this is locked to something else")
        for secret in (attestation, urandom(32)):
            must_refuse(chain, witnessed(unsigned, adaptor.adapt(other.presignature, secret)))
        must_refuse(chain, finished(splits[index]))  # it is signed, but its coin does not exist
        minutes.says("The chain", f"refuses “{outcome}” with the attestation of “{happened}”, and with an invented one")


async def settle(signing: Signing, oracle: Oracle, happened: str, chain: Regtest, minutes: Minutes) -> None:
    """The oracle speaks, and Mona needs nobody: one pair is complete."""
    attestation = oracle.attest(happened)
    if not oracle.announcement.holds(happened, attestation):
        raise AssertionError("the oracle's signature does not verify")
    minutes.says("Oracle", f"attests “{happened}”:")
    minutes.notes(attestation.hex())
    await the_others_cannot(signing, oracle.announcement, happened, attestation, chain, minutes)
    index = 2 * list(OUTCOMES).index(happened)
    decides, splits = (await signing.psbts(secrets=[attestation]))[index : index + 2]
    must_mine(chain, finished(decides), finished(splits))
    minutes.says("The chain", f"accepts “{happened}” and its split in block {chain.height}")
    for who, output in zip(OUTCOMES[happened], signing.plan.spends[index + 1].outputs, strict=True):
        minutes.notes(f"{output.amount / COIN:.8f} BTC to {who}")


async def play(people: list[Person], chain: Regtest, minutes: Minutes) -> None:
    """From an announcement to a pay-out."""
    oracle = Oracle(tuple(OUTCOMES))
    minutes.says("Oracle", f"announces a match: {', '.join(OUTCOMES)}")
    keygen = await gather(people, SUBSETS)
    minutes.says("All four", f"hold a key together, and one for each outcome: {keygen.address[:20]}…")
    purse, payees = Purse(chain), {who: somebody() for who in PEOPLE}
    pot = purse.prepare(keygen.roster.script(), 3 * COIN)
    agreed = contract(pot, chain.height + 30 * DAY, keygen.roster, oracle.announcement, payees)
    signing = await keygen.request(body=agreed)
    await everybody_signs(people, signing, agreed, minutes)
    purse.publish()
    minutes.says("Mona", f"pays the pot of {pot.amount // COIN} BTC")
    must_refuse(chain, finished((await signing.psbts())[-1]))  # 30 days are not over
    await settle(signing, oracle, "draw", chain, minutes)


async def tell(minutes: Minutes) -> None:
    """The whole story, in a house of its own."""
    minutes.opens("A match, three players, a market maker and an oracle")
    async with House(enclaves=2) as house:
        people = people_of(house, PEOPLE, SELF)
        try:
            with Regtest() as chain:
                await play(people, chain, minutes)
        finally:
            await gone(people)
    minutes.ends()


if __name__ == "__main__":
    asyncio.run(tell(Minutes()))
