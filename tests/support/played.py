"""A peer's outer half, played from a script: what is asked, heard and answered goes in, what it sends comes out.

case = {"peer": {"keys": 1, "keygens": ["aa…"], …}, "moves": [{"at": 0, "hello": {…}}, …], "until": 1000}
played(case) == {"sent": [{"at": 0, "id": 1, "method": "authenticate", "proofs": 1}, …], "ready_at": …, "lost_at": …}

Times are in ms.  Between two moves time passes, and whatever is due is done when it is due.
"""

from __future__ import annotations

import json
from typing import Any

from keymeld_protocol.errors import Reason, Refused
from keymeld_protocol.peer.talk import Talk
from keymeld_protocol.peer.waits import Ended
from keymeld_protocol.values import Id
from keymeld_protocol.wire import frames

from .coordinator import key_of
from .inner import Noting


class Played(Noting):
    """Decides what the script says."""

    def __init__(self, peer: dict[str, Any]) -> None:
        """Keys, sessions and words of ``peer``."""
        keys = [key_of(f"key {number}") for number in range(peer.get("keys", 0))]
        super().__init__(*keys, keygens=_ids(peer, "keygens"), signings=_ids(peer, "signings"))
        self.behind = set(_ids(peer, "behind"))
        self.capacity = peer.get("capacity")
        self.only_open = peer.get("only_open", False)
        self.token = peer.get("token")
        self.talk = Talk("unix", self)
        self.talk.resuming.page = peer.get("page", self.talk.resuming.page)
        self._unanswered = peer.get("unanswered", 0)

    def authenticated(self) -> None:
        """Say again what was not answered."""
        for _ in range(self._unanswered):
            self.talk.calls.ask("submit", {})


def played(case: dict[str, Any]) -> dict[str, Any]:
    """What comes of a script."""
    inner = Played(case.get("peer", {}))
    talk, sent, lost_at, ready_at = inner.talk, [], None, None
    now = case["moves"][0]["at"]
    try:
        for move in [*case["moves"], {"at": case["until"]}]:
            while (due := _due(talk)) is not None and due <= move["at"]:
                now = max(now, due)
                talk.tick(now)
                sent += _sent(talk, now)
            now = move["at"]
            _make(inner, move, now)
            sent += _sent(talk, now)
            ready_at = now if talk.ready and ready_at is None else ready_at
    except Ended:
        lost_at = now
    return {"sent": sent, "ready_at": ready_at, "lost_at": lost_at}


def _due(talk: Talk) -> int | None:
    return min((due for due in (talk.due, talk.heartbeat.due) if due is not None), default=None)


def _make(inner: Played, move: dict[str, Any], now: int) -> None:
    """One move."""
    talk = inner.talk
    talk.tick(now)
    if "hello" in move:
        talk.receive(_hello(move["hello"]), now)
    elif "ask" in move:
        talk.calls.ask(move["ask"], {})
    elif "reason" in move:
        problem = Refused(Reason(move["reason"]), "not now", retry_after_ms=move.get("retry_after_ms"))
        talk.receive(frames.error(move["answer"], problem), now)
    elif "answer" in move:
        talk.receive(frames.result(move["answer"], move["result"]), now)
    elif "caught_up" in move:
        stream = Id.from_hex(move["caught_up"])
        inner.behind.discard(stream)
        talk.resuming.settle(stream)


def _hello(said: dict[str, Any]) -> bytes:
    limits = {"requests_per_second": said["requests_per_second"]} if "requests_per_second" in said else {}
    return frames.notification("hello", {
        "challenge": bytes(32).hex(), "versions": [frames.SUBPROTOCOL], "time": 0, "limits": limits,
        "heartbeat_ms": said.get("heartbeat_ms", 20_000), "coordinator": key_of("coordinator").key.hex(),
        "epoch": bytes(16).hex(),
    })  # fmt: skip


def _sent(talk: Talk, now: int) -> list[dict[str, Any]]:
    """What leaves now; of proofs only how many."""
    sent = []
    for frame in talk.take(now):
        told = json.loads(frame)
        proofs = {"proofs": len(told["params"].pop("proofs"))} if "proofs" in told["params"] else {}
        sent.append({"at": now, "id": told["id"], "method": told["method"], **proofs, **told["params"]})
    return sent


def _ids(peer: dict[str, Any], name: str) -> list[Id]:
    return [Id.from_hex(stream) for stream in peer.get(name, [])]
