"""An import contract that cannot fail open: what is not named may not be imported.

    packages               whose imports are looked at
    allowed                the packages that they may import, beside themselves
    exceptions             "importer -> imported", each by name; one that nothing needs any more breaks the contract

A list of what is forbidden forgets whatever is new.  Imports inside ``if TYPE_CHECKING:`` bind nothing at run time, and
are not in the graph.
"""

from __future__ import annotations

from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class Only(Contract):
    """``packages`` import nothing but ``allowed``, whosever these are: ours, the standard library's, or others'."""

    type_name = "only"

    packages: Any = fields.ListField(subfield=fields.StringField())
    allowed: Any = fields.ListField(subfield=fields.StringField())
    exceptions: Any = fields.ListField(subfield=fields.StringField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Compare every import of the packages with what is allowed."""
        packages, allowed = list(self.packages), [*self.packages, *self.allowed]
        found = {
            f"{importer} -> {imported}"
            for importer in sorted(graph.modules)
            if _within(importer, packages)
            for imported in graph.find_modules_directly_imported_by(importer)
            if not _within(imported, allowed)
        }
        excepted = set(self.exceptions or ())
        wrong = sorted(found - excepted) + [f"{each}: an exception that nothing needs" for each in excepted - found]
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print what is imported and not named."""
        for each in check.metadata["wrong"]:
            output.print_error(f"- {each}", bold=False)


def _within(module: str, packages: list[str]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)
