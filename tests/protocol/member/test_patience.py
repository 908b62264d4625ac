"""patience.py: a long judgement is done in pieces, each counted by the points that it adds up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.member import contributing
from keymeld_protocol.member.patience import NotYet, Patience
from keymeld_protocol.plaintext.body import SignInput
from keymeld_protocol.values import Id
from keymeld_protocol.wire.statements import Statement
from tests.support.party import Party
from tests.support.payments import SHOP, payment
from tests.support.world import MESSAGE

SUBSETS = ((0, 1), (0, 2), (1, 2))


def test_whoever_has_nobody_else_to_serve_works_out_everything() -> None:
    Patience().spend(10**9)


def test_a_piece_begins_with_something_whatever_it_costs_and_ends_when_it_is_used_up() -> None:
    patience = Patience()
    patience.allow(1)
    patience.spend(1_000)
    with pytest.raises(NotYet):
        patience.spend(1)
    patience.allow(None)
    patience.spend(1)


def test_what_was_worked_out_in_one_piece_is_there_for_the_next() -> None:
    party = Party("vault")
    party.gather(subsets=SUBSETS)
    fresh, pieces = replace(party.alice.roster(party.group)), 0
    while True:
        fresh.patience.allow(1)
        pieces += 1
        try:
            assert fresh.own.find(SHOP) is None
            break
        except NotYet:
            continue
    assert pieces == 2 * len(fresh.own.lists), "a key list, or its children, at a time"


def test_attack_62_a_request_that_takes_many_pieces_lets_others_have_their_turn_and_is_signed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """62: a coin that may be of any key list makes all of them count: they are worked out piece by piece."""
    monkeypatch.setattr(contributing, "PIECE", 1)
    party = Party("vault")
    costly = _costly(party, at=(0, 0, 0))
    (vault,) = party.vaults
    pieces, look = list[Id](), vault.agent.look

    def counted(stream: Id) -> list[Statement]:
        pieces.append(stream)
        return look(stream)

    monkeypatch.setattr(vault.agent, "look", counted)
    party.world.run()
    assert set(pieces) == {costly} and len(pieces) >= 2 * len(SUBSETS)
    assert party.phase(costly) is SigningPhase.COMPLETED
    plain = party.alice.request(party.group, MESSAGE)
    party.world.run()
    assert party.code(plain) == "blind_not_allowed"


def test_attack_62_contributions_that_an_enclave_hears_anew_make_it_judge_nothing_in_one_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """62: after a restart the log is told at once, and the request is judged piece by piece all the same."""
    party = Party("vault", "tower")
    costly = _costly(party)
    (vault, tower), begun = party.vaults, list[str]()
    while party.phase(costly) is not SigningPhase.PSIGS:
        for peer in party.world.peers.values():
            peer.step()
    tower.leave()
    party.world.run()
    monkeypatch.setattr(contributing, "PIECE", 1)
    allow, spend = Patience.allow, Patience.spend

    def allowed(patience: Patience, points: int | None) -> None:
        begun.append("piece")
        allow(patience, points)

    def spent(patience: Patience, points: int) -> None:
        begun.append("spent")
        spend(patience, points)

    monkeypatch.setattr(Patience, "allow", allowed)
    monkeypatch.setattr(Patience, "spend", spent)
    vault.restart()
    party.world.run()
    assert begun.index("piece") <= 1, "before it is judged, the roster is read, and nothing else"
    assert begun.count("piece") >= 2 * len(SUBSETS)
    tower.come_back()
    party.world.run()
    assert party.phase(costly) is SigningPhase.COMPLETED


def test_attack_62_what_cannot_go_on_has_no_turns_until_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """62: a coordinator that claims more records than it tells has nobody work for a request that waits for them."""
    monkeypatch.setattr(contributing, "PIECE", 1)
    party = Party("vault")
    costly = _costly(party, at=(0, 0, 0))
    (vault,) = party.vaults
    monkeypatch.setattr(vault, "_go_on", lambda: None)
    while not vault.agent.going_on():
        vault.step()
    vault.agent.subscribed(costly, party.world.logs[costly].chain.offset + 1)
    assert not vault.agent.going_on() and not vault.agent.look(costly)


def _costly(party: Party, at: tuple[int, ...] = (0, 0, 1)) -> Id:
    """A request with a coin that may be of any key list."""
    party.gather(subsets=SUBSETS, allow=[{"max_amount": 10**6}] * 3, at=at)
    script = party.alice.roster(party.group).script()
    coins = payment([(1_000, script), (1_000, SHOP)], [(100, script)])
    return party.alice.request(party.group, SignInput(transaction=0, input=0), transactions=(coins,))
