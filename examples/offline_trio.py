"""Three people go offline, and their group still signs: ``make demo``.

    Alice ─┐                    ┌─ enclave 1   holds Alice's and Bob's keys
    Bob ───┼─ ws ─ coordinator ─┤
    Carol ─┘       (SQLite)     └─ enclave 2   holds Carol's key

All of it is real: separate processes and sockets, a log on disk, a taproot transaction, and Bitcoin Core's consensus
code that judges the result.  Each step is a function, so that tests can play the same story with a kill -9 between.
"""

from __future__ import annotations

import asyncio
import signal
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

if __package__ in (None, ""):  # run as a file: the folder above this one holds the package `examples`
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples.helpers.house import House, NotStarted
from examples.helpers.minutes import Minutes
from examples.helpers.people import Person
from examples.helpers.regtest import COIN, Coin, Regtest, transaction
from keymeld_protocol.bitcoin.transaction import taproot_address, taproot_script
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import KeymeldError
from keymeld_protocol.values import Id
from keymeld_protocol.wire.shapes import Rule

PRICE: Final = 2 * COIN
FEE: Final = 10_000
ROOFER, MALLORY = Keypair.generate().key, Keypair.generate().key


@dataclass
class Story:
    """The people, the chain, and what the steps hand on to one another."""

    alice: Person
    bob: Person
    carol: Person
    chain: Regtest
    minutes: Minutes
    tickets: tuple[str, ...] = ()
    keygen: Id = field(init=False)
    script: bytes = b""
    coin: Coin = field(init=False)
    signing: Id = field(init=False)
    signed: bytes = b""

    @classmethod
    def of(cls, house: House, chain: Regtest, minutes: Minutes) -> Story:
        """Alice and Bob trust enclave 1, Carol enclave 2; only Carol lets the others use her key without asking."""

        def person(name: str, approval: str, enclave: int) -> Person:
            rule = Rule(approval="none" if approval == "none" else "self")
            return Person(name, house.folder / name, house.url, rule, house.enclaves[enclave - 1].identity)

        return cls(person("Alice", "self", 1), person("Bob", "self", 1), person("Carol", "none", 2), chain, minutes)

    @property
    def people(self) -> tuple[Person, ...]:
        """By slot."""
        return (self.alice, self.bob, self.carol)


async def alice_invites(story: Story) -> None:
    """Alice opens the keygen; a ticket carries everything that a person needs to take part."""
    keygen = await (await story.alice.wake()).create_keygen(3, label="treasury", network="regtest")
    story.keygen, story.tickets = keygen.id, tuple(ticket.text() for ticket in keygen.tickets)
    story.minutes.says("Alice", f"opens “{keygen.label}”, a key of three, and hands out a ticket for each of its slots")
    story.minutes.notes(f"{story.tickets[1][:64]}…  (Bob's)")


async def everybody_joins(story: Story) -> None:
    """Each makes a key and seals it, with its rule, to an enclave that he trusts; the enclave says that it holds it."""
    for person, ticket in zip(story.people, story.tickets, strict=True):
        client = await person.wake()
        keygen = await client.join(ticket, rule=person.rule, enclave=person.enclave, label=person.name)
        await keygen.joined()
        sealed = f"sealed to enclave {person.enclave.hex()[:6]} under the rule “{person.rule.approval}”"
        story.minutes.says(person.name, f"joins with a fresh key, {sealed}")


async def everybody_confirms(story: Story) -> None:
    """The keygen is complete: each verifies all cards and proofs, computes the same address, and says so."""
    for person in story.people:
        keygen = person.keygen(story.keygen)
        await keygen.completed()
        await keygen.confirm()
    keygen = story.alice.keygen(story.keygen)
    async for _ in keygen:  # until Alice's log has everybody's own word, and not his enclave's alone
        if len(keygen.safety.by_participant) == len(story.people):
            break
    safety, story.script = await keygen.safe(), keygen.roster.script()
    story.minutes.says("All three", f"read the same roster digits to one another: {keygen.roster_digits}")
    story.minutes.says("All three", f"see the group's taproot address, {safety}")
    story.minutes.notes(keygen.address)


async def everybody_leaves(story: Story) -> None:
    """Three phones are put away; the keys stay in the enclaves, under their rules."""
    for person in story.people:
        await person.sleep()
    story.minutes.says("All three", "disconnect")


async def the_chain_pays(story: Story) -> None:
    """A miner's reward goes to the group's address."""
    story.coin = story.chain.fund(story.script)
    story.minutes.says("The chain", f"pays {story.coin.amount // COIN} BTC to that address, 100 blocks deep")


async def alice_requests(story: Story) -> None:
    """Alice asks for the spend of that coin, sealed to the group, and goes on watching."""
    coin, change = story.coin, story.coin.amount - PRICE - FEE
    unsigned = transaction([coin], [(PRICE, taproot_script(ROOFER)), (change, coin.script)])
    keygen = (await story.alice.wake()).keygen(story.keygen)
    signing = await keygen.request(transactions=[(unsigned, [(coin.amount, coin.script)])], memo="a new roof")
    story.signing = signing.id
    story.minutes.says("Alice", f"comes back, asks to pay {PRICE // COIN} BTC for a new roof, and watches the log:")
    story.minutes.follow(signing)


async def bob_approves(story: Story) -> None:
    """Bob's phone verifies the whole log and recomputes the sighash; what it shows is what will be signed."""
    signing = (await story.bob.wake()).signing(story.signing)
    story.minutes.says("Bob", "hears his phone. It has verified every record, and shows what would be signed:")
    story.minutes.notes(*signing.summary(), f"Sighash {signing.plan.item(0).message.hex()} (BIP-341)")
    story.minutes.says("Bob", "approves")
    await signing.approve()
    await story.bob.sleep()
    story.minutes.says("Bob", "lets his phone sleep again. Carol never comes back")


async def the_enclaves_finish(story: Story) -> None:
    """Two enclaves make the signature; Alice believes none of it and verifies it herself."""
    signing = (await story.alice.wake()).signing(story.signing)
    signatures = await signing.signatures()
    (story.signed,) = await signing.transactions()
    await story.minutes.followed()
    story.minutes.says("Alice", "has verified the signature and put it into the transaction")
    story.minutes.notes(*(signature.hex() for signature in signatures))
    await story.alice.sleep()


async def the_chain_decides(story: Story) -> None:
    """Bitcoin's consensus code refuses a tampered copy, and mines the transaction."""
    amount = struct.pack("<q", PRICE) + b"\x22"
    stolen = story.signed.replace(amount + taproot_script(ROOFER), amount + taproot_script(MALLORY))
    if stolen == story.signed or story.chain.mine(stolen):
        raise AssertionError("the chain accepted what nobody signed")
    thief = taproot_address(MALLORY, "regtest")
    story.minutes.says("The chain", f"refuses a copy that pays {thief[:20]}… instead of the roofer")
    if not story.chain.mine(story.signed):
        raise AssertionError("the chain refused what the group signed")
    story.minutes.says("The chain", f"accepts the transaction in block {story.chain.height}")


STEPS: Final = (
    alice_invites, everybody_joins, everybody_confirms, everybody_leaves, the_chain_pays, alice_requests, bob_approves,
    the_enclaves_finish, the_chain_decides,
)  # fmt: skip


async def tell(minutes: Minutes) -> None:
    """The whole story, in a house of its own."""
    minutes.opens("Three people go offline, and their group still signs")
    async with House(enclaves=2) as house:
        minutes.house(house)
        with Regtest() as chain:
            story = Story.of(house, chain, minutes)
            try:
                for step in STEPS:
                    await step(story)
            finally:
                for person in story.people:
                    await person.sleep()
    minutes.ends()


def main() -> int:
    """Tell the story: 0 if it ended well, 1 if not, 130 after Ctrl-C; nothing is left behind in any case."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        asyncio.run(tell(Minutes()))
        return 0
    except KeyboardInterrupt:
        print("\nInterrupted: every process is stopped, every file removed.", file=sys.stderr)
        return 130
    except (NotStarted, KeymeldError) as error:
        print(f"\nThe story ends here: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
