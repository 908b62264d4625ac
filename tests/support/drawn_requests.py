"""Random requests, each of which follows from its group and its seed alone.

    draw_request(group, "7/13")   who asks, who says yes, and 1–12 items with their transactions: messages and inputs of
                                  any key list, tweaked in any way, equal ones among them, strangers' coins, and what
                                  nobody can sign

What must come of each item is said by its group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Literal

from msgspec.structs import replace as changed

from examples.helpers.regtest import Coin, transaction
from keymeld_protocol.plaintext.body import (
    Adaptor,
    BareRoot,
    Bip86,
    Child,
    RawTransaction,
    Scalar,
    SignEcdsa,
    SignInput,
    SignMessage,
    Spent,
    Step,
    TermsStep,
    Transaction,
    XOnlyScalar,
)
from keymeld_protocol.plaintext.contents import Script
from keymeld_protocol.values import Hash, Message, PlainKey

from . import naive
from .drawn_groups import DrawnGroup, Steps, Wish
from .oracle import ORDER, TAPROOT, point_of, secret_sum

ENOUGH = 12
"""Items of one request; its last transaction may bring a few more."""


@dataclass(frozen=True)
class DrawnRequest:
    """What one member asks, the slots that say yes to it, and whether attempts wait until all is said."""

    requester: int
    yes: tuple[int, ...]
    late: bool
    wishes: tuple[Wish, ...]
    transactions: tuple[Transaction, ...]


def draw_request(group: DrawnGroup, seed: str) -> DrawnRequest:
    """A request that mixes everything; mostly one that will be consented to."""
    draw = Random(f"request {seed}")
    requester = draw.choice(group.slots)
    hand = _Hand(group, draw, _lists(group, draw, requester))
    wishes = tuple(hand.fill(draw.randint(1, ENOUGH)))
    if not any(requester in wish.slots for wish in wishes):  # only who is needed may ask
        requester = wishes[0].slots[0]
    yes = group.slots if draw.random() < 0.9 else draw.sample(group.slots, draw.randint(0, len(group.slots)))
    return DrawnRequest(requester, tuple(yes), draw.random() < 0.7, wishes, tuple(hand.transactions))


def _lists(group: DrawnGroup, draw: Random, requester: int) -> list[int | None]:
    """The key lists that sign if everybody says yes; now and then any."""
    every = [None, *range(len(group.subsets))]
    if draw.random() < 0.12:
        return every
    votes = naive.Votes(requester, 1, dict.fromkeys(group.slots, 1))

    def willing(subset: int | None) -> bool:
        slots = group.key_list(subset)
        return not any(naive.rule_broken(group.rules[slot], slot, slots, votes, 0) for slot in slots)

    return [subset for subset in every if willing(subset)]


@dataclass
class _Hand:
    """Draws the items of one request."""

    group: DrawnGroup
    draw: Random
    lists: Sequence[int | None]
    transactions: list[Transaction] = field(default_factory=list)

    def fill(self, count: int) -> list[Wish]:
        """At least ``count`` items, in any order."""
        wishes: list[Wish] = []
        while len(wishes) < count:
            wishes += self.draw.choice([self.message, self.message, self.again, self.ecdsa, self.spend, self.spend])(
                wishes
            )
        self.draw.shuffle(wishes)
        return wishes

    # Each kind of item is drawn by one method here: a further kind is a further method, its name in `fill`, and its
    # judgement in `Judge.item` of world/test_random_requests.py.

    def message(self, _: Sequence[Wish]) -> list[Wish]:
        """A blind message."""
        subset, message = self.draw.choice(self.lists), Message(self.draw.randbytes(32))
        adaptor, secrets = self.adaptor()
        asked = SignMessage(message=message, subset=subset, tweaks=self.steps(subset), adaptor=adaptor)
        return [self.group.wish(asked, secrets)]

    def again(self, wishes: Sequence[Wish]) -> list[Wish]:
        """A message that was asked for already: in the very same words, or of other keys."""
        said = [wish for wish in wishes if isinstance(wish.asked, SignMessage)]
        if not said:
            return []
        wish, subset = self.draw.choice(said), self.draw.choice(self.lists)
        other = self.group.wish(changed(wish.asked, subset=subset, tweaks=self.steps(subset)), wish.secrets)
        return [self.draw.choice([wish, other])]

    def ecdsa(self, _: Sequence[Wish]) -> list[Wish]:
        """A message to be signed with ECDSA, mostly by a list of one key."""
        single = [subset for subset in self.lists if len(self.group.key_list(subset)) == 1]
        wanted = single if self.draw.random() < 0.8 else self.lists
        message = Message(self.draw.randbytes(32))
        return [self.group.wish(SignEcdsa(message=message, subset=self.draw.choice(wanted)))] if wanted else []

    def spend(self, _: Sequence[Wish]) -> list[Wish]:
        """A transaction with inputs of ours and of strangers, once in a while asked for twice in the same words."""
        number, found = len(self.transactions), list[Wish]()
        scripts = [self._input(number, index, found) for index in range(self.draw.randint(1, 4))]
        if not found:  # of strangers alone: then somebody asks us to sign for one
            asked = SignInput(transaction=number, input=0, subset=self.draw.choice(self.lists))
            found.append(self.group.wish(asked, script=scripts[0]))
        self.transactions.append(self._transaction(scripts))
        if self.draw.random() < 0.1:
            self.transactions.append(self.transactions[-1])
            found += [replace(wish, asked=changed(wish.asked, transaction=number + 1)) for wish in found]
        return found

    def _input(self, number: int, index: int, found: list[Wish]) -> bytes:
        """The script of one input; the items that ask for it go to ``found``."""
        subset = self.draw.choice(self.lists)
        steps = self.steps(subset)
        key, luck = self.group.output_key(subset, steps), self.draw.random()
        script = self._foreign() if luck < 0.25 or key is None else TAPROOT + key
        adaptor, secrets = self.adaptor()
        asked = SignInput(transaction=number, input=index, subset=subset, tweaks=steps, adaptor=adaptor)
        if luck > 0.92:  # asked for with tweaks that it was not paid to
            asked = changed(asked, tweaks=self.steps(subset))
        if luck > 0.12:
            found.append(self.group.wish(asked, secrets, script))
        if luck > 0.96 and (others := [other for other in self.lists if other != subset]):
            other = changed(asked, subset=self.draw.choice(others))
            found.append(self.group.wish(other, secrets, script))
        return script

    def _foreign(self) -> bytes:
        """The script of somebody else's coin."""
        some = self.draw.randbytes
        kinds = [TAPROOT + some(32), b"\x00\x14" + some(20), b"\x00\x20" + some(32), b"", b"\x6a" + some(40), some(9)]
        return self.draw.choice(kinds)

    def _transaction(self, scripts: Sequence[bytes]) -> Transaction:
        coins = [
            Coin(self.draw.randbytes(32), self.draw.randrange(3), self.draw.randint(1_000, 10**9), script)
            for script in scripts
        ]
        left = sum(coin.amount for coin in coins)
        targets = [self._foreign(), self.draw.choice(scripts)][: self.draw.randint(1, 2)]
        outputs = [(self.draw.randint(0, left // 2), target) for target in targets]
        sequence, lock = self.draw.choice([0, 0xFFFFFFFD, 0xFFFFFFFF]), self.draw.choice([0, 1, 800_000])
        unsigned = RawTransaction(transaction(coins, outputs, lock=lock, sequence=sequence))
        spent = tuple(Spent(amount=coin.amount, script=Script(coin.script)) for coin in coins)
        return Transaction(unsigned=unsigned, spent=spent)

    # Adaptors and tweaks

    def adaptor(self) -> tuple[Adaptor | None, tuple[int, ...]]:
        """Mostly none; else points, rarely one that is none among them, and the secret of each pre-signature."""
        draw = self.draw
        if draw.random() < 0.7:
            return None, ()
        mode: Literal["single", "and", "or"] = draw.choice(["single", "and", "or"])
        secrets = [draw.randrange(1, ORDER) for _ in range(1 if mode == "single" else draw.randint(2, 4))]
        points = [PlainKey(point_of(secret)) for secret in secrets]
        if draw.random() < 0.05:
            points[-1] = PlainKey(draw.choice([bytes(33), b"\x02" + b"\xff" * 32, b"\x04" + points[-1][1:]]))
        return Adaptor(mode=mode, points=tuple(points)), (secret_sum(secrets),) if mode == "and" else tuple(secrets)

    def steps(self, subset: int | None) -> Steps:
        """The tweaks of an item: mostly what people use, sometimes opaque ones, rarely some that cannot be."""
        luck, draw = self.draw.random(), self.draw
        if luck < 0.4:
            return None
        child = Child(path=tuple(draw.choice([0, 1, draw.randrange(2**31)]) for _ in range(draw.randint(1, 3))))
        if luck < 0.75:
            usual: list[Steps] = [(), (Bip86(),), (TermsStep(),), (child, TermsStep()), (child, Bip86()), (child,)]
            return draw.choice(usual)
        begin: tuple[Step, ...] = draw.choice([(), (child,)])
        steps = begin + tuple(self._step() for _ in range(draw.randint(1, 3)))
        if luck > 0.98:
            return (self.group.leaving(subset, draw.choice([0, 0, 1])),)
        return (*steps, self._impossible()) if luck > 0.96 else steps

    def _step(self) -> Step:
        some = Hash(self.draw.randbytes(32))
        kinds: list[Step] = [BareRoot(root=some), Scalar(scalar=some), XOnlyScalar(scalar=some), TermsStep(), Bip86()]
        return self.draw.choice(kinds)

    def _impossible(self) -> Step:
        """A scalar that is none, or one that tweaks nothing."""
        value = self.draw.choice([0, ORDER, ORDER + self.draw.randrange(2**100), 2**256 - 1])
        scalar = Hash(value.to_bytes(32, "big"))
        return Scalar(scalar=scalar) if self.draw.random() < 0.5 else XOnlyScalar(scalar=scalar)
