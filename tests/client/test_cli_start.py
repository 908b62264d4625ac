"""What a command imports before it answers: help, and a slip of the pen, wait for nothing that they do not need."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

SHOWN = """
import sys
from {module} import main
sys.argv = {words!r}
try:
    main()
except SystemExit:
    pass
loaded = set(sys.modules) | {{name.partition(".")[0] for name in sys.modules}}
print("loaded:", *sorted(loaded & set({heavy!r})))
"""

COMPUTE = {"btclib", "btclib_wallet", "coincurve", "cryptography", "nacl"}
TALK = {"asyncio", "websockets", "ssl", "uvloop", "anyio", "prometheus_client"}
DRAW = {"rich", "segno"}
PARSE = {"msgspec", "orjson"}
OURS = {"keymeld_client.client", "keymeld_client.sdk", "keymeld_enclave.agent", "keymeld_server.app"}
ALL = COMPUTE | TALK | DRAW | PARSE | OURS


def loaded(module: str, *words: str, heavy: Collection[str] = ALL) -> set[str]:
    """Which of the heavy ones a command has imported when it has ended."""
    code = SHOWN.format(module=module, words=list(words), heavy=sorted(heavy))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.rpartition("loaded:")[2].split())


@pytest.mark.parametrize("words", [("--version",), ("--help",), (), ("sgin",), ("--nope",)])
def test_what_needs_no_wallet_needs_a_command_line_parser_and_no_more(words: tuple[str, ...]) -> None:
    assert loaded("keymeld_client.cli", "keymeld", *words) == set()


@pytest.mark.parametrize("words", [("sessions",), ("identity",), ("export", "00", "-"), ("verify", "nowhere")])
def test_who_does_not_dial_needs_nothing_that_dials_and_no_psbt(tmp_path: Path, words: tuple[str, ...]) -> None:
    dials = {"websockets", "btclib_wallet", "segno", "keymeld_client.client"}
    assert loaded("keymeld_client.cli", "keymeld", "--wallet", str(tmp_path), *words, heavy=dials) == set()


@pytest.mark.parametrize("words", [("--help",), ("identity", "--help"), ("--nope",), ("--capacity", "many")])
def test_an_enclave_reads_its_settings_before_what_signs(words: tuple[str, ...]) -> None:
    found = loaded("keymeld_enclave.__main__", "keymeld-enclave", *words, heavy=ALL - PARSE)
    assert found <= {"coincurve", "cryptography"}


@pytest.mark.parametrize("words", [("--help",), ("--nope",), ("--listen-port", "many")])
def test_a_coordinator_reads_its_settings_before_what_serves(words: tuple[str, ...]) -> None:
    assert loaded("keymeld_server.__main__", "keymeld-server", *words, heavy=ALL - PARSE) <= {"coincurve"}
