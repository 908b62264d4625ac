"""A second pre-signature for a point that may have one: out of it nobody takes the secret that completes the first.

attempt 1   vault's psig ──▶ tower, which keeps its own back and so is alone with a pre-signature
attempt 2   another pre-signature, for everybody; the tower completes the first, and its secret stays its own
"""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from keymeld_client.shown.presigned_before import may_hide
from keymeld_client.shown.results import results_of
from keymeld_client.shown.telling import PRESIGNED
from keymeld_client.signings import Signing
from keymeld_protocol.errors import Blamed
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.member import plan
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext.contributions import Failed, Nonce
from keymeld_protocol.values import Id
from keymeld_protocol.wire.payloads import SigningContribute, SigningRetry
from tests.attacks.mischief import say_as
from tests.attacks.test_adaptors import Duel, Group, locked, message
from tests.support.world import MINUTE, Enclave


def psig_steps(enclave: Enclave) -> list[tuple[int, str]]:
    """Attempt and step of everything with a psig or a pre-signature that an enclave has said."""
    said = [s.payload for s in enclave.said if isinstance(s.payload, SigningContribute)]
    return [(each.attempt, each.step) for each in said if each.step != "nonces"]


def abandoned(*, locked_item: bool) -> Duel:
    """The tower has the vault's psig, sends none, and begins another attempt as it began the first."""
    duel = Duel(last=False, items=(message(locked("single") if locked_item else None),))
    for attempt in (1, 2):
        secnonce = duel.draw()
        duel.says(Nonce(secnonce.pubnonce, duel.proven(secnonce) if locked_item else None), attempt=attempt)
        if attempt == 1:
            assert psig_steps(duel.vault) == [(1, "both")]
            duel.world.submit(say_as(duel.world, duel.tower, duel.signing, SigningRetry, attempt=1))
            duel.world.run()
            duel.attempt = duel.hear()
    return duel


def test_no_psig_for_a_point_leaves_in_a_second_attempt() -> None:
    duel = abandoned(locked_item=True)
    state = duel.world.state(duel.signing)
    assert psig_steps(duel.vault) == [(1, "both")]
    assert (state.phase, state.code, state.may_be_signed) == (SigningPhase.FAILED, "presigned_before", True)


def test_signatures_are_tried_again() -> None:
    assert psig_steps(abandoned(locked_item=False).vault) == [(1, "both"), (2, "both")]


@pytest.mark.parametrize("at", [(0, 0, 0), (0, 1, 0)], ids=["alone", "with another"])
def test_what_a_coordinator_keeps_out_of_the_log_is_remembered(at: tuple[int, ...]) -> None:
    """It gives the pre-signature, or the last psig, to a member alone, and lets everybody begin again."""
    group = Group(*at)
    vault, signing = group.enclaves[0], group.members[2].request(group.keygen, message(locked("or")))
    while not (vault.outbox and vault.outbox[0].payload.kind == "signing.contribute"):
        assert any([vault.outbox or vault.step(), *(other.step() for other in group.enclaves[1:])])
    vault.outbox.clear()
    group.world.wait(MINUTE)
    state = group.world.state(signing)
    assert (state.attempt, state.phase, state.code) == (2, SigningPhase.FAILED, "presigned_before")
    assert not psig_steps(vault)


def test_what_the_log_holds_is_remembered_by_the_next_life_of_an_enclave() -> None:
    duel = Duel(last=False)
    secnonce = duel.draw()
    duel.says(Nonce(secnonce.pubnonce, duel.proven(secnonce)))
    duel.vault.restart()
    duel.world.submit(say_as(duel.world, duel.tower, duel.signing, SigningRetry, attempt=1))
    duel.world.run()
    duel.attempt = duel.hear()
    duel.says(Nonce(secnonce.pubnonce, duel.proven(secnonce)), attempt=2)
    assert psig_steps(duel.vault) == [(1, "both")]
    assert duel.world.state(duel.signing).code == "presigned_before"


@pytest.mark.parametrize("locked_item", [True, False], ids=["pre-signature", "signature"])
def test_who_fails_an_item_after_its_nonce_is_blamed_and_not_believed(locked_item: bool) -> None:
    """It has the vault's psig by then: the item may be signed, whatever it says."""
    duel = Duel(last=False, items=(message(locked("single") if locked_item else None),))
    secnonce = duel.draw()
    duel.says(Nonce(secnonce.pubnonce, duel.proven(secnonce) if locked_item else None))
    duel.vault.leave()
    duel.says(Failed("sorry"), step="signatures")
    key = duel.alice.groups[duel.group]
    heard, made, roster = read(duel, duel.signing)
    with pytest.raises(Blamed) as blamed:
        results_of(heard, made, roster, key)
    assert (blamed.value.code, blamed.value.slots) == ("failed_late", (2,))
    assert may_hide(heard, made, made, roster, key) is locked_item


def read(duel: Duel, signing: Id) -> tuple[Replay, plan.Plan, Roster]:
    """A signing as Alice has heard it."""
    heard, roster = duel.alice.heard(signing), duel.alice.roster(duel.group)
    key = duel.alice.groups[duel.group]
    return heard, plan.plan_of(duel.alice.signing(signing), heard.records[0].statement, roster, key), roster


def test_who_is_asked_again_for_what_may_be_pre_signed_is_warned() -> None:
    duel = abandoned(locked_item=True)
    key, (heard, made, roster) = duel.alice.groups[duel.group], read(duel, duel.signing)
    asked = [message(locked("single")), message(locked("or")), message(), message(locked("single"), word="other")]
    signings = [duel.alice.request(duel.group, item) for item in asked]
    duel.world.run()
    plans = [read(duel, signing)[1] for signing in signings]
    assert [may_hide(heard, made, each, roster, key) for each in plans] == [True, True, False, False]
    client = Mock()
    client.ledger.replay, client.keygen.return_value.id = duel.alice.heard, duel.group
    client.keygen.return_value.roster, client.keygen.return_value.state.left = roster, frozenset()
    client.roster.return_value, client.group.return_value = roster, key
    client.signings.return_value = [Signing(client, each) for each in (duel.signing, *signings)]
    shown = [Signing(client, each).summary() for each in signings]
    assert [PRESIGNED in lines for lines in shown] == [True, True, False, False]
    assert shown[0][-1] == f"  in signing {duel.signing.hex()}"


def test_what_has_come_to_a_pre_signature_for_everybody_hides_none() -> None:
    group = Group(0, 1, 0)
    signing = group.ask(message(locked("single")))
    heard, key = group.alice.heard(signing), group.alice.groups[group.keygen]
    made = plan.plan_of(group.alice.signing(signing), heard.records[0].statement, group.roster, key)
    assert not may_hide(heard, made, made, group.roster, key)
