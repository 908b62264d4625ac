"""What is raised can be printed: strangers' words move no cursor, and the slots are named (attack 52)."""

import pytest

from keymeld_client.errors import JoinRefused, SigningEnded


def test_a_refused_join_says_what_helps() -> None:
    told = str(JoinRefused(1, "bad_card", "no \x1b[2J proof"))
    assert told == 'slot 1: bad_card ("no \\u{1b}[2J proof"); joining again makes a fresh key'


def test_a_failed_signing_names_its_slots() -> None:
    told = str(SigningEnded("failed", "rule_not_met", (1, 2), "\x1b]0;gone\x07", False))
    assert told.startswith("the signing failed: rule_not_met, slots 1 and 2 (") and told.isprintable()


@pytest.mark.parametrize(
    ("phase", "slots", "told"),
    [
        ("rejected", (1,), "the signing was rejected by slot 1"),
        ("rejected", (1, 2), "the signing was rejected by slots 1 and 2"),
        ("rejected", (), "the signing was rejected: a rule can no longer be met"),
        ("cancelled", (), "the signing was cancelled by who asked for it"),
        ("expired", (), "the signing has expired"),
    ],
)
def test_an_end_is_told_once_and_with_who_wanted_it(phase: str, slots: tuple[int, ...], told: str) -> None:
    assert str(SigningEnded(phase, phase, slots, "", False)) == told


def test_a_signing_that_may_be_signed_warns() -> None:
    assert "treat its coins as spent" in str(SigningEnded("expired", "expired", (), "", True))
