"""The ``keymeld`` command: what a person types to make a key with others, and to sign with it.

    create ─▶ tickets ─▶ join … join ─▶ address ─▶ request ─▶ show ─▶ approve ─▶ result
                  sessions, watch: look on          export, verify: keep and check

The commands themselves are in the other files of this folder; this one is their list.
"""

from __future__ import annotations

import click

from . import (
    adaptors,
    addresses,
    going_on,
    inviting,
    joining,
    keeping,
    keygens,
    requesting,
    restoring,
    results,
    signings,
)
from .verbs import Verbs


@click.group(cls=Verbs)
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


for verb in (
    inviting.create, inviting.tickets, joining.join, restoring.restore,
    keygens.sessions, addresses.address, keygens.confirm, keygens.release, keygens.leave, going_on.go_on,
    requesting.request, signings.show, signings.approve, signings.reject, signings.cancel, results.result,
    adaptors.adaptor, keeping.watch, keeping.export, keeping.verify, keeping.trust, keeping.identity,
):  # fmt: skip
    main.add_command(verb)
