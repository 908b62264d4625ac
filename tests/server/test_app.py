"""One coordinator from start to drain, and what the next one finds."""

import asyncio
import socket
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from keymeld_host.settings import BadSetting
from keymeld_protocol.errors import Reason, WireError
from keymeld_protocol.machines import keygen
from keymeld_protocol.values import decode_sized
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import Close
from keymeld_protocol.wire.frames import statement_json
from keymeld_protocol.wire.records import head_is_signed
from keymeld_server.app import running
from keymeld_server.door.listener import Listener
from tests.support.build import HOUR, Cast, contribute, xonly
from tests.support.coordinator import NOON, key_of
from tests.support.line import Time
from tests.support.peer import dial, dial_unix, enclave_at
from tests.support.serving import config_in, http_get, serving, until

pytestmark = pytest.mark.asyncio

VAULT = key_of("vault")


async def test_a_keygen_and_a_signing_over_real_sockets(tmp_path: Path) -> None:
    async with serving(tmp_path) as app, enclave_at(app.config.enclave_socket, VAULT) as vault, dial(app.url) as alice:
        cast = Cast("treasury", app.key)
        await alice.say(cast.create(app.now()))
        await alice.prove(cast.creator, cast.auth(0))
        await alice.call("sessions")
        await vault.call("sessions")
        heard = (await alice.hear(cast.stream, "keygen.create")).hash
        joins = [cast.join(slot, heard, xonly(VAULT)) for slot in range(2)]
        for slot, join in enumerate(joins):
            await alice.say(join)
            assert (await vault.until(cast.stream, "keygen.join")).statement.blob("envelope") is not None
            await vault.say(cast.accept(slot, join, heard, VAULT))
        roster = keygen.roster_hash(cast.stream, (joins[0].id, joins[1].id))
        completed = (await vault.until(cast.stream, "custody.accept")).hash
        request = cast.request(completed, roster, app.now())
        await alice.say(request)
        asked = (await vault.until(request.id, "signing.request")).hash
        await vault.say(contribute(VAULT, request.id, asked, slots=(0, 1)))
        assert (await alice.until(request.id, "signing.contribute")).offset == 2


async def test_the_next_coordinator_goes_on_where_this_one_stopped(tmp_path: Path) -> None:
    async with serving(tmp_path) as app, dial(app.url) as alice:
        cast = Cast("treasury", app.key)
        create = cast.create(app.now())
        await alice.say(create)
        await alice.prove(cast.creator)
        record = await alice.hear(cast.stream, "keygen.create")
        key, epoch = app.key, app.store.epoch
    async with serving(tmp_path) as app, dial(app.url) as alice:
        assert (app.key, app.store.epoch) == (key, epoch)
        await alice.prove(cast.creator)
        answer = await alice.subscribe(cast.stream, record.position)
        assert (answer["recovered"], answer["top"]) == (True, 1)
        await alice.say(cast.join(0, record.hash))
        assert (await alice.next_record(cast.stream)).offset == 2
        assert (await alice.say(create))["offset"] == 1


async def test_a_head_is_signed_by_the_coordinator_that_said_hello(tmp_path: Path) -> None:
    async with serving(tmp_path) as app, dial(app.url) as alice:
        cast = Cast("treasury", app.key)
        answer = await alice.say(cast.create(app.now()))
        head = msgspec.convert(answer["head"], frames.WireHead, dec_hook=decode_sized)
        assert head_is_signed(cast.stream, frames.head_of(head), app.key)


async def test_deadlines_that_pass_while_it_runs_become_notices(tmp_path: Path) -> None:
    time = Time(NOON)
    async with running(config_in(tmp_path), now=time) as app, dial(app.url) as alice:
        cast = Cast("treasury", app.key)
        await alice.say(cast.create(time()))
        await alice.prove(cast.creator)
        await alice.subscribe(cast.stream)
        time.wait(HOUR)
        app.clock.poke()
        assert (await alice.until(cast.stream, "keygen.expired")).at == NOON + HOUR


async def test_a_draining_coordinator_says_goodbye_and_finishes_what_has_begun(tmp_path: Path) -> None:
    async with serving(tmp_path) as app, dial(app.url) as alice, dial_unix(app.config.enclave_socket) as vault:
        create = Cast("treasury", app.key).create(app.now())
        await asyncio.gather(alice.greeted, vault.greeted)
        answer = await alice.ask("submit", {"statement": statement_json(create.wire)})
        await until(lambda: app.sessions._commits or answer.done())
        await app.drain()
        assert (await answer)["offset"] == 1
        for peer in (alice, vault):
            assert await peer.closed() == Close.DRAINING
            assert peer.goodbye is not None and peer.goodbye.reason == "draining"


async def test_nothing_new_is_taken_while_draining(tmp_path: Path) -> None:
    async with serving(tmp_path) as app, dial(app.url) as alice:
        app.dispatch.draining = True
        with pytest.raises(WireError) as refused:
            await alice.say(Cast("treasury", app.key).create(app.now()))
        assert refused.value.reason is Reason.DRAINING


async def test_nobody_is_let_in_after_the_drain_has_begun(tmp_path: Path) -> None:
    async with serving(tmp_path) as app:
        await app.drain()
        with pytest.raises(OSError):
            await http_get(app.port, "/healthz")


async def test_an_old_log_without_its_key_is_not_served(tmp_path: Path) -> None:
    async with serving(tmp_path) as app:
        app.config.key_file.unlink()
    with pytest.raises(BadSetting, match="key_file"):
        async with serving(tmp_path):
            pass


async def test_a_unix_socket_that_a_crash_left_is_replaced(tmp_path: Path) -> None:
    path = config_in(tmp_path).enclave_socket
    with closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(path))
    async with serving(tmp_path), dial_unix(path) as vault:
        assert (await vault.greeted).challenge


async def test_a_unix_socket_that_another_process_serves_is_left_alone(tmp_path: Path) -> None:
    path = config_in(tmp_path).enclave_socket
    with closing(socket.socket(socket.AF_UNIX)) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(OSError, match=f"cannot listen on unix:{path}: address already in use"):
            async with serving(tmp_path):
                pass
    assert path.exists()


async def test_an_enclave_may_prove_itself_before_the_last_socket_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waited for a restart dials the first socket that opens; a proof refused then would send it away for good."""
    open_tcp, proven = Listener.open_tcp, list[object]()

    async def later(self: Listener, host: str, port: int) -> int:
        async with dial_unix(config_in(tmp_path).enclave_socket) as vault:
            proven.append(await vault.prove(VAULT))
        return await open_tcp(self, host, port)

    monkeypatch.setattr(Listener, "open_tcp", later)
    async with serving(tmp_path):
        assert proven == [{"keys": [xonly(VAULT).hex()]}]
