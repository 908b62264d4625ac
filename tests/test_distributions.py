"""What each distribution carries to whoever installs it: the licence and a page that says what it is."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.vectors import ROOT

MEMBERS = ("protocol", "enclave", "server", "client")
LICENCE = (ROOT / "LICENSE").read_bytes()


def wheel(member: str, folder: Path) -> ZipFile:
    """The wheel of one distribution, built without a network."""
    program = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    command = [sys.executable, "-c", program, str(folder)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT / member)
    (built,) = folder.glob("*.whl")
    return ZipFile(built)


@pytest.mark.parametrize("member", MEMBERS)
def test_a_wheel_carries_the_repositorys_licence_and_its_own_page(member: str, tmp_path: Path) -> None:
    with wheel(member, tmp_path) as built:
        folder = f"keymeld_{member}-0.1.0.dist-info"
        metadata = built.read(f"{folder}/METADATA")
        assert b"License-Expression: MIT\n" in metadata
        assert built.read(f"{folder}/licenses/LICENSE") == LICENCE
        assert "keymeld_host/py.typed" in built.namelist() or member != "protocol"
        assert metadata.partition(b"\n\n")[2].strip() == (ROOT / member / "README.md").read_bytes().strip()
