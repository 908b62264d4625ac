"""Every kind of statement round trips, and every fault of every field is refused by name.

The faults are made from the types (tests/support/spoil.py): a new kind is covered as soon as it is in ``KINDS``.
"""

import json
from itertools import pairwise
from typing import Any

import pytest

from keymeld_protocol.errors import BadInput, Reason
from keymeld_protocol.wire import payloads
from keymeld_protocol.wire.payloads import KINDS, NOTICES, OPENERS, KeygenJoin
from keymeld_protocol.wire.shapes import MAX_PAYLOAD, MAX_SLOTS
from tests.support.spoil import ALL, Spoilt, fields, full, least, spoils, text

EVERY_KIND = pytest.mark.parametrize("kind", ALL.values(), ids=ALL)
EVERY_FAULT = pytest.mark.parametrize(
    ("kind", "spoilt"),
    [pytest.param(kind, spoilt, id=f"{word}: {spoilt.what}") for word, kind in ALL.items() for spoilt in spoils(kind)],
)


def refusal(spelled: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        payloads.parse(spelled)
    return caught.value


def changed(shape: type[Any], **other: Any) -> BadInput:
    return refusal(text(full(shape) | other))


def reason_for(spoilt: Spoilt) -> Reason:
    if spoilt.field == "kind":
        return Reason.UNKNOWN_KIND
    return Reason.UNKNOWN_VERSION if spoilt.field == "v" and "v" in spoilt.message else Reason.BAD_FIELD


@EVERY_KIND
def test_a_payload_with_every_field_comes_back_as_it_was(kind: type[Any]) -> None:
    spelled = text(full(kind))
    assert payloads.encode(payloads.parse(spelled)) == spelled


@EVERY_KIND
def test_a_payload_with_the_fewest_fields_comes_back_as_it_was(kind: type[Any]) -> None:
    spelled = text(least(kind))
    parsed = payloads.parse(spelled)
    assert type(parsed) is kind and payloads.encode(parsed) == spelled


@EVERY_KIND
def test_every_payload_begins_with_its_kind_the_version_and_who_speaks(kind: type[Any]) -> None:
    assert fields(kind)[:3] == ["kind", "v", "by"]
    if kind not in OPENERS:
        assert fields(kind)[3:5] == ["stream", "after"]


@EVERY_KIND
def test_a_payload_names_one_digest_for_each_blob(kind: type[Any]) -> None:
    assert len(payloads.parse(text(full(kind))).blob_digests()) == len(kind.BLOBS)


@EVERY_FAULT
def test_every_fault_of_every_field_is_refused_by_its_name(kind: type[Any], spoilt: Spoilt) -> None:
    error = refusal(text(spoilt.message))
    assert error.field is not None and error.field.startswith(spoilt.field)
    assert error.reason is reason_for(spoilt)


@EVERY_KIND
def test_fields_out_of_order_are_refused(kind: type[Any]) -> None:
    message = full(kind)
    for one, two in pairwise(message):
        names = [{one: two, two: one}.get(name, name) for name in message]
        assert refusal(text({name: message[name] for name in names})).reason in (Reason.BAD_FIELD, Reason.UNKNOWN_KIND)


@EVERY_KIND
def test_attack_47_a_duplicate_of_any_field_is_refused(kind: type[Any]) -> None:
    message = full(kind)
    for name, value in message.items():
        again = f',"{name}":{text(value)}}}'
        assert refusal(text(message)[:-1] + again).reason is Reason.BAD_FIELD


@EVERY_KIND
def test_attack_47_an_explicit_null_is_another_spelling(kind: type[Any]) -> None:
    message, fewest = full(kind), least(kind)
    for name in message.keys() - fewest.keys():
        spelled = text({n: fewest.get(n) for n in message if n in fewest or n == name})
        assert refusal(spelled).field == "payload"


@EVERY_KIND
def test_attack_47_no_other_spelling_is_taken(kind: type[Any]) -> None:
    spelled = text(full(kind))
    message = json.loads(spelled)
    for other in (
        spelled + " ", " " + spelled, spelled + "\n", spelled.replace(":", ": ", 1), spelled.replace(",", ", ", 1),
        spelled.replace('"v":1', '"v":1.0'), spelled.replace('"v":1', '"v":1e0'), spelled.replace('"by"', '"b\\u0079"'),
        spelled.replace('"kind":"', '"kind":"\\u006b', 1), spelled + spelled, spelled[:-1], spelled[1:],
        f"[{spelled}]", json.dumps(message, indent=1), "\ufeff" + spelled,
    ):  # fmt: skip
        assert other != spelled
        refusal(other)


@EVERY_KIND
def test_every_other_version_is_unknown(kind: type[Any]) -> None:
    for version in (0, 2, -1, 2**53, "1", None):
        error = changed(kind, v=version)
        assert (error.reason, error.field) == (Reason.UNKNOWN_VERSION, "v")


@pytest.mark.parametrize("kind", ["", "keygen", "keygen.created", "KEYGEN.CREATE", "notes.x", "__proto__", 7, None, []])
def test_an_unknown_kind_is_told_as_one(kind: Any) -> None:
    error = refusal(text({"kind": kind, "v": 1}))
    assert (error.reason, error.field) == (Reason.UNKNOWN_KIND, "kind")


@pytest.mark.parametrize("word", ["", "X", "1st", "a-b", "a b", "a.b", "x" * 28])
def test_a_note_has_a_plain_word(word: str) -> None:
    error = changed(ALL["note.*"], kind=f"note.{word}")
    assert (error.reason, error.field) == (Reason.UNKNOWN_KIND, "kind")


@pytest.mark.parametrize("spelled", ["", "{}", "[]", "null", "1", "{", '"kind"', '{"kind":', "[" * 100_000])
def test_what_is_no_payload_is_refused(spelled: str) -> None:
    refusal(spelled)


@pytest.mark.parametrize("spelled", ['{"kind":"é"}', '{"kind":"\x7f"}', '{"kind":"\x00"}', '{"kind":"\u202e"}'])
def test_a_payload_is_printable_ascii(spelled: str) -> None:
    assert refusal(spelled).field == "payload"


def test_a_payload_that_is_too_long_is_refused_before_it_is_read() -> None:
    error = refusal("{" * (MAX_PAYLOAD + 1))
    assert (error.reason, error.limit) == (Reason.TOO_BIG, MAX_PAYLOAD)


def test_an_error_repeats_no_strange_name_and_no_strange_value() -> None:
    for strange in ("x - at `$.v`", "x" * 1000, "\u001b[2J", ""):
        error = refusal(text(full(KeygenJoin) | {strange: 1})) if strange.isascii() and strange.isprintable() else None
        assert error is None or (len(str(error)) < 200 and "`" not in str(error))
    assert "rubbish" not in str(changed(KeygenJoin, custody="rubbish"))


def test_every_kind_is_named_once() -> None:
    assert len(KINDS) == 23 and {*NOTICES, *OPENERS} <= set(KINDS.values())


# The rules that types cannot say --------------------------------------------------------------------------------------


def key(word: str) -> str:
    return (word.encode().hex() * 64)[:64]


def test_invite_keys_are_distinct_and_not_the_creators() -> None:
    assert changed(KINDS["keygen.create"], slots=[key("a"), key("a")], subsets=[]).field == "slots"
    assert changed(KINDS["keygen.create"], slots=[key("a")], by=key("a"), subsets=[]).field == "slots"


def test_subsets_are_distinct_and_name_slots_that_are_there() -> None:
    slots = [key("a"), key("b")]
    assert changed(KINDS["keygen.create"], slots=slots, subsets=[[0, 1], [0, 1]]).field == "subsets"
    assert changed(KINDS["keygen.create"], slots=slots, subsets=[[0], [1, 2]]).field == "subsets[1]"


@pytest.mark.parametrize("custody", ["sealed", "hybrid"])
@pytest.mark.parametrize("field", ["enclave", "envelope"])
def test_custody_with_an_enclave_names_it_and_carries_an_envelope(custody: str, field: str) -> None:
    message = full(KeygenJoin) | {"custody": custody}
    del message[field]
    assert refusal(text(message)).field == field


def test_custody_on_a_device_has_neither() -> None:
    assert changed(KeygenJoin, custody="device").field == "enclave"
    message = full(KeygenJoin) | {"custody": "device"}
    del message["enclave"]
    assert refusal(text(message)).field == "envelope"


@pytest.mark.parametrize("one", ["by", "invite", "enclave", "reader"])
@pytest.mark.parametrize("two", ["by", "invite", "enclave", "reader"])
def test_the_keys_of_a_join_differ(one: str, two: str) -> None:
    if one != two:
        assert changed(KeygenJoin, **{one: key("same"), two: key("same")}).field == "by"


def test_a_join_is_signed_by_its_auth_key_and_then_by_its_invite_key() -> None:
    said = payloads.parse(text(full(KeygenJoin)))
    assert isinstance(said, KeygenJoin) and said.signed_by() == (said.by, said.invite)


def test_nonces_answer_nothing() -> None:
    assert changed(KINDS["signing.contribute"], step="nonces").field == "over"


def test_signatures_answer_nonces_unless_their_signer_is_alone() -> None:
    message = full(KINDS["signing.contribute"]) | {"step": "signatures"}
    payloads.parse(text(message))
    del message["over"]
    payloads.parse(text(message))


@pytest.mark.parametrize("step", ["psigs", "both"])
def test_psigs_name_the_nonces_they_answer(step: str) -> None:
    message = full(KINDS["signing.contribute"]) | {"step": step}
    del message["over"]
    assert refusal(text(message)).field == "over"


def test_signers_and_their_slots_are_distinct() -> None:
    kind, one = KINDS["attempt.opened"], {"key": key("a"), "slots": [0]}
    assert changed(kind, signers=[one, {"key": key("a"), "slots": [1]}], last=key("a")).field == "signers"
    assert changed(kind, signers=[one, {"key": key("b"), "slots": [0]}], last=key("a")).field == "signers"
    assert changed(kind, signers=[one], last=key("b")).field == "last"


def test_a_thousand_slots_fit_a_payload() -> None:
    slots = [f"{i:064x}" for i in range(MAX_SLOTS)]
    parsed = payloads.parse(text(full(KINDS["keygen.create"]) | {"slots": slots}))
    assert parsed.kind == "keygen.create"
