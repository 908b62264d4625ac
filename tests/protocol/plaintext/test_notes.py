"""Notes of a wallet: a device that has the identity alone finds its sessions, and forgets what it is told to forget."""

from __future__ import annotations

import pytest

from keymeld_protocol.errors import BadInput, InvalidCrypto
from keymeld_protocol.keys.derivation import Identity
from keymeld_protocol.keys.sealing import NotesKey
from keymeld_protocol.keys.ticket import TicketSecret
from keymeld_protocol.machines.wallet import stream_of
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.notes import AnyNote, ForgetNote, SessionNote, read_note, sessions_of
from keymeld_protocol.values import Id, XOnlyKey
from tests.support.coordinator import secret_of
from tests.support.logs import Scribe

ROOT = bytes(range(32))
KEYGEN, OTHER = Id(b"\x11" * 32), Id(b"\x12" * 32)
SECRET = bytes(range(100, 132))


def session(keygen: Id = KEYGEN, url: str = "wss://keymeld.example") -> SessionNote:
    """A session to find again."""
    by = XOnlyKey(b"\x33" * 32)
    return SessionNote(v=1, note="session", keygen=keygen, coordinator=by, url=url, secret=TicketSecret(SECRET))


def forgotten(keygen: Id = KEYGEN) -> ForgetNote:
    """One that is not to be found again."""
    return ForgetNote(v=1, note="forget", keygen=keygen)


class Notebook:
    """A wallet's stream, as another device of its owner hears it."""

    def __init__(self) -> None:
        """It was opened, and nothing stands in it."""
        self.key = NotesKey(Identity(ROOT))
        self.scribe = Scribe(Scribe.EPOCH)
        self.records = [self.scribe.open()]

    def writes(self, *notes: AnyNote | bytes, key: NotesKey | None = None) -> None:
        """Each is sealed to its place."""
        for note in notes:
            raw = note if isinstance(note, bytes) else contents.encode(note)
            sealed = (key or self.key).seal("wallet.note", "note", self.scribe.stream, self.scribe.key, raw)
            self.records.append(self.scribe.note(sealed))

    def found(self) -> list[tuple[Id, str]]:
        """The sessions that the notes come to."""
        return [(note.keygen, note.url) for note in sessions_of(self.records, self.key).values()]


def test_a_session_is_found_from_its_note() -> None:
    book = Notebook()
    book.writes(session(), session(OTHER, "ws://127.0.0.1:8765"))
    assert book.found() == [(KEYGEN, "wss://keymeld.example"), (OTHER, "ws://127.0.0.1:8765")]


def test_of_one_session_the_last_note_counts() -> None:
    book = Notebook()
    book.writes(session(), session(url="wss://moved.example"))
    assert book.found() == [(KEYGEN, "wss://moved.example")]
    book.writes(forgotten(), session(OTHER))
    assert book.found() == [(OTHER, "wss://keymeld.example")]
    book.writes(session())
    assert sorted(keygen for keygen, _ in book.found()) == [KEYGEN, OTHER]


def test_to_forget_what_nobody_wrote_down_is_fine() -> None:
    book = Notebook()
    book.writes(forgotten())
    assert book.found() == []


@pytest.mark.parametrize(
    "raw",
    [
        b'{"v":2,"note":"session","keygen":5}',
        b'{"v":1,"note":"contact","name":"Bob"}',
        b'{"note":"session","v":7}',
    ],
)
def test_a_version_or_a_kind_that_is_unknown_is_skipped(raw: bytes) -> None:
    assert read_note(raw) is None
    book = Notebook()
    book.writes(session(), raw)
    assert book.found() == [(KEYGEN, "wss://keymeld.example")]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({'"secret":"': '"secret":"00'}, "secret"),
        ({'"url":"wss://': '"url":"https://'}, "url"),
        ({'"url":"wss://keymeld.example': '"url":"wss://keymeld.example:443'}, "url"),
        ({'"url":"wss://keymeld.example': '"url":"wss://Keymeld.example'}, "url"),
        ({'"url":"wss://keymeld.example': '"url":"wss://keymeld.example/'}, "url"),
        ({'"url":"wss://keymeld.example': '"url":"wss://' + "a" * 300}, "url"),
        ({'"coordinator":': '"coordinators":'}, "coordinators"),
        ({'"v":1,"note":"session"': '"note":"session","v":1'}, "sessionnote"),
        ({'{"v"': '{ "v"'}, "sessionnote"),
    ],
)
def test_a_note_that_breaks_a_rule_is_refused_alone(change: dict[str, str], field: str) -> None:
    text = contents.encode(session()).decode()
    for old, new in change.items():
        text = text.replace(old, new)
    with pytest.raises(BadInput) as caught:
        read_note(text.encode())
    assert caught.value.field == field and SECRET.hex() not in str(caught.value)
    book = Notebook()
    book.writes(text.encode(), session(OTHER), b"\xff no json")
    assert book.found() == [(OTHER, "wss://keymeld.example")]


def test_a_note_opens_for_its_owner_and_in_its_place_alone() -> None:
    book = Notebook()
    book.writes(session(), key=NotesKey(Identity(bytes(32))))
    assert book.found() == []
    sealed = book.key.seal("wallet.note", "note", book.scribe.stream, book.scribe.key, b"x")
    for place in (
        ("note.thanks", "note", book.scribe.stream, book.scribe.key),
        ("wallet.note", "body", book.scribe.stream, book.scribe.key),
        ("wallet.note", "note", OTHER, book.scribe.key),
        ("wallet.note", "note", book.scribe.stream, XOnlyKey(bytes(32))),
    ):
        with pytest.raises(InvalidCrypto):
            book.key.open(*place, sealed)


def test_the_stream_of_the_notes_follows_from_the_wallet_key() -> None:
    book = Notebook()
    assert stream_of(book.scribe.key) == book.scribe.stream
    assert stream_of(XOnlyKey(secret_of("somebody else"))) != book.scribe.stream


def test_no_secret_of_a_note_is_printed() -> None:
    for shown in (repr(session()), str(session()), repr(NotesKey(Identity(ROOT)))):
        assert SECRET.hex() not in shown and str(SECRET) not in shown
