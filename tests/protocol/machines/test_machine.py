"""What the machines have in common: a handler goes where its entry leads, and a notice is due in one shape."""

import pytest

from keymeld_protocol.errors import Astray, BrokenLog, WireError
from keymeld_protocol.machines.machine import Due
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.wire.payloads import AttemptOpened, KeygenExpired
from tests.support.machines import COORDINATOR, VAULT, Keygen, lead_astray, xonly


def test_a_handler_that_goes_where_no_entry_leads_has_moved_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Keygen(3)
    before, top = stream.state, stream.chain.hash
    lead_astray(monkeypatch)
    with pytest.raises(Astray, match=r"keygen\.join led from collecting to expired"):
        stream.hear(stream.join(0))
    assert stream.state is before and stream.chain.hash == top


def test_our_own_mistake_is_neither_a_refusal_nor_a_broken_log() -> None:
    assert issubclass(Astray, AssertionError) and not issubclass(Astray, WireError | BrokenLog)


def test_a_hearer_whose_machine_goes_astray_hears_no_more_and_has_evidence_against_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = Keygen(3)
    heard = Replay(stream.stream)
    heard.hear(stream.records[0])
    stream.hear(stream.join(0))
    lead_astray(monkeypatch)
    with pytest.raises(Astray):
        heard.hear(stream.records[1])
    assert (heard.chain.offset, len(heard.records), heard.evidence) == (1, 1, None)
    with pytest.raises(Astray, match="cannot be followed by this version"):
        heard.hear(stream.records[1])


def test_what_is_due_becomes_a_notice_of_its_kind_said_after_the_latest_record() -> None:
    stream = Keygen(3)
    notice = Due(KeygenExpired).payload(xonly(COORDINATOR), stream.stream, stream.chain.hash)
    assert notice == stream.expired().payload


def test_what_is_due_brings_the_fields_of_its_kind() -> None:
    stream = Keygen(3)
    fields = {"attempt": 2, "signers": (), "last": xonly(VAULT)}
    notice = Due(AttemptOpened, fields).payload(xonly(COORDINATOR), stream.stream, stream.chain.hash)
    assert isinstance(notice, AttemptOpened)
    assert (notice.attempt, notice.signers, notice.last, notice.after) == (2, (), xonly(VAULT), stream.chain.hash)
