"""May this peer say this, here?"""

import pytest

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import proof_message
from keymeld_server.dispatch import HANDLERS
from tests.support.build import xonly
from tests.support.coordinator import key_of
from tests.support.line import Line, PaperPeer
from tests.support.machines import lead_astray

pytestmark = pytest.mark.asyncio


def proof(key: Keypair, origin: str = "ws://here") -> dict[str, object]:
    """A proof for a `PaperPeer`, whose challenge is known."""
    return {"key": key.key.hex(), "sig": key.sign(proof_message(bytes(32), origin, key.key)).hex()}


def vault_peer(line: Line) -> PaperPeer:
    """The vault, connected where enclaves connect."""
    peer = line.peer(is_enclave=True)
    peer.prove(line.vault)
    return peer


async def test_there_is_a_handler_for_every_method() -> None:
    assert set(HANDLERS) == set(frames.METHODS)


async def test_a_proof_is_accepted() -> None:
    line, key = Line(), key_of("alice")
    peer = line.peer()
    assert await peer.ask("authenticate", {"proofs": [proof(key)]}) == {"keys": [key.key.hex()]}
    assert peer.side.proven == {xonly(key)}


async def test_a_proof_for_another_origin_is_worthless() -> None:
    peer = Line().peer()
    answer = await peer.ask("authenticate", {"proofs": [proof(key_of("alice"), "wss://elsewhere")]})
    assert (answer["reason"], answer["field"]) == ("bad_signature", "proofs[0].sig")
    assert not peer.side.proven


async def test_a_key_that_is_proven_is_not_verified_again() -> None:
    peer = Line().peer()
    once = proof(key_of("alice"))
    await peer.ask("authenticate", {"proofs": [once]})
    assert await peer.ask("authenticate", {"proofs": [once | {"sig": "00" * 64}]}) == {"keys": [once["key"]]}


async def test_more_keys_than_allowed_are_refused() -> None:
    peer = Line(proofs_per_connection=1).peer()
    assert "keys" in await peer.ask("authenticate", {"proofs": [proof(key_of("alice"))]})
    answer = await peer.ask("authenticate", {"proofs": [proof(key_of("bob"))]})
    assert (answer["reason"], answer["field"], answer["limit"]) == ("over_limit", "proofs", 1)


async def test_a_submitted_statement_is_answered_with_its_place_and_a_signed_head() -> None:
    line = Line()
    cast = line.cast()
    answer = await line.peer().submit(cast.create(line.time()))
    assert (answer["stream"], answer["offset"], answer["head"]["offset"]) == (cast.stream.hex(), 1, 1)


async def test_a_statement_needs_no_proof() -> None:
    line = Line()
    cast = await line.created()
    assert (await line.peer().submit(cast.join(0, line.hash(cast.stream))))["offset"] == 2


async def test_a_refusal_names_its_field() -> None:
    line = Line()
    cast = await line.created()
    answer = await line.peer().submit(cast.join(0, bytes(32)))
    assert (answer["reason"], answer["field"], answer["repeatable"]) == ("fork", "after", False)


async def test_a_statement_without_its_blob_is_refused() -> None:
    line = Line()
    said = line.cast().create(line.time()).without_blobs(("terms",))
    answer = await line.peer().submit(said)
    assert (answer["reason"], answer["field"]) == ("bad_field", "blobs[0]")


async def test_a_statement_with_a_foreign_signature_is_refused() -> None:
    line = Line()
    wire = frames.statement_json(line.cast().create(line.time()).wire)
    forged = wire | {"signatures": [key_of("mallory").sign(bytes(32)).hex()]}
    answer = await line.peer().ask("submit", {"statement": forged})
    assert (answer["reason"], answer["field"]) == ("bad_signature", "signatures[0]")


async def test_two_submits_are_under_way_at_once_on_one_connection() -> None:
    line = Line()
    line.store.gate.clear()
    peer = line.peer()
    casts = [line.cast(name) for name in ("one", "two")]
    for cast in casts:
        await peer.give("submit", {"statement": frames.statement_json(cast.create(line.time()).wire)})
    assert len(line.sessions._commits) == 2
    line.store.gate.set()
    answers = [await peer.take(), await peer.take()]
    assert [answer["result"]["stream"] for answer in answers] == [cast.stream.hex() for cast in casts]


async def test_a_subscription_right_after_the_opening_waits_for_its_commit() -> None:
    line = Line()
    peer, cast = line.peer(), line.cast()
    peer.prove(cast.creator)
    await peer.give("submit", {"statement": frames.statement_json(cast.create(line.time()).wire)})
    await peer.give("subscribe", {"stream": cast.stream.hex()})
    assert (await peer.take())["result"]["offset"] == 1
    assert (await peer.take())["result"]["top"] == 1
    assert await peer.offsets(1) == [1]


async def test_a_failed_commit_is_answered_as_unavailable() -> None:
    line = Line()
    line.store.failing = True
    answer = await line.peer().submit(line.cast().create(line.time()))
    assert (answer["reason"], answer["repeatable"]) == ("unavailable", True)


async def test_a_draining_coordinator_takes_nothing_new() -> None:
    line = Line()
    line.app.dispatch.draining = True
    assert (await line.peer().submit(line.cast().create(line.time())))["reason"] == "draining"


async def test_an_unknown_stream_cannot_be_subscribed() -> None:
    answer = await Line().peer().ask("subscribe", {"stream": "00" * 32})
    assert (answer["reason"], answer["field"]) == ("unknown_stream", "stream")


async def test_sessions_are_listed_for_the_proven_keys() -> None:
    line = Line()
    cast = await line.completed()
    request = await line.requested(cast)
    peer = line.peer()
    peer.prove(cast.auth(0))
    listed = (await peer.ask("sessions", {"open": True}))["sessions"]
    assert [row["stream"] for row in listed] == [cast.stream.hex(), request.id.hex()]
    assert listed[1] == {
        "stream": request.id.hex(), "kind": "signing", "state": "nonces", "top": 1, "keygen": cast.stream.hex(),
        "hash": line.hash(request.id).hex(),
    }  # fmt: skip
    assert (listed[0]["top"], listed[0]["hash"]) == (5, line.hash(cast.stream).hex())


async def test_sessions_are_paged() -> None:
    line = Line()
    casts = [await line.created(f"group {i}") for i in range(3)]
    peer = line.peer()
    peer.prove(*(cast.creator for cast in casts))
    first = (await peer.ask("sessions", {"limit": 2}))["sessions"]
    rest = (await peer.ask("sessions", {"limit": 2, "after": first[-1]["stream"]}))["sessions"]
    while not await peer.silent():
        await peer.take()
    assert [row["stream"] for row in first + rest] == [cast.stream.hex() for cast in casts]


async def test_sessions_need_a_proven_key() -> None:
    assert (await Line().peer().ask("sessions"))["reason"] == "not_proven"


async def test_an_enclave_announces_itself_and_is_listed() -> None:
    line = Line()
    vault = vault_peer(line)
    assert await vault.ask("announce", {"capacity": 7, "document": "doc"}) == {}
    listed = (await line.peer().ask("enclaves"))["enclaves"]
    assert listed == [{
        "identity": line.vault.key.hex(), "announced_at": line.time(), "online": True, "capacity": 7, "document": "doc",
    }]  # fmt: skip
    assert xonly(line.vault) in line.store.announced and line.app.enclaves.here == {xonly(line.vault)}


async def test_an_enclave_that_leaves_is_listed_as_away() -> None:
    line = Line()
    vault = vault_peer(line)
    await vault.ask("announce", {"capacity": 7})
    vault.go()
    assert [row["online"] for row in (await line.peer().ask("enclaves"))["enclaves"]] == [False]


async def test_an_enclave_whose_old_connection_lingers_stays_when_that_ends() -> None:
    line = Line()
    old, new = vault_peer(line), vault_peer(line)
    for peer in (old, new, new):
        await peer.ask("announce", {"capacity": 7})
    old.go()
    assert line.app.enclaves.here == {xonly(line.vault)}


async def test_a_participant_cannot_announce_himself() -> None:
    peer = Line().peer()
    peer.prove(key_of("mallory"))
    assert (await peer.ask("announce", {"capacity": 7}))["reason"] == "not_allowed"


async def test_an_enclave_proves_its_identity_before_it_announces_it() -> None:
    assert (await Line().peer(is_enclave=True).ask("announce", {"capacity": 7}))["reason"] == "not_proven"


async def test_signings_that_waited_are_looked_at_when_their_enclave_announces_itself() -> None:
    line = Line()
    request = await line.requested(await line.completed())
    line.time.wait(3_000)
    await vault_peer(line).ask("announce", {"capacity": 7})
    assert line.app.clock.due() == [request.id]


async def test_attestation_is_not_offered() -> None:
    answer = await Line().peer().ask("attest", {"enclave": "00" * 32, "nonce": "00" * 32})
    assert answer["reason"] == "unavailable"


async def test_ping_tells_the_time() -> None:
    line = Line()
    assert await line.peer().ask("ping") == {"time": line.time()}


async def test_an_unknown_method_is_refused_by_name() -> None:
    assert (await Line().peer().ask("steal"))["reason"] == "unknown_method"


async def test_an_unknown_parameter_is_refused_by_name() -> None:
    answer = await Line().peer().ask("ping", {"loud": True})
    assert (answer["reason"], answer["field"]) == ("bad_field", "loud")


async def test_a_failure_of_ours_is_answered_and_says_nothing_about_us(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line()

    async def broken(*_: object) -> None:
        raise RuntimeError("path /secret")

    monkeypatch.setattr(line.store, "sessions", broken)
    peer = line.peer()
    peer.prove(key_of("alice"))
    answer = await peer.ask("sessions")
    assert answer["reason"] == "unavailable" and "secret" not in str(answer)
    assert "time" in await peer.ask("ping")


async def test_presence_is_told_with_a_subscription() -> None:
    line = Line()
    cast = await line.completed()
    alice, bob = line.peer(), line.peer()
    alice.prove(cast.auth(0))
    bob.prove(cast.auth(1))
    assert set((await bob.subscribe(cast.stream))["present"]) == {cast.auth(i).key.hex() for i in range(2)}


async def test_our_own_mistake_is_told_as_such_and_the_session_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line()
    cast = await line.created()
    join, peer = cast.join(0, line.hash(cast.stream)), line.peer()
    with monkeypatch.context() as patched:
        lead_astray(patched)
        answer = await peer.submit(join)
    assert answer["reason"] == "unavailable" and line.store.kinds(cast.stream) == ["keygen.create"]
    assert (await peer.submit(join))["offset"] == 2
