"""command/words.py: what a person types, and what it means."""

from pathlib import Path

import pytest

from keymeld_client.command import words
from keymeld_protocol.body import MAX_MONEY
from keymeld_protocol.shapes import MAX_DELAY_MS, Rule

QUORUM = Rule(approval="quorum", threshold=2, of=(0, 2, 4))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("none", Rule(approval="none")),
        ("self", Rule(approval="self")),
        ("2of3", Rule(approval="quorum", threshold=2, of=(0, 1, 2))),
        ("2of3:0,2,4", QUORUM),
        ("2of3:4,0,2", QUORUM),
        ("1of1:7", Rule(approval="quorum", threshold=1, of=(7,))),
    ],
)
def test_a_rule_is_read_from_words(text: str, rule: Rule) -> None:
    assert words.rule(text) == rule


@pytest.mark.parametrize(
    "text", ["", "Self", "2 of 3", "2of", "of3", "0of3", "4of3", "2of3:0,1", "2of3:0,1,1", "-1of3"]
)
def test_a_rule_that_cannot_be_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(ValueError, match="of"):
        words.rule(text)


def test_a_rule_goes_back_to_what_was_typed() -> None:
    assert [words.rule_short(words.rule(text)) for text in ("none", "self", "2of3:0,2,4")] == [
        "none",
        "self",
        "2of3:0,2,4",
    ]


def test_a_rule_is_explained_before_it_is_sealed() -> None:
    assert words.rule_explained(Rule(approval="none")).endswith("You are not asked.")
    assert "that you have not approved" in words.rule_explained(Rule(approval="self"))
    assert "2 of slots 0, 2 and 4 approve, with or without you" in words.rule_explained(QUORUM)


@pytest.mark.parametrize(
    ("text", "ms"), [("500ms", 500), ("30s", 30_000), ("1h30m", 5_400_000), ("2d", 172_800_000), ("1w", 604_800_000)]
)
def test_a_span_is_read_with_its_unit(text: str, ms: int) -> None:
    assert words.span(text) == ms


@pytest.mark.parametrize("text", ["", "5", "h", "0s", "-1h", "1.5h", "1 h", "999999999w999999999w999999999w"])
def test_a_span_without_unit_or_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unit|forever"):
        words.span(text)


@pytest.mark.parametrize(
    ("text", "sat"),
    [("0", 0), ("10000", 10_000), ("10,000sat", 10_000), ("1sats", 1), ("0.0001btc", 10_000), ("50BTC", 5_000_000_000),
     ("21000000btc", MAX_MONEY)],
)  # fmt: skip
def test_an_amount_is_satoshi_unless_it_says_btc(text: str, sat: int) -> None:
    assert words.amount(text) == sat


@pytest.mark.parametrize("text", ["", "0.5", "1e8", "-1", "0.000000001btc", "1mbtc", "21000001btc", "٣"])
def test_an_amount_that_could_be_misread_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"satoshi|21 million"):
        words.amount(text)


def test_a_spent_output_has_its_script_or_the_groups_own() -> None:
    assert words.spent("0.5btc:5120AB") == (50_000_000, b"\x51\x20\xab")
    assert words.spent("700") == (700, None)


@pytest.mark.parametrize("text", ["5:xyz", "5:512", "5:", "x:51", ":51"])
def test_a_spent_output_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^use AMOUNT:SCRIPT|^an amount is"):
        words.spent(text)


def test_a_transaction_is_hex_or_a_file_of_hex_or_bytes(tmp_path: Path) -> None:
    (tmp_path / "hex").write_text("0200ff\n")
    (tmp_path / "raw").write_bytes(b"\x02\x00\xff")
    read = [words.transaction(text) for text in ("0200ff", str(tmp_path / "hex"), str(tmp_path / "raw"))]
    assert read == [b"\x02\x00\xff"] * 3


def test_a_psbt_is_refused_with_what_to_give_instead(tmp_path: Path) -> None:
    (tmp_path / "psbt").write_bytes(b"psbt\xff\x01")
    (tmp_path / "base64").write_text("cHNidP8B")
    for name in ("psbt", "base64"):
        with pytest.raises(ValueError, match=r"PSBT.*--psbt"):
            words.transaction(str(tmp_path / name))


def test_a_file_that_is_missing_too_long_or_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(bytes(1024 * 1024 + 1))
    (tmp_path / "empty").touch()
    for name, complaint in (("none", "neither hex nor a file"), ("long", "1 MiB"), ("empty", "empty"), ("", "neither")):
        with pytest.raises(ValueError, match=complaint):
            words.transaction(str(tmp_path / name))


def test_a_transaction_announces_its_inputs() -> None:
    assert words.inputs_of(bytes(4) + b"\x03") == 3
    assert words.inputs_of(bytes(4) + b"\xfd\x00\x01") == 256
    assert words.inputs_of(b"") == 0


@pytest.mark.parametrize("text", ["2023-11-14", "2023-11-14 00:00", "2023-11-14T00:00Z", "2023-11-14 00:00 UTC"])
def test_a_time_is_read_in_utc_and_a_day_means_its_first_minute(text: str) -> None:
    assert words.when(text) == 1_699_920_000_000


@pytest.mark.parametrize("text", ["", "tomorrow", "2023-11-31", "2023-11-14 24:01", "14.11.2023", "1699920000", "2d"])
def test_a_time_that_could_be_misread_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"2026-12-01|calendar"):
        words.when(text)


def test_a_delay_is_a_span_of_at_most_six_days() -> None:
    assert words.delay("24h") == 86_400_000 and words.delay("6d") == MAX_DELAY_MS
    with pytest.raises(ValueError, match="at most 6d"):
        words.delay("7d")


TIMED = Rule(approval="none", delay_ms=5_400_000, not_before=0, not_after=86_400_000)


def test_a_rule_with_times_is_told_with_them() -> None:
    assert words.rule_told(TIMED) == (
        "any member's request is enough, 1h30m after it was heard, not before 1970-01-01 00:00 UTC, "
        "not after 1970-01-02 00:00 UTC"
    )


def test_the_times_of_a_rule_are_explained_before_they_are_sealed() -> None:
    delay, before, after = words.times_explained(TIMED)
    assert "1h30m after its enclave heard the request" in delay and "your no (keymeld reject) stops it" in delay
    assert before.endswith("before 1970-01-01 00:00 UTC") and "for good" in after
    assert "a no counts until then" in words.times_explained(Rule(approval="self", delay_ms=1))[0]
    assert words.times_explained(QUORUM) == []


def test_a_key_in_either_case_is_read_and_anything_else_refused() -> None:
    assert words.key("AB" * 32).hex() == "ab" * 32
    with pytest.raises(ValueError, match="keymeld-enclave identity"):
        words.key("ab")


def test_a_subset_rises_and_names_nobody_twice() -> None:
    assert words.subset("2,0") == (0, 2)
    for text in ("", "0,", "a", "1,1"):
        with pytest.raises(ValueError, match=r"slots|twice"):
            words.subset(text)


def test_a_label_is_unicode_and_short() -> None:
    assert words.within(3)("äöü") == "äöü"
    for text, complaint in (("four", "at most 3"), ("\udc80", "Unicode")):
        with pytest.raises(ValueError, match=complaint):
            words.within(3)(text)


def test_a_psbt_is_read_from_a_file_or_from_base64(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b"psbt\xff\x01\n")
    (tmp_path / "text").write_bytes(b"cHNidP8B\n")
    assert words.psbt(str(tmp_path / "raw")) == b"psbt\xff\x01\n"
    assert words.psbt(str(tmp_path / "text")) == words.psbt("cHNidP8B") == b"cHNidP8B"


def test_what_is_no_psbt_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "hex").write_bytes(b"0200")
    for text, told in ((str(tmp_path / "hex"), "is no PSBT"), ("/nowhere", "neither base64 nor a file")):
        with pytest.raises(ValueError, match=told):
            words.psbt(text)


# Keys that are brought along --------------------------------------------------------------------------------------


def written(folder: Path, text: str, mode: int = 0o600) -> str:
    """A key file."""
    path = folder / "key.hex"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_key_is_read_from_its_owners_file(tmp_path: Path) -> None:
    assert words.secret(written(tmp_path, f"{'0F' * 32}\n")).buffer == b"\x0f" * 32


@pytest.mark.parametrize("text", ["", "00" * 32, "ff" * 32, "0f" * 31, "0f" * 33, "x" * 64, "é" * 32])
def test_a_file_without_a_key_is_refused_and_not_quoted(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="must hold 64 hex digits") as refused:
        words.secret(written(tmp_path, text))
    assert not text or text not in str(refused.value)


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="chmod 600"):
        words.secret(written(tmp_path, "0f" * 32, 0o644))


def test_a_key_that_is_typed_as_an_argument_is_refused_and_not_quoted() -> None:
    with pytest.raises(ValueError, match="never typed") as refused:
        words.secret("0f" * 32)
    assert "0f" not in str(refused.value)
