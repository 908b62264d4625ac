"""A lost statement said anew: the same but for its ``after``, by whoever had said it."""

from collections.abc import Iterator

import msgspec
import pytest

from keymeld_client.said.again import said_anew, speakers_of
from keymeld_client.said.choosing import Choice
from keymeld_client.said.creating import Proposal, make_create
from keymeld_client.said.joining import make_join
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.plaintext.contents import Terms
from keymeld_protocol.values import Epoch, Id, XOnlyKey
from keymeld_protocol.wire.payloads import KeygenCreate, KeygenRelease
from keymeld_protocol.wire.shapes import Rule
from keymeld_protocol.wire.statements import Statement, parse
from tests.client.paper import URL
from tests.support.coordinator import key_of
from tests.support.machines import NOON, VAULT, xonly

COORDINATOR = XOnlyKey(key_of("coordinator").key)
EPOCH, LATER = Epoch(bytes(16)), Epoch(b"after a restore.")


@pytest.fixture
def wallet() -> Iterator[Wallet]:
    """An empty one."""
    with Wallet.in_memory() as wallet:
        yield wallet


def opened(wallet: Wallet) -> Replay:
    """A keygen of this wallet."""
    terms = Terms(v=1, label="treasury", network="regtest", tweak="bip86")
    entry, create = make_create(wallet, URL, COORDINATOR, Proposal(1, terms, (), False, NOON + 9_000_000))
    wallet.remember(entry)
    return hear(Replay(create.id), create)


def hear(heard: Replay, *said: Statement, epoch: Epoch = EPOCH) -> Replay:
    for statement in said:
        heard.hear(heard.chain.next(epoch, NOON, statement))
    return heard


def auth_of(wallet: Wallet, keygen: Id) -> dict[int, XOnlyKey]:
    with wallet.identity.auth(keygen, 0) as auth:
        return {0: XOnlyKey(auth.key)}


def joined(wallet: Wallet, heard: Replay) -> Statement:
    entry = wallet.keygen(heard.stream)
    state = heard.as_keygen
    assert entry is not None and state is not None
    group = GroupKey.open_group(entry.group_secret, state.create.salt, state.create.group)
    return make_join(wallet, entry, heard, group, 0, Choice(rule=Rule(approval="none"), enclave=xonly(VAULT)))


def test_a_join_keeps_its_envelope_and_both_its_signatures(wallet: Wallet) -> None:
    heard = opened(wallet)
    join = joined(wallet, heard)
    wallet.post(URL, join)
    hear(heard, join.without_blobs(("envelope",)))
    kept, fresh = wallet.join(join.id), Replay(heard.stream)
    assert kept == join
    hear(fresh, heard.records[0].statement, epoch=LATER)
    speakers = speakers_of(wallet, fresh, auth_of(wallet, heard.stream))
    anew = said_anew(wallet, fresh, heard.records[1], kept, speakers)
    assert anew is not None and parse(anew.wire) == anew and anew.blobs == join.blobs
    assert msgspec.structs.replace(anew.payload, after=join.payload.after) == join.payload  # type: ignore[union-attr]
    hear(fresh, anew, epoch=LATER)


def test_a_release_names_the_join_that_is_there_now(wallet: Wallet) -> None:
    heard = opened(wallet)
    join = joined(wallet, heard)
    wallet.post(URL, join)
    hear(heard, join)
    create = heard.records[0].statement.payload
    assert isinstance(create, KeygenCreate)
    fresh = hear(Replay(heard.stream), heard.records[0].statement, epoch=LATER)
    speakers = speakers_of(wallet, fresh, auth_of(wallet, heard.stream))
    assert speakers[create.by] is None
    again = said_anew(wallet, fresh, heard.records[1], join, speakers)
    assert again is not None
    hear(fresh, again, epoch=LATER)
    wallet.lost.add(heard.stream, heard.records[1:])
    with wallet.identity.creator(create.salt) as creator:
        from keymeld_protocol.wire.statements import make

        release = make(
            KeygenRelease(
                v=1, by=create.by, stream=heard.stream, after=heard.chain.hash, slot=0, join=join.id, code="x"
            ),
            creator.sign,
        )
    hear(heard, release)
    anew = said_anew(wallet, fresh, heard.records[-1], release, speakers)
    assert anew is not None and isinstance(anew.payload, KeygenRelease) and anew.payload.join == again.id
    hear(fresh, anew, epoch=LATER)


def test_what_others_said_and_what_opens_a_stream_is_not_said_anew(wallet: Wallet) -> None:
    heard = opened(wallet)
    create = heard.records[0]
    assert said_anew(wallet, heard, create, create.statement, {}) is None
    speakers = speakers_of(wallet, heard, auth_of(wallet, heard.stream))
    assert said_anew(wallet, heard, create, create.statement, speakers) is None
