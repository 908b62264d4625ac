"""speaker.py: what a holder of keys says follows what it verified, is signed by it, and sealed to the members alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.signing_state import SigningState
from keymeld_protocol.member.holder import needed
from keymeld_protocol.member.speaker import Speaker
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import MAX_TEXT, Detail
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.payloads import SigningHeard, SigningRefuse
from tests.support.coordinator import key_of
from tests.support.party import Party, party_of_two


class Bench:
    """A request of a group at two enclaves, and the voice of one of them, or of a stranger."""

    def __init__(self, name: str) -> None:
        """Alice has asked; nobody has answered."""
        self.party: Party = party_of_two()
        self.signing: Id = self.party.alice.request(self.party.group, b"m" * 32)
        while self.party.alice.step():
            pass
        self.heard = self.party.alice.heard(self.signing)
        self.group = self.party.alice.groups[self.party.group]
        key = key_of(name)
        self.speaker = Speaker(XOnlyKey(key.key), key.sign)

    def holder(self, group: GroupKey | None) -> Any:
        """Whoever speaks, as far as a refusal asks for it: its slots, and the group's key if it knows that."""
        return SimpleNamespace(slots=self.state.keygen.slots_at(self.speaker.key), group=group)

    @property
    def state(self) -> SigningState:
        """The request."""
        assert isinstance(self.heard.state, SigningState)
        return self.heard.state


@pytest.mark.parametrize(("name", "slots"), [("vault", (0, 2)), ("keep", (1,)), ("stranger", ())])
def test_it_speaks_for_the_needed_slots_that_are_sealed_to_it(name: str, slots: tuple[int, ...]) -> None:
    bench = Bench(name)
    assert needed(bench.holder(None), bench.state.request) == slots


def test_a_word_follows_the_latest_record_and_is_signed_by_its_identity() -> None:
    bench = Bench("vault")
    said = statements.parse(bench.speaker.say(bench.heard, SigningHeard, at=bench.party.world.now).wire)
    assert isinstance(said.payload, SigningHeard)
    assert (said.payload.by, said.payload.stream) == (bench.speaker.key, bench.signing)
    assert said.payload.after == bench.heard.chain.hash


def test_a_refusal_names_its_slots_and_tells_why_to_members_alone() -> None:
    bench = Bench("keep")
    (said,) = bench.speaker.refuse(bench.heard, bench.holder(bench.group), "rule_not_met", "the rule says no")
    refusal, sealed = said.payload, said.blob("detail")
    assert isinstance(refusal, SigningRefuse) and sealed is not None
    assert (refusal.slots, refusal.code) == ((1,), "rule_not_met")
    assert b"rule says" not in sealed
    opened = contents.parse(Detail, bench.group.open_in(refusal, "detail", sealed))
    assert opened.message == "the rule says no"


def test_without_the_groups_key_it_refuses_without_words() -> None:
    bench = Bench("keep")
    (said,) = bench.speaker.refuse(bench.heard, bench.holder(None), "bad_body", "cannot be read")
    assert isinstance(said.payload, SigningRefuse) and said.payload.detail is None and said.blobs == ()


def test_a_long_reason_is_cut_to_what_may_be_sealed() -> None:
    bench = Bench("keep")
    (said,) = bench.speaker.refuse(bench.heard, bench.holder(bench.group), "bad_body", "x" * (MAX_TEXT + 1))
    sealed = said.blob("detail")
    assert sealed is not None
    assert len(contents.parse(Detail, bench.group.open_in(said.payload, "detail", sealed)).message) == MAX_TEXT


def test_an_enclave_without_a_slot_in_it_has_nothing_to_refuse() -> None:
    bench = Bench("stranger")
    assert bench.speaker.refuse(bench.heard, bench.holder(bench.group), "rule_not_met", "no") == []
