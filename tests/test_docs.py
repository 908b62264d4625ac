"""The pages in docs/ do what they say: their files are written, their commands run, their programs executed.

Every fenced block is run or loaded by a test here, or is of a kind that nobody could take for a command.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from socket import socket
from types import ModuleType

import pytest

from examples.helpers.house import House
from keymeld_client import Allow, Keygen
from keymeld_client import errors as client_errors
from keymeld_enclave import config as enclave_config
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_server import config as server_config
from keymeld_server.observe import Metrics
from tests.client.coins import FOREIGN, psbt
from tests.support.pages import blocks, fences, run
from tests.support.vectors import ROOT, WIRE
from tests.vectors.examples import filled, names

pytestmark = pytest.mark.processes

OPERATE, INTEGRATE, CLIENT = "docs/operate.md", "docs/integrate.md", "docs/client.md"
UNITS = ROOT / "tests" / "support" / "units.py"


def test_no_block_is_of_a_kind_that_nobody_looks_at() -> None:
    kinds = {page.name: {kind for kind, _ in fences(f"docs/{page.name}")} for page in (ROOT / "docs").glob("*.md")}
    assert kinds == {
        "operate.md": {"text", "toml", "ini", "nginx", "sh"},
        "integrate.md": {"python"},
        "client.md": {"python", "json"},
    }


# Operating ------------------------------------------------------------------------------------------------------


class Machine:
    """A folder that stands for a machine of the page: its files, its ports, and its services."""

    def __init__(self, folder: Path) -> None:
        """Write the page's files where it says, below ``folder``."""
        self.units = folder / "units"
        self._there = {
            "/etc/systemd/system": str(self.units), "/var/lib": str(folder),
            "/opt/keymeld/.venv/bin": str(Path(sys.executable).parent),
        } | dict(zip(("8765", "8766"), free_ports(2), strict=True))  # fmt: skip
        self.environment = {"KEYMELD_UNITS": str(self.units), "HOME": str(folder)}
        for body in blocks(OPERATE, "toml") + blocks(OPERATE, "ini"):
            name, _, text = body.removeprefix("# ").partition("\n")
            file = Path(self.here(name))
            file.parent.mkdir(exist_ok=True)
            file.write_text(self.here(text))

    def here(self, text: str) -> str:
        """What the page says, for this machine."""
        for name, found in self._there.items():
            text = text.replace(name, found)
        return text

    async def systemctl(self, verb: str) -> None:
        """Start or stop all services."""
        services = [unit.stem for unit in self.units.glob("*.service")]
        await run(self.units, sys.executable, str(UNITS), verb, *services, environment=self.environment)

    async def type(self, *commands: str) -> str:
        """Type the page's commands into one shell; gives what they printed."""
        shell = f'systemctl() {{ "{sys.executable}" "{UNITS}" "$@"; }}\n'
        script = shell + self.here("\n".join(commands))
        return await run(self.units, "bash", "-euo", "pipefail", "-c", script, environment=self.environment)


def free_ports(number: int) -> list[str]:
    """Ports that nobody has now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [str(each.getsockname()[1]) for each in sockets]


def test_the_settings_in_the_files_are_taken(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    coordinator = server_config.load(["--config", machine.here("/var/lib/keymeld/coordinator.toml")], {})
    _, enclave = enclave_config.load(["--config", machine.here("/var/lib/keymeld-enclave/enclave.toml")], {})
    assert coordinator.database == tmp_path / "keymeld" / "keymeld.sqlite"
    assert enclave.coordinator.origin in coordinator.accepted_origins()


@pytest.mark.asyncio
@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("sqlite3")), reason="needs curl and sqlite3")
async def test_an_operator_starts_tries_backs_up_and_restores(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    try:
        told = await machine.type(*blocks(OPERATE, "sh"))
    finally:
        await machine.systemctl("stop")
    assert re.search(r"^alive\nready\n", told)
    assert 'keymeld_connections{side="enclave"} 1.0' in told
    assert re.search(r"^[0-9a-f]{128}$", told, re.MULTILINE), told
    assert re.search(r"epoch [0-9a-f]{32} begins.*safe to fund", told, re.DOTALL)


def test_the_settings_and_metrics_that_operators_read_about_are_there() -> None:
    text = (ROOT / OPERATE).read_text()
    metrics = Metrics()
    metrics.submitted("keygen.create", "stored", 0.001)
    metrics.closed(4100)
    rendered = metrics.render().decode()
    for name in re.findall(r"`(keymeld_[a-z_]+)`", text):
        assert re.search(rf"^# TYPE {name} ", rendered, re.MULTILINE), name
    known = {*server_config.ServerConfig.__dataclass_fields__, *enclave_config.EnclaveConfig.__dataclass_fields__}
    said = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text)) - set(re.findall(r"`(keymeld_[a-z_]+)`", text))
    assert said - known <= {"bad_signature", "too_many_connections", "over_limit"}


# Integrating ----------------------------------------------------------------------------------------------------


def module(page: str) -> ModuleType:
    """The page's Python blocks, as the one module that they are."""
    made = ModuleType(page)
    exec(compile("\n".join(blocks(page, "python")), page, "exec"), vars(made))
    return made


@pytest.mark.asyncio
async def test_a_back_end_makes_a_key_and_has_everything_signed_that_is_wanted(tmp_path: Path) -> None:
    sdk = module(INTEGRATE)
    async with (
        House() as house,
        sdk.participant(house.url, tmp_path / "alice", house.enclaves[0].identity) as alice,
        sdk.participant(house.url, tmp_path / "bob", house.enclaves[0].identity) as bob,
    ):
        await sdk.until_online(alice)
        tickets = await sdk.open_treasury(alice, 2)
        ours = await sdk.take_part(alice, tickets[0], "Alice", sdk.WHATEVER_A_MEMBER_ASKS, Allow())
        his = await sdk.take_part(bob, tickets[1], "Bob", sdk.MY_OWN_YES, sdk.pays_only(FOREIGN, 50_000, 10_000))
        assert await sdk.receive_address(ours) == await sdk.receive_address(his)
        clerk = asyncio.create_task(sdk.clerk(bob, FOREIGN, most=55_000))
        await has_what_is_wanted_signed(sdk, ours)
        await takes_the_secret_off_a_completed_signature(sdk, ours)
        clerk.cancel()
        await asyncio.gather(clerk, return_exceptions=True)
        too_much = await sdk.ask(ours, paid(ours, 90_000, 80_000), "more")
        assert (await sdk.signed_or_why(too_much, b"")).startswith("output_not_allowed by slots (0, 1)")
        told = await sdk.how_it_stands(alice)
        assert [line.split()[1] for line in told] == ["completed:", "completed,", "rejected,", "completed,", "failed,"]


def paid(treasury: Keygen, coin: int, amount: int) -> bytes:
    """Another wallet's PSBT: it spends a coin of the treasury and pays the one whom Bob lets be paid."""
    return psbt([(coin, treasury.roster.script())], amount)


async def has_what_is_wanted_signed(sdk: ModuleType, treasury: Keygen) -> None:
    """Bob's clerk says yes to what he wants, and no to a fee that he does not."""
    rent = paid(treasury, 54_000, 50_000)
    signing = await sdk.ask(treasury, rent, "rent")
    signed, final = await sdk.result(signing, rent)
    assert signed == await sdk.signed_or_why(signing, rent) and final is not None
    assert "signing.approve" in await sdk.follow(signing)
    dear = await sdk.ask(treasury, paid(treasury, 60_000, 50_000), "rent")
    assert (await sdk.signed_or_why(dear, b"")).startswith("rejected by slots (1,)")


async def takes_the_secret_off_a_completed_signature(sdk: ModuleType, treasury: Keygen) -> None:
    """Whoever holds the pre-signature learns the secret from the transaction that is published."""
    with Secret.generate() as secret:
        signing = await sdk.pre_sign(treasury, paid(treasury, 53_000, 50_000), secret.point)
        transaction = await sdk.complete(signing, bytes(secret.buffer))
        assert await sdk.learn(signing, transaction[-68:-4]) == bytes(secret.buffer)


def test_the_errors_that_integrators_read_about_are_there() -> None:
    names = set(re.findall(r"^\| `([A-Za-z]+)` \|", (ROOT / INTEGRATE).read_text(), re.MULTILINE))
    kinds = [kind for kind in vars(client_errors).values() if isinstance(kind, type)]
    ours = {kind.__name__ for kind in kinds if kind.__module__ == client_errors.__name__}
    assert names == ours | {"Blamed", "WireError"}


# Writing a client -----------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_client_without_our_code_makes_a_key_and_has_a_signature() -> None:
    program = "\n".join(blocks(CLIENT, "python"))
    async with House() as house:
        told = await run(ROOT, sys.executable, "-c", program, house.url, house.enclaves[0].identity)
    key, signature = re.findall(r"\b(?:[0-9a-f]{64}){1,2}\b", told)
    assert verify(bytes.fromhex(signature), bytes(32), bytes.fromhex(key))
    assert "keymeld_" not in program


def test_the_frames_that_writers_of_clients_read_are_those_of_the_vectors() -> None:
    text = (ROOT / CLIENT).read_text()
    assert filled(text, WIRE) == text
    assert len(names(text)) == len(blocks(CLIENT, "json"))


def test_writers_of_clients_read_about_every_file_of_vectors() -> None:
    named = set(re.findall(r"`([a-z]+\.json)`", (ROOT / CLIENT).read_text()))
    assert {file.name for file in WIRE.glob("*.json")} == named
