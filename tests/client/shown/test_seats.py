"""seats.py: what became of one's own joins: waiting, ready, refused with sealed words, released, taken over."""

from __future__ import annotations

from typing import Any

import pytest

from keymeld_client.errors import JoinRefused
from keymeld_client.shown.seats import detail_of, is_seated, safety_for
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
        self.world.run()

    def seated(self, generation: int = 0) -> bool:
        """How Alice's join stands."""
        heard, group = self.alice.heard(self.keygen), self.alice.groups[self.keygen]
        assert isinstance(heard.state, KeygenState)
        auth = XOnlyKey(self.alice.auth(self.keygen, 0).key)
        return is_seated(heard, heard.state, group, 0, auth, generation)

    def lost(self) -> JoinRefused:
        """Why it no longer fills its slot."""
        with pytest.raises(JoinRefused) as caught:
            self.seated()
        assert caught.value.slot == 0
        return caught.value

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
    assert not Joining().seated(generation=1)


def test_a_refusal_is_told_with_its_code_and_its_sealed_words() -> None:
    joining = Joining()
    sealed = joining.sealed(contents.encode(Detail(v=1, message="the envelope\x1b[2J is damaged")))
    joining.refuse(sealed, detail=sealed)
    lost = joining.lost()
    assert (lost.code, lost.detail) == ("bad_envelope", "the envelope\x1b[2J is damaged")
    assert "\x1b" not in str(lost)


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
    assert joining.lost().code == "squatter"
    record = joining.alice.heard(joining.keygen).records[-1]
    assert detail_of(record, joining.alice.groups[joining.keygen]) == ""


def test_a_slot_that_somebody_else_has_joined_is_taken_over() -> None:
    joining = Joining()
    joining.world.wait(61_000)
    joining.bob.join(joining.invitation, 0, joining.vault.key, SELF)
    joining.world.run()
    assert joining.lost().code == "taken_over"


JUDGED = Safety((0, 1), (), (), "two windows never meet")


def test_what_is_judged_of_an_address_stands_for_who_sits_or_only_looks_on() -> None:
    assert safety_for(JUDGED, None, (0,), (0,)) == JUDGED == safety_for(JUDGED, None, (), ())


def test_who_has_joined_and_sits_nowhere_is_warned_before_all_else_but_a_broken_log() -> None:
    assert "sits in no slot" in str(safety_for(JUDGED, None, (0,), ()).trouble)
    assert safety_for(JUDGED, "forked", (0,), ()).trouble == "forked"
