"""protocol/README.md says what the code does: every kind and field, method, error, close code, limit and tag.

The tables are read from the markdown.  A table is known by the first cell of its header; a kind's or method's table by
the heading above it.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from keymeld_protocol.errors import Reason
from keymeld_protocol.machines import keygen, signing
from keymeld_protocol.machines.machine import Machine
from keymeld_protocol.machines.streams import MACHINES
from keymeld_protocol.member import content_policy
from keymeld_protocol.member.faults import ACCUSES
from keymeld_protocol.member.item_policy import WHY
from keymeld_protocol.peer.waits import Return
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.body import (
    MAX_POINTS,
    Adaptor,
    Body,
    SignEcdsa,
    SignInput,
    SignMessage,
    Spent,
    Transaction,
)
from keymeld_protocol.plaintext.notes import ForgetNote, SessionNote
from keymeld_protocol.plaintext.policy import AllowedOutput, Policy
from keymeld_protocol.wire import frames, payloads, shapes, statements
from keymeld_protocol.wire.connection import Close, Goodbye, Heard, Hello, Presence, Rights, SessionInfo, Subscribed
from keymeld_server.admission import NOT_YET
from keymeld_server.config import ServerConfig
from tests.support.vectors import ROOT, WIRE
from tests.vectors import diagrams
from tests.vectors.examples import filled, names

TEXT = (ROOT / "protocol" / "README.md").read_text("utf-8")
Table = list[list[str]]


def cells(line: str) -> list[str]:
    """The cells of a table's line, without the code marks around a single word."""
    return [re.sub(r"^`([^`]*)`$", r"\1", cell.strip()) for cell in line.strip().strip("|").split("|")]


def read_tables() -> dict[tuple[str, str], Table]:
    """Every table by the heading above it and the first cell of its header; the rows that follow."""
    found: dict[tuple[str, str], Table] = {}
    heading, rows = "", list[list[str]]()
    for line in TEXT.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("#").strip().strip("`")
        if not line.startswith("|"):
            rows = []
        elif not rows:
            rows = found[heading, cells(line)[0]] = [cells(line)]
        else:
            rows.append(cells(line))
    return {name: table[2:] for name, table in found.items()}


TABLES = read_tables()


def table(first: str, heading: str | None = None) -> Table:
    """The one table whose header begins with ``first``, under ``heading`` if that is given."""
    found = [rows for (above, name), rows in TABLES.items() if name == first and heading in (None, above)]
    assert len(found) == 1, (heading, first, len(found))
    return found[0]


def column(rows: Table, number: int = 0) -> list[str]:
    """One column of a table."""
    return [row[number] for row in rows]


def fields_of(shape: Any) -> list[str]:
    """A shape's fields as they are written, its tag first."""
    config = shape.__struct_config__
    tag = [config.tag_field] if config.tag_field is not None else []
    return tag + [field.encode_name for field in msgspec.structs.fields(shape)]


def optional_of(shape: Any) -> set[str]:
    """The fields that may be absent."""
    return {field.encode_name for field in msgspec.structs.fields(shape) if not field.required}


# Kinds ----------------------------------------------------------------------------------------------------------

KINDS: dict[str, Any] = {**payloads.KINDS, "note.*": payloads.Note}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_kind_stands_in_its_table_in_order(kind: str) -> None:
    assert column(table("field", kind)) == fields_of(KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_a_kinds_optional_fields_are_marked(kind: str) -> None:
    marked = {name for name, sort, *_ in table("field", kind) if "optional" in sort}
    assert marked == optional_of(KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_a_kinds_blobs_are_its_digests_in_order(kind: str) -> None:
    digests = [name for name, sort, *_ in table("field", kind) if sort.startswith("digest")]
    assert digests == list(KINDS[kind].BLOBS)


def test_the_table_of_kinds_has_every_kind_and_says_which_are_taken() -> None:
    rows = table("kind", "5. Every kind")
    assert column(rows) == list(KINDS)
    assert {row[0] for row in rows if row[3] == "not yet"} == {str(k.__struct_config__.tag) for k in NOT_YET}


def test_the_table_of_kinds_says_which_are_notices() -> None:
    notices = {row[0] for row in table("kind", "5. Every kind") if "notice" in row[2]}
    assert notices == {str(kind.__struct_config__.tag) for kind in payloads.NOTICES}


def test_every_kind_and_method_has_an_example() -> None:
    shown = set(names(TEXT))
    assert {*payloads.KINDS, "note.thanks", *(f"method.{name}" for name in frames.METHODS)} <= shown


def test_the_examples_are_those_of_the_vectors() -> None:
    assert filled(TEXT, WIRE) == TEXT


# Shapes ---------------------------------------------------------------------------------------------------------

SHAPES: list[Any] = [
    shapes.Rule, shapes.Signer, contents.Terms, contents.Card, Policy, AllowedOutput, Body, Transaction,
    Spent, contents.Leaf, SignInput, SignMessage, SignEcdsa, Adaptor, contents.Detail, SessionNote, ForgetNote,
    frames.Proof, frames.Since,
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_field_of_a_shape_stands_in_its_table_in_order(shape: Any) -> None:
    rows = table(shape.__name__)
    assert column(rows) == fields_of(shape)
    assert {name for name, sort, *_ in rows if "optional" in sort} == optional_of(shape)


def test_every_field_of_a_statement_record_and_head_is_there() -> None:
    assert column(table("member", "3.1 The form")) == fields_of(statements.WireStatement)
    assert column(table("member", "4.1 The chain")) == fields_of(frames.WireRecord)
    assert column(table("member", "4.2 Heads")) == fields_of(frames.WireHead)


# Transport ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", frames.METHODS)
def test_every_parameter_of_a_method_stands_in_its_table(method: str) -> None:
    expected = fields_of(frames.METHODS[method])
    assert (column(table("parameter", method)) if expected else []) == expected
    if not expected:
        assert (method, "parameter") not in TABLES


def test_no_method_is_described_that_is_not_there() -> None:
    above = [heading for heading, first in TABLES if first == "parameter" and heading[0].islower()]
    assert set(above) <= set(frames.METHODS)


def test_the_results_that_peers_read_are_there() -> None:
    assert set(column(table("member", "subscribe"))) == set(fields_of(Subscribed))
    assert set(column(table("Session"))) == set(fields_of(SessionInfo))
    assert column(table("member", "2.3 hello")) == fields_of(Hello)


def test_every_notification_and_its_parameters_are_there() -> None:
    rows = table("notification")
    assert [name for name in column(rows) if name] == ["hello", "record", "presence", "hearing", "goodbye"]
    told = [*fields_of(Heard), *fields_of(Presence), *fields_of(Rights), *fields_of(Goodbye)]
    assert column(rows, 1)[1:] == told


def test_every_reason_stands_there_with_its_code_and_whether_repeating_helps() -> None:
    told = [(row[0], int(row[1]), row[2] == "may help") for row in table("reason")]
    assert told == [(reason.value, reason.code, reason.repeatable) for reason in Reason]


def test_every_close_code_stands_there_with_its_word() -> None:
    told = [(int(row[0]), row[1]) for row in table("code", "2.8 Life and close codes")]
    assert told == [(int(code), code.name.lower()) for code in Close]


def test_close_codes_say_when_to_come_back() -> None:
    words = {int(row[0]): row[3] for row in table("code", "2.8 Life and close codes")}
    for code in Close:
        assert words[int(code)].startswith(Return.after(code))


def number(text: str) -> int:
    """A number as the tables write it."""
    return int(text.replace(",", ""))


def test_every_limit_of_hello_stands_there_with_its_default() -> None:
    told = {row[0]: number(row[2]) for row in table("name", "2.7 Limits")}
    assert told == ServerConfig().limits_for_hello()


def test_the_protocols_own_limits_are_those_of_the_code() -> None:
    told = {row[0]: row[1] for row in table("limit", "2.7 Limits")}
    assert {name: number(told[name]) for name in told if "…" not in told[name] and "(" not in told[name]} == {
        "payload": shapes.MAX_PAYLOAD,
        "slots of a keygen": shapes.MAX_SLOTS,
        "subsets of a keygen": shapes.MAX_SUBSETS,
        "items of a request": shapes.MAX_ITEMS,
        "places of a request (§10.4)": shapes.MAX_ITEMS,
        "adaptor points of an item": MAX_POINTS,
        "attempts of a request": shapes.MAX_ATTEMPTS,
        "joins that one slot sees": shapes.MAX_JOINS,
        "notes of one slot in one keygen": shapes.MAX_NOTES,
        "approvals and notes of one slot in one signing": shapes.MAX_WORDS,
        "notes of a wallet": shapes.MAX_WALLET_NOTES,
        "life of a request": shapes.REQUEST_LIFE_MS,
        "delay of a rule": shapes.MAX_DELAY_MS,
        "proofs of one `authenticate`": frames.MAX_PROOFS,
    }
    assert told["grace of a request"] == f"{shapes.MIN_GRACE_MS}…{shapes.MAX_GRACE_MS:,}"


def test_how_long_each_blob_may_be_is_said_by_field() -> None:
    told = {(names[0], names[1] if names[1:] else ""): number(row[1]) for row in table("blob", "2.7 Limits")
            if (names := re.findall(r"`([a-z.*]+)`", row[0]) or [row[0]])}  # fmt: skip
    code = {(name, kind if name == "body" else ""): most for kind in KINDS for name, most in KINDS[kind].BLOBS.items()}
    assert told == code


# Machines -------------------------------------------------------------------------------------------------------


def table_of_states(heading: str) -> set[tuple[str, str]]:
    """State and kind of every row."""
    return {(row[0].lower(), row[1]) for row in table("state", heading)}


def test_the_keygens_table_is_the_machines() -> None:
    code = {(str(phase), diagrams.tag_of(kind)) for phase, kind in keygen.TRANSITIONS}
    assert table_of_states("6.1 States") == code


def test_the_signings_table_is_the_machines() -> None:
    code = {(str(phase), diagrams.tag_of(kind)) for phase, kind in signing.TRANSITIONS}
    assert table_of_states("7.1 States") == code


def test_the_drawings_and_tables_of_states_are_printed_from_the_machines() -> None:
    blocks = re.findall(r"<!-- ((?:diagram|states) \w+) -->", TEXT)
    assert blocks == ["diagram keygen", "states keygen", "diagram signing", "states signing"]
    assert diagrams.in_specification(TEXT) == TEXT, "make diagrams prints them anew"


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_each_machine_is_drawn_in_its_own_docstring(machine: Machine[Any]) -> None:
    text = diagrams.source(machine).read_text("utf-8")
    assert all(f"    {line}\n" in text for line in diagrams.drawing(machine).splitlines() if line)
    assert diagrams.in_docstring(text, machine) == text, "make diagrams draws it anew"


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_a_drawing_shows_every_lead_once_and_fits_into_a_docstring(machine: Machine[Any]) -> None:
    drawn = diagrams.drawing(machine)
    assert max(map(len, drawn.splitlines())) <= diagrams.WIDTH
    kinds = [diagrams.tag_of(kind) for (_, kind), move in machine.table.items() for _ in move.leads]
    assert sorted(re.findall(r"\w+\.\w+", drawn)) == sorted([*kinds, diagrams.tag_of(machine.opens)])


def test_a_drawing_of_another_table_is_another_drawing() -> None:
    fewer = {entry: move for entry, move in keygen.TRANSITIONS.items() if entry[1] is not payloads.KeygenLeave}
    other = replace(keygen.MACHINE, table=fewer)
    text = diagrams.source(keygen.MACHINE).read_text("utf-8")
    assert "CLOSED      keygen.leave" in text and "keygen.leave if" not in diagrams.in_docstring(text, other)
    assert diagrams.states(other) == diagrams.states(keygen.MACHINE).replace(
        "| COMPLETED | `keygen.leave` | COMPLETED; CLOSED if every slot has left now |\n", ""
    )


def test_the_steps_are_those_of_the_code() -> None:
    assert set(column(table("signers"), 1)) == set(get_args(shapes.ContributionStep))


# Hashes and derivations -----------------------------------------------------------------------------------------


def in_code(pattern: str) -> set[str]:
    """What a pattern finds in the code of protocol and enclave, outside of docstrings' drawings."""
    files = [path for member in ("protocol", "enclave") for path in (ROOT / member).rglob("*.py")]
    return {match for path in files for match in re.findall(pattern, Path(path).read_text("utf-8"))}


def test_every_tag_stands_in_the_table_of_tagged_hashes() -> None:
    used = in_code(r'(?:tagged_hash|hash_to_scalar)\(\s*"(keymeld/[a-z-]+/v1)"')
    assert used == set(column(table("tag")))
    assert len(used) >= 14


def test_every_info_stands_in_the_table_of_derivations() -> None:
    used = in_code(r'b"(keymeld/[a-z-]+/v1)"')
    salts = set(re.findall(r'salt = "(keymeld/[a-z-]+/v1)"', TEXT))  # of scrypt, in the formula of the roster digits
    assert used - salts == {cell.partition("`")[2].partition("`")[0] or cell for cell in column(table("info"))}
    assert salts == {"keymeld/roster-digits/v1"} and salts <= used


def test_every_sealed_field_stands_in_the_table_of_sealed_fields() -> None:
    told = {(row[0], row[1]) for row in table("kind", "8.3 Sealing to the group")}
    open_to_others = {("keygen.join", "envelope"), ("custody.reseal", "envelope")}
    assert told == {(kind, name) for kind, shape in KINDS.items() for name in shape.BLOBS} - open_to_others


def test_no_code_of_a_refusal_is_left_out() -> None:
    said = in_code(r'(?:Unacceptable|NotHeld|Blamed)\("([a-z_]+)"')
    told = {code for row in table("where") for code in re.findall(r"`([a-z_]+)`", row[1])}
    never_said = {"no_card", "unknown_session"}
    assert said - never_said <= told


def test_every_code_that_accuses_is_a_fault_that_hearers_can_find() -> None:
    assert set(column(table("fault"))) | {"foreign_signer"} == ACCUSES


def test_the_codes_of_content_policies_are_those_of_the_code() -> None:
    assert column(table("code of an item")) == list(WHY)
    said = re.findall(r'"([a-z_]+_(?:not_allowed|missing))"', inspect.getsource(content_policy))
    assert set(column(table("code of a request"))) == set(said)
