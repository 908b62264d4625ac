"""What is waited for, in words: how many statements, whose, and why a signing cannot return."""

from keymeld_client.line.lost import NAMED, cannot_return, told_lost
from tests.support.machines import Signing, completed


def test_each_is_named_with_whoever_owes_it() -> None:
    keygen = completed(2)
    keygen.hear(keygen.leave(1))
    told = told_lost([keygen.records[0], *keygen.records[-2:]], keygen.state)
    assert told == (
        "not broken, waiting for 3 statements that were lost: keygen.create of the creator, "
        "custody.accept of the enclave of slots 0 and 1, keygen.leave of slot 1"
    )
    assert told_lost([], keygen.state) is None


def test_of_many_the_number_is_told() -> None:
    keygen = completed(3)
    assert f", {len(keygen.records) - NAMED} more" in (told_lost(keygen.records, keygen.state) or "")


def test_without_a_keygen_the_slot_or_the_key_names_who_it_was() -> None:
    keygen = completed(1)
    joined = told_lost(keygen.records[1:2], None)
    assert joined == "not broken, waiting for 1 statement that was lost: keygen.join of slot 0"
    signing = Signing(keygen)
    assert signing.records[0].statement.payload.by.hex()[:12] in (told_lost(signing.records, None) or "")
    assert signing.stream.hex()[:12] in cannot_return(signing.stream)
