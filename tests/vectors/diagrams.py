"""Print the machines' tables where people read them: ``make diagrams``.

    protocol/README.md               <!-- diagram keygen -->, <!-- states keygen -->, each up to <!-- end -->
    machines/{keygen,signing,wallet}.py     the indented lines that follow "Drawn from ``TRANSITIONS`` …:"

What stands there is replaced, never written by hand.  In a drawing ``↺`` is what happens without leaving a phase, and
``▶`` what leads from it to another one.
"""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from keymeld_protocol.machines.machine import Machine  # noqa: E402
from keymeld_protocol.machines.streams import MACHINES  # noqa: E402

README: Final = ROOT / "protocol" / "README.md"
WIDTH: Final = 112
"""Characters of a drawing's line, so that it fits into a docstring."""
_BLOCK: Final = re.compile(r"(<!-- (diagram|states) (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_DRAWN: Final = re.compile(r"(^Drawn from ``TRANSITIONS`` [^\n]*:\n\n)(?:(?: {4}[^\n]*)?\n)*?(?=\S)", re.MULTILINE)


def source(machine: Machine[Any]) -> Path:
    """The file whose docstring shows the machine."""
    return ROOT / "protocol" / "keymeld_protocol" / "machines" / f"{machine.name}.py"


def in_specification(text: str) -> str:
    """``text`` with every block between markers printed anew.

    Raises:
        KeyError: a block names a machine that does not exist.
    """
    machines = {machine.name: machine for machine in MACHINES}

    def printed(block: re.Match[str]) -> str:
        machine = machines[block[3]]  # type: ignore[index]
        body = f"```\n{drawing(machine)}\n```" if block[2] == "diagram" else states(machine)
        return f"{block[1]}{body}\n{block[4]}"

    return _BLOCK.sub(printed, text)


def in_docstring(text: str, machine: Machine[Any]) -> str:
    """``text``, a module, with the drawing in its docstring printed anew."""
    lines = "".join(f"    {line}\n" if line else "\n" for line in drawing(machine).split("\n"))
    return _DRAWN.sub(lambda block: f"{block[1]}{lines}\n", text, count=1)


def states(machine: Machine[Any]) -> str:
    """The machine's table in markdown: a row for each entry."""
    rows = [
        f"| {phase.name} | `{tag_of(kind)}` | {'; '.join(_lead(to, words) for to, words in move.leads.items())} |"
        for (phase, kind), move in machine.table.items()
    ]
    return "\n".join(["| state | kind | next |", "|---|---|---|", *rows])


def drawing(machine: Machine[Any]) -> str:
    """The machine phase by phase: what stays in it, and what leads where."""
    wide = 2 + max(len(phase.name) for phase in phases_of(machine))
    begins = ", ".join(_lead(to, words) for to, words in machine.begins.items())
    lines = [f"{tag_of(machine.opens)} ─▶ {begins}", ""]
    for phase in phases_of(machine):
        found = _from(machine, phase)
        for target, said in found.items():
            last = target is list(found)[-1]
            arrow = "↺ " if target is phase else f"{'└' if last else '├'}▶ {target.name:{wide}}"
            first = phase.name if target is next(iter(found)) else ""
            lines += _wrapped(f"{first:{wide}}{arrow}", said, " " * wide + ("  " if last or target is phase else "│ "))
    ends = [phase.name for phase in phases_of(machine) if not _from(machine, phase)]
    return "\n".join([*lines, *([f"{'ends':{wide}}{' · '.join(ends)}"] if ends else [])])


def phases_of(machine: Machine[Any]) -> list[Any]:
    """Every phase of a machine, in its own order."""
    phases: type[StrEnum] = type(next(iter(machine.begins)))
    return list(phases)


def _from(machine: Machine[Any], phase: Any) -> dict[Any, list[str]]:
    """For each phase to which ``phase`` leads, itself first: the kinds that lead there, together where alike."""
    alike: dict[Any, dict[str, list[str]]] = {}
    for (here, kind), move in machine.table.items():
        for to, words in move.leads.items() if here is phase else ():
            alike.setdefault(to, {}).setdefault(words, []).append(tag_of(kind))
    found = {
        to: [f"{', '.join(said[words])} {words}".strip() for words in sorted(said, key=bool)]
        for to, said in alike.items()
    }
    return {to: found[to] for to in sorted(found, key=lambda to: (to is not phase, phases_of(machine).index(to)))}


def _wrapped(begin: str, said: list[str], margin: str) -> list[str]:
    """What leads to one phase, on as many lines as it takes; later ones begin with ``margin``."""
    lines, line = [], begin + said[0]
    for one in said[1:]:
        if len(line) + len(one) + 3 > WIDTH:
            lines.append(line)
            line = margin + " " * (len(begin) - len(margin)) + one
        else:
            line += f" · {one}"
    return [*lines, line]


def _lead(to: Any, words: str) -> str:
    return f"{to.name} {words}".strip()


def tag_of(kind: Any) -> str:
    """How a kind is written."""
    return str(kind.__struct_config__.tag)


def main() -> None:
    """Print the specification's blocks and each machine's docstring anew."""
    README.write_text(in_specification(README.read_text("utf-8")), encoding="utf-8")
    for machine in MACHINES:
        source(machine).write_text(in_docstring(source(machine).read_text("utf-8"), machine), encoding="utf-8")
    print(f"{len(MACHINES)} machines drawn in {README.relative_to(ROOT)} and in their docstrings")


if __name__ == "__main__":
    main()
