"""The sealed shapes have one spelling each, and everything else is refused by the name of its field."""

import json
import re
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keymeld_protocol.curve.schnorr import tagged_hash
from keymeld_protocol.errors import BadInput, Reason
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.body import (
    MAX_MONEY,
    Body,
    RawTransaction,
    SignInput,
    SignMessage,
    Spent,
    Transaction,
)
from keymeld_protocol.plaintext.contents import MAX_LABEL, MAX_PLAINTEXT, MAX_TEXT, Card, Content, Detail, Script, Terms
from keymeld_protocol.plaintext.policy import Policy, policy_commitment
from keymeld_protocol.values import Message, PlainKey, Salt, Signature
from keymeld_protocol.wire.shapes import MAX_DELAY_MS, Rule

TERMS = Terms(v=1, label="treasury", network="regtest", tweak="bip86")
CARD = Card(v=1, pubkey=PlainKey(b"\x02" + b"\x33" * 32), label="Bob", possession=Signature(bytes(64)))
POLICY = Policy(v=1, salt=Salt(b"\x22" * 32), rule=Rule(approval="quorum", threshold=2, of=(0, 1, 2)))
SPENT = Spent(amount=100_000, script=Script(b"\x51\x20" + bytes(32)))
TRANSACTION = Transaction(unsigned=RawTransaction(b"\x02\x00"), spent=(SPENT, SPENT))
INPUT, MESSAGE = SignInput(transaction=0, input=1), SignMessage(message=Message(b"\x44" * 32), subset=3)
BODY = Body(v=1, transactions=(TRANSACTION,), items=(INPUT, MESSAGE), memo="rent")
DETAIL = Detail(v=1, message="it is the wrong day")
EXAMPLES = (TERMS, CARD, POLICY, BODY, DETAIL)

SPELLINGS = {
    Terms: '{"v":1,"label":"treasury","network":"regtest","tweak":"bip86"}',
    Card: f'{{"v":1,"pubkey":"02{"33" * 32}","label":"Bob","possession":"{"00" * 64}"}}',
    Policy: f'{{"v":1,"salt":"{"22" * 32}","rule":{{"approval":"quorum","threshold":2,"of":[0,1,2]}}}}',
    Body: (
        f'{{"v":1,"transactions":[{{"unsigned":"0200","spent":[{{"amount":100000,"script":"5120{"00" * 32}"}},'
        f'{{"amount":100000,"script":"5120{"00" * 32}"}}]}}],'
        f'"items":[{{"sign":"input","transaction":0,"input":1}},'
        f'{{"sign":"message","message":"{"44" * 32}","subset":3}}],"memo":"rent"}}'
    ),
    Detail: '{"v":1,"message":"it is the wrong day"}',
}


def refusal(shape: type[Content], raw: bytes) -> BadInput:
    with pytest.raises(BadInput) as caught:
        contents.parse(shape, raw)
    return caught.value


def spelled(value: Any) -> bytes:
    """JSON as our clients write it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def changed(example: Content, path: str, value: Any) -> bytes:
    """The example's JSON with the value at a dotted ``path`` set, or removed if it is ``...``."""
    whole = json.loads(contents.encode(example))
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place = whole
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return spelled(whole)


# -------------------------------------------------------------------------------------------------------- one spelling


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_the_spelling_is_the_documented_one(example: Content) -> None:
    assert contents.encode(example).decode() == SPELLINGS[type(example)]
    assert contents.parse(type(example), contents.encode(example)) == example


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SLOTS = st.lists(st.integers(0, 999), min_size=1, max_size=5, unique=True).map(lambda slots: tuple(sorted(slots)))
SUBSETS = st.none() | st.integers(0, 199)
MESSAGES = st.builds(SignMessage, message=st.binary(min_size=32, max_size=32).map(Message), subset=SUBSETS)
INPUTS = st.builds(SignInput, transaction=st.just(0), input=st.integers(0, 1), subset=SUBSETS)
BODIES = st.builds(
    lambda first, others, memo: Body(v=1, transactions=(TRANSACTION,), items=(first, *others), memo=memo),
    INPUTS,
    st.lists(MESSAGES, max_size=5),
    TEXTS.map(lambda text: text[:MAX_TEXT]),
)
RULES = st.builds(lambda of: Rule(approval="quorum", threshold=len(of), of=of), SLOTS) | st.builds(
    Rule, approval=st.sampled_from(["none", "self"]), delay_ms=st.none() | st.integers(1, MAX_DELAY_MS)
)
CONTENTS = st.one_of(
    BODIES,
    st.builds(
        lambda label, network: Terms(v=1, label=label, network=network, tweak="none"),
        TEXTS.map(lambda text: text[:MAX_LABEL]),
        st.sampled_from(["bitcoin", "testnet", "signet", "regtest"]),
    ),
    st.builds(lambda message: Detail(v=1, message=message), TEXTS.map(lambda text: text[:MAX_TEXT])),
    st.builds(lambda rule, salt: Policy(v=1, salt=Salt(salt), rule=rule), RULES, st.binary(min_size=32, max_size=32)),
)


@given(CONTENTS)
def test_whatever_is_encoded_is_parsed_to_the_same(content: Content) -> None:
    assert contents.parse(type(content), contents.encode(content)) == content


@given(TEXTS.filter(lambda text: len(text) <= MAX_TEXT))
def test_text_is_spelled_as_other_languages_spell_it(text: str) -> None:
    assert contents.encode(Detail(v=1, message=text)) == spelled({"v": 1, "message": text})


@settings(max_examples=200)
@given(st.binary(max_size=200), st.sampled_from([Terms, Card, Policy, Body, Detail]))
def test_random_bytes_are_refused_and_never_crash(raw: bytes, shape: type[Content]) -> None:
    assert refusal(shape, raw).field


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_truncations_of_every_length_are_refused(example: Content) -> None:
    raw = contents.encode(example)
    for size in range(len(raw)):
        assert refusal(type(example), raw[:size]).reason in (Reason.BAD_JSON, Reason.BAD_FIELD)


@pytest.mark.parametrize(
    "raw",
    [
        *(b'{"v":1,"message":"a","message":"a"}', b'{"v":1, "message":"a"}', b'{"v":1,"message":"a"} '),
        *(b'{"v":1,"message":"a"}\n', b'{"message":"a","v":1}', b'{"v":1,"message":"\\u0061"}'),
        *(b'{"v":1,"message":"\\u00e9"}', b'{"v":1,"message":"\\u001B"}', b'{"v":1,"message":"\\u000a"}'),
        *(b'{"v":1,"message":"\\/"}', b'{"v":1,"message":"\x7f\\ud83d\\ude00"}'),
    ],
)
def test_attack_47_another_spelling_is_refused(raw: bytes) -> None:
    assert refusal(Detail, raw).reason in (Reason.BAD_FIELD, Reason.BAD_JSON)


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b"nonsense", b"\xff\xfe", b'{"v":1,"message":"\xff"}', b'{"v":1,"message":"\xed\xa0\x80"}'),
        *(b'{"v":1,"message":"\\ud800"}', b'{"v":1,"message":"\x1b"}', b'{"v":1,"message":"a"}{}'),
        b"\xef\xbb\xbf" + b'{"v":1,"message":"a"}',
    ],
)
def test_what_is_not_json_in_utf_8_is_refused(raw: bytes) -> None:
    assert refusal(Detail, raw).reason == Reason.BAD_JSON


def test_nesting_without_end_is_refused() -> None:
    refusal(Body, b"[" * MAX_PLAINTEXT)
    refusal(Body, b'{"v":' * 50_000)


# ------------------------------------------------------------------------------------------------- fields by their name


@dataclass(frozen=True)
class Case:
    """A field that is changed to a value that breaks its rule."""

    example: Content
    path: str
    value: Any
    named: str = ""

    @property
    def field(self) -> str:
        """How the complaint names it: ``items.0.sign`` is ``items[0].sign``."""
        return self.named or re.sub(r"\.(\d+)", r"[\1]", self.path)

    def __str__(self) -> str:
        return f"{type(self.example).__name__} {self.path} {str(self.value)[:20]}"


def broken(example: Content, path: str, *values: object, named: str = "") -> list[Case]:
    """A case for each value."""
    return [Case(example, path, value, named) for value in values]


CASES = [
    *broken(TERMS, "label", ..., None, 1, [], "x" * 65),
    *broken(TERMS, "network", ..., None, "mainnet", "Bitcoin", 1),
    *broken(TERMS, "tweak", ..., None, "bip341", "", 1),
    *broken(CARD, "pubkey", ..., None, "", "02" * 32, "02" * 34, "0A" * 33, "zz" * 33, 2),
    *broken(CARD, "possession", ..., None, "00" * 63, "00" * 65),
    *broken(CARD, "label", ..., None, "x" * 65),
    *broken(POLICY, "salt", ..., None, "00" * 31, "00" * 33),
    *broken(POLICY, "rule", ..., None, "none", []),
    *broken(POLICY, "rule.approval", ..., "any", 1),
    *broken(POLICY, "rule.threshold", ..., 0, 4, -1, "2", 1.5),
    *broken(POLICY, "rule.of", [], [0, 0], [1, 0], "012"),
    *broken(POLICY, "rule.of", ..., named="rule.threshold"),
    *broken(POLICY, "rule.of.0", -1, 1000),
    *broken(POLICY, "rule.delay_ms", 0, -1, MAX_DELAY_MS + 1),
    *broken(BODY, "transactions", ..., None, {}, 0),
    *broken(BODY, "transactions.0.unsigned", ..., "0", "0G", "AA", "00" * 200_001),
    *broken(BODY, "transactions.0.spent", ..., []),
    *broken(BODY, "transactions.0.spent.0.amount", ..., -1, MAX_MONEY + 1, "1", 1.5),
    *broken(BODY, "transactions.0.spent.1.script", ..., "0", "00" * 10_001),
    *broken(BODY, "items", ..., None, []),
    *broken(BODY, "items.0.sign", ..., None, "inputs", 1),
    *broken(BODY, "items.0.transaction", ..., 1, -1, 1000),
    *broken(BODY, "items.0.input", ..., 2, -1, 1000),
    *broken(BODY, "items.0.subset", -1, 200),
    *broken(BODY, "items.1.message", ..., "44" * 31, "44" * 33),
    *broken(BODY, "memo", ..., None, "x" * 513),
    *broken(DETAIL, "message", ..., None, {}, "x" * 513),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_field_that_breaks_its_rule_is_refused_by_name(case: Case) -> None:
    error = refusal(type(case.example), changed(case.example, case.path, case.value))
    assert error.reason == Reason.BAD_FIELD
    assert error.field == case.field


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_an_unknown_field_refuses_everything(example: Content) -> None:
    error = refusal(type(example), changed(example, "allowance", 1))
    assert (error.field, error.reason) == ("allowance", Reason.BAD_FIELD)


def test_an_unknown_field_deep_inside_refuses_everything() -> None:
    assert refusal(Policy, changed(POLICY, "rule.max_fee", 1)).field == "rule.max_fee"
    assert refusal(Body, changed(BODY, "items.0.sighash", 3)).field == "items[0].sighash"


@pytest.mark.parametrize("version", [0, 2, "1", 1.5, None, True])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_an_unknown_version_is_refused_as_such(example: Content, version: object) -> None:
    assert refusal(type(example), changed(example, "v", version)).reason == Reason.UNKNOWN_VERSION


def test_our_version_in_another_spelling_is_no_other_version() -> None:
    error = refusal(Terms, changed(TERMS, "v", 1.0))
    assert (error.reason, error.field) == (Reason.BAD_FIELD, "v")


def test_a_missing_version_is_a_missing_field() -> None:
    assert refusal(Terms, changed(TERMS, "v", ...)).field == "v"


@pytest.mark.parametrize("raw", [b"null", b"1", b'"text"', b"[]", b"true"])
def test_what_is_no_object_is_refused_by_the_name_of_the_shape(raw: bytes) -> None:
    assert refusal(Terms, raw).field == "terms"


def test_an_absent_option_is_left_out_and_never_null() -> None:
    assert refusal(Body, changed(BODY, "items.0.subset", None)).field == "body"


def test_fractions_never_become_integers() -> None:
    assert (
        refusal(Body, changed(BODY, "transactions.0.spent.0.amount", 100000.0)).field
        == "transactions[0].spent[0].amount"
    )


# --------------------------------------------------------------------------------------------------- limits and secrecy


def test_text_is_measured_in_code_points() -> None:
    contents.encode(Detail(v=1, message="😀" * MAX_TEXT))
    with pytest.raises(BadInput, match="message"):
        contents.encode(Detail(v=1, message="😀" * (MAX_TEXT + 1)))


def test_what_would_not_fit_a_blob_is_refused() -> None:
    assert refusal(Body, b" " * (MAX_PLAINTEXT + 1)).reason == Reason.TOO_BIG


def test_half_a_character_is_refused_before_it_is_sealed() -> None:
    with pytest.raises(BadInput, match="surrogate"):
        contents.encode(Detail(v=1, message="\ud800"))


@pytest.mark.parametrize(
    "raw",
    [
        changed(TERMS, "network", "SECRET"),
        changed(TERMS, "network", "SE'CRET\x1b[2J"),
        changed(TERMS, "network", "SE\"CR'ET"),
        changed(BODY, "items.0.sign", "SECRET\x1b"),
        changed(TERMS, "SECRET\x1b[2J", 1),
        spelled({"v": 1, "SECRET - at `$.label`": 1}),
        spelled({"v": 1, "`SECRET` - at `$.label": 1}),
        changed(CARD, "pubkey", "SECRET"),
    ],
)
def test_attack_52_errors_repeat_nothing_that_a_stranger_wrote(raw: bytes) -> None:
    for shape in (Terms, Card, Body):
        told = str(refusal(shape, raw))
        assert "SECRET" not in told and "CR" not in told and told.isprintable()


def test_the_policy_commitment_hides_the_rule_behind_the_salt() -> None:
    raw = contents.encode(POLICY)
    assert policy_commitment(raw) == tagged_hash("keymeld/policy/v1", raw)
    other = contents.encode(msgspec.structs.replace(POLICY, salt=Salt(bytes(32))))
    assert policy_commitment(raw) != policy_commitment(other)
