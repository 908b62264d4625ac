"""Bad input over a real socket: every fault of every field of every method and of every kind of statement.

peer ── one fault ──▶ coordinator ── an error that names the field ──▶ peer ── the next good message ──▶ done
                          └── nothing stored: no record, no session, no enclave; the same counts as before

The faults are made from the types (tests/support/spoil.py): a new method or kind is covered as soon as it exists.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from keymeld_protocol.errors import Reason, WireError
from keymeld_protocol.wire.frames import METHODS
from keymeld_protocol.wire.statements import WireStatement
from keymeld_server.app import Coordinator
from tests.support.build import Cast
from tests.support.coordinator import key_of
from tests.support.peer import SocketPeer, dial, dial_unix
from tests.support.serving import serving
from tests.support.spoil import ALL, Spoilt, full, spoils, text

pytestmark = pytest.mark.asyncio
GENEROUS: dict[str, Any] = {"requests_per_second": 100_000}


@asynccontextmanager
async def conversation(folder: Path) -> AsyncIterator[tuple[Coordinator, SocketPeer]]:
    """A coordinator with one keygen in its log, and a peer who has proven a key."""
    async with serving(folder, **GENEROUS) as app, dial(app.url) as peer:
        await peer.prove(key_of("alice"))
        await peer.say(Cast("treasury", app.key).create(app.now()))
        yield app, peer


async def counts(app: Coordinator) -> tuple[object, ...]:
    """What has been stored, as the file and the metrics say it."""
    rows = await app.store._reader.execute_fetchall(  # type: ignore[attr-defined]
        "SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM sessions), (SELECT count(*) FROM enclaves)"
    )
    return tuple(rows), app.metrics.records._value.get(), frozenset(app.enclaves.known), len(app.sessions._live)


async def refusal(peer: SocketPeer, method: str, params: Any) -> WireError:
    """The error that a request meets; the conversation goes on."""
    spelled: Any = orjson.Fragment(text(params))  # json spells numbers that orjson would not
    with pytest.raises(WireError) as caught:
        await peer.call(method, spelled)
    assert "time" in await peer.call("ping")
    return caught.value


def names(problem: WireError, field: str) -> bool:
    """Whether an error names this field, or a part of it."""
    return problem.field is not None and problem.field.startswith(field)


@pytest.mark.parametrize("method", METHODS)
async def test_every_fault_of_every_parameter_is_refused_by_its_name(tmp_path: Path, method: str) -> None:
    async with conversation(tmp_path) as (app, peer):
        before = await counts(app)
        for spoilt in spoils(METHODS[method]):
            problem = await refusal(peer, method, spoilt.message)
            assert problem.reason is Reason.BAD_FIELD and names(problem, spoilt.field), (spoilt.what, problem)
        for params in ([], [1], "x", 5, True):
            assert (await refusal(peer, method, params)).field == "params"
        assert await counts(app) == before
        await peer.say(Cast("next", app.key).create(app.now()))


@pytest.mark.parametrize("method", ["pong", "", "Submit", "submit ", "rpc.discover", "x" * 64])
async def test_an_unknown_method_is_refused_by_that_word(tmp_path: Path, method: str) -> None:
    async with conversation(tmp_path) as (_, peer):
        assert (await refusal(peer, method, {})).reason is Reason.UNKNOWN_METHOD


def wire(kind: str, message: dict[str, Any] | None = None, payload: str | None = None, **other: Any) -> dict[str, Any]:
    """A statement of ``kind``, as it lies in a frame; ``message`` is its payload, well formed by default."""
    made = text(message or full(ALL[kind])) if payload is None else payload
    signatures = 2 if kind == "keygen.join" else 1
    blobs = [None] * len(ALL[kind].BLOBS)
    return {"payload": made, "signatures": ["00" * 64] * signatures, "blobs": blobs} | other


def expected(spoilt: Spoilt) -> Reason:
    """The word for a fault."""
    if spoilt.field == "kind":
        return Reason.UNKNOWN_KIND
    return Reason.UNKNOWN_VERSION if spoilt.field == "v" and "v" in spoilt.message else Reason.BAD_FIELD


@pytest.mark.parametrize("kind", ALL)
async def test_every_fault_of_every_field_of_a_statement_is_refused_by_its_name(tmp_path: Path, kind: str) -> None:
    async with conversation(tmp_path) as (app, peer):
        before = await counts(app)
        for spoilt in spoils(ALL[kind]):
            problem = await refusal(peer, "submit", {"statement": wire(kind, spoilt.message)})
            assert problem.reason is expected(spoilt) and names(problem, spoilt.field), (spoilt.what, problem)
        message, names_ = full(ALL[kind]), list(full(ALL[kind]))
        for one, two in pairwise(names_):
            swapped = {name: message[name] for name in (two if n == one else one if n == two else n for n in names_)}
            assert (await refusal(peer, "submit", {"statement": wire(kind, swapped)})).field in ("payload", "kind")
        for name, value in message.items():
            doubled = f'{text(message)[:-1]},"{name}":{text(value)}}}'
            problem = await refusal(peer, "submit", {"statement": wire(kind, payload=doubled)})
            assert problem.reason is Reason.BAD_FIELD, (name, problem)
        assert await counts(app) == before
        await peer.say(Cast("next", app.key).create(app.now()))


@pytest.mark.parametrize("kind", ALL)
async def test_a_well_formed_statement_that_nobody_signed_is_refused(tmp_path: Path, kind: str) -> None:
    async with conversation(tmp_path) as (app, peer):
        before = await counts(app)
        problem = await refusal(peer, "submit", {"statement": wire(kind)})
        assert problem.reason is Reason.BAD_SIGNATURE and names(problem, "signatures[0]")
        problem = await refusal(peer, "submit", {"statement": wire(kind, signatures=[])})
        assert problem.reason is Reason.BAD_SIGNATURE and problem.field == "signatures"
        assert await counts(app) == before


async def test_every_fault_of_a_statements_wire_form_is_refused_by_its_name(tmp_path: Path) -> None:
    async with conversation(tmp_path) as (app, peer):
        before = await counts(app)
        for spoilt in spoils(WireStatement):
            problem = await refusal(peer, "submit", {"statement": spoilt.message})
            assert names(problem, f"statement.{spoilt.field}") or names(problem, spoilt.field), (spoilt.what, problem)
        honest = Cast("blobs", app.key).create(app.now())
        for blobs, field in (([], "blobs"), ([None], "blobs[0]"), (["e30="], "blobs[0]"), (["e30"], "blobs[0]"),
                             (["e31"], "blobs[0]"), ([honest.wire.blobs[0]] * 2, "blobs"), (["+/"], "blobs[0]"),
                             (["A" * 900_000], "blobs[0]")):  # fmt: skip
            message = {"payload": honest.text, "signatures": list(honest.wire.signatures), "blobs": blobs}
            problem = await refusal(peer, "submit", {"statement": message})
            assert problem.field == field, (blobs, problem)
        assert await counts(app) == before
        await peer.say(honest)


async def test_an_enclave_is_answered_like_everybody_else(tmp_path: Path) -> None:
    async with serving(tmp_path, **GENEROUS) as app, dial_unix(app.config.enclave_socket) as enclave:
        await enclave.prove(key_of("vault"))
        before = await counts(app)
        for spoilt in spoils(METHODS["announce"]):
            problem = await refusal(enclave, "announce", spoilt.message)
            assert problem.reason is Reason.BAD_FIELD and names(problem, spoilt.field), (spoilt.what, problem)
        assert await counts(app) == before
        assert await enclave.call("announce", {"capacity": 1}) == {}
