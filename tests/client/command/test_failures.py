"""command/failures.py: every error that is raised on purpose has an exit code, a sentence, and often a way on."""

from __future__ import annotations

import pytest

from keymeld_client import errors
from keymeld_client.command.failures import (
    CODES_TOLD,
    FAILED,
    INTERRUPTED,
    OK,
    UNREACHABLE,
    UNVERIFIED,
    USAGE,
    code_of,
    hint_of,
    text_of,
)
from keymeld_protocol.errors import (
    BadInput,
    Blamed,
    BrokenLog,
    Fork,
    InvalidCrypto,
    KeymeldError,
    Reason,
    Refused,
    Unavailable,
    bad_field,
)
from keymeld_protocol.member.item_policy import WHY

ENDED = errors.SigningEnded("failed", "rule_not_met", (1,), "", False)
CODES = [
    (errors.NotConnected("away"), UNREACHABLE),
    (errors.NotSigned("fee_not_allowed", (1,), "x"), FAILED),
    (Blamed("bad_card", (1,), "x"), UNVERIFIED),
    (Blamed("newer_version", (1,), "x"), FAILED),
    (errors.ReadOnly(f"this session is read-only: {errors.NEEDS_NEWER} (offset 2)"), FAILED),
    (BrokenLog("x"), UNVERIFIED),
    (Fork("x"), UNVERIFIED),
    (InvalidCrypto("x"), UNVERIFIED),
    (errors.ReadOnly("x"), UNVERIFIED),
    (bad_field("slot", "must be 0…1"), USAGE),
    (Refused(Reason.SLOT_TAKEN, "x"), FAILED),
    (Unavailable(Reason.UNAVAILABLE, "x"), FAILED),
    (errors.WalletError("x"), FAILED),
    (errors.Damaged("x"), FAILED),
    (errors.NotTrusted("x"), FAILED),
    (errors.JoinRefused(0, "released"), FAILED),
    (errors.PushedOut(0, "released"), FAILED),
    (errors.KeygenEnded("x"), FAILED),
    (errors.WaitsForLost("x"), FAILED),
    (errors.NeedsSecret([b"\2" * 33]), FAILED),
    (ENDED, FAILED),
]
"""One of every kind."""


@pytest.mark.parametrize(("error", "code"), CODES, ids=lambda value: type(value).__name__)
def test_scripts_tell_errors_apart_by_their_exit_code(error: KeymeldError, code: int) -> None:
    assert code_of(error) == code


def test_every_error_of_the_client_and_the_protocol_is_among_them() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, KeymeldError)}
    told = {type(error) for error, _ in CODES}
    assert kinds - told == {KeymeldError}, "these have no exit code that anybody thought about"
    assert {BadInput, Refused, Unavailable, Blamed, BrokenLog, Fork, InvalidCrypto} <= told


def test_the_help_names_every_code() -> None:
    for code in (OK, FAILED, USAGE, UNREACHABLE, UNVERIFIED, INTERRUPTED):
        assert f" {code} " in f" {CODES_TOLD.replace(chr(10), ' ')} "


def test_what_the_wire_says_is_told_without_its_code_word() -> None:
    assert text_of(Refused(Reason.SLOT_TAKEN, "slot 1 is taken", field="slot")) == "slot 1 is taken"
    assert text_of(errors.KeygenEnded("the deadline passed")) == "the deadline passed"
    assert text_of(KeymeldError()) == "KeymeldError"


@pytest.mark.parametrize("reason", [Reason.SLOT_TAKEN, Reason.UNKNOWN_STREAM, Reason.OVER_LIMIT, Reason.EXPIRED])
def test_a_refusal_by_the_coordinator_has_a_way_on(reason: Reason) -> None:
    assert hint_of(Refused(reason, "x")).endswith(".")


def test_a_deadline_that_is_refused_is_answered_with_the_option_for_it() -> None:
    assert hint_of(bad_field("expires_at", "has passed")) == "Give it more time: --expires."


def test_a_reason_without_a_way_on_has_no_hint() -> None:
    assert hint_of(Refused(Reason.ALREADY_SAID, "x")) == "" == hint_of(KeymeldError("x"))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("this key was sealed before", "--seal-again"),
        ("the wallet is in use", "keymeld watch"),
        ("this folder holds no wallet", "--wallet DIR"),
        ("this folder holds no wallet", "keymeld restore --help"),
        ("found nothing: this identity has said no join", "the right one?"),
        ("something else", ""),
    ],
)
def test_a_wallet_that_lacks_something_says_what_makes_it(text: str, hint: str) -> None:
    told = hint_of(errors.WalletError(text))
    assert hint in told and bool(told) == bool(hint)


def test_an_enclave_that_is_away_is_told_apart_from_one_that_nobody_trusts() -> None:
    assert "Nothing was sealed" in hint_of(errors.NotTrusted("no trusted enclave is connected"))
    assert "--trust-enclave" in hint_of(errors.NotTrusted("no enclave is trusted"))


@pytest.mark.parametrize("code", ["fee_not_allowed", *sorted(WHY)])
def test_a_rule_that_is_sealed_with_a_key_is_not_asked_again(code: str) -> None:
    error = errors.SigningEnded("failed", code, (1,), "", False, at_fault=(1,))
    assert "sealed with a key" in hint_of(error)


def test_whose_fault_the_log_proves_is_worth_keeping_and_all_else_is_asked_again() -> None:
    assert "keymeld export" in hint_of(errors.SigningEnded("failed", "bad_psig", (0,), "", False, at_fault=(1,)))
    assert "keymeld request" in hint_of(ENDED)


def test_an_item_that_failed_alone_does_not_make_the_others_suspect() -> None:
    """It is a ``Blamed``, whose own hint would be another one."""
    assert "keymeld result" in hint_of(errors.NotSigned("fee_not_allowed", (1,), "x"))
    assert "Do not fund" in hint_of(Blamed("bad_card", (1,), "x"))


def test_what_is_of_a_later_version_calls_for_an_update_and_not_for_evidence() -> None:
    for error in (Blamed("newer_version", (), "x"), errors.ReadOnly(f"read-only: {errors.NEEDS_NEWER}")):
        assert hint_of(error).startswith("Update Keymeld")
