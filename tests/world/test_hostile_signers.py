"""An enclave that contributes whatever it likes: nobody breaks, nothing is shown that does not hold, and it is told.

keep ─▶ its honest entries, each perhaps replaced: another sort, random bytes, another place's, what others have said
vault, loft ─▶ sign what they can, else refuse with a code; a client computes results that verify, or blames the keep
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest

from examples.helpers.regtest import Coin, transaction
from keymeld_client.shown.blame import judge_signing
from keymeld_client.shown.results import ItemError, results_of
from keymeld_protocol.errors import Blamed
from keymeld_protocol.member.attempt import Attempt
from keymeld_protocol.member.faults import ACCUSES
from keymeld_protocol.member.plan import Plan, plan_of
from keymeld_protocol.member.signer import MemberSigner
from keymeld_protocol.plaintext.body import (
    Adaptor,
    Asked,
    Bip86,
    RawTransaction,
    SignEcdsa,
    SignInput,
    SignMessage,
    Spent,
    Transaction,
)
from keymeld_protocol.plaintext.contents import Script
from keymeld_protocol.plaintext.contributions import Both, Entry, Failed, Finished, Nonce, Nothing, Prefinished, Psig
from keymeld_protocol.values import Message, PlainKey, Signature
from tests.support.party import Party
from tests.support.world import MESSAGE, SECOND, key_of

POINTS = tuple(PlainKey(key_of(f"point {i}").point) for i in range(3))
YES = {"alone": True, "alone_blind": True}


class Hostile:
    """Replaces some of what one enclave says, in every step."""

    def __init__(self, draw: Random, signer: MemberSigner) -> None:
        self.draw = draw
        self.seen: list[Entry] = []
        for step in ("alone", "nonces", "both", "psigs", "signatures"):
            setattr(signer, step, self._spoiling(getattr(signer, step)))

    def _spoiling(self, honest: Callable[..., tuple[Entry, ...]]) -> Callable[..., tuple[Entry, ...]]:
        def spoilt(attempt: Attempt, *more: Any, **inner: Any) -> tuple[Entry, ...]:
            if inner:  # psigs that it adds up itself
                return honest(attempt, *more, **inner)
            entries = list(honest(attempt, *more))
            self.seen += entries
            rate = self.draw.choice([0.05, 0.3, 1.0])
            return tuple(self._other(entry, attempt) if self.draw.random() < rate else entry for entry in entries)

        return spoilt

    def _other(self, entry: Entry, attempt: Attempt) -> Entry:
        """Something else than what is owed, mostly of the same sort."""
        draw = self.draw
        said = [value for heard in (attempt.pubnonces, attempt.psigs) for values in heard.values() for value in values]
        echo = draw.choice([value for value in said if value is not None] or [draw.randbytes(66)])
        point, scalar = draw.choice(POINTS), draw.choice([bytes(32), b"\xff" * 32, draw.randbytes(32), echo[:32]])
        nonce = draw.choice([echo.ljust(66, b"\0"), point + draw.choice(POINTS), draw.randbytes(66), bytes(66)])
        same: list[Entry] = [each for each in self.seen if type(each) is type(entry)]
        match entry:
            case Nonce(proof=proof):
                same.append(Nonce(nonce, proof))
            case Both(pubnonce, psig, proof):
                same += [Both(nonce, psig, proof), Both(pubnonce, scalar, proof)]
            case Psig():
                same.append(Psig(scalar))
        if draw.random() < 0.8:
            return draw.choice(same)
        proof = draw.choice([None, draw.randbytes(64)])
        return draw.choice([
            draw.choice(self.seen), Nothing(), Failed("opaque_tweak"), Failed("x"), Nonce(nonce, proof), Psig(scalar),
            Both(nonce, scalar, proof), Finished(point[1:] + scalar), Prefinished(point + scalar),
        ])  # fmt: skip


def items(p: Party, draw: Random) -> tuple[Sequence[Asked], Transaction]:
    """A few of every kind, an impossible one among them."""
    roster = p.alice.roster(p.group)
    scripts = [roster.script(), roster.script(1), b"\x00\x14" + bytes(20)]
    coins = [Coin(draw.randbytes(32), 0, 10_000, script) for script in scripts]
    spent = tuple(Spent(amount=coin.amount, script=Script(coin.script)) for coin in coins)
    single, either = Adaptor(mode="single", points=POINTS[:1]), Adaptor(mode="or", points=POINTS)
    message = Message(MESSAGE)
    every: list[Asked] = [
        SignMessage(message=message), SignMessage(message=message), SignMessage(message=message, tweaks=(Bip86(),)),
        SignMessage(message=message, adaptor=single), SignMessage(message=message, adaptor=either),
        SignMessage(message=message, subset=0, adaptor=single), SignEcdsa(message=message, subset=0),
        SignInput(transaction=0, input=1, subset=1), SignInput(transaction=0, input=2),
    ]  # fmt: skip
    chosen = draw.sample(every, draw.randint(1, len(every)))
    payment = transaction(coins, [(20_000, scripts[0])])
    asked = Transaction(unsigned=RawTransaction(payment), spent=spent)
    return [*chosen, SignInput(transaction=0, input=0, adaptor=draw.choice([None, single]))], asked


def require(plan: Plan, results: Sequence[object]) -> None:
    """Whatever is shown as signed is."""
    for item, result in zip(plan.items, results, strict=True):
        if isinstance(result, Signature):
            assert item.verifies(result)  # type: ignore[union-attr]
        else:  # a pre-signature cannot be made that does not verify
            assert isinstance(result, tuple | ItemError)


@pytest.mark.parametrize("seed", range(25))
def test_nothing_that_an_enclave_contributes_breaks_anybody_or_shows_what_does_not_hold(seed: int) -> None:
    draw = Random(f"hostile {seed}")
    p = Party("vault", "keep", "loft")
    where = draw.choice([(0, 1, 0), (1, 0, 1), (0, 1, 1), (0, 1, 2), (1, 0, 2), (2, 0, 1)])
    p.gather(at=where, subsets=((0,), (0, 1)), allow=[YES, {}, {}])
    vault, keep, loft = p.vaults
    hostile = Hostile(draw, keep.agent._groups[p.group].signer())
    for _ in range(10):
        asked, payment = items(p, draw)
        signing = p.alice.request(p.group, *asked, transactions=(payment,))
        vanish(p, keep) if draw.random() < 0.5 else p.world.run()
        p.world.wait(SECOND)
        state, key = p.alice.signing(signing), p.alice.groups[p.group]
        assert not state.open, "it was told to the end"
        judged = judge_signing(p.alice.heard(signing), p.alice.roster(p.group), key)
        assert all(where[slot] == 1 for slot in judged.at_fault), f"{judged}: an honest one is called a liar"
        assert judged.at_fault or state.code not in ACCUSES, f"{judged}: nobody knows why it failed"
        plan = plan_of(state, p.alice.heard(signing).records[0].statement, p.alice.roster(p.group), key)
        try:
            require(plan, results_of(p.alice.heard(signing), plan, p.alice.roster(p.group), key))
        except Blamed as error:
            all_said = len(state.contributions) == 2 * len(state.signers) - 1
            assert not all_said or all(where[slot] == 1 for slot in error.slots), f"{error}: an honest one is blamed"
    assert hostile.seen and not (vault.concerns or loft.concerns or p.alice.troubles)


def vanish(p: Party, keep: Any) -> None:
    """The keep is gone as soon as it has said its second word about a signing, or has no more to say."""
    said = len(keep.said)
    while len(keep.said) < said + 2 and any([peer.step() for peer in p.world.peers.values()]):  # noqa: C419 - everybody moves
        pass
    keep.outbox.clear()
    p.world.run()
    keep.outbox.clear()
