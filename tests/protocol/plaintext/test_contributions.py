"""Contributions come back as they were said, item by item, and nothing may be cut off or added."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keymeld_protocol.errors import BadInput, InvalidCrypto, Reason
from keymeld_protocol.plaintext import contributions
from keymeld_protocol.plaintext.contributions import Both, Entry, Failed, Finished, Nonce, Nothing, Prefinished, Psig
from keymeld_protocol.wire.shapes import MAX_ITEMS

NONCE, PSIG, SIGNATURE = b"\x02" * 66, b"\x11" * 32, b"\x22" * 64
PROOF, PRESIGNATURE = b"\x33" * 64, b"\x44" * 65
ONE_OF_EACH: tuple[Entry, ...] = (
    Nothing(),
    Nonce(NONCE),
    Psig(PSIG),
    Both(NONCE, PSIG),
    Finished(SIGNATURE),
    Nonce(NONCE, PROOF),
    Both(NONCE, PSIG, PROOF),
    Prefinished(PRESIGNATURE),
    Failed("no_key"),
)
SPELLED = b"".join(
    (
        b"\x00",
        b"\x01" + NONCE,
        b"\x02" + PSIG,
        b"\x03" + NONCE + PSIG,
        b"\x04" + SIGNATURE,
        b"\x05" + NONCE + PROOF,
        b"\x06" + NONCE + PROOF + PSIG,
        b"\x07" + PRESIGNATURE,
        b"\xff\x06no_key",
    )
)

PROOFS = st.none() | st.binary(min_size=64, max_size=64)
ENTRIES = st.lists(
    st.one_of(
        st.just(Nothing()),
        st.builds(Nonce, st.binary(min_size=66, max_size=66), PROOFS),
        st.builds(Psig, st.binary(min_size=32, max_size=32)),
        st.builds(Both, st.binary(min_size=66, max_size=66), st.binary(min_size=32, max_size=32), PROOFS),
        st.builds(Finished, st.binary(min_size=64, max_size=64)),
        st.builds(Prefinished, st.binary(min_size=65, max_size=65)),
        st.builds(Failed, st.from_regex(r"\A[a-z][a-z0-9_]{0,31}\Z")),
    ),
    min_size=1,
    max_size=20,
)


def refusal(raw: bytes, items: int) -> BadInput:
    with pytest.raises(BadInput) as caught:
        contributions.decode(raw, items)
    return caught.value


def test_one_of_each_is_spelled_as_documented() -> None:
    assert contributions.encode(ONE_OF_EACH) == SPELLED
    assert contributions.decode(SPELLED, len(ONE_OF_EACH)) == ONE_OF_EACH


@given(ENTRIES)
def test_whatever_is_encoded_is_decoded_to_the_same(entries: list[Entry]) -> None:
    assert contributions.decode(contributions.encode(entries), len(entries)) == tuple(entries)


@given(st.binary(max_size=300), st.integers(1, 5))
def test_random_bytes_are_refused_or_have_one_spelling(raw: bytes, items: int) -> None:
    try:
        entries = contributions.decode(raw, items)
    except BadInput as error:
        assert error.field is not None and error.field.startswith("values")
    else:
        assert contributions.encode(entries) == raw


def test_truncations_of_every_length_are_refused() -> None:
    for size in range(len(SPELLED)):
        assert "cut off" in str(refusal(SPELLED[:size], len(ONE_OF_EACH)))


def test_a_truncated_entry_is_named() -> None:
    assert refusal(b"\x00\x01" + NONCE[:65], 2).field == "values[1]"
    assert refusal(b"\x00", 2).field == "values[1]"


@pytest.mark.parametrize("items", [1, 5])
def test_more_entries_than_items_are_refused(items: int) -> None:
    assert refusal(SPELLED, items).reason == Reason.TOO_BIG


@pytest.mark.parametrize("tag", [8, 9, 127, 254])
def test_an_unknown_tag_is_refused(tag: int) -> None:
    assert refusal(b"\x00" + bytes([tag]) + bytes(200), 2).field == "values[1]"


@pytest.mark.parametrize(
    "code", [b"", b"1st", b"_x", b"No", b"a-b", b"a b", b"a\x1b", b"\xc3\xa9", b"a\n", b"a" * 33, b"a" * 255]
)
def test_codes_that_break_their_rule_are_refused(code: bytes) -> None:
    assert refusal(b"\xff" + bytes([len(code)]) + code, 1).field == "values[0]"
    with pytest.raises(BadInput, match="a code is"):
        contributions.encode([Failed(code.decode("latin-1"))])


@pytest.mark.parametrize("size", [0, 1, 31, 33, 63, 67])
def test_values_of_another_length_are_never_made(size: int) -> None:
    makers = (
        Nonce, Psig, Finished, Prefinished, lambda raw: Both(raw, PSIG), lambda raw: Both(NONCE, raw),
        lambda raw: Nonce(NONCE, raw), lambda raw: Both(NONCE, PSIG, raw),
    )  # fmt: skip
    for make in makers:
        with pytest.raises(InvalidCrypto, match="bytes are needed"):
            make(bytes(size))


@pytest.mark.parametrize("count", [0, MAX_ITEMS + 1])
def test_no_entry_and_too_many_are_refused(count: int) -> None:
    with pytest.raises(BadInput, match="1 to 1000 entries"):
        contributions.encode([Nothing()] * count)
