"""faults.py: a contribution is judged as it stood when it was said: what it holds must hold, what it owes be there."""

import pytest

from keymeld_protocol.errors import Blamed
from keymeld_protocol.member.faults import require_sound
from keymeld_protocol.plaintext.contributions import Both, Entry, Failed, Finished, Nonce, Nothing, Psig
from tests.protocol.member.test_attempt import BAD_POINT, THREE, TWO, Table, item


def says(table: Table, number: int, step: str, entries: tuple[Entry, ...]) -> str | None:
    """What a signer is blamed for that says this now; None: nothing."""
    key, slots = table.signers[number].key, table.signers[number].slots
    table.attempt.hear(key, entries)
    try:
        require_sound(table.attempt, key, step)
    except Blamed as error:
        assert error.slots == slots
        return f"{error.code}: {error.message}"
    return None


def both(table: Table) -> tuple[Entry, ...]:
    return table.both(table.signers[0])


def test_honest_contributions_are_sound_each_at_its_time() -> None:
    table = Table(THREE)
    for number in (1, 2):
        assert says(table, number, "nonces", table.nonces(table.signers[number])) is None
    assert says(table, 0, "both", both(table)) is None
    for number in (1, 2):
        assert says(table, number, "psigs", table.psigs(table.signers[number])) is None


def test_a_psig_that_is_not_due_yet_is_not_missed() -> None:
    table = Table(TWO)
    assert says(table, 1, "nonces", table.nonces(table.signers[1])) is None


def test_what_is_owed_to_an_item_that_has_not_failed_is_missed() -> None:
    table = Table(TWO)
    assert says(table, 1, "nonces", (Nothing(), table.nonces(table.signers[1])[1])) == "missing_nonce: item 0"


def test_who_says_that_he_cannot_owes_nothing_and_nor_does_who_comes_after_him() -> None:
    table = Table(THREE)
    assert says(table, 1, "nonces", (Failed("no_key"), table.nonces(table.signers[1])[1])) is None
    assert says(table, 2, "nonces", (Nothing(), table.nonces(table.signers[2])[1])) is None


def test_what_fails_later_excuses_nobody_who_spoke_before() -> None:
    table = Table(THREE)
    first = says(table, 1, "nonces", (Nothing(), table.nonces(table.signers[1])[1]))
    assert says(table, 2, "nonces", (Failed("no_key"), table.nonces(table.signers[2])[1])) is None
    assert first == "missing_nonce: item 0"


def test_a_bad_value_is_a_fault_even_where_its_item_has_failed() -> None:
    table = Table(THREE)
    assert says(table, 1, "nonces", (Failed("no_key"), table.nonces(table.signers[1])[1])) is None
    assert says(table, 2, "nonces", (Nonce(BAD_POINT), table.nonces(table.signers[2])[1])) == "bad_nonce: item 0"


def test_a_psig_over_a_nonce_that_is_none_is_not_judged() -> None:
    table = Table(THREE)
    assert says(table, 1, "nonces", (Nonce(BAD_POINT), Nonce(BAD_POINT))) == "bad_nonce: item 0"
    assert says(table, 2, "nonces", table.nonces(table.signers[2])) is None
    nonces = [entry.pubnonce for entry in table.nonces(table.signers[0]) if isinstance(entry, Nonce)]
    assert says(table, 0, "both", tuple(Both(nonce, bytes(32)) for nonce in nonces)) is None


def test_a_bad_psig_and_a_missing_one_are_faults() -> None:
    table = Table(THREE).first_round()
    assert says(table, 1, "psigs", (table.psigs(table.signers[1])[0], Psig(bytes(32)))) == "bad_psig: item 1"
    assert says(table, 2, "psigs", (Nothing(), Nothing())) == "missing_psig: item 0"


@pytest.mark.parametrize("made", [Finished(bytes(64)), Nothing()])
def test_who_is_alone_on_an_item_owes_its_signature_with_his_psigs(made: Entry) -> None:
    table = Table(TWO, (item("all"), item("0 and 1", 0)))
    assert says(table, 1, "nonces", table.nonces(table.signers[1])) is None
    assert says(table, 0, "both", (both(table)[0], made)) == "bad_signature: item 1"
