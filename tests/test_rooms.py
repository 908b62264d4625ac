"""The house stays one that a reader finds his way in: rooms of a size, and one meaning for each name."""

import ast
from collections import defaultdict
from pathlib import Path

from tests.support.vectors import ROOT

SOURCES = sorted(path for name in ("protocol", "enclave", "server", "client") for path in (ROOT / name).rglob("*.py"))

MODULES_MAX = 21
"""Modules of one folder beside ``__init__``: more than that is two rooms."""

PROGRAM = "every program has its own"
WRAPPED = "the host's, whose refusals are a wallet's errors there"
VERB = "a command of `keymeld` bears the verb that is typed"
SHARED = {
    "S": "a type variable, of no meaning beyond its file",
    "T": "a type variable, of no meaning beyond its file",
    "ABOUT": PROGRAM, "EXAMPLE": PROGRAM, "LOGGING": PROGRAM, "PREFIX": PROGRAM, "load": PROGRAM, "main": PROGRAM,
    "own_key": WRAPPED, "read_private": WRAPPED, "replace_file": WRAPPED,
    "adapt": VERB, "extract": VERB, "path": VERB, "request": VERB, "result": VERB, "verify": VERB,
    "OPEN_S": "how long a socket may take to open, in both peers",
    "SEND_S": "how long a coordinator may read nothing, in both peers",
    "now_ms": "this machine's time, where nobody is handed another",
    "wipe": "overwrites a buffer, in the protocol and in the host, which knows nothing of it",
}  # fmt: skip
"""Names that two packages have, and why one of them is not called otherwise."""


def names_of(path: Path) -> set[str]:
    """The public names that a file defines."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def types_of(path: Path) -> set[str]:
    """Its classes and types, by their spelling: CapWords."""
    return {name for name in names_of(path) if name[0].isupper() and not name.isupper()}


def test_no_folder_of_source_has_more_modules_than_a_reader_keeps_in_mind() -> None:
    rooms = defaultdict(list)
    for path in SOURCES:
        if path.name != "__init__.py":
            rooms[path.parent].append(path.name)
    assert {str(room): len(files) for room, files in rooms.items() if len(files) > MODULES_MAX} == {}


def test_a_type_has_one_name_and_a_name_one_type() -> None:
    homes = defaultdict(list)
    for path in SOURCES:
        for name in types_of(path):
            homes[name].append(str(path.relative_to(ROOT)))
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}


def test_a_name_is_one_packages_or_is_known_to_be_shared() -> None:
    packages = defaultdict(set)
    for path in SOURCES:
        for name in names_of(path):
            packages[name].add(path.relative_to(ROOT).parts[1])
    twice = {name: sorted(homes) for name, homes in packages.items() if len(homes) > 1}
    assert {name: homes for name, homes in twice.items() if name not in SHARED} == {}
    assert SHARED.keys() - twice.keys() == set(), "these are one package's now, and need no mention"
