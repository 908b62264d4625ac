"""command/typed/encoded.py: the bytes that a person gives, in hex, in base64 or in a file."""

from pathlib import Path

import pytest

from keymeld_client.command.typed import encoded
from keymeld_protocol.curve.secp256k1 import pubkey_of
from keymeld_protocol.errors import WireError


def test_a_spent_output_has_its_script_or_the_groups_own() -> None:
    assert encoded.spent("0.5btc:5120AB") == (50_000_000, b"\x51\x20\xab")
    assert encoded.spent("700") == (700, None)


@pytest.mark.parametrize("text", ["5:xyz", "5:512", "5:", "x:51", ":51"])
def test_a_spent_output_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^use AMOUNT:SCRIPT|^an amount is"):
        encoded.spent(text)


def test_a_transaction_is_hex_or_a_file_of_hex_or_bytes(tmp_path: Path) -> None:
    (tmp_path / "hex").write_text("0200ff\n")
    (tmp_path / "raw").write_bytes(b"\x02\x00\xff")
    read = [encoded.transaction(text) for text in ("0200ff", str(tmp_path / "hex"), str(tmp_path / "raw"))]
    assert read == [b"\x02\x00\xff"] * 3


def test_a_psbt_is_refused_with_what_to_give_instead(tmp_path: Path) -> None:
    (tmp_path / "psbt").write_bytes(b"psbt\xff\x01")
    (tmp_path / "base64").write_text("cHNidP8B")
    for name in ("psbt", "base64"):
        with pytest.raises(ValueError, match=r"PSBT.*--psbt"):
            encoded.transaction(str(tmp_path / name))


def test_a_file_that_is_missing_too_long_or_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(bytes(1024 * 1024 + 1))
    (tmp_path / "empty").touch()
    for name, complaint in (("none", "neither hex nor a file"), ("long", "1 MiB"), ("empty", "empty"), ("", "neither")):
        with pytest.raises(ValueError, match=complaint):
            encoded.transaction(str(tmp_path / name))


def test_a_transaction_announces_its_inputs() -> None:
    assert encoded.inputs_of(bytes(4) + b"\x03") == 3
    assert encoded.inputs_of(bytes(4) + b"\xfd\x00\x01") == 256
    assert encoded.inputs_of(b"") == 0


def test_a_key_in_either_case_is_read_and_anything_else_refused() -> None:
    assert encoded.key("AB" * 32).hex() == "ab" * 32
    with pytest.raises(ValueError, match="keymeld-enclave identity"):
        encoded.key("ab")


def test_a_psbt_is_read_from_a_file_or_from_base64(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b"psbt\xff\x01\n")
    (tmp_path / "text").write_bytes(b"cHNidP8B\n")
    assert encoded.psbt(str(tmp_path / "raw")) == b"psbt\xff\x01\n"
    assert encoded.psbt(str(tmp_path / "text")) == encoded.psbt("cHNidP8B") == b"cHNidP8B"


def test_what_is_no_psbt_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "hex").write_bytes(b"0200")
    for text, told in ((str(tmp_path / "hex"), "is no PSBT"), ("/nowhere", "neither base64 nor a file")):
        with pytest.raises(ValueError, match=told):
            encoded.psbt(text)


# Keys that are brought along --------------------------------------------------------------------------------------


def written(folder: Path, text: str, mode: int = 0o600) -> str:
    """A key file."""
    path = folder / "key.hex"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_key_is_read_from_its_owners_file(tmp_path: Path) -> None:
    assert encoded.secret(written(tmp_path, f"{'0F' * 32}\n")).buffer == b"\x0f" * 32


@pytest.mark.parametrize("text", ["", "00" * 32, "ff" * 32, "0f" * 31, "0f" * 33, "0f" * 999, "x" * 64, "é" * 32])
def test_a_file_without_a_key_is_refused_and_not_quoted(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="must hold 64 hex digits") as refused:
        encoded.secret(written(tmp_path, text))
    assert not text or text not in str(refused.value)


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^the file has mode 0644, so others may use it; run chmod 600 on it$"):
        encoded.secret(written(tmp_path, "0f" * 32, 0o644))


@pytest.mark.parametrize(
    ("typed", "told"), [("0f" * 32, "never typed"), ("0f" * 200, "too long"), ("~0f0f0f", "never typed")]
)
def test_a_key_that_is_typed_as_an_argument_is_refused_and_not_quoted(typed: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        encoded.secret(typed)
    assert "0f" not in str(refused.value)


def test_a_folder_is_no_key_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a regular file"):
        encoded.secret(str(tmp_path))


# What completes an item ---------------------------------------------------------------------------------------------

POINTS = [pubkey_of(bytes(31) + bytes([i])).hex() for i in (1, 2)]


@pytest.mark.parametrize(("word", "mode"), [("", "single"), ("and:", "and"), ("or:", "or")])
def test_an_adaptor_is_a_point_or_several_of_which_all_or_any_complete_it(word: str, mode: str) -> None:
    named = POINTS[: 1 if mode == "single" else 2]
    read = encoded.adaptor(word + ",".join(named).upper())
    assert (read.mode, [point.hex() for point in read.points]) == (mode, named)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "66 hex digits"),
        (f"xor:{POINTS[0]},{POINTS[1]}", "use POINT, and:POINT,POINT or or:POINT,POINT"),
        (f"and:{POINTS[0]}", "and: takes two points or more"),
        (",".join(POINTS), "and: takes all their secrets, or: any of them"),
        (f"or:{POINTS[0]},{POINTS[0]}", "opposite stands there twice"),
        (f"or:{POINTS[0]},02{'ff' * 32}", "no point of the curve"),
        ("or:" + ",".join(POINTS * 33), "66 points; at most 64"),
    ],
)
def test_an_adaptor_that_cannot_be_meant_is_refused(text: str, complaint: str) -> None:
    with pytest.raises((ValueError, WireError), match=complaint):
        encoded.adaptor(text)
