"""Sized values and their one spelling on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keymeld_protocol import values
from keymeld_protocol.values import (
    Digest,
    Epoch,
    Hash,
    Id,
    Message,
    PlainKey,
    PreSignature,
    Salt,
    Signature,
    Sized,
    XOnlyKey,
    decode_sized,
    digest,
    encode_sized,
    from_base64url,
    to_base64url,
)

ZEROS = "0" * 64
SIZES = {
    Id: 32, Hash: 32, Digest: 32, XOnlyKey: 32, PlainKey: 33, Signature: 64, PreSignature: 65, Epoch: 16, Salt: 32,
    Message: 32,
}  # fmt: skip


def test_the_sizes_are_the_specifications() -> None:
    kinds = {k for k in vars(values).values() if isinstance(k, type) and issubclass(k, Sized) and k is not Sized}
    assert {kind: kind.size for kind in kinds} == SIZES


@pytest.mark.parametrize("kind", SIZES)
def test_a_value_comes_back_from_its_hex(kind: type[Sized]) -> None:
    value = kind(bytes(range(kind.size)))
    assert kind.from_hex(value.hex()) == value and type(kind.from_hex(value.hex())) is kind


@pytest.mark.parametrize("kind", SIZES)
def test_another_length_is_refused(kind: type[Sized]) -> None:
    for size in (0, kind.size - 1, kind.size + 1):
        with pytest.raises(ValueError, match=f"must be {kind.size} bytes"):
            kind(bytes(size))


@pytest.mark.parametrize(
    "text",
    ["", ZEROS[1:], ZEROS[2:], ZEROS + "0", ZEROS + "00", "A" * 64, "g" * 64, ZEROS[1:] + "\n", "0x" + ZEROS[2:]],
)  # fmt: skip
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="64 lower-case hex"):
        Id.from_hex(text)


@pytest.mark.parametrize("other", [None, 5, b"00" * 32, ["00"], True])
def test_what_is_no_text_is_refused(other: object) -> None:
    with pytest.raises(ValueError, match="hex"):
        Id.from_hex(other)


def test_a_value_shows_its_type_and_its_beginning_only() -> None:
    assert repr(Salt(bytes(range(32)))) == "Salt(000102030405…)"


def test_a_digest_is_sha256() -> None:
    assert digest(b"").hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.binary(max_size=100))
def test_bytes_come_back_from_base64url(raw: bytes) -> None:
    assert from_base64url(to_base64url(raw)) == raw and "=" not in to_base64url(raw)


@given(st.text(alphabet="ABab01-_", max_size=9))
def test_base64url_has_one_spelling(text: str) -> None:
    try:
        raw = from_base64url(text)
    except ValueError:
        return
    assert to_base64url(raw) == text


@pytest.mark.parametrize("text", ["A", "AAAAA", "AA==", "AB", "AAB", "+/+/", "AA A", "AA\n", "é", "A=A"])
def test_another_spelling_of_base64url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        from_base64url(text)


def test_the_wire_form_of_anything_else_is_unknown() -> None:
    with pytest.raises(NotImplementedError):
        decode_sized(int, "5")
    with pytest.raises(NotImplementedError):
        encode_sized(object())
