"""The `keymeld-server` process: when it is ready, how it ends, what it says when it cannot begin."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from keymeld_protocol.values import XOnlyKey
from keymeld_protocol.wire.connection import Close
from tests.support.build import Cast
from tests.support.peer import dial

COMMAND = [sys.executable, "-m", "keymeld_server"]


@contextmanager
def process(folder: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`keymeld-server` in ``folder``, and the words of the line that says that it is ready."""
    command = [*COMMAND, "--listen-port", "0", "--database", str(folder / "log.sqlite"), *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server, server.stdout.readline().split()
        finally:
            server.kill()
            server.communicate()


@pytest.mark.processes
@pytest.mark.asyncio
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_says_when_it_is_ready_and_drains_when_told(tmp_path: Path, number: signal.Signals) -> None:
    with process(tmp_path) as (server, words):
        assert words[:2] == ["keymeld-server", "ready"] and words[3] == "enclave" and words[5] == "coordinator"
        async with dial(words[2]) as alice:
            assert (await alice.greeted).coordinator == XOnlyKey.from_hex(words[6])
            server.send_signal(number)
            assert await alice.closed() == Close.DRAINING
        assert await asyncio.to_thread(server.wait, 10) == 0


@pytest.mark.processes
@pytest.mark.asyncio
async def test_a_killed_process_loses_nothing_that_it_has_answered(tmp_path: Path) -> None:
    with process(tmp_path) as (server, words):
        async with dial(words[2]) as alice:
            cast = Cast("treasury", (await alice.greeted).coordinator)
            create = cast.create((await alice.greeted).time)
            await alice.say(create)
            await alice.prove(cast.creator)
            record = await alice.hear(cast.stream, "keygen.create")
            server.kill()
            assert await alice.closed() == 1006
    with process(tmp_path) as (_, words):
        async with dial(words[2]) as alice:
            await alice.prove(cast.creator)
            assert (await alice.subscribe(cast.stream, record.position))["recovered"]
            assert (await alice.say(create))["offset"] == 1


@pytest.mark.processes
def test_a_wrong_setting_is_named() -> None:
    ended = subprocess.run([*COMMAND, "--slots-max", "0"], capture_output=True, text=True, timeout=30)
    assert ended.returncode == 2 and "slots_max" in ended.stderr


@pytest.mark.processes
def test_a_log_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.sqlite").write_bytes(b"no database")
    ended = subprocess.run(
        [*COMMAND, "--database", str(tmp_path / "log.sqlite")], capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 1 and "log.sqlite" in ended.stderr


@pytest.mark.processes
def test_an_address_in_use_is_named_without_the_systems_numbers(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = str(other.getsockname()[1])
        ended = subprocess.run(
            [*COMMAND, "--listen-port", port, "--database", str(tmp_path / "log.sqlite")],
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (
        1, f"keymeld-server: cannot listen on 127.0.0.1:{port}: address already in use\n",
    )  # fmt: skip


@pytest.mark.processes
def test_to_listen_everywhere_without_an_origin_is_warned_about(tmp_path: Path) -> None:
    with process(tmp_path, "--listen-host", "0.0.0.0") as (server, _):
        server.terminate()
        assert "origins is not set" in server.communicate(timeout=30)[1]
