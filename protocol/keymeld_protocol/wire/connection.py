"""One conversation, either side of it, without a socket and without a clock (§2.1).

    peer                                   coordinator
      ── opens the socket ──────────────▶
      ◀─ hello {challenge, versions, time, limits, heartbeat_ms, coordinator, epoch}
      ── authenticate {proofs, token?} ─▶
      ── sessions, subscribe … ─────────▶
      ◀─ result {top, recovered, …}, record …, record …
      ── submit {statement} ────────────▶
      ◀─ result {stream, offset, head}

``CoordinatorSide`` turns bytes into requests, counts them, and verifies proofs; ``PeerSide`` turns bytes into events
and makes requests.  Both are fed bytes and a time and give bytes back; whoever holds the socket does the waiting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from itertools import islice
from typing import Any, cast

import msgspec

from ..curve.schnorr import Keypair, tagged_hash, verify
from ..errors import BadInput, Reason, Refused, WireError
from ..values import Epoch, Hash, Id, Salt, XOnlyKey
from . import frames
from .frames import Authenticate, Frame, JsonId, WireHead, WireRecord
from .shapes import Count


class Close(IntEnum):
    """WebSocket close codes: 40xx terminal, 41xx come back later, 42xx come back at once (§2.8)."""

    BAD_FRAME = 4001
    FORBIDDEN = 4003
    TOO_BIG = 4009
    VERSION = 4010
    SLOW = 4100
    NO_HEARTBEAT = 4101
    TOO_MANY_REQUESTS = 4102
    TOO_MANY_CONNECTIONS = 4103
    UNREADABLE = 4104
    DRAINING = 4200
    MOVED = 4201


def proof_message(challenge: bytes, origin: str, key: bytes) -> bytes:
    """``TH("keymeld/authenticate/v1", challenge ‖ sha256(origin) ‖ key)``: bound to connection and server (§2.4)."""
    return tagged_hash("keymeld/authenticate/v1", challenge + sha256(origin.encode()).digest() + key)


@dataclass(frozen=True)
class Request:
    """A request that was read and typed; ``ident`` None is a notification and gets no answer."""

    ident: JsonId | None
    method: str
    params: Any


# The coordinator's side -----------------------------------------------------------------------------------------


@dataclass
class CoordinatorSide:
    """What the coordinator knows of one peer's conversation.

    ``origins`` are those under which this server may have been dialled; ``per_second`` and ``burst`` bound requests,
    ``max_proven`` the keys that one connection speaks for; strikes (frames that cannot be read, requests over the
    limit) close the connection with their documented code.
    """

    challenge: Salt
    origins: tuple[str, ...]
    per_second: int = 200
    burst: int = 400
    max_strikes: int = 16
    max_proven: int = 1024
    proven: set[XOnlyKey] = field(default_factory=set)
    token: str | None = None
    strikes: int = 0
    close_code: Close | None = None
    _allowance: float = field(init=False)
    _counted_at: int | None = None

    def __post_init__(self) -> None:
        self._allowance = float(self.burst)

    def hello(
        self, *, time: int, limits: dict[str, int], heartbeat_ms: int, coordinator: XOnlyKey, epoch: Epoch
    ) -> bytes:
        """The first frame of the conversation."""
        return frames.notification(
            "hello",
            {
                "challenge": self.challenge.hex(),
                "versions": [frames.SUBPROTOCOL],
                "time": time,
                "limits": limits,
                "heartbeat_ms": heartbeat_ms,
                "coordinator": coordinator.hex(),
                "epoch": epoch.hex(),
            },
        )

    def receive(self, data: str | bytes, now: int) -> Request | bytes | None:
        """Read one frame at ``now`` (ms): a request, the bytes of the error to answer, or nothing.

        After ``max_strikes`` bad frames or ignored limits, ``close_code`` says how to end the conversation.
        """
        frame: Frame | None = None
        try:
            try:
                frame = self._frame(data)
            finally:
                self._count(now)  # what cannot be read counts as well
            return self._request(frame)
        except WireError as problem:
            self._strike(problem)
            return frames.error(frame.id if frame is not None else None, problem)

    def _frame(self, data: str | bytes) -> Frame:
        if isinstance(data, bytes):
            raise BadInput(Reason.BAD_JSON, "frames are text, not binary", field="frame")
        return frames.decode(data, strict=True)

    def _request(self, frame: Frame) -> Request | None:
        if frame.method is None:
            if frame.id is not None and (frame.result or frame.error):
                return None
            raise BadInput(Reason.BAD_FIELD, "method: is missing", field="method")
        if frame.result or frame.error:
            answer = "result" if frame.result else "error"
            raise BadInput(Reason.BAD_FIELD, f"{answer}: a request has none", field=answer)
        if frame.id is None:
            raise BadInput(Reason.BAD_FIELD, "id: every request has one", field="id")
        return Request(frame.id, frame.method, frames.params_of(frame.method, frame.params))

    def _count(self, now: int) -> None:
        """A bucket of ``burst`` requests that fills by ``per_second`` (§2.7)."""
        if self._counted_at is not None:
            passed = max(0, now - self._counted_at)
            self._allowance = min(float(self.burst), self._allowance + passed * self.per_second / 1000)
        self._counted_at = now
        if self._allowance < 1:
            wait = int((1 - self._allowance) * 1000 / self.per_second) + 1
            message = f"at most {self.per_second} requests a second"
            raise Refused(Reason.TOO_MANY_REQUESTS, message, limit=self.per_second, retry_after_ms=wait)
        self._allowance -= 1

    def _strike(self, problem: WireError) -> None:
        """Close with 4001 or 4102 after so many (§2.8)."""
        unreadable = problem.reason in (Reason.BAD_JSON, Reason.TOO_MANY_REQUESTS)
        self.strikes += 1 if unreadable else 0
        if self.strikes >= self.max_strikes:
            flood = problem.reason is Reason.TOO_MANY_REQUESTS
            self.close_code = Close.TOO_MANY_REQUESTS if flood else Close.BAD_FRAME

    def authenticate(self, params: Authenticate) -> tuple[XOnlyKey, ...]:
        """Verify every proof; all hold or none counts (§2.4).

        That of a key which this connection has proven already is not looked at: nobody makes us verify for ever.

        Raises:
            BadInput: ``bad_signature``, naming the proof: a wrong key, a foreign challenge or a foreign origin.
            Refused: a device offers to sign, which this version does not do yet; or ``max_proven`` keys are proven.
        """
        origins = self.origins
        for i, proof in enumerate(params.proofs):
            if proof.signs:
                raise Refused(Reason.NOT_ALLOWED, "devices cannot sign yet", field=f"proofs[{i}].signs")
            if proof.key in self.proven:
                continue
            held = (o for o in origins if verify(proof.sig, proof_message(self.challenge, o, proof.key), proof.key))
            origins = tuple(islice(held, 1))  # nobody dials two: for the proofs that follow, one is tried
            if not origins:
                message = f"does not prove {proof.key.hex()} for this connection and origin"
                raise BadInput(Reason.BAD_SIGNATURE, message, field=f"proofs[{i}].sig")
        keys = {proof.key for proof in params.proofs}
        if len(self.proven | keys) > self.max_proven:
            message = f"at most {self.max_proven} keys on one connection"
            raise Refused(Reason.OVER_LIMIT, message, field="proofs", limit=self.max_proven)
        self.proven.update(keys)
        self.token = params.token or self.token
        return tuple(proof.key for proof in params.proofs)


# The peer's side ------------------------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True):
    """The coordinator's first words; unknown members are ignored."""

    challenge: Salt
    versions: tuple[str, ...]
    time: Count
    limits: dict[str, Count]
    heartbeat_ms: Count
    coordinator: XOnlyKey
    epoch: Epoch


class Heard(msgspec.Struct, frozen=True):
    """A record of a stream; its statement is not yet verified, nor is the head at it, if there is one."""

    stream: Id
    record: WireRecord
    head: WireHead | None = None


class Presence(msgspec.Struct, frozen=True):
    """Whether a key's owner is connected; authorises nothing."""

    stream: Id
    key: XOnlyKey
    online: bool
    signs: bool = False


class Rights(msgspec.Struct, frozen=True):
    """A stream that was subscribed begins to be open to this connection as a ``whole``, or ends to be (§4.4)."""

    stream: Id
    whole: bool


class Goodbye(msgspec.Struct, frozen=True):
    """The coordinator is about to close."""

    code: Count
    reason: str
    retry_after_ms: Count = 0


class Subscribed(msgspec.Struct, frozen=True):
    """The answer to ``subscribe``: what follows as records, and whether it continues what was verified."""

    top: Count
    recovered: bool
    reason: str | None = None
    head: WireHead | None = None
    present: tuple[XOnlyKey, ...] = ()


class Placed(msgspec.Struct, frozen=True):
    """The answer to ``submit``, after the commit."""

    stream: Id
    offset: Count
    head: WireHead | None = None


class SessionInfo(msgspec.Struct, frozen=True):
    """One line of the answer to ``sessions``; ``top`` and ``hash``, its latest record's, prove nothing."""

    stream: Id
    kind: str
    state: str
    top: Count
    keygen: Id | None = None
    hash: Hash | None = None


@dataclass(frozen=True)
class Answer:
    """The result of our request ``ident``, or the error it met."""

    ident: JsonId
    result: msgspec.Raw
    problem: WireError | None


class _Problem(msgspec.Struct):
    reason: str
    field: str | None = None
    limit: Count | None = None
    retry_after_ms: Count | None = None


class _Error(msgspec.Struct):
    message: str
    data: _Problem


Event = Hello | Heard | Presence | Rights | Goodbye | Answer | Request | None
_NOTIFICATIONS: dict[str, type] = {
    "hello": Hello, "record": Heard, "presence": Presence, "hearing": Rights, "goodbye": Goodbye,
}  # fmt: skip


@dataclass
class PeerSide:
    """What a participant or an enclave knows of its conversation with the coordinator; ``origin`` as it dialled."""

    origin: str
    greeting: Hello | None = None
    _next: int = 0

    def receive(self, data: str | bytes) -> Event:
        """Read one frame; notifications that this version does not know give None (§2.2).

        Raises:
            BadInput: the coordinator does not speak this protocol.
        """
        frame = frames.decode(data, strict=False)
        if frame.method is None:
            return self._answer(frame)
        kind = _NOTIFICATIONS.get(frame.method)
        if kind is None:
            return Request(frame.id, frame.method, frame.params) if frame.id is not None else None
        event: Any = frames.convert(frame.params, kind)
        if isinstance(event, Hello):
            if frames.SUBPROTOCOL not in event.versions:
                raise BadInput(Reason.UNKNOWN_VERSION, f"the coordinator does not speak {frames.SUBPROTOCOL}")
            self.greeting = event
        return cast(Event, event)

    def _answer(self, frame: Frame) -> Answer | None:
        if not frame.error:
            return Answer(frame.id, frame.result, None) if frame.id is not None else None
        told = frames.convert(frame.error, _Error)
        reason = Reason(told.data.reason) if told.data.reason in set(Reason) else Reason.UNAVAILABLE
        data = told.data
        problem = Refused(reason, told.message, field=data.field, limit=data.limit, retry_after_ms=data.retry_after_ms)
        return Answer(frame.id if frame.id is not None else -1, msgspec.Raw(), problem)

    def request(self, method: str, params: dict[str, Any]) -> tuple[int, bytes]:
        """A new request: its number and its bytes."""
        self._next += 1
        return self._next, frames.request(self._next, method, params)

    def authenticate(self, keys: list[Keypair], token: str | None = None) -> dict[str, Any]:
        """The parameters that prove ``keys`` on this connection.

        Raises:
            BadInput: the coordinator has not said hello.
        """
        if self.greeting is None:
            raise BadInput(Reason.WRONG_STATE, "the coordinator has not said hello")
        challenge = self.greeting.challenge
        proofs = [{"key": k.key.hex(), "sig": k.sign(proof_message(challenge, self.origin, k.key)).hex()} for k in keys]
        return {"proofs": proofs} | ({"token": token} if token is not None else {})
