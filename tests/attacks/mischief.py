"""What a hostile creator, member or enclave says: properly signed, and wrong inside.

invitation = create(mallory, terms=b"sealed with another key")       a keygen whose terms nobody can open
request = ask(mallory, keygen, MESSAGE, slots=(0, 1))                a request without asking the roster
tower = Puppet(world, "tower"); tower.mute = True                    an enclave whose identity speaks for the test
world.submit(contribution(world, tower, signing, sealed, slots=(2,)))
"""

from __future__ import annotations

from typing import Any

import pytest

from keymeld_protocol.errors import Reason, WireError
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.plaintext import contents, contributions
from keymeld_protocol.plaintext.body import Body, SignMessage
from keymeld_protocol.plaintext.contents import Terms
from keymeld_protocol.plaintext.contributions import Entry
from keymeld_protocol.values import Hash, Id, Message, Salt, XOnlyKey, digest
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.payloads import KeygenCreate, SigningContribute, SigningRequest
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.shapes import Rule, Said
from keymeld_protocol.wire.statements import Statement, WireStatement
from tests.support.world import HOUR, NONE, SELF, Enclave, Invitation, Log, Member, World, key_of, secret_of


def create(
    creator: Member, slots: int = 2, *, name: str = "mischief", terms: bytes | None = None, **fields: Any
) -> Invitation:
    """Open a keygen whose secrets ``name`` decides; ``terms`` and ``fields`` replace what an honest creator says."""
    salt, secret, tickets = (secret_of(f"{name} {word}") for word in ("salt", "S", "tickets"))
    with GroupKey(secret, Salt(salt)) as group:
        key = creator.identity.creator(Salt(salt))
        by, commitment = XOnlyKey(key.key), group.commitment
        honest = contents.encode(Terms(v=1, label=name, network="regtest", tweak="bip86"))
        sealed = terms or group.seal("keygen.create", "terms", Id(bytes(32)), by, honest)
    invites = Invitation(Id(bytes(32)), secret, tickets)
    said: dict[str, Any] = {
        "suite": "musig2/1", "coordinator": XOnlyKey(creator.coordinator.coordinator.key), "salt": Salt(salt),
        "group": commitment, "open": False, "slots": tuple(XOnlyKey(invites.invite(i).key) for i in range(slots)),
        "subsets": (), "expires_at": creator.coordinator.now + HOUR, "terms": digest(sealed),
    }  # fmt: skip
    statement = statements.make(KeygenCreate(v=1, by=by, **(said | fields)), key.sign, blobs=[sealed])
    creator.coordinator.submit(statement, creator)
    return Invitation(statement.id, secret, tickets)


def ask(asker: Member, keygen: Id, *messages: bytes, slots: tuple[int, ...] = (0, 1), **fields: Any) -> Statement:
    """A request for blind messages by the first slot of ``asker``, whatever the roster says."""
    auth, group = asker.auth(keygen), asker.groups[keygen]
    by = XOnlyKey(auth.key)
    items = tuple(SignMessage(message=Message(m)) for m in messages)
    plain = contents.encode(Body(v=1, transactions=(), items=items, memo=""))
    sealed = group.seal("signing.request", "body", keygen, by, plain)
    said: dict[str, Any] = {
        "keygen": keygen, "after": asker.heard(keygen).chain.hash, "slots": slots, "items": len(items),
        "roster": asker.keygen(keygen).roster or Hash(bytes(32)), "grace_ms": 3_000,
        "expires_at": asker.coordinator.now + HOUR, "body": digest(sealed),
    }  # fmt: skip
    return statements.make(SigningRequest(v=1, by=by, **(said | fields)), auth.sign, blobs=[sealed])


def say_as(world: World, enclave: Enclave, stream: Id, kind: type[Said], *blobs: bytes, **fields: Any) -> Statement:
    """A statement signed by an enclave's identity, after the latest record of ``stream``."""
    key = key_of(enclave.name)
    payload = kind(v=1, by=XOnlyKey(key.key), stream=stream, after=world.logs[stream].chain.hash, **fields)
    return statements.make(payload, key.sign, blobs=blobs)


class Puppet(Enclave):
    """An enclave that falls silent when it is told so: what it hears waits, and the test speaks for it."""

    mute = False

    def step(self) -> bool:
        """Nothing while it is mute."""
        return not self.mute and super().step()


def contribution(world: World, enclave: Enclave, signing: Id, sealed: bytes, **fields: Any) -> Statement:
    """A contribution of ``sealed`` values to the first attempt: nonces, unless ``fields`` say otherwise."""
    said = {"attempt": 1, "step": "nonces", "values": digest(sealed)} | fields
    return say_as(world, enclave, signing, SigningContribute, sealed, **said)


def group_of_two(second: Rule = SELF) -> tuple[World, Enclave, Member, Member, Id]:
    """Alice's key follows any request, Bob's only his own yes."""
    world = World()
    vault, alice, bob = world.enclave("vault"), world.member("alice"), world.member("bob")
    return world, vault, alice, bob, world.gather([alice, bob], at=vault, rule=[NONE, second])


def refuses(world: World, said: Statement | WireStatement, reason: Reason) -> None:
    """The coordinator refuses it, and no log has grown."""
    before = {stream: log.chain.offset for stream, log in world.logs.items()}
    with pytest.raises(WireError) as caught:
        world.submit(said if isinstance(said, Statement) else statements.parse(said))
    assert caught.value.reason is reason, caught.value
    assert {stream: log.chain.offset for stream, log in world.logs.items()} == before


def write(world: World, log: Log, statement: Statement) -> Record:
    """A hostile coordinator writes a statement into a log where it was not said; nobody is told yet."""
    record = log.chain.next(world.epoch, world.now, statement)
    log.chain.append(record)
    log.records.append(record)
    return record


def seal_values(reader: Member, signing: Id, enclave: Enclave, *entries: Entry) -> bytes:
    """Values of a contribution, sealed so that everybody in the group can read them."""
    state = reader.signing(signing)
    group = reader.groups[state.request.keygen]
    return group.seal("signing.contribute", "values", signing, enclave.key, contributions.encode(entries))


def signed(*enclaves: Enclave) -> bool:
    """Whether any of these enclaves has said anything that brings a signature nearer."""
    return any("signing.contribute" in enclave.kinds() for enclave in enclaves)
