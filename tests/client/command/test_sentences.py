"""command/sentences.py, names.py: every kind has a sentence, and no stranger's text reaches the terminal raw."""

from typing import Any

from keymeld_client.command.names import Names
from keymeld_client.command.sentences import SENTENCES, Sentence, sentence
from keymeld_protocol.values import Digest, Epoch, Hash, Id, XOnlyKey
from keymeld_protocol.wire.payloads import (
    KINDS,
    AttemptOpened,
    CustodyAccept,
    KeygenConfirm,
    KeygenJoin,
    Note,
    SigningApprove,
    SigningContribute,
    WalletNote,
    WalletOpen,
)
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.shapes import Rule, Signer
from keymeld_protocol.wire.statements import Statement

BOB, VAULT, SOMEBODY = (XOnlyKey(bytes([n]) * 32) for n in (2, 9, 7))
HERE: dict[str, Any] = {"v": 1, "stream": Id(bytes(32)), "after": Hash(bytes(32))}


def names(label: str = "Bob") -> Names:
    """Bob in slot 1, his key in an enclave."""
    made = Names(lambda slot: label)
    join = KeygenJoin(
        by=BOB, slot=1, invite=XOnlyKey(bytes(32)), custody="sealed", rule=Rule(approval="self"),
        policy=Hash(bytes(32)), enclave=VAULT, card=Digest(bytes(32)), envelope=Digest(bytes(32)), **HERE,
    )  # fmt: skip
    made.learn(join)
    return made


def told(said: Any, label: str = "Bob", detail: str = "") -> Sentence:
    """What a statement's record says."""
    statement = Statement("", said, Id(bytes(32)), (), ())
    return sentence(Record(Epoch(bytes(16)), 1, 0, Hash(bytes(32)), statement), names(label), detail)


def test_every_kind_of_a_session_has_a_sentence() -> None:
    assert set(KINDS.values()) - set(SENTENCES) == {WalletOpen, WalletNote}


def test_a_participant_is_named_with_slot_and_label() -> None:
    assert str(told(SigningApprove(by=BOB, **HERE))) == '00:00:00  slot 1 "Bob" approves'


def test_an_enclave_is_named_by_the_beginning_of_its_key() -> None:
    assert told(KeygenConfirm(by=VAULT, roster=Hash(bytes(32)), **HERE)).who == "enclave 090909"


def test_somebody_unknown_is_called_so() -> None:
    assert told(SigningApprove(by=SOMEBODY, **HERE)).who == "somebody (070707)"


def test_whose_key_an_enclave_holds_is_said() -> None:
    assert told(CustodyAccept(by=VAULT, slot=1, join=Id(bytes(32)), **HERE)).what == 'holds the key of slot 1 "Bob"'


def test_an_attempt_tells_who_signs_for_whom_and_who_goes_last() -> None:
    signers = (Signer(key=VAULT, slots=(0, 1)), Signer(key=SOMEBODY, slots=(2,)))
    said = AttemptOpened(by=SOMEBODY, attempt=1, signers=signers, last=VAULT, **HERE)
    expected = (
        "opens attempt 1: enclave 090909 for slots 0 and 1, somebody (070707) for slot 2; enclave 090909 goes last"
    )
    assert told(said).what == expected


def test_each_step_has_its_words() -> None:
    def what(step: Any) -> str:
        over = Hash(bytes(32)) if step in ("psigs", "both") else None
        said = SigningContribute(
            by=VAULT, attempt=1, slots=(1,), step=step, over=over, values=Digest(bytes(32)), **HERE
        )
        return told(said).what

    assert what("nonces") == "sends nonces for slot 1"
    assert what("signatures") == "signs for slot 1"


def test_a_detail_ends_the_sentence() -> None:
    assert told(SigningApprove(by=BOB, **HERE), detail="because").what == "approves: because"


def test_attack_52_terminal_escapes_in_a_label_are_written_out() -> None:
    who = told(SigningApprove(by=BOB, **HERE), label="\x1b[2J\u202ebob").who
    assert who == 'slot 1 "\\u{1b}[2J\\u{202e}bob"'


def test_an_impossible_time_is_told_as_a_number() -> None:
    assert "9007199254740991 ms" in told(SigningApprove(by=BOB, until=2**53 - 1, **HERE)).what


def test_a_note_of_a_later_version_is_named_and_no_more() -> None:
    said = Note(kind="note.hello", by=BOB, **HERE)
    assert told(said).what == "says note.hello, which this version shows no further"
