"""Sealed contents and contributions, fed with what members and enclaves might have sealed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keymeld_protocol.errors import BadInput
from keymeld_protocol.plaintext import contents, contributions
from keymeld_protocol.plaintext.body import Body
from keymeld_protocol.plaintext.contents import Card, Content, Detail, Terms
from keymeld_protocol.plaintext.notes import ForgetNote, SessionNote, read_note
from keymeld_protocol.plaintext.policy import Policy
from tests.support.wire import wire

from .spoilt import QUICK, either, raws, seeds, texts

SHAPES: dict[str, type[Content]] = {
    shape.__name__: shape for shape in (Terms, Card, Detail, Body, Policy, SessionNote, ForgetNote)
}
CASES = [(SHAPES[case["shape"]], case["text"]) for case in wire("contents")["contents"]]
TEXTS = {
    shape: [
        *(text for kind, text in CASES if kind is shape),
        *(
            {Body: seeds("policies", "requests", "body"), Policy: seeds("policies", "requests", "policy")}.get(
                shape, ()
            )
        ),
    ]
    for shape in SHAPES.values()
}
ENTRIES = [bytes.fromhex(case["bytes"]) for case in wire("contributions")["entries"]]


@QUICK
@given(st.sampled_from(list(TEXTS)).flatmap(lambda shape: st.tuples(st.just(shape), texts(TEXTS[shape]))))
def test_contents_that_are_read_have_no_other_spelling(sealed: tuple[type[Content], str]) -> None:
    shape, raw = sealed[0], sealed[1].encode("utf-8", "surrogatepass")
    content = either(BadInput, contents.parse, shape, raw)
    assert content is None or contents.encode(content) == raw


@QUICK
@given(st.sampled_from(list(TEXTS)), raws([text.encode() for _, text in CASES]))
def test_contents_of_another_shape_or_of_broken_bytes_are_refused(shape: type[Content], raw: bytes) -> None:
    content = either(BadInput, contents.parse, shape, raw)
    assert content is None or contents.encode(content) == raw


@QUICK
@given(raws([case["plaintext"].encode() for case in wire("notes")["notes"]]))
def test_notes_that_are_read_are_written_as_they_came(raw: bytes) -> None:
    note = either(BadInput, read_note, raw)
    assert note is None or contents.encode(note) == raw


@QUICK
@given(raws(ENTRIES), st.integers(1, 4))
def test_entries_that_are_read_are_written_as_they_came(raw: bytes, places: int) -> None:
    entries = either(BadInput, contributions.decode, raw, places)
    assert entries is None or contributions.encode(entries) == raw
