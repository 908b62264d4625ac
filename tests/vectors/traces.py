"""How a machine is played in machines.json and due.json: payloads with their times, and what came of them.

    trace = Trace("a comment", Keygen(2))
    trace.takes("Bob joins", stream.join(1))            the state after it is told
    trace.refuses("once more", stream.join(1))          the word that answers it is told

Signatures and blobs are left out: no machine looks at them.  ``told`` is a state as everybody can compute it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from keymeld_protocol.errors import WireError
from keymeld_protocol.machines import streams
from keymeld_protocol.machines.keygen_state import KeygenState
from keymeld_protocol.machines.signing_state import SigningState, expected
from keymeld_protocol.wire import payloads
from keymeld_protocol.wire.payloads import KeygenJoin, SigningRequest
from keymeld_protocol.wire.records import Chain
from keymeld_protocol.wire.statements import Statement, statement_id
from tests.support.machines import EPOCH, Stream

from .cast import commented


class Trace:
    """One stream, statement by statement."""

    def __init__(self, comment: str, stream: Stream) -> None:
        """Begin with what ``stream`` has heard so far; of that, only the last state is told."""
        self.comment, self.stream = comment, stream
        self.steps: list[dict[str, Any]] = [step(record.at, record.statement) for record in stream.records]
        self.steps[-1]["state"] = told(stream.heard)

    def takes(
        self, comment: str, *said: Statement | Callable[[], Statement], at: int | None = None, times: int = 1
    ) -> None:
        """Each is taken, or what it says when its turn comes; the state after the last one is told."""
        for each in said:
            one = each if isinstance(each, Statement) else each()
            for _ in range(times):
                stood(self.stream.heard, self.stream.chain, one)
                self.stream.hear(one, at=at)
            self.steps.append(commented(comment, **step(self.stream.chain.at, one)))
        if times > 1:
            self.steps[-1]["times"] = times
        self.steps[-1]["state"] = told(self.stream.heard)

    def refuses(self, comment: str, said: Statement, at: int | None = None) -> None:
        """It is refused, and nothing changes.

        Raises:
            AssertionError: it was taken.
        """
        when = max(self.stream.chain.at, self.stream.now if at is None else at)
        try:
            stood(self.stream.heard, self.stream.chain, said)
            self.stream.hear(said, at=when)
        except WireError as error:
            self.steps.append(commented(comment, **step(when, said), refused=answer(error)))
        else:
            raise AssertionError(f"{comment}: taken")

    def vector(self, **more: Any) -> dict[str, Any]:
        """The trace."""
        return commented(self.comment, **more, steps=self.steps)


def step(at: int, said: Statement) -> dict[str, Any]:
    """A statement, and the time of its record."""
    return {"at": at, "payload": said.text}


def spoilt(said: Statement, **fields: Any) -> Statement:
    """The statement with other fields, signed by nobody."""
    return unsigned(payloads.encode(msgspec.structs.replace(said.payload, **fields)))


def unsigned(text: str) -> Statement:
    """A payload that nobody has signed."""
    return Statement(text, payloads.parse(text), statement_id(text), (), ())


def stood(state: Any, chain: Chain, said: Statement) -> None:
    """Judge a join where its speaker stood, before the machine does (§6.2).

    Raises:
        WireError: another join of the same auth key came since.
    """
    if isinstance(said.payload, KeygenJoin) and isinstance(state, KeygenState):
        state.require_latest(said.payload, chain.offsets[said.payload.after])


def opened(keygen: Stream | None, said: Statement, at: int) -> Any:
    """The state after a stream's first statement; a request is judged where its requester stood, too (§7.2).

    Raises:
        WireError: it opens nothing.
    """
    record = Chain(said.id).next(EPOCH, at, said)
    if keygen is None:
        return streams.step(None, record)
    state, payload = keygen.heard, said.payload
    assert isinstance(state, KeygenState) and isinstance(payload, SigningRequest)
    after = keygen.chain.offsets[payload.after]
    state.require_completed(after)
    state.require_present(payload.slots, after)
    return streams.step(None, record, state)


def log_of(stream: Stream) -> list[dict[str, Any]]:
    """A stream, statement by statement."""
    return [step(record.at, record.statement) for record in stream.records]


def shared(*cases: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The logs of the keygens of all cases, each once; a case says instead which one is its own."""
    logs: list[list[dict[str, Any]]] = []
    for case in (case for group in cases for case in group if "keygen" in case):
        if case["keygen"] not in logs:
            logs.append(case["keygen"])
        case["keygen"] = logs.index(case["keygen"])
    return logs


def answer(error: WireError) -> dict[str, Any]:
    """What an error says beside its message."""
    found = {"reason": error.reason.value, "field": error.field, "limit": error.limit}
    return {
        name: value for name, value in (found | {"retry_after_ms": error.retry_after_ms}).items() if value is not None
    }


def told(state: Any) -> dict[str, Any]:
    """A state as everybody can compute it from the log."""
    return _keygen(state) if isinstance(state, KeygenState) else _signing(state)


def _keygen(state: KeygenState) -> dict[str, Any]:
    seats = [seat and {"join": seat.id.hex(), "ready": seat.ready, "confirmed": seat.confirmed} for seat in state.seats]
    return {
        "state": str(state.phase), "slots": seats, "left": sorted(state.left), "wiped": sorted(state.wiped),
        "roster": state.roster and state.roster.hex(),
        "freed": [{"slot": each.slot, "by": each.by.hex(), "code": each.code} for each in state.freed],
    }  # fmt: skip


def _signing(state: SigningState) -> dict[str, Any]:
    consent = state.consent
    return {
        "state": str(state.phase), "attempt": state.attempt,
        "yes": {str(slot): consent.approvals[slot] for slot in sorted(consent.approvals.keys() - consent.rejected)},
        "no": sorted(consent.rejected),
        "delays": {str(slot): consent.heard[slot] for slot in sorted(consent.heard)},
        "owed": {key.hex(): owed for key, owed in sorted(expected(state).items())},
        "holdouts": list(state.holdouts()), "retry": state.retry, "may_be_signed": state.may_be_signed,
        "code": state.code, "blamed": list(state.blamed),
    }  # fmt: skip
