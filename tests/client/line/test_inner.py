"""inner.py: which keys a wallet proves, and which sessions it goes on to hear."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keymeld_client.line.inner import WalletHalf
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import Reason, Refused, WireError
from keymeld_protocol.keys.derivation import slot_secret
from keymeld_protocol.peer.waits import Ended
from keymeld_protocol.values import Epoch, Id, Salt, XOnlyKey
from keymeld_protocol.wire.connection import Hello, Presence, SessionInfo
from tests.client.paper import Reader, Tale
from tests.support.coordinator import key_of, secret_of

STRANGE = Id(b"\7" * 32)
OPEN = secret_of("alice tickets 1")
LATER = Refused(Reason.UNAVAILABLE, "not now", retry_after_ms=250)


@pytest.fixture(scope="module")
def tale() -> Tale:
    """A completed keygen and a signing that was signed, only read."""
    return Tale()


@pytest.fixture
def reader(tale: Tale) -> Iterator[Reader]:
    """A wallet with a ticket, that has heard nothing yet."""
    with Reader(tale).closing() as reader:
        yield reader


def half(reader: Reader, *told: list[WireError]) -> WalletHalf:
    """The inner half of that wallet; what is put off is ``told``, then what is refused."""
    put_off, refused = [*told, list[WireError](), list[WireError]()][:2]
    return WalletHalf(reader.wallet, reader.ledger, None, put_off.append, refused.append)


def hello(coordinator: XOnlyKey) -> Hello:
    """A coordinator's greeting."""
    return Hello(
        challenge=Salt(bytes(32)), versions=("keymeld.v1",), time=0, limits={}, heartbeat_ms=20_000,
        coordinator=coordinator, epoch=Epoch(bytes(16)),
    )  # fmt: skip


def listed(tale: Tale, *, keygen: Id | None = None) -> list[SessionInfo]:
    """The tale's signing, as a coordinator lists it, for ``keygen``."""
    return [SessionInfo(tale.signing, "signing", "approving", 1, tale.keygen if keygen is None else keygen)]


def proven(reader: Reader) -> set[bytes]:
    """The keys that the wallet proves."""
    return {bytes(key.key) for key in half(reader).keys(hello(reader.tale.coordinator))}


def test_an_invitation_is_proven_as_long_as_the_keygen_may_collect(reader: Reader, tale: Tale) -> None:
    entry = reader.wallet.keygen(tale.keygen)
    assert entry is not None
    with slot_secret(OPEN, 0) as secret:
        entry.slot_secrets[0] = bytearray(secret.buffer)
    with Secret(entry.slot_secrets[0]) as secret, reader.wallet.identity.auth(tale.keygen, 0) as auth:
        assert proven(reader) == {bytes(Keypair(secret).key), bytes(auth.key)}, "and the seat that may be its own"
    reader.subscribed(tale.keygen)
    reader.hear(tale.keygen)
    assert proven(reader) == set(), "it is completed: nobody joins any more"


def test_every_keygen_of_the_wallet_is_heard_whatever_is_listed(reader: Reader, tale: Tale) -> None:
    assert list(half(reader).keygens([SessionInfo(STRANGE, "keygen", "collecting", 1)])) == [tale.keygen]


def test_a_signing_is_heard_if_its_keygen_is_the_wallets(reader: Reader, tale: Tale) -> None:
    assert list(half(reader).signings(listed(tale))) == [tale.signing]
    assert list(half(reader).signings(listed(tale, keygen=STRANGE))) == []


def test_a_signing_that_was_heard_to_its_end_is_not_asked_for_again(reader: Reader, tale: Tale) -> None:
    for stream in (tale.keygen, tale.signing):
        reader.subscribed(stream)
        reader.hear(stream)
    assert list(half(reader).signings(listed(tale))) == []


def test_a_stream_is_heard_from_where_its_verified_part_ends(reader: Reader, tale: Tale) -> None:
    inner = half(reader)
    assert inner.position(tale.keygen) is None
    reader.subscribed(tale.keygen)
    reader.hear(tale.keygen)
    position = inner.position(tale.keygen)
    assert position is not None and position.offset == len(tale.wires(tale.keygen))


def test_a_stream_that_is_refused_is_noted_with_its_reason(reader: Reader) -> None:
    half(reader).not_subscribed(STRANGE, LATER)
    assert reader.ledger.refused[STRANGE] is LATER


def test_a_coordinator_that_does_not_resume_ends_the_conversation_for_as_long_as_it_says(reader: Reader) -> None:
    with pytest.raises(Ended, match="refused to resume: unavailable: not now") as caught:
        half(reader).not_resumed(LATER)
    assert (caught.value.retry_after_ms, caught.value.terminal) == (250, False)


def test_whoever_watches_is_told_that_resuming_has_to_wait(reader: Reader) -> None:
    told: list[WireError] = []
    half(reader, told).put_off(LATER)
    assert told == [LATER]


def test_who_comes_and_goes_is_known_by_the_last_word(reader: Reader, tale: Tale) -> None:
    inner, key = half(reader), XOnlyKey(key_of("alice").key)
    for online in (True, False):
        inner.presence(Presence(tale.keygen, key, online=online, signs=False))
    assert inner.online == {key: False}


def test_what_nobody_else_hears_of_is_told_whoever_looks_at_the_problems(reader: Reader) -> None:
    refused: list[WireError] = []
    half(reader, [], refused).refused("sessions", LATER)
    assert refused == [LATER]


def test_nothing_is_heard_of_a_keygen_whose_file_is_damaged(reader: Reader, tale: Tale) -> None:
    reader.wallet.damaged[tale.keygen] = "its file is damaged"
    assert [*half(reader).keygens([])] == [*half(reader).signings(listed(tale))] == []
