"""Attacks on secrecy: all that the coordinator is told, keeps, sends and logs, and all that an enclave holds and logs,
searched for what must not be there.

people ── Relay ── coordinator (SQLite, log lines) ── Relay ── enclaves (log lines)
             └───────────── every frame ───────────────┘              blobs decoded, hex, base64url, bytes: nothing
"""

import base64
import gc
import json
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from examples.helpers.house import House, Process
from examples.helpers.people import Person
from keymeld_client import Wallet
from keymeld_protocol.errors import KeymeldError, WireError
from keymeld_protocol.keys.derivation import slot_secret
from keymeld_protocol.values import Id, XOnlyKey, from_base64url
from keymeld_server.app import wall_clock
from tests.support.build import Cast
from tests.support.machines import key_of
from tests.support.peer import dial
from tests.support.world import MESSAGE as TEXT
from tests.support.world import NONE as RULE
from tests.support.world import World, secret_of

from .mischief import signed
from .relay import Relay, relay
from .stage import MESSAGE, SELF, gather, house, people

LABEL, MEMO, NAMES = "vault of the three", "a memo that only members read", ("alice-1f", "bob-2e", "carol-3d")


def spellings(secret: bytes) -> tuple[bytes, ...]:
    """The ways in which a secret may be written."""
    encoded = base64.urlsafe_b64encode(secret).rstrip(b"=")
    return secret, secret.hex().encode(), secret.hex().upper().encode(), encoded, repr(secret)[2:-1].encode()


def found(secrets: dict[str, bytes], *places: bytes) -> list[str]:
    """The names of the secrets that are in any of the places."""
    return [n for n, secret in secrets.items() for word in spellings(secret) if any(word in place for place in places)]


def opened_frames(between: Relay) -> bytes:
    """Every frame of both directions, and every blob and payload in it, decoded."""
    parts: list[bytes] = []
    for frame in (*between.sent, *between.told):
        raw = frame if isinstance(frame, bytes) else frame.encode()
        parts.append(raw)
        parts.extend(_strings(json.loads(raw)))
    return b"\n".join(parts)


def _strings(value: Any) -> Iterator[bytes]:
    """Every text in a frame, as it is and as what it may encode."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value.encode()
        with suppress(ValueError):
            yield from_base64url(value)


def secrets_of(home: House, members: tuple[Person, ...], keygen: Id) -> dict[str, bytes]:
    """Everything that only its owners may know."""
    creator = members[0].keygen(keygen)
    open_secret = members[0].client.wallet.identity.open_secret(creator.state.create.salt)
    known = {"S": bytes(creator.entry.group_secret), "open secret": bytes(open_secret), "message": MESSAGE}
    known |= {"label": LABEL.encode(), "memo": MEMO.encode()}
    for slot, member in enumerate(members):
        identity = member.client.wallet.identity
        seat = members[0].keygen(keygen).state.seats[slot]
        assert seat is not None
        with identity.signing(keygen, slot, seat.join.policy) as signing:
            known |= {f"signing key {slot}": bytes(signing.buffer), f"public key {slot}": signing.point[1:]}
            known |= {f"identity {slot}": bytes(identity.buffer), f"name {slot}": member.name.encode()}
        with slot_secret(open_secret, slot) as secret:
            known[f"slot secret {slot}"] = bytes(secret.buffer)
    for number, enclave in enumerate(home.enclaves):
        known[f"enclave {number}"] = bytes.fromhex(enclave.key_file.read_text().strip())
    for number, ticket in enumerate(members[0].keygen(keygen).tickets):
        known[f"ticket {number}"] = ticket.text().partition("#")[2].encode()
        known[f"ticket secret {number}"] = bytes(ticket.secret)
    return known


# 15: the server sees the message -------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.processes
async def test_attack_15_nothing_that_was_sealed_is_in_the_servers_file_logs_or_frames(tmp_path: Path) -> None:
    """15: the server sees the message."""
    own, relayed = tmp_path / "enclaves.sock", tmp_path / "relay.sock"
    async with relay() as outside, relay(relayed, own) as inside:
        settings = {"origins": f"ws://127.0.0.1:{outside.port}", "enclave_socket": str(own), "log_level": "debug"}
        async with house(2, sockets={0: relayed, 1: relayed}, **settings) as home:
            outside.target = home.url
            url = f"ws://127.0.0.1:{outside.port}"
            async with people(home, *NAMES, url=url) as members:
                group = await gather(members, [SELF, SELF, SELF], LABEL)
                signing = await members[0].keygen(group).request(messages=[MESSAGE], memo=MEMO)
                for member in members[1:]:
                    await member.client.ledger.until(signing.id, lambda _: True)
                    await member.signing(signing.id).approve()
                signature = (await signing.signatures())[0]
                secrets = secrets_of(home, members, group) | {"signature": signature}
                await home.coordinator.stop()
                files = [path.read_bytes() for path in home.folder.glob("keymeld.sqlite*")]
                logs = "\n".join(line for process in home.processes for line in process.log).encode()
                frames = [opened_frames(outside), opened_frames(inside)]
                assert found(secrets, *files, logs, *frames) == []
                assert all(signing.id.hex().encode() in frame for frame in frames), "these were the right places"
                assert any(MESSAGE.hex().encode() in _opened(members[0], group, blob) for blob in _blobs(outside))


def _blobs(between: Relay) -> Iterator[bytes]:
    """Every body of a request that passed."""
    for frame in between.sent:
        statement = json.loads(frame).get("params", {}).get("statement")
        if statement is not None and '"signing.request"' in statement["payload"]:
            yield from_base64url(statement["blobs"][0])


def _opened(member: Person, keygen: Id, sealed: bytes) -> bytes:
    """A request's body as members read it: what was searched for is there, once it is opened."""
    auth = member.client.wallet.identity.auth(keygen, 0).key
    return member.client.group(keygen).open("signing.request", "body", keygen, XOnlyKey(auth), sealed)


# 22: a logged header or token that works later ---------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.processes
async def test_attack_22_neither_a_token_nor_a_proof_is_ever_logged_or_stored(tmp_path: Path) -> None:
    """22: a logged header or token that works later."""
    tokens, token = tmp_path / "tokens", "a-token-that-an-operator-gave-to-alice-0123456789"
    tokens.write_text(f"{token}\n")
    tokens.chmod(0o600)
    async with house(0, access_tokens_file=str(tokens), log_level="debug") as home, dial(home.url) as alice:
        key, coordinator = key_of("alice"), (await alice.greeted).coordinator
        proofs = alice.side.authenticate([key], token)
        with pytest.raises(WireError):
            await alice.call("authenticate", proofs | {"proofs": [proofs["proofs"][0] | {"sig": "00" * 64}]})
        await alice.call("authenticate", proofs)
        await alice.say(Cast("with a token", coordinator).create(wall_clock()))
        await alice.leave()
        await home.coordinator.stop()
        files = [path.read_bytes() for path in home.folder.glob("keymeld.sqlite*")]
        proof = bytes.fromhex(proofs["proofs"][0]["sig"])
        assert found({"token": token.encode(), "proof": proof}, "\n".join(home.coordinator.log).encode(), *files) == []


# 19: secrets in logs, reprs, exceptions, core dumps ------------------------------------------------------------------


def core_limits(process: Process) -> list[str]:
    """How many bytes of core a process may leave: the soft and the hard limit."""
    lines = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
    return next(line.split()[4:6] for line in lines if line.startswith("Max core file size"))


@pytest.mark.asyncio
@pytest.mark.processes
async def test_attack_19_an_enclave_process_leaves_no_core_and_logs_no_secret() -> None:
    """19: secrets in logs, reprs, exceptions, core dumps."""
    async with house() as home:
        enclave = home.enclaves[0]
        enclave.environment["KEYMELD_ENCLAVE_LOG_LEVEL"] = "debug"
        await enclave.kill()
        await enclave.start()
        async with people(home, "alice", "bob") as (alice, bob):
            group = await gather([alice, bob], [SELF, SELF])
            signing = await alice.keygen(group).request(messages=[MESSAGE])
            await bob.client.ledger.until(signing.id, lambda _: True)
            await bob.signing(signing.id).reject()
            await signing.ended()
            assert core_limits(enclave) == ["0", "0"]
            secrets = secrets_of(home, (alice, bob), group)
            await enclave.kill()
            assert len(enclave.log) > 5 and found(secrets, "\n".join(enclave.log).encode()) == []


def test_attack_19_nothing_that_an_enclave_holds_prints_a_secret() -> None:
    """19: secrets in logs, reprs, exceptions, core dumps."""
    world = World()
    vault, tower = world.enclave("vault"), world.enclave("tower")
    alice, bob = world.member("alice"), world.member("bob")
    group = world.gather([alice, bob], at=[vault, tower])
    alice.request(group, TEXT)
    while not signed(vault, tower):
        world.peers[next(iter(world.peers))].step(), [peer.step() for peer in world.peers.values()]
    secrets = {"identity": secret_of("vault"), "S": secret_of("alice S 1")}
    with alice.signing_key(group, 0) as key:
        secrets["signing key"] = bytes(key.buffer)
    shown = [repr(thing) for thing in _ours(vault.agent)]
    assert len(shown) > 50 and found(secrets, "\n".join(shown).encode()) == []


def test_attack_19_nothing_that_a_wallet_holds_prints_a_secret(tmp_path: Path) -> None:
    """19: secrets in logs, reprs, exceptions, core dumps."""
    with Wallet.open(tmp_path / "wallet") as wallet:
        shown = [repr(thing) for thing in _ours(wallet)]
        assert shown and found({"identity": bytes(wallet.identity.buffer)}, "\n".join(shown).encode()) == []


def test_attack_19_an_exception_carries_no_secret(tmp_path: Path) -> None:
    """19: secrets in logs, reprs, exceptions, core dumps."""
    world = World()
    vault, alice = world.enclave("vault"), world.member("alice")
    invitation = alice.create(1)
    draft = alice.draft(invitation, 0, vault.key, RULE)
    secrets = {"S": invitation.group_secret, "signing key": bytes(draft.signing.buffer), "identity": secret_of("vault")}
    draft.policy = b'{"v":1,"salt":"' + secret_of("alice S 1").hex().encode() + b'"}'
    world.submit(draft.statement(), alice)
    agent, told = vault.agent, []
    for stream, wire in [*vault.inbox]:
        vault.hear(stream, wire)
    custody = agent._groups[invitation.keygen].custody
    try:
        custody.take(0)
    except KeymeldError as error:
        told.append("".join(traceback.TracebackException.from_exception(error, capture_locals=False).format()))
    assert told and found(secrets, *(text.encode() for text in told), *(s.text.encode() for s in vault.outbox)) == []


def _ours(root: object) -> Iterator[object]:
    """Every object of this project that can be reached from ``root``."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type):
            continue
        seen.add(id(thing))
        if type(thing).__module__.startswith("keymeld_"):
            yield thing
        elif not isinstance(thing, dict | list | tuple | set | frozenset):
            continue
        slots = [getattr(thing, name, None) for name in getattr(type(thing), "__slots__", ())]
        waiting += [*gc.get_referents(thing), *slots]
