"""What is looked at of a real enclave over its lives: every moment at which something can befall it in one signing.

    Schedule(LAST, ((3, crash),))       before its third turn the vault crashes, and hears everything anew
    played(schedule)                    the nonces under which it made psigs, one for each psig

The vault holds slots 0 and 1, the tower slot 2; whoever is ``last`` answers nonces with psigs at once.  A turn of the
vault is one record that it hears, or one statement that it says; in between all others come to rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from typing import Any, Final

import pytest

from keymeld_protocol.curve import musig_secret
from keymeld_protocol.machines.keygen_state import KeygenState
from keymeld_protocol.machines.streams import step
from keymeld_protocol.member import signer
from keymeld_protocol.values import Id
from tests.support.coordinator import Log
from tests.support.world import MESSAGE, NONE, Enclave, World

GRACE: Final = 3_000
TURNS: Final = 8
"""After so many turns an undisturbed vault has said all."""


class Stage:
    """Three members, two enclaves, and a request that nobody has heard yet; ``spent``: the nonces of all psigs."""

    def __init__(self, at: tuple[int, ...]) -> None:
        self.world = World()
        self.enclaves = [self.world.enclave(name) for name in ("vault", "tower")]
        self.vault, self.tower = self.enclaves
        members = [self.world.member(name) for name in ("alice", "bob", "carol")]
        group = self.world.gather(members, at=[self.enclaves[index] for index in at], rule=NONE)
        self.signing: Id = members[0].request(group, MESSAGE)
        self.spent: list[bytes] = []

    def rest(self) -> None:
        """Everybody but the vault hears and speaks until he has nothing more to do."""
        others = [peer for peer in self.world.peers.values() if peer is not self.vault]
        while sum(peer.step() for peer in others):
            pass

    def tell_again(self, kept: int) -> None:
        """The coordinator goes on from the first ``kept`` records as if no more had followed; the tower begins anew."""
        old = self.world.logs[self.signing]
        log = Log(self.signing, self.world.epoch, keygen=old.keygen)
        assert log.keygen is not None and isinstance(log.keygen.state, KeygenState)
        for record in old.records[:kept]:
            log.state = step(log.state, record, log.keygen.state)
            log.chain.append(record)
            log.records.append(record)
        log.hearers = log.state.hearers() if log.state is not None else frozenset()
        self.world.logs[self.signing] = log
        for peer in self.world.peers.values():
            peer.sent.pop(self.signing, None)
        self.tower.restart()
        self.world.publish(log)
        self.world.clock()


# What befalls it ------------------------------------------------------------------------------------------------


def crash(stage: Stage) -> None:
    """The vault loses everything but its identity, and hears all logs from their first record."""
    stage.vault.restart()


def again(stage: Stage) -> None:
    """The vault is told the whole log once more."""
    stage.vault.sent.pop(stage.signing, None)
    stage.world.publish(stage.world.logs[stage.signing], only=stage.vault)


def grace(stage: Stage) -> None:
    """The grace passes: another attempt is opened where one is under way."""
    stage.world.now += GRACE
    stage.world.clock()


def anew(stage: Stage) -> None:
    """The coordinator tells the request as if nothing had followed it, a moment later."""
    stage.world.now += 1
    stage.tell_again(1)


def forked(stage: Stage) -> None:
    """The coordinator forgets the latest record, and another one takes its place."""
    stage.world.now += 1
    stage.tell_again(max(1, stage.world.logs[stage.signing].chain.offset - 1))


Blow = Callable[[Stage], None]
BLOWS: Final[tuple[Blow, ...]] = (crash, again, grace, anew, forked)
LAYOUTS: Final = {"the vault is last": (0, 0, 1), "the tower is last": (0, 1, 1), "the vault is alone": (0, 0, 0)}


@dataclass(frozen=True)
class Schedule:
    """Where the keys are, and what befalls the vault before which of its turns."""

    at: tuple[int, ...]
    blows: tuple[tuple[int, Blow], ...] = ()

    def __str__(self) -> str:
        return ", ".join(f"{blow.__name__} before turn {turn}" for turn, blow in self.blows) or "nothing"


def schedules(at: tuple[int, ...], blows: int) -> Iterator[Schedule]:
    """Every schedule with so many blows."""
    for chosen in combinations_with_replacement(range(TURNS), blows):
        for which in product(BLOWS, repeat=blows):
            yield Schedule(at, tuple(zip(chosen, which, strict=True)))


def played(schedule: Schedule) -> Stage:
    """The stage after a schedule, and after whatever time still brings."""
    stage = Stage(schedule.at)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signer, "partial_sign", counted(stage, musig_secret.partial_sign))
        for turn in range(TURNS):
            for _, blow in (one for one in schedule.blows if one[0] == turn):
                blow(stage)
            stage.rest()
            stage.vault.step()
        for _ in range(2):
            stage.world.run()
            stage.world.wait(GRACE)
    return stage


def counted(stage: Stage, sign: Callable[..., bytes]) -> Callable[..., bytes]:
    """``sign``, which notes the nonce that it spends."""

    def noted(session: Any, key: Any, secnonce: Any, **how: Any) -> bytes:
        stage.spent.append(bytes(secnonce.pubnonce))
        return sign(session, key, secnonce, **how)

    return noted


def heard_forks(enclave: Enclave) -> bool:
    """Whether its operator was told of another history."""
    return any("another history" in concern or "two hashes" in concern for concern in enclave.concerns)
