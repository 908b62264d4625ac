"""The words and numbers of errors: stable, distinct, and silent about secrets."""

from keymeld_protocol import errors
from keymeld_protocol.errors import (
    Astray,
    BadInput,
    Blamed,
    BrokenLog,
    Fork,
    InvalidCrypto,
    KeymeldError,
    Newer,
    Reason,
    Refused,
    Unavailable,
    WireError,
    bad_field,
    code_for,
)


def test_every_reason_has_a_number_of_its_own() -> None:
    assert len({reason.code for reason in Reason}) == len(Reason)


def test_numbers_are_json_rpcs_or_the_servers_own() -> None:
    standard = {Reason.BAD_JSON: -32700, Reason.UNKNOWN_METHOD: -32601, Reason.BAD_FIELD: -32602}
    for reason in Reason:
        assert reason.code == standard.get(reason, reason.code)
        assert reason in standard or -32099 <= reason.code <= -32000


def test_a_reason_is_its_word() -> None:
    assert [str(reason) for reason in Reason] == [reason.name.lower() for reason in Reason]


def test_only_what_may_pass_by_itself_is_worth_repeating() -> None:
    assert {reason for reason in Reason if reason.repeatable} == {
        Reason.OVER_LIMIT,
        Reason.TOO_MANY_REQUESTS,
        Reason.UNAVAILABLE,
        Reason.DRAINING,
    }


def test_what_travels_is_a_wire_error() -> None:
    for kind in (BadInput, Refused, Unavailable):
        assert kind.__mro__[1:3] == (WireError, KeymeldError)


def test_what_a_hearer_finds_does_not_travel() -> None:
    for kind in (InvalidCrypto, Blamed, BrokenLog, Fork):
        assert issubclass(kind, KeymeldError) and not issubclass(kind, WireError)
    assert issubclass(Fork, BrokenLog)


def test_a_wire_error_reads_reason_field_message() -> None:
    assert str(BadInput(Reason.BAD_JSON, "no JSON")) == "bad_json: no JSON"
    assert str(Refused(Reason.SLOT_TAKEN, "slot 1 is taken", field="slot")) == "slot_taken (slot): slot 1 is taken"


def test_bad_field_names_its_field_twice() -> None:
    error = bad_field("rule.of", "must rise")
    assert (error.reason, error.field, error.message) == (Reason.BAD_FIELD, "rule.of", "rule.of: must rise")


def test_blame_names_its_slots() -> None:
    assert str(Blamed("bad_psig", (0, 2), "item 1")) == "bad_psig, slots 0 and 2: item 1"
    assert str(Blamed("bad_terms", (), "unreadable")) == "bad_terms: unreadable"


def test_a_later_version_is_named_as_such_and_as_nobodys_fault() -> None:
    assert {reason for reason in Reason if reason.is_newer} == {Reason.UNKNOWN_KIND, Reason.UNKNOWN_VERSION}
    assert code_for(BadInput(Reason.UNKNOWN_VERSION, "v"), "bad_body") == errors.NEWER == "newer_version"
    assert code_for(bad_field("v", "is missing"), "bad_body") == code_for(InvalidCrypto("x"), "bad_body") == "bad_body"
    assert issubclass(Newer, Astray) and not issubclass(Newer, BrokenLog)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = errors.__doc__ or ""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, KeymeldError)]
    assert all(kind.__name__ in drawn for kind in kinds)
