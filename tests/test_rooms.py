"""The house stays one that a reader finds his way in: rooms of a size, and one meaning for each name."""

import ast
from collections import defaultdict
from pathlib import Path

from tests.support.vectors import ROOT

SOURCES = sorted(path for name in ("protocol", "enclave", "server", "client") for path in (ROOT / name).rglob("*.py"))

MODULES_MAX = 21
"""Modules of one folder beside ``__init__``: more than that is two rooms."""

SHARED = {
    "T": "a type variable, of no meaning beyond its file",
}
"""Names of classes and types that several files have, and why."""


def types_of(path: Path) -> set[str]:
    """The public classes and types that a file defines, by their spelling: CapWords."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if name[0].isupper() and not name.isupper()} | (names & {"T"})


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
    twice = {name: files for name, files in homes.items() if len(files) > 1}
    assert twice.keys() <= SHARED.keys(), {name: twice[name] for name in twice.keys() - SHARED.keys()}
    assert SHARED.keys() <= twice.keys(), "these are unique now, and need no mention"
