"""What keygens and signings have in common as handles: a client, a name, and the log that was verified so far.

A handle holds no state: all of it is in the client's verified log, and whatever is shown was computed from there.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar

from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.values import Id
from keymeld_protocol.wire.records import Record

from .errors import WalletError
from .line.lost import name_of

if TYPE_CHECKING:
    from .client import Client


class Handle:
    """One session that this wallet takes part in; compare by ``id``."""

    WHAT: ClassVar[str]
    """What it is a handle of, in a word."""

    def __init__(self, client: Client, stream: Id) -> None:
        """A client makes them."""
        self.client = client
        self.id = stream

    def __repr__(self) -> str:
        """Its name and where it stands."""
        heard = self.client.ledger.replay(self.id)
        phase = getattr(heard and heard.state, "phase", "not heard")
        return f"<{type(self).__name__} {self.id.hex()[:12]} {phase}>"

    @property
    def heard(self) -> Replay:
        """The verified log so far.

        Raises:
            WalletError: nothing was heard yet.
        """
        heard = self.client.ledger.replay(self.id)
        if heard is None:
            raise self.client.ledger.refused.get(self.id) or WalletError(f"nothing was heard of this {self.WHAT} yet")
        return heard

    @property
    def read_only(self) -> str | None:
        """Why nothing is said here any more, or None."""
        return self.client.ledger.trouble(self.id)

    @property
    def waiting(self) -> str | None:
        """That its coordinator has lost statements which are not back yet, and who owes them; None: it has not."""
        return self.client.ledger.waiting(self.id)

    @property
    def missing(self) -> dict[Id, str]:
        """The statements that are waited for, also of a signing's keygen: which they are, and whose, by id."""
        ledger, keygen = self.client.ledger, self.client.ledger.replay(self._streams()[-1])
        state = keygen.as_keygen if keygen is not None else None
        lost = (record for stream in self._streams() for record in ledger.missing(stream))
        return {record.statement.id: name_of(record, state) for record in lost}

    def go_without_lost(self, only: Collection[Id] | None = None) -> tuple[Record, ...]:
        """Go on without the statements that are `missing`, or with ``only`` those of them; gives them.

        The wallet remembers it. What they said is not in the log: whoever said no in them may have to say so again.
        Whoever asks a person names what was shown: meanwhile the coordinator may have lost more.

        Raises:
            WalletError: the disk failed.
        """
        ledger, gone = self.client.ledger, list[Record]()
        for stream in self._streams():
            lost = [each for each in ledger.missing(stream) if only is None or each.statement.id in only]
            ledger.wallet.lost.go_without(stream, [record.statement.id for record in lost])
            ledger.ring(stream)
            gone += lost
        return tuple(gone)

    def _streams(self) -> tuple[Id, ...]:
        """Its own, and of a signing that of its keygen."""
        state = self.heard.state
        return (self.id,) if state is None or state.parent is None else (self.id, state.parent)

    @property
    def head_age_ms(self) -> int | None:
        """How long ago the coordinator last signed where this stream stands; None if never. `ask_head` asks anew."""
        return self.client.ledger.head_age_ms(self.id)

    async def ask_head(self) -> int | None:
        """Have the coordinator sign anew where this stream stands, over a fresh nonce; gives the age (ms), as above.

        Raises:
            NotConnected: there will be no conversation.
        """
        await self.client.courier.subscribe(self.id)
        return self.head_age_ms
