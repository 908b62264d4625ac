"""peer.json: when a peer comes back, at which pace it asks and repeats, and in which order it resumes."""

from __future__ import annotations

from typing import Any

from keymeld_protocol.peer.waits import Backoff, Ended
from tests.support.played import played

from .cast import commented

End = tuple[int | None, int, int]
"""Close code, retry_after_ms, and for how long the conversation had been resumed (ms)."""

KEYGENS = ["11" * 32, "22" * 32]
SIGNINGS = ["33" * 32, "44" * 32]
SUBSCRIBED = {"top": 3, "recovered": False}
HELLO = {"at": 0, "hello": {"requests_per_second": 100}}


def peer_json() -> Any:
    """Everything that both kinds of peer do alike."""
    return commented(
        "Times in ms. waits: each end takes the next random number where it is not at once; wait_ms null is never, "
        "stood_ms is for how long the conversation had been resumed. The others are conversations: moves go in, sent "
        "comes out. hello, answers (result, or reason and retry_after_ms) and caught_up (the last record that a keygen "
        "lacked) are what the peer hears; ask is a request without params that it makes; a move without any lets time "
        "pass. After the last move time passes until 'until'. Of proofs only the number is told. An answer of 'page' "
        "sessions is a full page; 'behind' names keygens that have not caught up when they are answered. 'ready_at' is "
        "when the conversation is resumed: of a participant once every subscription is answered and every keygen has "
        "caught up, of an enclave once its announce is answered. 'sessions' are asked for with the limit 1000.",
        waits=[_waited(*case) for case in (*_WAITS, *_codes())],
        pacing=[_talk(*case) for case in _pacing()],
        heartbeat=[_talk(*case) for case in _heartbeat()],
        resuming=[_talk(*case) for case in _resuming()],
    )


# Waits ----------------------------------------------------------------------------------------------------------

_WAITS: list[tuple[str, list[float], list[End]]] = [
    ("a coordinator that stops: at once, then full jitter", [1, 0.5, 0],
     [(4200, 0, 5000), (None, 0, 0), (None, 0, 0), (None, 0, 0)]),
    ("the longest waits", [1] * 9, [(4100, 0, 0)] * 9),
    ("a lost connection, and one that ends with no code of the table", [1, 1],
     [(None, 0, 60_000), (1006, 0, 0), (1011, 0, 1000), (1000, 0, 0)]),
    ("later is never at once", [0.5, 0.25], [(4103, 0, 60_000), (4199, 0, 0)]),
    ("what the coordinator asks for is waited, and jitter on top of it", [0.5, 0],
     [(4102, 2000, 5000), (4102, 2000, 0)]),
    ("at once, but not before the coordinator asks for it", [1, 0], [(4200, 1500, 5000), (4200, 1500, 5000)]),
    ("no coordinator makes anybody wait for hours", [1], [(4100, 2**53 - 1, 0)]),
    ("who is resumed and lost within a second comes no sooner each time", [1] * 3,
     [(None, 0, 999), (None, 0, 999), (None, 0, 999), (None, 0, 999)]),
    ("who stood for a second begins anew", [1, 1], [(None, 0, 0), (None, 0, 0), (None, 0, 0), (None, 0, 1000)]),
    ("the peer has to be mended first", [], [(4001, 1000, 5000)]),
    ("the peer is not wanted", [], [(4003, 1000, 5000)]),
    ("no code of this range is known, and every one of them is for good", [], [(4099, 1000, 5000)]),
]  # fmt: skip


def _codes() -> list[tuple[str, list[float], list[End]]]:
    """Every close code of the table (§2.8), and where it comes back at once, what follows."""
    told: list[tuple[str, list[float], list[End]]] = []
    for code in (4001, 4003, 4009, 4010):
        told.append((f"{code}: never", [], [(code, 0, 5000)]))
    for code in (4100, 4101, 4102, 4103, 4104):
        told.append((f"{code}: later", [0.5], [(code, 0, 5000)]))
    for code in (4200, 4201):
        told.append((f"{code}: at once, then later", [0.5], [(code, 0, 5000), (code, 0, 0)]))
    return told


def _waited(why: str, numbers: list[float], ends: list[End]) -> dict[str, Any]:
    left = list(numbers)
    backoff = Backoff(lambda: left.pop(0))
    told = [
        {
            "code": code,
            "retry_after_ms": asked,
            "stood_ms": stood,
            "wait_ms": backoff.after(Ended("", code, asked), stood),
        }
        for code, asked, stood in ends
    ]
    assert not left, f"{why}: more numbers than waits"
    return commented(why, random=numbers, ends=told)


# Conversations --------------------------------------------------------------------------------------------------

Case = tuple[str, dict[str, Any], list[dict[str, Any]], int]


def _talk(why: str, peer: dict[str, Any], moves: list[dict[str, Any]], until: int) -> dict[str, Any]:
    case = {"peer": peer, "moves": moves, "until": until}
    return commented(why, **case, **played(case))


def _asks(at: int, count: int, method: str = "submit") -> list[dict[str, Any]]:
    return [{"at": at, "ask": method}] * count


def _refused(at: int, ident: int, reason: str, **more: int) -> dict[str, Any]:
    return {"at": at, "answer": ident, "reason": reason, **more}


def _answered(at: int, ident: int, **result: Any) -> dict[str, Any]:
    return {"at": at, "answer": ident, "result": result}


def _pacing() -> list[Case]:
    slow = {"at": 0, "hello": {"requests_per_second": 3}}
    return [
        ("three at once, then three a second, evenly", {}, [slow, *_asks(0, 7)], 2000),
        ("what was not used in a second is not saved for the next", {}, [slow, *_asks(5000, 5)], 7000),
        ("none a second is one a second", {}, [{"at": 0, "hello": {"requests_per_second": 0}}, *_asks(0, 3)], 5000),
        ("a hundred where hello does not say", {}, [{"at": 0, "hello": {}}, *_asks(0, 102)], 1000),
        ("repeated after 0.25 s, 0.5 s, 1 s", {},
         [HELLO, *_asks(0, 1), *(_refused(at, n, "unavailable") for n, at in ((1, 10), (2, 260), (3, 760)))], 5000),
        ("not before the coordinator says, nor sooner than it would be", {},
         [HELLO, *_asks(0, 2), _refused(5, 1, "too_many_requests", retry_after_ms=700),
          _refused(5, 2, "draining", retry_after_ms=100)], 5000),
        ("at most half a minute, whatever the coordinator says", {},
         [{"at": 0, "hello": {"heartbeat_ms": 60_000}}, *_asks(0, 1),
          _refused(1, 1, "over_limit", retry_after_ms=2**53 - 1)], 30_001),
        ("repeated behind what was asked meanwhile, at the same pace", {},
         [slow, *_asks(0, 3), _refused(10, 1, "unavailable"), *_asks(20, 2, "ping")], 2000),
        ("what repeating does not help is not repeated", {},
         [HELLO, *_asks(0, 1), _refused(5, 1, "already_said")], 5000),
    ]  # fmt: skip


def _heartbeat() -> list[Case]:
    hello = {"at": 0, "hello": {"heartbeat_ms": 20_000}}
    return [
        ("no hello within ten seconds", {}, [{"at": 0}], 15_000),
        ("a ping after the silence, and the end after ten seconds more", {}, [hello], 40_000),
        ("any frame is a sign of life", {}, [hello, _answered(15_000, 99)], 40_000),
        ("an answered ping", {}, [hello, _answered(20_300, 1, time=0)], 45_000),
    ]


def _listed(*streams: str) -> dict[str, Any]:
    return {"sessions": [{"stream": s, "kind": "keygen", "state": "open", "top": 3} for s in streams]}


def _resuming() -> list[Case]:
    everything = {"keygens": KEYGENS, "signings": SIGNINGS}
    return [
        ("a wallet of nothing is ready at hello", {}, [HELLO], 100),
        ("a participant: keys, sessions, keygens, signings; ready when all are answered",
         {"keys": 2, **everything},
         [HELLO, _answered(10, 1), _answered(20, 2, **_listed()), _answered(30, 4, **SUBSCRIBED),
          _answered(31, 3, **SUBSCRIBED), _answered(40, 5, **SUBSCRIBED), _answered(50, 6, **SUBSCRIBED)], 100),
        ("an enclave: what was not answered, pages, keygens until they have caught up, signings, the announcement",
         {"keys": 1, "only_open": True, "capacity": 7, "unanswered": 2, "page": 1, "behind": KEYGENS[1:], **everything},
         [HELLO, _answered(10, 1), _answered(20, 4, **_listed(KEYGENS[0])), _answered(30, 5, **_listed()),
          _answered(40, 6, **SUBSCRIBED), _answered(41, 7, **SUBSCRIBED), {"at": 50, "caught_up": KEYGENS[1]},
          _answered(60, 10)], 100),
        ("sixty-five keys are two frames, with the operator's token in both",
         {"keys": 65, "token": "a token", "keygens": KEYGENS[:1]},
         [HELLO, _answered(10, 1), _answered(11, 2), _answered(20, 3, **_listed()),
          _answered(30, 4, **SUBSCRIBED)], 100),
        ("a token without a key: there are no sessions to list", {"token": "a token"}, [HELLO, _answered(10, 1)], 100),
        ("a keygen that is refused, and one that cannot be had now, hold up nothing",
         {"keys": 1, **everything},
         [HELLO, _answered(10, 1), _answered(20, 2, **_listed()), _refused(30, 3, "unknown_stream"),
          _refused(31, 4, "unavailable"), _answered(40, 5, **SUBSCRIBED), _answered(41, 6, **SUBSCRIBED)], 1000),
        ("what hello does not allow leaves later", {"keys": 1, **everything, "capacity": 7},
         [{"at": 0, "hello": {"requests_per_second": 2}}, _answered(10, 1), _answered(20, 2, **_listed()),
          _answered(1200, 3, **SUBSCRIBED), _answered(1210, 4, **SUBSCRIBED)], 5000),
    ]  # fmt: skip
