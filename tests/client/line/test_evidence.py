"""evidence.py: what broke a log, told so that anybody can check it: ours, theirs, and whether it is a fork."""

import json
from collections.abc import Iterator

import msgspec
import pytest

from keymeld_client.line.evidence import describe
from keymeld_protocol.errors import BrokenLog, Fork
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.wire.frames import record_of, wire_head
from keymeld_protocol.wire.records import Head
from tests.client.paper import Reader, Tale


@pytest.fixture(scope="module")
def tale() -> Tale:
    """One signed session, only read."""
    return Tale()


@pytest.fixture
def heard(tale: Tale) -> Iterator[Replay]:
    """All of its keygen but the last record."""
    with Reader(tale).closing() as reader:
        reader.hear(tale.keygen, tale.wires(tale.keygen)[:-1])
        replay = reader.ledger.replay(tale.keygen)
        assert replay is not None
        yield replay


def as_json(head: Head) -> dict[str, object]:
    """A head as files and frames have it."""
    return {
        "epoch": head.epoch.hex(),
        "offset": head.offset,
        "hash": head.hash.hex(),
        "at": head.at,
        "sig": head.signature.hex(),
    }


def test_ours_is_the_latest_record_with_the_coordinators_head(tale: Tale, heard: Replay) -> None:
    head = tale.head(tale.keygen)
    told = describe(heard, BrokenLog("hash: does not follow"), head, None)
    ours = json.loads(str(told["ours"]))
    assert (ours["offset"], ours["hash"]) == (heard.chain.offset, heard.chain.hash.hex())
    assert (told["why"], told["fork"]) == ("hash: does not follow", False)
    assert (told["our_head"], told["theirs"]) == (as_json(head), None)


def test_only_a_fork_is_told_to_be_one(tale: Tale, heard: Replay) -> None:
    assert describe(heard, Fork("two histories"), None, None)["fork"] is True


def test_nothing_heard_and_no_head_leave_our_side_empty(tale: Tale) -> None:
    told = describe(Replay(tale.keygen), BrokenLog("first"), None, None)
    assert (told["ours"], told["our_head"]) == (None, None)


def test_their_record_is_told_whole_so_that_its_signatures_convict(tale: Tale, heard: Replay) -> None:
    wire = tale.wires(tale.keygen)[-1]
    theirs = json.loads(str(describe(heard, Fork("x"), None, record_of(wire))["theirs"]))
    assert theirs["statement"]["payload"] == wire.statement.payload
    assert theirs["statement"]["signatures"] == list(wire.statement.signatures)


def test_a_frame_that_became_no_record_is_told_as_it_came(tale: Tale, heard: Replay) -> None:
    wire = tale.wires(tale.keygen)[-1]
    spoilt = msgspec.structs.replace(wire, statement=msgspec.structs.replace(wire.statement, payload="{}"))
    assert describe(heard, BrokenLog("x"), None, spoilt)["theirs"] == {
        "offset": wire.offset, "hash": wire.hash.hex(), "payload": "{}", "signatures": list(wire.statement.signatures),
    }  # fmt: skip


def test_their_head_is_told_with_its_signature(tale: Tale, heard: Replay) -> None:
    head = tale.head(tale.keygen, 1)
    told = describe(heard, Fork("x"), None, wire_head(head))["theirs"]
    assert told == as_json(head)


def test_all_of_it_fits_into_a_file(tale: Tale, heard: Replay) -> None:
    for theirs in (None, tale.wires(tale.keygen)[-1], wire_head(tale.head(tale.keygen))):
        assert json.loads(json.dumps(describe(heard, Fork("x"), tale.head(tale.keygen), theirs)))
