"""A world under watch: whatever happens in it, these things must hold, and are asked after every move.

    Enclave ── says ─▶ rules met? (naive.py)  nonces new?  secnonce spent once?
    every peer ── holds ─▶ nothing it had is gone · every statement follows its own history · replayed, the same state

``require_honest`` adds what holds while the coordinator keeps to the rules: nobody breaks, and everybody's history is
the coordinator's.  ``require_forks_show`` is for one that does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from typing import Any

import pytest

from keymeld_client.shown.blame import judge_signing
from keymeld_protocol.curve import musig_secret
from keymeld_protocol.curve.musig_secret import Secnonce
from keymeld_protocol.errors import Blamed, Fork
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing_state import SigningPhase, SigningState
from keymeld_protocol.machines.streams import State
from keymeld_protocol.member import signer
from keymeld_protocol.member.roster import read_roster
from keymeld_protocol.plaintext import contents, contributions
from keymeld_protocol.plaintext.body import Body, SignMessage
from keymeld_protocol.plaintext.contributions import Both, Finished, Nonce
from keymeld_protocol.values import Id
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.frames import WireRecord
from keymeld_protocol.wire.payloads import CustodyAccept, SigningContribute, SigningHeard
from keymeld_protocol.wire.records import Record, first_hash, sign_head
from keymeld_protocol.wire.shapes import Rule
from keymeld_protocol.wire.statements import Statement

from . import naive
from .people import Member
from .world import Enclave, Peer, World


class WatchedEnclave(Enclave):
    """A real agent; each word is judged as it is said, by what this very agent has heard."""

    world: Watched

    def hear(self, stream: Id, wire: WireRecord) -> None:
        """As always, then judged."""
        said = len(self.outbox)
        try:
            super().hear(stream, wire)
        finally:
            self._judge(said)

    def resume(self, stream: Id, top: int) -> int:
        """As always, then judged."""
        said = len(self.outbox)
        offset = super().resume(stream, top)
        self._judge(said)
        return offset

    def tick(self) -> None:
        """As always, then judged."""
        said = len(self.outbox)
        super().tick()
        self._judge(said)

    def _judge(self, already: int) -> None:
        for statement in list(self.outbox)[already:]:
            self.world.judge(self, statement)


class Watched(World):
    """A world whose enclaves are judged.

    ``rules`` are what joins sealed, ``flawed`` the joins to refuse, ``groups`` what opens sealed fields.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rules: dict[str, Rule] = {}
        self.flawed: set[str] = set()
        self.groups: dict[Id, GroupKey] = {}
        self.statements: dict[Id, Statement] = {}
        self.nonces: set[bytes] = set()
        self.judged = 0
        self.stood: dict[tuple[str, int, Id], tuple[int, bytes]] = {}
        self._spent: set[bytes] = set()
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr("keymeld_enclave.agent.needed_later", lambda _: True)  # the witness reads whole logs
        self._patch.setattr(Replay, "forget", lambda *_: None)
        self._watch_secnonces()

    def enclave(self, name: str) -> WatchedEnclave:
        """A new enclave, under watch."""
        return WatchedEnclave(self, name)

    def submit(self, statement: Statement, speaker: Peer | None = None) -> tuple[Id, int]:
        """As always; everything that was ever said is remembered whole."""
        self.statements.setdefault(statement.id, statement)
        return super().submit(statement, speaker)

    def close(self) -> None:
        """Watch no longer."""
        self._patch.undo()

    def _watch_secnonces(self) -> None:
        sign = musig_secret.partial_sign

        def watched(session: Any, key: Any, secnonce: Secnonce, **how: Any) -> bytes:
            assert secnonce.pubnonce not in self._spent, "a secnonce signs twice"
            self._spent.add(secnonce.pubnonce)
            return sign(session, key, secnonce, **how)

        self._patch.setattr(signer, "partial_sign", watched)

    # What an enclave says

    def judge(self, enclave: Enclave, statement: Statement) -> None:
        """What is accepted was sealed well, delays begin now, and what is contributed is allowed."""
        said: Any = statement.payload
        heard = enclave.agent.hearing.streams[said.stream]
        if isinstance(said, CustodyAccept):
            assert said.join.hex() not in self.flawed, f"{enclave.name} takes an envelope that does not hold"
        elif isinstance(said, SigningHeard):
            assert said.at == self.now + enclave.skew, f"{enclave.name} dates its word by another clock"
        elif isinstance(said, SigningContribute):
            self._judge_contribution(enclave, heard, statement)

    def _judge_contribution(self, enclave: Enclave, heard: Replay, statement: Any) -> None:
        """The raw log allows it, and its nonces are new."""
        assert heard.keygen is not None
        items, now = self.body(heard).items, self.now + enclave.skew
        key_lists = [key_list(heard.keygen, item.subset) for item in items]
        why = naive.why_not(enclave.key.hex(), heard.keygen.records, heard.records, self.rules, key_lists, now)
        assert why is None, f"{enclave.name} contributes, but {why}"
        self._judge_nonces(heard, statement, len(items))
        if getattr(statement.payload, "step", None) == "signatures":
            self._judge_signatures(heard, statement, self.body(heard))
        self.judged += 1

    def _judge_nonces(self, heard: Replay, statement: Statement, items: int) -> None:
        for entry in self._opened(heard, statement, "values", items):
            if isinstance(entry, Nonce | Both):
                halves = {entry.pubnonce[:33], entry.pubnonce[33:]}
                assert len(halves) == 2 and not halves & self.nonces, "a nonce appears twice"
                self.nonces |= halves

    def _judge_signatures(self, heard: Replay, statement: Statement, body: Body) -> None:
        assert heard.keygen is not None
        roster = read_roster(self.whole(heard.keygen), self.groups[heard.keygen.stream])
        entries = self._opened(heard, statement, "values", len(body.items))
        for item, entry in zip(body.items, entries, strict=True):
            assert isinstance(entry, Finished)
            assert isinstance(item, SignMessage)
            assert naive.is_signature(entry.signature, item.message, roster.keyagg(item.subset).output)

    def _opened(self, heard: Replay, statement: Statement, field: str, items: int) -> tuple[Any, ...]:
        assert heard.keygen is not None
        sealed = statement.blob(field)
        assert sealed is not None
        return contributions.decode(self.groups[heard.keygen.stream].open_in(statement.payload, field, sealed), items)

    def body(self, heard: Replay) -> Body:
        """What a request asks for, opened by the test."""
        request: Any = self.statements[heard.stream]
        sealed = request.blob("body")
        assert sealed is not None
        return contents.parse(Body, self.groups[request.payload.keygen].open_in(request.payload, "body", sealed))

    def whole(self, heard: Replay) -> Replay:
        """The same history with every ciphertext: who heard it may have let go what was read."""
        fresh = Replay(heard.stream)
        for record in heard.records:
            fresh.hear(replace(record, statement=self.statements.get(record.statement.id, record.statement)))
        return fresh

    # What everybody holds

    def held(self) -> Iterator[tuple[Peer, int, Replay]]:
        """Every stream that every peer holds, and which life of the peer holds it."""
        for peer in self.peers.values():
            life: Any = peer.agent if isinstance(peer, Enclave) else peer
            for heard in list(life.hearing.streams.values()):
                yield peer, id(life), heard

    def require_sound(self) -> None:
        """What holds whatever the coordinator does."""
        stood: dict[tuple[str, int, Id], tuple[int, bytes]] = {}
        for peer, life, heard in self.held():
            place = (peer.name, life, heard.stream)
            offset, hash_ = self.stood.get(place, (0, b""))
            assert heard.chain.offset >= offset, f"{peer} has lost a record"
            assert offset == 0 or heard.chain.hashes[offset - 1] == hash_, f"{peer} has changed its history"
            let_go = heard.broken is not None and not heard.records  # an enclave keeps nothing of what broke
            if heard.chain.offset > offset and not let_go:
                self._require_own_history(peer, heard, offset)
                require_replayed(heard)
            stood[place] = (heard.chain.offset, bytes(heard.chain.hash))
        self.stood = stood

    def _require_own_history(self, peer: Peer, heard: Replay, offset: int) -> None:
        """Whoever spoke since ``offset`` had the same history before him, and each hash follows from the one before."""
        for record in heard.records[offset:]:
            hashes = [first_hash(heard.stream), *heard.chain.hashes[: record.offset - 1]]
            assert naive.is_chained(hashes[-1], record), f"{peer} took a record that does not follow"
            after = getattr(record.statement.payload, "after", None)
            assert record.offset == 1 or after in hashes[1:], f"{peer} took a statement of another history"

    def require_honest(self) -> None:
        """What holds while the coordinator keeps to the rules."""
        for peer, _, heard in self.held():
            assert heard.broken is None, f"{peer} does not believe {heard.stream!r}: {heard.broken}"
            log = self.logs.get(heard.stream)
            if log is not None and heard.chain.offset:
                assert log.chain.hashes[heard.chain.offset - 1] == heard.chain.hash

    def require_forks_show(self) -> None:
        """Of two peers with different histories, each takes the other's signed head for a fork."""
        streams: dict[Id, list[Replay]] = {}
        for _, _, heard in self.held():
            if heard.chain.offset:
                streams.setdefault(heard.stream, []).append(heard)
        for mine, theirs in ((a, b) for group in streams.values() for a in group for b in group if a is not b):
            top = min(mine.chain.offset, theirs.chain.offset)
            if mine.chain.hashes[top - 1] != theirs.chain.hashes[top - 1]:
                head = sign_head(mine.stream, theirs.records[top - 1], self.coordinator.sign)
                with pytest.raises(Fork):
                    copy(mine).check_head(head)

    def require_results(self, *, honest: bool = True) -> int:
        """Every completed signing that a member holds gives signatures that verify; gives how many there were."""
        found = 0
        for peer, _, heard in self.held():
            state = heard.state
            if isinstance(peer, Member) and isinstance(state, SigningState) and state.phase == SigningPhase.COMPLETED:
                try:
                    results = peer.signatures(heard.stream)
                except Blamed:
                    assert not honest, "a completed signing has no signatures"
                    continue
                roster = peer.roster(state.request.keygen)
                for item, result in zip(self.body(heard).items, results, strict=True):
                    assert isinstance(item, SignMessage) and isinstance(result, bytes)
                    assert naive.is_signature(result, item.message, roster.keyagg(item.subset).output)
                found += 1
        return found

    def require_nobody_at_fault(self) -> None:
        """Nobody's log convicts an enclave: all of them are genuine, whatever the coordinator does."""
        for peer, _, heard in self.held():
            if isinstance(peer, Member) and isinstance(heard.state, SigningState):
                keygen = heard.state.request.keygen
                judged = judge_signing(heard, peer.roster(keygen), peer.groups[keygen])
                assert judged.faults == (), "an honest enclave is called a liar"

    def require_logs_replay(self) -> None:
        """Every log of the coordinator, parsed anew from its bytes, gives the state that the coordinator holds."""
        for log in self.logs.values():
            heard = Replay(log.stream)
            if log.keygen is not None:
                heard.keygen = Replay(log.keygen.stream)
                for record in log.keygen.records:
                    heard.keygen.hear(again(record))
            for record in log.records:
                heard.hear(again(record))
            assert same(heard.state, log.state)


def again(record: Record) -> Record:
    """The record from its bytes, every signature verified once more."""
    return replace(record, statement=statements.parse(record.statement.wire))


def key_list(keygen: Replay, subset: int | None) -> tuple[int, ...]:
    """The slots of an item's key list."""
    assert isinstance(keygen.state, KeygenState)
    create = keygen.state.create
    return tuple(range(len(create.slots))) if subset is None else create.subsets[subset]


def require_replayed(heard: Replay) -> None:
    """The records of ``heard``, heard anew, give its state."""
    fresh = Replay(heard.stream, heard.keygen and _believed(heard.keygen), heard.coordinator)
    for record in heard.records:
        fresh.hear(record)
    assert same(fresh.state, heard.state)


def _believed(keygen: Replay) -> Replay:
    """A copy that is not broken: whether a keygen broke later does not change what was built on it."""
    copied = copy(keygen)
    copied.broken = None
    return copied


def same(one: State | None, other: State | None) -> bool:
    """Equal, apart from what happened in the keygen after a signing of it was opened."""
    if isinstance(one, SigningState) and isinstance(other, SigningState):
        return one.keygen.roster == other.keygen.roster and one == replace(other, keygen=one.keygen)
    return one == other
