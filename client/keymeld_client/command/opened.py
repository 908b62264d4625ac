"""What members sealed to one another, opened for the screen: labels, memos and reasons, as they came or quoted.

What does not open is shown as nothing: a stream is told even if one of its members sealed nonsense.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keymeld_protocol.errors import KeymeldError
from keymeld_protocol.foreign import REASON_CELLS, quoted
from keymeld_protocol.member.roster import read_card
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.body import Body
from keymeld_protocol.plaintext.contents import Detail, Terms
from keymeld_protocol.values import Id
from keymeld_protocol.wire.payloads import CustodyRefuse, KeygenCreate, SigningRefuse, SigningRequest
from keymeld_protocol.wire.records import Record

from .names import Names

if TYPE_CHECKING:
    from ..client import Client


def names_of(client: Client, keygen: Id) -> Names:
    """The names of a keygen's people, with the labels of the cards that hold."""
    return Names.of(client.keygen(keygen).state, lambda slot: label_of(client, keygen, slot))


def label_of(client: Client, keygen: Id, slot: int) -> str:
    """The label of a slot's card, as its owner wrote it; "" if there is none that holds."""
    handle = client.keygen(keygen)
    try:
        if handle.state.roster is not None:
            return handle.roster.cards[slot].label
        return read_card(handle.heard, client.group(keygen), slot).label
    except (KeymeldError, IndexError):
        return ""


def detail_of(client: Client, keygen: Id, record: Record) -> str:
    """The sealed words of a record, quoted: a label, a memo or a reason; "" if there are none."""
    words = words_of(client, keygen, record)
    if not isinstance(record.statement.payload, KeygenCreate):
        return quoted(words, REASON_CELLS) if words else ""
    terms = _terms(client, keygen, record)
    return f"{quoted(terms.label) if terms.label else 'no label'}, {terms.network}" if terms is not None else ""


def words_of(client: Client, keygen: Id, record: Record) -> str:
    """The sealed words of a record as somebody wrote them, for scripts: print them with ``quoted``."""
    said = record.statement.payload
    try:
        match said:
            case KeygenCreate():
                terms = _terms(client, keygen, record)
                return terms.label if terms is not None else ""
            case SigningRequest():
                return contents.parse(Body, _open(client, keygen, record, "body")).memo
            case CustodyRefuse() | SigningRefuse() if said.detail is not None:
                return contents.parse(Detail, _open(client, keygen, record, "detail")).message
    except KeymeldError:
        pass
    return ""


def _terms(client: Client, keygen: Id, record: Record) -> Terms | None:
    """The terms that a creation holds, if they open."""
    try:
        return contents.parse(Terms, _open(client, keygen, record, "terms"))
    except KeymeldError:
        return None


def _open(client: Client, keygen: Id, record: Record, field: str) -> bytes:
    """The plaintext of a sealed field; nothing if it is not here."""
    sealed = record.statement.blob(field)
    return client.group(keygen).open_in(record.statement.payload, field, sealed) if sealed is not None else b""
