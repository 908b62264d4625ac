"""__main__.py: the process starts, says who it is, wipes and ends; real processes."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

ENCLAVE = [sys.executable, "-m", "keymeld_enclave"]


def identity(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ENCLAVE, "identity", *flags], cwd=folder, capture_output=True, text=True, timeout=30)


@contextmanager
def process(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process for the length of a block; whatever happens it is ended."""
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()
            running.communicate()


def line(running: subprocess.Popen[str]) -> str:
    """The next line that a process prints."""
    assert running.stdout is not None
    return running.stdout.readline().strip()


def complains(running: subprocess.Popen[str], word: str) -> bool:
    """Whether a process says ``word`` on stderr; waits until it does, or ends."""
    assert running.stderr is not None
    return any(word in text for text in iter(running.stderr.readline, ""))


def ended(running: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    """Send a signal; gives exit code, stdout and stderr."""
    running.send_signal(number)
    out, err = running.communicate(timeout=30)
    return running.returncode, out, err


def test_the_identity_is_64_hex_digits_and_the_same_at_every_call(tmp_path: Path) -> None:
    first, second = identity(tmp_path), identity(tmp_path)
    assert re.fullmatch(r"[0-9a-f]{64}\n", first.stdout)
    assert (first.returncode, first.stderr) == (0, "")
    assert second.stdout == first.stdout


def test_the_key_file_is_its_owners_alone_and_is_not_what_is_printed(tmp_path: Path) -> None:
    printed = identity(tmp_path).stdout
    path = tmp_path / "keymeld-enclave.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() != printed


def test_a_key_file_that_others_can_read_is_refused_with_the_remedy_and_no_traceback(tmp_path: Path) -> None:
    identity(tmp_path)
    (tmp_path / "keymeld-enclave.key").chmod(0o644)
    refused = identity(tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("keymeld-enclave: key file")
    assert "chmod 600" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_bad_setting_ends_with_2_and_its_name(tmp_path: Path) -> None:
    refused = identity(tmp_path, "--capacity", "none")
    assert refused.returncode == 2
    assert refused.stderr.startswith("keymeld-enclave: capacity: must be")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_comes_to_the_coordinator_and_ends_with_0_when_told_to(tmp_path: Path, number: signal.Signals) -> None:
    key = identity(tmp_path).stdout.strip()
    server = [sys.executable, "-m", "keymeld_server", "--listen-port", "0"]
    with process(server, tmp_path) as coordinator:
        assert line(coordinator).startswith("keymeld-server ready")
        with process([*ENCLAVE], tmp_path) as enclave:
            assert line(enclave) == f"keymeld-enclave ready {key} unix:keymeld-enclave.sock"
            limits = Path(f"/proc/{enclave.pid}/limits").read_text()
            assert re.search(r"Max core file size\s+0\s+0", limits)
            code, out, err = ended(enclave, number)
    assert (code, out) == (0, "")
    assert "Traceback" not in err


def test_it_waits_for_a_coordinator_that_is_not_there_yet(tmp_path: Path) -> None:
    with process([*ENCLAVE, "--log-level", "warning"], tmp_path) as enclave:
        assert complains(enclave, "not connected")
        server = [sys.executable, "-m", "keymeld_server", "--listen-port", "0"]
        with process(server, tmp_path) as coordinator:
            assert line(coordinator).startswith("keymeld-server ready")
            assert line(enclave).startswith("keymeld-enclave ready")


def test_two_processes_never_serve_one_key_file_not_even_after_a_crash_of_one(tmp_path: Path) -> None:
    quiet = [*ENCLAVE, "--log-level", "warning"]
    with process(quiet, tmp_path) as first:
        assert complains(first, "not connected")
        with process(quiet, tmp_path) as second:
            assert complains(second, "another enclave runs with it")
            assert second.wait(timeout=30) == 1
        assert identity(tmp_path).returncode == 0
        first.kill()
        first.wait()
        with process(quiet, tmp_path) as third:
            assert complains(third, "not connected")


def test_a_coordinator_that_listens_for_participants_only_is_given_up_with_1(tmp_path: Path) -> None:
    server = [sys.executable, "-m", "keymeld_server", "--listen-port", "0"]
    with process(server, tmp_path) as coordinator:
        url = next(word for word in line(coordinator).split() if word.startswith("ws://"))
        with process([*ENCLAVE, "--coordinator", url], tmp_path) as enclave:
            _, err = enclave.communicate(timeout=30)
            assert enclave.returncode == 1
    assert "does not take this enclave" in err
    assert "Traceback" not in err
