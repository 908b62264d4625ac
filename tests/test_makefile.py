"""`make env` keeps an environment that fits, and builds one anew for another Python that is named."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.vectors import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def python(path: Path, version: str) -> Path:
    """A Python of this version, as far as the Makefile asks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\ncase "$2" in *version_info*) echo {version};; *) echo runs;; esac\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An environment of Python 3.12 that is up to date."""
    python(tmp_path / "venv" / "bin" / "python", "3.12")
    (tmp_path / "venv" / ".installed").write_text(f"{ROOT}\n")
    return tmp_path / "venv"


def stays(venv: Path, *words: str, **variables: str) -> bool:
    """Whether the environment is left as it is."""
    command = ["make", "-q", "-C", str(ROOT), f"VENV={venv}", *words, str(venv / ".installed")]
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(command, env=inherited | variables, capture_output=True).returncode == 0


def test_an_environment_that_fits_stays(venv: Path, tmp_path: Path) -> None:
    named = python(tmp_path / "named", "3.12")
    assert stays(venv) and stays(venv, f"PYTHON={named}") and stays(venv, PYTHON=str(named))


def test_another_version_that_is_named_is_not_ignored(venv: Path, tmp_path: Path) -> None:
    named = python(tmp_path / "named", "3.13")
    assert not stays(venv, f"PYTHON={named}") and not stays(venv, PYTHON=str(named))


def test_a_python_that_is_named_and_not_there_is_not_ignored(venv: Path, tmp_path: Path) -> None:
    assert not stays(venv, f"PYTHON={tmp_path / 'nowhere'}")


def test_a_moved_environment_is_built_anew(venv: Path) -> None:
    (venv / ".installed").write_text("/elsewhere\n")
    assert not stays(venv)
