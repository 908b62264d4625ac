"""Every relative link in the repository's pages leads to a file that is there, and to a heading that is in it."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.vectors import ROOT

_CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")


def pages() -> list[Path]:
    """Every page below the root, but for those of environments and of whatever else is not kept."""
    made = {".venv", "play", "build", "dist", "node_modules"}
    found = [path.relative_to(ROOT) for path in ROOT.rglob("*.md")]
    return sorted(path for path in found if not any(part in made or part.startswith(".venv") for part in path.parts))


def anchors(page: Path) -> set[str]:
    """The names by which a page's headings are linked to: lower case, words joined by dashes, punctuation left out."""
    text = _CODE.sub(lambda code: "" if code[1] else code[0].strip("`"), page.read_text("utf-8"))
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(next(each for each in _numbered(name) if each not in found))
    return found


def _numbered(name: str) -> Iterator[str]:
    """The first heading of a name has it alone; the next ones are counted."""
    yield name
    yield from (f"{name}-{number}" for number in range(1, 1000))


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    found = _LINK.findall(_CODE.sub("", page.read_text("utf-8")))
    return [link for link in found if not _ELSEWHERE.match(link) and not _leads(page, link)]


def _leads(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken(ROOT / page) == []


def test_every_file_that_the_readme_draws_is_there() -> None:
    drawn = re.findall(
        r"(?:^| )((?:protocol|server|client|enclave)/keymeld_[\w/]+(?:\.py)?)", (ROOT / "README.md").read_text(), re.M
    )
    assert len(drawn) > 12 and [path for path in drawn if not (ROOT / path).exists()] == []


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_pages_are_those_that_are_kept() -> None:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a clone")
    assert {Path(line) for line in listed.stdout.splitlines()} <= set(pages())


@pytest.mark.parametrize("link", ["gone.md", "#gone", "here.md#gone", "gone/"])
def test_a_link_that_leads_nowhere_is_found(link: str, tmp_path: Path) -> None:
    page = tmp_path / "here.md"
    page.write_text(
        f"# Here it is\n\n[there]({link}) and [here](#here-it-is), [here too](here.md), [far](https://a.b)\n"
    )
    assert broken(page) == [link]


def test_headings_are_linked_to_without_their_punctuation(tmp_path: Path) -> None:
    page = tmp_path / "here.md"
    page.write_text("# `keymeld`, and what it is\n```sh\n# a comment\n```\n## Why?\n## Why?\n")
    assert anchors(page) == {"keymeld-and-what-it-is", "why", "why-1"}
