"""The ``keymeld`` command: what a person types to make a key with others, and to sign with it.

    create ─▶ tickets ─▶ join … join ─▶ address ─▶ request ─▶ show ─▶ approve ─▶ result
                  sessions, watch: look on          export, verify: keep and check

The commands themselves are in the other files of this folder; this one is their list.
"""

from __future__ import annotations

from types import ModuleType
from typing import Final

import click

from .verbs import Verbs

LIST: Final = {
    "create": ("inviting", "Open a keygen and print a ticket for each slot."),
    "tickets": ("inviting", "Print the tickets of a SESSION that you created once more."),
    "join": ("joining", "Take part with a TICKET: make a key and seal it."),
    "restore": ("restoring", "Find your seats again, with your identity and a TICKET."),
    "sessions": ("keygens", "List this wallet's sessions and signings, and who is missing."),
    "address": ("addresses", "Show the address of a SESSION, and whether it is safe to fund."),
    "confirm": ("keygens", "Verify the roster of a complete SESSION and say so."),
    "release": ("keygens", "Free a SLOT of a SESSION that you created."),
    "leave": ("keygens", "Take your key out of a SESSION, for good."),
    "go-on": ("going_on", "Go on with a SESSION without what was lost."),
    "request": ("requesting", "Ask the members of a SESSION for signatures."),
    "show": ("signings", "Show what a SIGNING would sign, and who has approved it."),
    "approve": ("signings", "Say yes to a SIGNING, after it was shown."),
    "reject": ("signings", "Say no to a SIGNING, for good."),
    "cancel": ("signings", "Take back a SIGNING that you asked for, until anyone signs."),
    "result": ("results", "Print the signatures and transactions of a SIGNING."),
    "adaptor": ("adaptors", "Verify, complete and take apart adaptor signatures."),
    "watch": ("keeping", "Tell a SESSION live, or a signing, or all of them."),
    "export": ("keeping", "Write the log of a session or signing (STREAM) to FILE."),
    "verify": ("keeping", "Check an exported LOG without any server."),
    "trust": ("keeping", "Name the enclaves that this wallet seals keys to."),
    "identity": ("keeping", "Show which wallet this is, and where its secret lies."),
}
"""Every command: the file that has it, which is read when it is typed, and its line in the overview."""


class Listed(Verbs):
    """The commands of `LIST`, in that order: that of a session's life."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(LIST)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the file that has it; None if it is none."""
        if name not in LIST:
            return None
        command: click.Command = getattr(_file(LIST[name][0]), name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview without importing any."""
        room = formatter.width - 6 - max(map(len, LIST))
        with formatter.section("Commands"):
            lines = ((name, click.Command(name, help=line)) for name, (_, line) in LIST.items())
            formatter.write_dl([(name, stub.get_short_help_str(room)) for name, stub in lines])


def _file(name: str) -> ModuleType:
    """Import a file of commands, by a statement that the contracts see."""
    if name == "adaptors":
        from . import adaptors

        return adaptors
    if name == "addresses":
        from . import addresses

        return addresses
    if name == "going_on":
        from . import going_on

        return going_on
    if name == "inviting":
        from . import inviting

        return inviting
    if name == "joining":
        from . import joining

        return joining
    if name == "keeping":
        from . import keeping

        return keeping
    if name == "keygens":
        from . import keygens

        return keygens
    if name == "requesting":
        from . import requesting

        return requesting
    if name == "restoring":
        from . import restoring

        return restoring
    if name == "results":
        from . import results

        return results
    from . import signings

    return signings


@click.group(cls=Listed)
@click.version_option(package_name="keymeld-client", message="keymeld %(version)s")
def main() -> None:
    """Make a Bitcoin key together (MuSig2), and sign with it while its owners are away.

    Everybody's part of the key is sealed, under the owner's own rule, to an enclave; a coordinator carries the
    messages and can neither read nor forge them.  This command verifies every record, address and signature itself.

    \b
    keymeld create --slots 3 --label treasury        tickets for three people
    keymeld join TICKET --trust-enclave KEY          each of them, once; then they may go offline
    keymeld address SESSION                          the group's taproot address
    keymeld request SESSION --tx FILE --spent SAT    ask for signatures
    keymeld show SIGNING; keymeld approve SIGNING    whose rule needs it
    keymeld result SIGNING                           the signed transaction
    keymeld restore TICKET                           your seats again, from a copy of your identity

    Names of sessions and signings may be abbreviated.  The options below may also follow the command's name.
    """
