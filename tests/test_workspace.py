"""The workspace keeps its promises: pinned with hashes, four distributions of one version, no registry named."""

import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from keymeld_client.cli import EXTRA
from tests.support.vectors import ROOT, published

MEMBERS = ("protocol", "enclave", "server", "client")
PACKAGES = {name: sorted((ROOT / name).glob("keymeld_*")) for name in MEMBERS}


def pins() -> list[str]:
    """Give one text per pinned package: its requirement line and the hash lines that belong to it."""
    return re.split(r"\n(?=\S)", (ROOT / "constraints.txt").read_text().strip())


def project(member: str) -> dict[str, Any]:
    """Read the `[project]` table of one distribution."""
    table = tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"]
    assert isinstance(table, dict)
    return table


def extras(member: str) -> dict[str, list[str]]:
    """What one distribution needs for each of its extras."""
    return dict(project(member).get("optional-dependencies", {}))


def named(requirements: list[str]) -> set[str]:
    """The distributions that these lines require."""
    return {re.split(r"[<>=;~! ]", requirement)[0] for requirement in requirements}


def test_every_pin_is_exact_and_hashed() -> None:
    for pin in pins():
        assert re.match(r"[a-z0-9.-]+==\S+ ", pin), pin
        assert "--hash=sha256:" in pin, pin


def test_the_pins_name_no_host_and_no_file() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert not re.search(r"://|index-url|find-links|^\s*#|^-e|file:", text, re.MULTILINE)


@pytest.mark.parametrize("member", MEMBERS)
def test_what_a_distribution_needs_is_pinned(member: str) -> None:
    pinned = {pin.partition("==")[0] for pin in pins()}
    needed = named([*project(member)["dependencies"], *chain(*extras(member).values())])
    assert needed - pinned <= {"keymeld-protocol"}


def test_the_terminal_is_an_extra_of_the_client_and_of_nobody_else() -> None:
    assert {member: set(extras(member)) for member in MEMBERS if extras(member)} == {"client": {"cli"}}
    assert named(extras("client")["cli"]) == set(EXTRA)
    assert named(project("client")["dependencies"]) == {"keymeld-protocol", "websockets"}


def test_the_four_distributions_share_one_version_and_one_range_of_python() -> None:
    assert {project(member)["version"] for member in MEMBERS} == {"0.1.0"}
    assert {project(member)["requires-python"] for member in MEMBERS} == {">=3.11,<3.14"}


@pytest.mark.parametrize(
    "package", [path for paths in PACKAGES.values() for path in paths], ids=lambda package: package.name
)
def test_a_package_carries_its_types(package: Path) -> None:
    assert (package / "py.typed").is_file()


def test_every_package_is_in_the_distribution_of_its_folder() -> None:
    packages = {name: [path.name for path in paths] for name, paths in PACKAGES.items()}
    assert packages.pop("protocol") == ["keymeld_host", "keymeld_protocol"] == sorted(wheel("protocol"))
    assert packages == {name: [f"keymeld_{name}"] for name in packages}


def wheel(member: str) -> list[str]:
    """The packages that the wheel of a distribution is told to hold; without a word it is the one of its name."""
    table = tomllib.loads((ROOT / member / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    packages = table["targets"]["wheel"]["packages"]
    assert isinstance(packages, list)
    return packages


def test_absent_vectors_skip_with_the_path_that_was_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYMELD_VECTORS", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match=r"no bip340/none\.csv"):
        published("bip340/none.csv")


def test_present_vectors_are_found_below_the_named_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bip340").mkdir()
    monkeypatch.setenv("KEYMELD_VECTORS", str(tmp_path))
    assert published("bip340") == tmp_path / "bip340"
