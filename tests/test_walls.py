"""The walls between the rooms hold: each import that one of them must stop is planted in a copy, and breaks it.

All of them are planted at once, so that the contracts are checked once: a broken one lists every import that breaks it.
"""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.vectors import ROOT

PACKAGES = {name: ROOT / name / f"keymeld_{name}" for name in ("protocol", "enclave", "server", "client")}
PACKAGES["host"] = ROOT / "protocol" / "keymeld_host"

PLANTS = [
    ("one-way", "keymeld_enclave.custody", "keymeld_client.errors"),
    ("one-way", "keymeld_client.line.link", "keymeld_server.config"),
    ("one-way", "keymeld_protocol.values", "keymeld_enclave.clock"),
    ("one-way", "keymeld_host.settings", "keymeld_server.config"),
    ("one-way", "keymeld_protocol.wire.records", "keymeld_host.settings"),
    ("ground", "keymeld_protocol.wire.frames", "socket"),
    ("ground", "keymeld_protocol.keys.kdf", "pathlib"),
    ("ground", "keymeld_protocol.machines.replay", "time"),
    ("ground", "keymeld_protocol.member.plan", "requests"),
    ("ground", "keymeld_protocol.member.plan", "importlib"),
    ("ground", "keymeld_protocol.member.roster", "keymeld_host.settings"),
    ("host", "keymeld_host.settings", "keymeld_protocol.keys.ticket"),
    ("host", "keymeld_host.keyfiles", "keymeld_protocol.curve.secp256k1"),
    ("host", "keymeld_host.files", "socket"),
    ("host", "keymeld_host.settings", "msgspec"),
    ("ground", "keymeld_protocol.peer.talk", "asyncio"),
    ("ground", "keymeld_protocol.peer.waits", "random"),
    ("ground", "keymeld_protocol.peer.heartbeat", "time"),
    ("libraries", "keymeld_protocol.plaintext.contents", "btclib_wallet"),
    ("libraries", "keymeld_protocol.member.roster", "btclib"),
    ("libraries", "keymeld_client.said.joining", "coincurve"),
    ("libraries", "keymeld_enclave.custody", "nacl"),
    ("rooms", "keymeld_protocol.curve.schnorr", "keymeld_protocol.keys.derivation"),
    ("rooms", "keymeld_protocol.wire.records", "keymeld_protocol.machines.replay"),
    ("rooms", "keymeld_protocol.machines.signing", "keymeld_protocol.keys.aead"),
    ("rooms", "keymeld_protocol.machines.signing", "keymeld_protocol.plaintext.contributions"),
    ("rooms", "keymeld_protocol.plaintext.body", "keymeld_protocol.member.plan"),
    ("rooms", "keymeld_protocol.bitcoin.transaction", "keymeld_protocol.member.roster"),
    ("rooms", "keymeld_protocol.peer.resuming", "keymeld_protocol.machines.replay"),
    ("rooms", "keymeld_protocol.peer.talk", "keymeld_protocol.keys.ticket"),
    ("rooms", "keymeld_protocol.wire.connection", "keymeld_protocol.peer.calls"),
    ("rooms", "keymeld_protocol.values", "keymeld_protocol.errors"),
    ("client-rooms", "keymeld_client.wallet.files", "keymeld_client.line.ledger"),
    ("client-rooms", "keymeld_client.shown.results", "keymeld_client.said.asking"),
    ("client-rooms", "keymeld_client.signings", "keymeld_client.command.app"),
    ("coordinator", "keymeld_server.hub", "keymeld_protocol.keys.aead"),
    ("coordinator", "keymeld_server.dispatch", "keymeld_protocol.curve.ecdsa"),
    ("coordinator", "keymeld_server.store.port", "keymeld_protocol.keys.derivation"),
    ("coordinator", "keymeld_server.sessions", "keymeld_protocol.plaintext.contributions"),
    ("coordinator", "keymeld_server.sessions", "keymeld_protocol.member.roster"),
    ("coordinator", "keymeld_server.sessions", "keymeld_protocol.member.contributing"),
    ("coordinator", "keymeld_server.decide", "keymeld_protocol.member.signer"),
    ("coordinator", "keymeld_server.hub", "keymeld_protocol.member.speaker"),
    ("coordinator", "keymeld_server.hub", "keymeld_protocol.peer.calls"),
    ("coordinator", "keymeld_server.clock", "keymeld_protocol.bitcoin.transaction"),
    ("coordinator", "keymeld_server.observe", "urllib"),
    ("coordinator", "keymeld_server.config", "tomllib"),
    ("coordinator", "keymeld_server.secretfiles", "stat"),
    ("coordinator", "keymeld_server.store.sqlite.schema", "fcntl"),
    ("enclave", "keymeld_enclave.custody", "sqlite3"),
    ("enclave", "keymeld_enclave.agent", "aiosqlite"),
    ("enclave", "keymeld_enclave.config", "argparse"),
    ("enclave", "keymeld_enclave.keymanagement", "fcntl"),
    ("coordinator", "keymeld_server.hub", "importlib"),
    ("store", "keymeld_server.store.sqlite.rows", "keymeld_server.door.websocket"),
    ("store", "keymeld_server.store.port", "keymeld_server.hub"),
    ("client", "keymeld_client.line.link", "aiohttp"),
    ("client", "keymeld_client.shown.log", "subprocess"),
    ("psbt", "keymeld_enclave.agent", "keymeld_protocol.bitcoin.psbt"),
    ("psbt", "keymeld_protocol.member.plan", "keymeld_protocol.bitcoin.psbt"),
    ("secnonce", "keymeld_enclave.agent", "keymeld_protocol.curve.musig_secret"),
    ("secnonce", "keymeld_client.signings", "keymeld_protocol.curve.musig_secret"),
    ("secnonce", "keymeld_protocol.member.attempt", "keymeld_protocol.curve.musig_secret"),
    ("contributor", "keymeld_protocol.member.policies", "keymeld_protocol.member.signer"),
    ("contributor", "keymeld_protocol.member.attempt", "keymeld_protocol.member.contributing"),
    ("contributor", "keymeld_enclave.custody", "keymeld_protocol.member.signer"),
    ("contributor", "keymeld_client.signings", "keymeld_protocol.member.contributing"),
    ("contributor", "keymeld_client.wallet.wallet", "keymeld_protocol.member.signer"),
    ("contributor", "keymeld_server.sessions", "keymeld_protocol.member.contributing"),
    ("time", "keymeld_client.line.ledger", "time"),
    ("clock", "keymeld_client.signings", "keymeld_client.clock"),
    ("clock", "keymeld_client.command.signings", "keymeld_client.clock"),
    ("terminal", "keymeld_client.shown.telling", "rich"),
    ("terminal", "keymeld_client.client", "click"),
    ("terminal", "keymeld_client.cli", "click"),
    ("terminal", "keymeld_client.said.joining", "segno"),
    ("command", "keymeld_client.__init__", "keymeld_client.command.app"),
    ("command", "keymeld_client.shown.log", "keymeld_client.command.screen"),
]
"""Contract, importer, imported.  Third-party modules need not be installed: imports are read, not carried out."""

CYCLE = ("keymeld_enclave.clock", "keymeld_enclave.link")
"""An import that leads back to where it stands; the report says which ones would have to go."""

UNDECLARED = [
    ("rooms", "protocol/keymeld_protocol/attic.py", "keymeld_protocol.attic"),
    ("client-rooms", "client/keymeld_client/attic/__init__.py", "keymeld_client.attic"),
]
"""Contract, a new file, the module that it is: it has to choose a room."""


def names() -> dict[str, str]:
    """Each contract's sentence, by its id."""
    text = (ROOT / "pyproject.toml").read_text()
    return dict(re.findall(r'^id = "([\w-]+)"\nname = "([^"]+)"', text, re.MULTILINE))


def lint(root: Path) -> str:
    """What the contracts say of the tree at ``root``."""
    paths = [str(root / name) for name in PACKAGES]
    program = f"import sys; sys.path[:0] = {paths!r}; from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", program, "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages, the contracts, and what they are made with."""
    root = tmp_path_factory.mktemp("house")
    for name, package in PACKAGES.items():
        shutil.copytree(package, root / name / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "tests/support").mkdir(parents=True)
    for file in ("pyproject.toml", "tests/__init__.py", "tests/support/__init__.py", "tests/support/only.py"):
        shutil.copy(ROOT / file, root / file)
    return root


@pytest.fixture(scope="module")
def report(copy: Path) -> dict[str, str]:
    """By contract, what the copy is told of it when everything forbidden was planted."""
    for importer, imported in [CYCLE, *(plant[1:] for plant in PLANTS)]:
        name, *rest = importer.removeprefix("keymeld_").split(".")
        with (copy / name / f"keymeld_{name}" / Path(*rest)).with_suffix(".py").open("a") as file:
            file.write(f"\nimport {imported}\n")
    for _, path, _ in UNDECLARED:
        (copy / path).parent.mkdir(exist_ok=True)
        (copy / path).write_text('"""A file that nobody has found a room for."""\n')
    broken = lint(copy).partition("Broken contracts")[2]
    parts = re.split(r"^(.+)\n-+\n", broken.partition("\n")[2], flags=re.MULTILINE)
    ids = {" ".join(name.split()): ident for ident, name in names().items()}
    return {
        ids[title.strip()]: part for title, part in zip(parts[1::2], parts[2::2], strict=True) if title.strip() in ids
    }


def test_the_walls_stand_in_the_tree_as_it_is(copy: Path) -> None:
    assert "0 broken" in lint(copy)


@pytest.mark.parametrize(("contract", "importer", "imported"), PLANTS)
def test_a_forbidden_import_breaks_its_contract(
    report: dict[str, str], contract: str, importer: str, imported: str
) -> None:
    module = importer.removesuffix(".__init__")
    assert re.search(rf"{re.escape(module)} -> {re.escape(imported)}\b", report[contract])


@pytest.mark.parametrize(("contract", "path", "module"), UNDECLARED)
def test_a_new_file_has_to_choose_a_room(report: dict[str, str], contract: str, path: str, module: str) -> None:
    assert module in report[contract]


def test_an_import_that_leads_back_is_a_cycle(report: dict[str, str]) -> None:
    assert "No cycles are allowed in keymeld_enclave." in report["no-cycles"]


def test_every_contract_has_something_planted_against_it() -> None:
    assert set(names()) == {"no-cycles", *(contract for contract, _, _ in PLANTS)}


def test_the_protocol_asks_the_system_for_random_bytes_and_its_process_id_alone() -> None:
    for path in sorted(PACKAGES["protocol"].rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.ImportFrom) and node.module == "os":
                assert {alias.name for alias in node.names} <= {"urandom", "getpid"}, where
            assert not (isinstance(node, ast.Import) and "os" in [alias.name for alias in node.names]), where
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("open", "print", "input", "exec", "eval", "__import__"), where
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in ("now", "utcnow", "today"), where


@pytest.mark.parametrize("name", PACKAGES)
def test_nothing_is_imported_past_the_contracts(name: str) -> None:
    for path in sorted(PACKAGES[name].rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            word = getattr(called, "id", getattr(called, "attr", ""))
            assert word not in ("__import__", "import_module", "exec", "eval"), (
                f"{path.name}:{getattr(node, 'lineno', 0)}"
            )
