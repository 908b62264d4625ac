"""The outbox: what was said and not answered survives, whatever the process was doing when it died."""

from contextlib import closing
from pathlib import Path

import pytest

from keymeld_client.errors import WalletError
from keymeld_client.wallet import journal as journal_module
from keymeld_client.wallet.journal import Journal
from keymeld_protocol.values import Epoch
from keymeld_protocol.wire.statements import Statement
from tests.support.logs import Scribe

URL = "ws://127.0.0.1:8765"


def statement() -> Statement:
    return Scribe(Epoch(bytes(16))).opening


def waiting(path: Path) -> list[Statement]:
    """What the next process finds."""
    with closing(Journal(path)) as journal:
        return [pending.statement for pending in journal.waiting()]


def test_a_statement_torn_by_a_crash_was_never_submitted(tmp_path: Path) -> None:
    path, first = tmp_path / "outbox", statement()
    with closing(Journal(path)) as journal:
        journal.post(URL, first)
        journal.post(URL, statement())
    path.write_bytes(path.read_bytes()[:-20])
    assert waiting(path) == [first]


def test_an_answer_torn_by_a_crash_leaves_the_statement_to_be_asked_again(tmp_path: Path) -> None:
    path, said = tmp_path / "outbox", statement()
    with closing(Journal(path)) as journal:
        journal.post(URL, said)
        journal.answered(said.id)
    path.write_bytes(path.read_bytes()[:-5])
    assert waiting(path) == [said]


def test_statements_around_an_answered_one_keep_their_order(tmp_path: Path) -> None:
    path, said = tmp_path / "outbox", [statement() for _ in range(3)]
    with closing(Journal(path)) as journal:
        for one in said:
            journal.post(URL, one)
        journal.answered(said[1].id)
    assert waiting(path) == [said[0], said[2]]


def test_a_journal_of_answered_statements_is_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "EMPTIED_ABOVE", 1000)
    path = tmp_path / "outbox"
    with closing(Journal(path)) as journal:
        for _ in range(10):
            said = statement()
            journal.post(URL, said)
            journal.answered(said.id)
        assert path.stat().st_size < 2000
        last = statement()
        journal.post(URL, last)
    assert waiting(path) == [last]


def test_answering_twice_is_fine(tmp_path: Path) -> None:
    said = statement()
    with closing(Journal(tmp_path / "outbox")) as journal:
        journal.post(URL, said)
        journal.answered(said.id)
        journal.answered(said.id)
        assert journal.waiting() == ()


def test_a_damaged_line_is_told(tmp_path: Path) -> None:
    path = tmp_path / "outbox"
    with closing(Journal(path)) as journal:
        journal.post(URL, statement())
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    with pytest.raises(WalletError, match="line 1 is damaged"):
        Journal(path)
