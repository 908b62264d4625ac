"""What a client does by itself: it confirms each keygen that was completed, once it has verified the roster.

completed ─▶ every card verified, every own join in its slot ─▶ keygen.confirm        else never: a problem
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from keymeld_protocol.errors import KeymeldError
from keymeld_protocol.machines.keygen import KeygenPhase
from keymeld_protocol.values import Id

from .errors import NotConnected
from .keygens import Keygen

if TYPE_CHECKING:
    from .client import Client


async def confirm_completed(client: Client) -> None:
    """Confirm each completed keygen in which an own slot has not, until there is no conversation any more."""
    settled: set[Id] = set()
    with suppress(NotConnected):
        await client.ready()
        while True:
            for keygen in client.keygens():
                if keygen.waiting is not None:
                    settled.discard(keygen.id)  # what was lost may be said of other joins, when it is back
                elif keygen.id not in settled and keygen.state.phase == KeygenPhase.COMPLETED:
                    settled.add(keygen.id)
                    await _confirm(client, keygen)
            await client.ledger.changed()


async def _confirm(client: Client, keygen: Keygen) -> None:
    """Confirm, or remember why not.

    Raises:
        NotConnected: there will be no conversation.
    """
    try:
        await keygen.confirm()
    except NotConnected:
        raise
    except KeymeldError as error:
        client.courier.problems.append(error)
