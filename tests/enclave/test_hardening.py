"""hardening.py: what is protected is protected in a process of its own, and what is not is said."""

import resource
import subprocess
import sys

import pytest

from keymeld_enclave import hardening
from keymeld_enclave.hardening import Unprotected

LOOK = """
import ctypes, os, resource
from keymeld_enclave.hardening import harden
print("|".join(harden()))
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), oct(os.umask(0)))
"""


def test_core_dumps_and_debuggers_are_off_and_files_are_private() -> None:
    run = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    _, protected = run.stdout.splitlines()
    assert protected == "(0, 0) 0 0o77"


def test_what_is_not_possible_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardening, "_libc", lambda *_: False)
    assert "may attach" in hardening._not_dumpable()
    assert "swapped" in hardening._locked()


def test_without_a_limit_on_core_dumps_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("not permitted")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    with pytest.raises(Unprotected, match="core dumps"):
        hardening._no_core_dumps()


def test_a_function_that_the_system_has_not_is_not_possible() -> None:
    assert not hardening._libc("no_such_function")
