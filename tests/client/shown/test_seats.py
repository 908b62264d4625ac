"""seats.py: what became of one's own joins: waiting, ready, refused with sealed words, released, taken over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from keymeld_client.errors import JoinRefused, PushedOut
from keymeld_client.shown.seats import (
    TAKEN_OVER,
    UNHEARD,
    Lost,
    Mine,
    detail_of,
    has_joined,
    lost_joins,
    refilled_seats,
    safety_for,
    waiting_joins,
)
from keymeld_client.shown.telling import moment
from keymeld_client.wallet.entries import KeygenEntry
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.member.roster import Safety
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Detail
from keymeld_protocol.values import Id, XOnlyKey, digest
from keymeld_protocol.wire.payloads import CustodyRefuse, KeygenRelease
from keymeld_protocol.wire.statements import Statement
from tests.attacks.mischief import Puppet, say_as
from tests.support.people import Invitation
from tests.support.world import NONE, SELF, World

HIDDEN = Id(bytes([7]) * 32)
"""A join that no log shows."""


class Joining:
    """Alice, who created a keygen of two and fills slot 0, and a vault that answers when the test wants it."""

    def __init__(self) -> None:
        """Alice has joined; the vault has not heard of it."""
        self.world = World()
        self.vault = Puppet(self.world, "vault")
        self.vault.mute = True
        self.alice, self.bob = self.world.member("alice"), self.world.member("bob")
        self.invitation: Invitation = self.alice.create(2)
        self.keygen: Id = self.invitation.keygen
        self.join = self.alice.join(self.invitation, 0, self.vault.key, NONE)
        self.entry = KeygenEntry(self.keygen, "ws://127.0.0.1:1", bytearray(32), joins={0: [self.join.id]})
        self.world.run()

    def own(self, *, creator: bool = False) -> Mine:
        """What Alice's wallet knows."""
        keys = {slot: XOnlyKey(self.alice.auth(self.keygen, slot).key) for slot in range(2)}
        return Mine(keys, self.entry, creator)

    def all_lost(self, *, creator: bool = False) -> tuple[Lost, ...]:
        """What became of her joins."""
        heard, group = self.alice.heard(self.keygen), self.alice.groups[self.keygen]
        assert isinstance(heard.state, KeygenState)
        return lost_joins(heard, heard.state, group, self.own(creator=creator))

    def waiting(self) -> tuple[int, ...]:
        """Which of them are on their way."""
        heard = self.alice.heard(self.keygen)
        assert isinstance(heard.state, KeygenState)
        return waiting_joins(heard, heard.state, self.own())

    def named(self) -> tuple[str, ...]:
        """Which seats were filled anew."""
        heard = self.alice.heard(self.keygen)
        assert isinstance(heard.state, KeygenState)
        return refilled_seats(heard, heard.state, self.own())

    def seated(self) -> bool:
        """Whether she sits where she joined."""
        return not self.all_lost() and not self.waiting()

    def lost(self) -> Lost:
        """Why her join no longer fills its slot."""
        (lost,) = self.all_lost()
        assert lost.slot == 0 and str(lost).startswith("slot 0: ") and str(lost).isprintable()
        return lost

    def refuse(self, *sealed: bytes, detail: bytes | None = None) -> None:
        """The vault refuses, with a sealed reason if there is one."""
        said: dict[str, Any] = {"slot": 0, "join": self.join.id, "code": "bad_envelope"}
        if detail is not None:
            said["detail"] = digest(detail)
        self.world.submit(say_as(self.world, self.vault, self.keygen, CustodyRefuse, *sealed, **said))
        self.world.run()

    def sealed(self, plain: bytes) -> bytes:
        """A reason as the vault seals it."""
        group = self.alice.groups[self.keygen]
        return group.seal("custody.refuse", "detail", self.keygen, self.vault.key, plain)

    def release(self) -> Statement:
        """Alice, who created it, frees her slot."""
        creator = self.alice.identity.creator(self.alice.keygen(self.keygen).create.salt)
        made = {"slot": 0, "join": self.join.id, "code": "squatter"}
        said = self.alice.say(self.keygen, KeygenRelease, creator, **made)
        self.world.run()
        return said


def test_a_join_waits_for_its_enclave_and_is_ready_when_that_accepts() -> None:
    joining = Joining()
    assert not joining.seated()
    joining.vault.mute = False
    joining.world.run()
    assert joining.seated()


def test_a_join_that_was_not_heard_yet_waits() -> None:
    joining = Joining()
    joining.vault.mute = False
    joining.world.run()
    joining.entry.joins[0].append(HIDDEN)
    assert joining.waiting() == (0,) and joining.all_lost() == ()


def test_a_join_that_no_log_shows_is_lost_once_the_keygen_is_complete() -> None:
    joining = Joining()
    joining.entry.joins[1] = [HIDDEN]
    assert joining.all_lost() == ()
    joining.vault.mute = False
    joining.bob.join(joining.invitation, 1, joining.vault.key, SELF)
    joining.world.run()
    assert [(lost.slot, lost.code, lost.final) for lost in joining.all_lost()] == [(1, UNHEARD, True)]
    joining.entry.turned_away[1] = [HIDDEN]
    assert joining.all_lost() == (), "the coordinator has refused to take it, and whoever said it was told"


def test_a_join_that_its_owner_gave_up_is_not_lost_and_a_later_one_is() -> None:
    joining = Joining()
    joining.release()
    joining.entry.given_up[0] = [joining.join.id]
    assert joining.all_lost() == ()
    joining.alice.join(joining.invitation, 0, joining.vault.key, NONE)
    joining.world.wait(61_000)
    joining.bob.join(joining.invitation, 0, joining.vault.key, SELF)
    joining.world.run()
    assert joining.lost().code == TAKEN_OVER


def test_one_of_two_joins_that_no_log_shows_hides_behind_no_other() -> None:
    joining = Joining()
    turned_away = Id(bytes([8]) * 32)
    joining.entry.joins[1], joining.entry.turned_away[1] = [HIDDEN, turned_away], [turned_away]
    joining.vault.mute = False
    joining.bob.join(joining.invitation, 1, joining.vault.key, SELF)
    joining.world.run()
    assert [(lost.slot, lost.code) for lost in joining.all_lost()] == [(1, UNHEARD)]


def test_a_hidden_join_was_replaced_by_a_later_one_and_not_by_one_whose_order_nobody_knows() -> None:
    joining = Joining()
    joining.bob.join(joining.invitation, 1, joining.vault.key, SELF)
    joining.vault.mute = False
    joining.world.run()
    joining.entry.joins[0] = [HIDDEN, joining.join.id]
    assert joining.all_lost() == ()
    joining.entry.joins[0] = [HIDDEN]  # what the log shows was said by another copy of this wallet
    assert [lost.code for lost in joining.all_lost()] == [UNHEARD]


def test_a_wallet_that_remembers_nothing_finds_its_joins_in_the_log() -> None:
    joining = Joining()
    joining.entry.joins.clear()
    assert has_joined(joining.alice.heard(joining.keygen), joining.own())
    joining.release()
    assert joining.lost().code == "squatter"


def test_what_the_creator_released_himself_was_taken_back() -> None:
    joining = Joining()
    joining.release()
    assert [lost.by_us for lost in joining.all_lost(creator=True)] == [True]
    assert [lost.by_us for lost in joining.all_lost()] == [False]


def test_an_enclave_that_refuses_the_creators_join_is_not_the_creator() -> None:
    joining = Joining()
    joining.refuse()
    assert [lost.by_us for lost in joining.all_lost(creator=True)] == [False]


def test_a_refusal_is_told_with_its_code_and_its_sealed_words() -> None:
    joining = Joining()
    sealed = joining.sealed(contents.encode(Detail(v=1, message="the envelope\x1b[2J is damaged")))
    joining.refuse(sealed, detail=sealed)
    lost = joining.lost()
    assert (lost.code, lost.detail) == ("bad_envelope", "the envelope\x1b[2J is damaged")
    assert "the enclave of your join refused it on 20" in str(lost) and "\x1b" not in str(lost)


@pytest.mark.parametrize("plain", [None, b"no message at all"])
def test_a_refusal_whose_words_do_not_open_is_told_without_them(plain: bytes | None) -> None:
    joining = Joining()
    sealed = b"sealed with another key" if plain is None else joining.sealed(plain)
    joining.refuse(sealed, detail=sealed)
    assert (joining.lost().code, joining.lost().detail) == ("bad_envelope", "")


def test_a_refusal_may_come_without_words() -> None:
    joining = Joining()
    joining.refuse()
    assert (joining.lost().code, joining.lost().detail) == ("bad_envelope", "")


def test_a_release_is_told_with_the_creators_code_and_has_no_sealed_words() -> None:
    joining = Joining()
    joining.release()
    assert joining.lost().code == "squatter" and "the creator released your join on 20" in str(joining.lost())
    record = joining.alice.heard(joining.keygen).records[-1]
    assert detail_of(record, joining.alice.groups[joining.keygen]) == ""


def test_a_slot_that_somebody_else_has_joined_is_taken_over() -> None:
    joining = Joining()
    joining.world.wait(61_000)
    joining.bob.join(joining.invitation, 0, joining.vault.key, SELF)
    joining.world.run()
    assert joining.lost().code == TAKEN_OVER and "took over your join on 20" in str(joining.lost())


def test_what_can_be_mended_is_told_apart_from_what_is_final() -> None:
    joining = Joining()
    joining.release()
    assert type(joining.lost().error()) is JoinRefused
    joining.bob.join(joining.invitation, 0, joining.vault.key, SELF)
    joining.world.member("carol").join(joining.invitation, 1, joining.vault.key, NONE)
    joining.vault.mute = False
    joining.world.run()
    assert type(joining.lost().error()) is PushedOut and "somebody else sits there now" in str(joining.lost())


# Other people's seats -------------------------------------------------------------------------------------------


def sits(joining: Joining, name: str) -> None:
    """Somebody joins slot 1, without its enclave's answer."""
    joining.world.member(name).join(joining.invitation, 1, joining.vault.key, SELF)
    joining.world.run()


def test_a_seat_that_another_filled_anew_is_named_with_how_that_came_about() -> None:
    joining = Joining()
    sits(joining, "carol")
    assert joining.named() == ()
    joining.world.wait(61_000)
    sits(joining, "mallory")
    (told,) = joining.named()
    at = moment(joining.world.now)
    assert told == (
        f"slot 1 was filled anew on {at}, after you had joined: "
        f"somebody else with its ticket took over another join on {at} (taken_over)"
    )


def test_who_joins_again_by_the_same_key_is_not_named_and_hides_nobody() -> None:
    joining = Joining()
    carol, mallory = joining.world.member("carol"), joining.world.member("mallory")
    for _ in range(2):
        carol.join(joining.invitation, 1, joining.vault.key, SELF)
        joining.world.run()
    joining.world.run()
    assert joining.named() == ()
    joining.world.wait(61_000)
    for _ in range(2):
        mallory.join(joining.invitation, 1, joining.vault.key, SELF)
        joining.world.run()
    joining.world.run()
    assert len(joining.named()) == 1


def test_what_happened_before_the_own_join_could_be_seen_and_is_not_named() -> None:
    joining = Joining()
    sits(joining, "carol")
    joining.world.wait(61_000)
    sits(joining, "mallory")
    joining.alice.join(joining.invitation, 0, joining.vault.key, NONE)
    joining.world.run()
    assert joining.named() == ()


# What is told beside an address ---------------------------------------------------------------------------------


JUDGED = Safety((0, 1), (), (), "two windows never meet")


def test_what_is_judged_of_an_address_stands_for_who_sits_or_only_looks_on() -> None:
    assert safety_for(JUDGED, None, True, True) == JUDGED == safety_for(JUDGED, None, False, False)


def test_who_has_joined_and_sits_nowhere_is_warned_before_all_else_but_a_broken_log() -> None:
    assert "sits in no slot" in str(safety_for(JUDGED, None, True, False).trouble)
    assert safety_for(JUDGED, "forked", True, False).trouble == "forked"


def test_who_was_pushed_out_of_one_of_two_slots_is_warned_and_who_released_it_himself_is_not() -> None:
    lost = Lost(1, "released", "the creator released your join")
    told = "slot 1: the creator released your join (released)"
    assert safety_for(JUDGED, None, True, True, [lost]).trouble == told
    assert safety_for(JUDGED, None, True, True, [replace(lost, by_us=True)]) == JUDGED


def test_what_is_named_makes_nothing_unsafe() -> None:
    calm = replace(JUDGED, trouble=None)
    assert safety_for(calm, None, True, True, (), ["slot 1 was filled anew"]).safe
    assert safety_for(calm, None, True, True, (), ["slot 1 was filled anew"]).named == ("slot 1 was filled anew",)
