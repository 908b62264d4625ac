"""The code cites its law: protocol/README.md, every clause that is cited, and a test for every attack of its list.

§7, §7.4, §11.1.3      wherever it stands: that clause of protocol/README.md; the last is a numbered one of §11.1
attack 29              wherever it stands: that line of §13
test_attack_29_…       runs it
"""

import re

import pytest

from tests.support.vectors import ROOT

SIGN = "\N{SECTION SIGN}"  # not written out where it would be a citation
READ = (".py", ".md", ".toml", ".ts", ".sql")
ROOMS = ("wire", "machines", "peer", "keys", "plaintext", "member")
"""Rooms of the protocol in which every module implements some clause, and says which."""

CITED = re.compile(rf"{SIGN}(\d+(?:\.\d+)*)")
OTHERWISE = re.compile(rf"{SIGN}(?!\d)|[Ss]pecification,? \d|\b[Cc]lauses? \d")
ELSEWHERE = re.compile(rf"\b(?!README)[A-Z]{{4,}}(?:\.md)?,? (?:{SIGN}|\*[A-Z][a-z]+\*)|\b(?:RFC|BIP)[ -]?\d+,? {SIGN}")
PAGE = re.compile(r"\b[A-Z_]{4,}\.md\b")
NAMED = re.compile(r"\b[Aa]ttacks? (\d+(?:(?:, | and | to )\d+)*)")
RUN = re.compile(r"def test_attack_(\d+)_")
LINE = re.compile(r"^\| (\d+) \| .+ \| (.+) \|$", re.MULTILINE)
LATER = "*comes with "


def texts() -> dict[str, str]:
    """Everything here that people read, by its path: code, tests and texts; nothing that was installed."""
    paths = [*ROOT.glob("*.*"), *(path for folder in ROOT.glob("[a-z]*/") for path in folder.rglob("*.*"))]
    kept = [path for path in paths if path.suffix in READ and path.is_file() and "node_modules" not in path.parts]
    return {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in kept}


def clauses(law: str) -> set[str]:
    """The clauses of a text: the numbers of its headings, and of the numbered lines below each."""
    found, above = set[str](), ""
    for line in law.splitlines():
        if heading := re.match(r"##? (\d+(?:\.\d+)?)\.? \S", line):
            found.add(above := heading[1])
        elif numbered := re.match(r"(\d+)\. \S", line):
            found.add(f"{above}.{numbered[1]}")
    return found


def attacks(law: str) -> list[tuple[int, str]]:
    """Every line of the list: its number, and what makes it impossible."""
    chapter = law.partition("# 13. What must be impossible\n")[2].partition("\n# ")[0]
    return [(int(number), why) for number, why in LINE.findall(chapter)]


def numbers(text: str) -> set[int]:
    """The attacks that a text speaks of."""
    return {int(number) for named in NAMED.findall(text) for number in re.findall(r"\d+", named)}


TEXTS = texts()
LAW = TEXTS["protocol/README.md"]
CLAUSES, ATTACKS = clauses(LAW), attacks(LAW)
BUILT = {number for number, why in ATTACKS if not why.startswith(LATER)}


def found(pattern: re.Pattern[str]) -> set[tuple[str, str]]:
    """Where a pattern is found, and what."""
    return {(name, match[0]) for name, text in TEXTS.items() for match in pattern.finditer(text)}


# Clauses --------------------------------------------------------------------------------------------------------


def test_every_clause_that_is_cited_is_one_of_the_specification() -> None:
    assert {(name, cited) for name, cited in found(CITED) if cited.removeprefix(SIGN) not in CLAUSES} == set()


def test_a_clause_is_cited_in_one_way() -> None:
    assert found(OTHERWISE) == set()


def test_no_text_outside_of_this_repository_is_cited() -> None:
    here = {name.rpartition("/")[2] for name in TEXTS}
    assert found(ELSEWHERE) == set()
    assert {(name, page) for name, page in found(PAGE) if page not in here} == set()


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_that_implements_a_chapter_says_which_clause(room: str) -> None:
    modules = {name: text for name, text in TEXTS.items() if f"keymeld_protocol/{room}/" in name}
    assert modules
    assert [name for name, text in modules.items() if CITED.search(text) is None] == []


def test_a_clause_that_is_not_there_is_found_out() -> None:
    there = clauses("# 7. Signing\n\n## 7.4 Rules\n\n1. One.\n2. Two.\n")
    assert there == {"7", "7.4", "7.4.1", "7.4.2"}
    assert CITED.findall(f"({SIGN}7.4, {SIGN}7.4.3)") == ["7.4", "7.4.3"]
    for planted in (f"{SIGN} 7.4", "the specification, " + "7.4", "clause " + "7"):
        assert OTHERWISE.search(planted)
    for planted in (f"(DESIGN {SIGN}7)", "(DESIGN, " + "*Rules*)", f"RFC 6979 {SIGN}3.2"):
        assert ELSEWHERE.search(planted)
    assert PAGE.search("see DESIGN" + ".md")


# Attacks --------------------------------------------------------------------------------------------------------


def test_the_attacks_are_numbered_without_a_gap_and_none_twice() -> None:
    assert [number for number, _ in ATTACKS] == list(range(1, len(ATTACKS) + 1)) and len(ATTACKS) >= 52


def test_every_attack_has_its_clauses_or_says_with_what_it_comes() -> None:
    assert {number for number, why in ATTACKS if CITED.search(why) is not None} == BUILT


def test_every_attack_that_is_possible_here_is_run_by_a_test_of_its_number_and_no_other() -> None:
    run = {int(number) for name, text in TEXTS.items() if name.startswith("tests/") for number in RUN.findall(text)}
    assert sorted(run) == sorted(BUILT)


def test_every_attack_that_is_spoken_of_is_on_the_list() -> None:
    listed = {number for number, _ in ATTACKS}
    assert {(name, number) for name, text in TEXTS.items() for number in numbers(text) - listed} == set()


def test_an_attack_is_read_from_its_line() -> None:
    line = "# 13. What must be impossible\n\n| 1 | does this | §7 |\n| 2 | does that | *comes with more* |\n"
    assert attacks(line + "\n# 14. More\n\n| 3 | no | attack |\n") == [(1, f"{SIGN}7"), (2, "*comes with more*")]
    assert numbers("attack 7; attacks 10 and 11; Attacks 4, 5 and 29") == {4, 5, 7, 10, 11, 29}
