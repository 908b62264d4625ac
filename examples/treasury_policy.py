"""A treasury that limits itself: one key of three people, two of whom approve, and what it pays is sealed with it.

    Alice, Bob, Carol ── 3-of-3 key ── each part sealed with ──▶ approval by 2 of 3
                                                                 pays the landlord only, at most 2 BTC at once
                                                                 at most 0.0005 BTC in fees

The rent is paid while Carol is away.  A payment over the limit, one to a stranger, and 32 bytes that say nothing about
themselves are refused by the enclave before anybody is asked, and everybody reads why.
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
from examples.helpers.people import Person
from examples.helpers.regtest import COIN, Coin, Regtest, transaction
from keymeld_client.errors import SigningEnded
from keymeld_client.keygens import Keygen
from keymeld_client.said.choosing import Allow
from keymeld_client.signings import Signing
from keymeld_protocol.bitcoin.transaction import taproot_script
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext.policy import AllowedOutput, AllowedScript
from keymeld_protocol.values import Id
from keymeld_protocol.wire.shapes import Rule

FEE: Final = 10_000
LANDLORD: Final = taproot_script(Keypair.generate().key)
STRANGER: Final = taproot_script(Keypair.generate().key)
APPROVAL: Final = Rule(approval="quorum", threshold=2, of=(0, 1, 2))
LIMITS: Final = Allow(
    outputs=(AllowedOutput(script=AllowedScript(LANDLORD)),), max_amount=2 * COIN, max_fee=50_000
)  # fmt: skip


def payment(coin: Coin, amount: int, payee: bytes, roster: Roster) -> bytes:
    """An unsigned transaction that pays ``amount``; the rest comes back to the treasury's first change address."""
    change = taproot_script(roster.child((1, 0)).output)
    return transaction([coin], [(amount, payee), (coin.amount - amount - FEE, change)])


async def pay(keygen: Keygen, coin: Coin, amount: int, payee: bytes) -> Signing:
    """Ask for a payment; a request is its requester's approval."""
    unsigned = payment(coin, amount, payee, keygen.roster)
    return await keygen.request(transactions=[(unsigned, [(coin.amount, coin.script)])], memo="rent, it says")


async def the_rent_is_paid(minutes: Minutes, alice: Keygen, bob: Person, chain: Regtest) -> None:
    """Within the limits two of three are enough; Bob hears of it when he takes out his phone."""
    signing = await pay(alice, chain.fund(alice.roster.script()), COIN, LANDLORD)
    minutes.says("Alice", "asks for the rent")
    minutes.notes(*signing.summary()[3:])
    await bob.wake()
    await bob.signing(signing.id).approve()
    minutes.says("Bob", "approves; Carol is away")
    (signed,) = await signing.transactions()
    if not chain.mine(signed):
        raise AssertionError("the chain refused the rent")
    minutes.says("The chain", f"accepts the rent in block {chain.height}")


async def refused(minutes: Minutes, what: str, signing: Signing, everybody: list[Person]) -> None:
    """A request that the policy forbids ends at once, and everybody is told why."""
    minutes.says("Alice", f"asks for {what}")
    for person in everybody:
        try:
            await person.signing(signing.id).signatures()
        except SigningEnded as ended:
            if ended.may_be_signed:
                raise AssertionError("somebody has sent a partial signature") from None
            minutes.says(person.name, f"reads {ended.code}: {ended.detail}")
            continue
        raise AssertionError(f"the enclave signed {what}")


async def tell(minutes: Minutes) -> None:
    """The whole story, in a house of its own."""
    minutes.opens("A treasury that limits itself")
    async with House() as house:
        people = people_of(house, ("Alice", "Bob", "Carol"))
        try:
            for person in people:
                person.rule = APPROVAL
            ident: Id = (await gather(people, allow=[LIMITS] * 3)).id
            alice, bob, carol = people
            await gone([bob, carol])
            with Regtest() as chain:
                keygen = alice.keygen(ident)
                await the_rent_is_paid(minutes, keygen, bob, chain)
                await carol.wake()
                coin = chain.fund(keygen.roster.script())
                for what, signing in (
                    ("three times the limit", await pay(keygen, coin, 6 * COIN, LANDLORD)),
                    ("a payment to a stranger", await pay(keygen, coin, COIN, STRANGER)),
                    ("a blind message", await keygen.request(messages=[bytes(32)])),
                ):
                    await refused(minutes, what, signing, people)
        finally:
            await gone(people)
    minutes.ends()


if __name__ == "__main__":
    asyncio.run(tell(Minutes()))
