"""The terminal is an extra: without its libraries the command says what to install, and the SDK misses nothing."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keymeld_client.cli import EXTRA
from tests.client.scripted import Talk, scripted

WITHOUT = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Without())
"""
"""Read by every Python that finds it on its path, before anything else is imported."""

CONNECTS = """
import asyncio, sys
import keymeld_client
from keymeld_client import Trust, Wallet, connect

async def main(url):
    with Wallet.in_memory() as wallet:
        async with connect(url, wallet, Trust()) as client:
            await client.ready()
            print(client.status.state, client.keygens())

asyncio.run(main(sys.argv[1]))
"""


def without(folder: Path, *names: str) -> dict[str, str]:
    """An environment in which these libraries cannot be imported."""
    (folder / "sitecustomize.py").write_text(WITHOUT.format(names=names))
    return os.environ | {"PYTHONPATH": str(folder)}


def installed() -> str:
    """The command as it is installed beside this Python."""
    found = shutil.which("keymeld", path=str(Path(sys.executable).parent))
    assert found is not None
    return found


@pytest.mark.parametrize("missing", EXTRA)
@pytest.mark.parametrize("words", [("--help",), ("--version",), ("sessions", "--json")])
def test_the_command_says_what_to_install(tmp_path: Path, missing: str, words: tuple[str, ...]) -> None:
    run = subprocess.run([installed(), *words], env=without(tmp_path, missing), capture_output=True, text=True)
    assert run.returncode == 2 and run.stdout == ""
    assert run.stderr == (
        f'error: the keymeld command needs the extra "cli" of keymeld-client: {missing} is not installed\n'
        f"       Install it with: {sys.executable} -m pip install 'keymeld-client[cli]'\n"
    )


def test_another_library_that_is_missing_is_not_taken_for_the_terminals(tmp_path: Path) -> None:
    run = subprocess.run([installed(), "sessions"], env=without(tmp_path, "coincurve"), capture_output=True, text=True)
    assert run.returncode == 1 and "No module named 'coincurve'" in run.stderr and "extra" not in run.stderr


@pytest.mark.asyncio
async def test_a_client_connects_without_them(tmp_path: Path) -> None:
    async def script(talk: Talk) -> None:
        await talk.resumed()
        await talk.until_closed()

    async with scripted(script) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CONNECTS, url, env=without(tmp_path, *EXTRA),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
    assert (out.decode(), err.decode()) == ("online ()\n", "")
