"""notes.json: what the notes of a wallet hold, sealed, and the sessions that a device finds from the identity alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keymeld_protocol.keys.sealing import NotesKey
from keymeld_protocol.keys.ticket import TicketSecret
from keymeld_protocol.machines.wallet import stream_of
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.notes import ForgetNote, SessionNote
from keymeld_protocol.values import Id, XOnlyKey

from . import cast
from .cast import commented, secret_of
from .chance import Chance

KINDS = ("wallet.note", "note")


def session_note(name: str, url: str = "wss://keymeld.example") -> SessionNote:
    """A session that somebody wants to find again."""
    return SessionNote(
        v=1, note="session", keygen=Id(secret_of(name)), coordinator=XOnlyKey(cast.COORDINATOR.key), url=url,
        secret=TicketSecret(secret_of(f"S of {name}")),
    )  # fmt: skip


def forget_note(name: str) -> ForgetNote:
    """One that he does not."""
    return ForgetNote(v=1, note="forget", keygen=Id(secret_of(name)))


@dataclass
class Notebook:
    """Alice's notes, sealed each in its place."""

    key: NotesKey
    stream: Id
    by: XOnlyKey

    def written(self, why: str, plaintext: bytes, key: NotesKey | None = None) -> dict[str, Any]:
        """One note."""
        sealed = (key or self.key).seal(*KINDS, self.stream, self.by, plaintext)
        return commented(why, plaintext=plaintext.decode(), sealed=sealed)


def notes_json() -> Any:
    """The notes of one wallet in their order, and what they come to."""
    identity = cast.identity_of("alice")
    by = XOnlyKey(identity.wallet().key)
    book = Notebook(NotesKey(identity), stream_of(by), by)
    later = contents.encode(session_note("third")).decode()
    with Chance("notes"):
        notes = [
            book.written("a session", contents.encode(session_note("first"))),
            book.written("another one, at another coordinator's", contents.encode(session_note("second", "ws://[::1]:8765"))),
            book.written("a version that nobody knows yet is skipped", later.replace('"v":1', '"v":2').encode()),
            book.written("a kind that nobody knows yet is skipped", b'{"v":1,"note":"contact","name":"Bob"}'),
            book.written("a session", later.encode()),
            book.written("another spelling is skipped", later.replace(":1", ": 1", 1).encode()),
            book.written("it is to be forgotten", contents.encode(forget_note("third"))),
            book.written("to forget what stands nowhere is fine", contents.encode(forget_note("fourth"))),
            book.written("it has moved: of one session the last note counts",
                         contents.encode(session_note("first", "wss://moved.example"))),
            book.written("sealed under the key of somebody else: does not open, and is skipped",
                         contents.encode(forget_note("first")), NotesKey(cast.identity_of("bob"))),
        ]  # fmt: skip
    found = [session_note("first", "wss://moved.example"), session_note("second", "ws://[::1]:8765")]
    return commented(
        "Each note is sealed as every field is, under the notes key: kind wallet.note, field note, session the "
        "wallet's stream, by the wallet key. sessions are those that the notes come to, by keygen.",
        identity=cast.IDENTITIES["alice"], wallet_key=by, stream=book.stream, notes=notes,
        sessions=[contents.encode(note).decode() for note in found],
    )  # fmt: skip
