"""command/opened.py: sealed words come to the screen printable, or not at all; they never stop the telling."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keymeld_client import Client
from keymeld_client.command.opened import detail_of, label_of, names_of
from keymeld_client.errors import WalletError
from keymeld_protocol.plaintext.contents import Terms
from keymeld_protocol.values import Id
from keymeld_protocol.wire.records import Record
from tests.client.paper import Reader, Tale
from tests.promises.desk import at_desk
from tests.support.world import MESSAGE, NONE, World


@pytest.fixture(scope="module")
def tale() -> Tale:
    """A treasury whose creator writes escapes into what others read, and a request that Bob's key refuses."""
    tale = Tale.__new__(Tale)
    tale.world = world = World()
    tale.alice, tale.bob = world.member("alice"), world.member("bob")
    tale.keygen = world.gather(
        [tale.alice, tale.bob], at=[world.enclave("vault"), world.enclave("tower")], rule=NONE,
        terms=Terms(v=1, label="trea\x1bsury", network="regtest", tweak="bip86"), allow=[{}, {"no_blind": True}],
    )  # fmt: skip
    tale.signing = tale.alice.request(tale.keygen, MESSAGE, memo="re\x1bnt")
    world.run()
    return tale


@pytest.fixture
def client(tale: Tale) -> Iterator[Client]:
    """Somebody with a ticket who has heard all of it."""
    with Reader(tale).closing() as reader:
        for stream in (tale.keygen, tale.signing):
            reader.subscribed(stream)
            reader.hear(stream)
        yield at_desk(reader)


def said(client: Client, stream: Id, kind: str) -> Record:
    """The first record of a kind."""
    replay = client.ledger.replay(stream)
    assert replay is not None
    return next(record for record in replay.records if record.statement.payload.kind == kind)


def test_terms_memos_and_reasons_are_told_and_printable(client: Client, tale: Tale) -> None:
    told = [
        detail_of(client, tale.keygen, said(client, stream, kind))
        for stream, kind in (
            (tale.keygen, "keygen.create"), (tale.signing, "signing.request"), (tale.signing, "signing.refuse"),
        )
    ]  # fmt: skip
    assert all(told) and all(text.isprintable() for text in told)
    assert told[0] == '"trea\\u{1b}sury", regtest'
    assert told[1] == '"re\\u{1b}nt"'


def test_a_record_without_words_of_its_own_has_none(client: Client, tale: Tale) -> None:
    assert detail_of(client, tale.keygen, said(client, tale.keygen, "keygen.join")) == ""


@pytest.mark.parametrize(("kind", "field"), [("keygen.create", "terms"), ("signing.request", "body")])
def test_words_that_are_not_here_are_shown_as_nothing(client: Client, tale: Tale, kind: str, field: str) -> None:
    stream = tale.keygen if kind.startswith("keygen") else tale.signing
    assert detail_of(client, tale.keygen, said(client, stream, kind).without_blobs((field,))) == ""


def test_members_are_named_by_their_cards(client: Client, tale: Tale) -> None:
    names = names_of(client, tale.keygen)
    assert [names.slot(slot) for slot in range(2)] == ['slot 0 "alice"', 'slot 1 "bob"']


def test_a_slot_that_there_is_not_has_no_label(client: Client, tale: Tale) -> None:
    assert label_of(client, tale.keygen, 7) == ""


def test_before_the_keygen_is_completed_a_label_is_read_from_its_card_alone(tale: Tale) -> None:
    with Reader(tale).closing() as reader:
        reader.subscribed(tale.keygen)
        reader.hear(tale.keygen, tale.wires(tale.keygen)[:2])
        assert [label_of(at_desk(reader), tale.keygen, slot) for slot in range(2)] == ["alice", ""]


def test_of_a_keygen_that_was_never_heard_there_are_no_names(tale: Tale) -> None:
    with Reader(tale).closing() as reader, pytest.raises(WalletError):
        names_of(at_desk(reader), tale.keygen)
