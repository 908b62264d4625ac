"""Attacks on an enclave by whoever reaches it: in frames, in another coordinator's seat, in the coordinator's own.

mallory ── sign, export; answers to what was never asked; an attempt, a request of his own ──▶ enclave         nothing
"""

from typing import Any

import pytest

from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire import frames, statements
from keymeld_protocol.wire.payloads import AttemptOpened
from keymeld_protocol.wire.shapes import Rule, Signer
from keymeld_protocol.wire.statements import Statement
from tests.support.desk import Desk
from tests.support.world import MESSAGE, NONE, NOON, SECOND, SELF, Enclave, Log, Member, World, key_of

from .mischief import ask, group_of_two, signed, write

COMMANDS = (*frames.METHODS, "sign", "open", "export", "seal", "reset", "shutdown", "keymeld.sign", "__init__")


def served() -> tuple[World, Desk, Member, Id]:
    """An enclave that talks in frames and has two keys; a request waits for Bob's yes."""
    world = World()
    desk, alice, bob = Desk(world, "vault"), world.member("alice"), world.member("bob")
    desk.run()
    invitation = alice.create(2)
    for slot, (member, rule) in enumerate(((alice, NONE), (bob, SELF))):
        Member.join(member, invitation, slot, desk.key, rule)
    desk.run()
    signing = alice.request(invitation.keygen, MESSAGE)
    desk.run()
    return world, desk, bob, signing


@pytest.mark.parametrize("command", COMMANDS)
def test_attack_17_no_frame_is_a_command(command: str) -> None:
    """17: reaches an enclave, and commands it."""
    _, desk, bob, signing = served()
    asked = list(desk.requests)
    given: list[dict[str, Any]] = [{}, {"stream": signing.hex()}, {"slot": 0, "message": MESSAGE.hex()}]
    for ident, params in enumerate(given):
        desk.tell(frames.request(ident, command, params))
        desk.tell(frames.notification(command, params))
        for never in (10**6, f"{command}-{ident}"):
            desk.tell(frames.result(never, params))
    desk.run()
    assert desk.requests == asked, "it answers nothing, and asks for nothing"
    bob.approve(signing)
    desk.run()
    assert bob.signatures(signing), "and it has lost nothing"


def show(world: World, vault: Enclave, keygen: Id, *said: Statement) -> None:
    """Whoever reaches the enclave shows it a stream of his own making, a word each second."""
    log = Log(said[0].id, world.epoch, keygen=world.logs[keygen])
    for statement in said:
        vault.inbox.append((said[0].id, world.wire(write(world, log, statement), vault)))
        world.now += SECOND
    world.run()


@pytest.mark.parametrize("name", ["stranger", "alice", "vault", "coordinator"])
def test_attack_17_only_the_coordinator_that_the_session_names_opens_an_attempt(name: str) -> None:
    """17: reaches an enclave, and commands it."""
    world, vault, alice, _, group = group_of_two(Rule(approval="none", not_before=NOON + SECOND))
    vault.leave()
    signing = alice.request(group, MESSAGE)
    vault.here = True
    request = world.logs[signing].records[0]
    opener = {"alice": alice.auth(group), "coordinator": world.coordinator}.get(name, key_of(name))
    attempt = AttemptOpened(
        v=1, by=XOnlyKey(opener.key), stream=signing, after=request.hash, attempt=1,
        signers=(Signer(key=vault.key, slots=(0, 1)),),
    )  # fmt: skip
    show(world, vault, group, request.statement, statements.make(attempt, opener.sign))
    assert signed(vault) is (name == "coordinator")
    assert any("only the coordinator" in said for said in vault.concerns) is (name != "coordinator")


@pytest.mark.parametrize("name", ["stranger", "vault", "coordinator"])
def test_attack_17_nobody_but_a_member_asks_whoever_runs_the_coordinator(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """17: reaches an enclave, and commands it."""
    world, vault, alice, _, group = group_of_two(NONE)
    asker = world.coordinator if name == "coordinator" else key_of(name)
    monkeypatch.setattr(alice, "auth", lambda _: asker)  # with all that Alice knows, in another name
    request = ask(alice, group, MESSAGE)
    show(world, vault, group, request)
    assert vault.kinds()[-1] == "keygen.confirm" and any("must be a member" in said for said in vault.concerns)
