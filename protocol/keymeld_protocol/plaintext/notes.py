"""What the notes of a wallet hold: the sessions that a device finds again from the identity secret alone (§9.6).

    wallet.note note ──▶ SessionNote │ ForgetNote          sealed by `keys.sealing.NotesKey`

A session's note is what its tickets have in common: where it lives, and the group secret.  Everything else follows from
the identity and the log: the slots by their auth keys, the creator's invitations by the keygen's salt.  Of one keygen
the last note counts.  Nothing that is signed depends on a note: a coordinator can withhold them.

No client of this version writes notes.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from ..errors import BadInput, InvalidCrypto, bad_field
from ..keys.sealing import NotesKey
from ..keys.ticket import TicketSecret, origin_of
from ..values import Id, XOnlyKey
from ..wire.payloads import WalletNote
from ..wire.records import Record
from ..wire.shapes import VERSION
from .contents import Content, parse

MAX_ORIGIN: Final = 265
"""Characters of an origin: ``wss://``, and a host with its port as a ticket may have it."""


class SessionNote(Content, frozen=True, kw_only=True):
    """A session to find again; ``url`` is its coordinator's origin, ``secret`` the group secret S."""

    note: Literal["session"]
    keygen: Id
    coordinator: XOnlyKey
    url: Annotated[str, Meta(max_length=MAX_ORIGIN)]
    secret: TicketSecret

    def check(self) -> None:
        """The origin is written as proofs are bound to it (§2.4)."""
        try:
            written = origin_of(self.url)
        except BadInput as error:
            raise bad_field("url", error.message.removeprefix("url: ")) from None
        if written != self.url:
            raise bad_field("url", "must be an origin: lower case, no default port, no path")


class ForgetNote(Content, frozen=True, kw_only=True):
    """A session that is not to be found again; what stands in earlier notes of it does not count."""

    note: Literal["forget"]
    keygen: Id


AnyNote: TypeAlias = SessionNote | ForgetNote
_KINDS: Final[dict[str, type[AnyNote]]] = {"session": SessionNote, "forget": ForgetNote}


class _Head(msgspec.Struct):
    """What says whether a note is to be read."""

    v: int
    note: str


def read_note(raw: bytes) -> AnyNote | None:
    """Parse the plaintext of a note; None: one that this version does not know, and skips.

    Raises:
        BadInput: it breaks a rule of its kind, or is in another spelling; the message never holds a value.
    """
    try:
        head = msgspec.json.decode(raw, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise bad_field("note", "is no note") from None
    kind = _KINDS.get(head.note) if head.v == VERSION else None
    return None if kind is None else parse(kind, raw)


def sessions_of(records: Iterable[Record], key: NotesKey) -> dict[Id, SessionNote]:
    """The sessions that the verified records of a wallet's stream tell of, by keygen: of each the last note counts.

    What does not open, does not parse or is of a kind that nobody here knows is skipped.
    """
    found = dict[Id, SessionNote]()
    for record in records:
        said, sealed = record.statement.payload, None
        if isinstance(said, WalletNote):
            sealed = record.statement.blob("note")
        if sealed is None:
            continue
        with suppress(BadInput, InvalidCrypto):
            note = read_note(key.open_in(said, "note", sealed))
            if isinstance(note, SessionNote):
                found[note.keygen] = note
            elif note is not None:
                found.pop(note.keygen, None)
    return found
