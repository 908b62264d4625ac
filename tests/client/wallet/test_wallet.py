"""The wallet: what is on disk after every step, and what a crash in between leaves."""

from pathlib import Path

import pytest

from keymeld_client.errors import WalletError
from keymeld_client.wallet.entries import KeygenEntry
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.values import Epoch, Hash, Id
from keymeld_protocol.wire.statements import Statement
from tests.support.coordinator import secret_of
from tests.support.logs import Scribe
from tests.support.machines import Keygen

URL = "ws://127.0.0.1:8765"
SECRET = bytes(range(32))
WAITING = Keygen(2)


def entry(name: bytes = b"k", url: str = URL) -> KeygenEntry:
    """A keygen that a wallet was invited to."""
    return KeygenEntry(Id(name * 32), url, bytearray(SECRET), slot_secrets={1: bytearray(SECRET)})


def scribe() -> Scribe:
    return Scribe(Epoch(bytes(16)))


def statement() -> Statement:
    return scribe().opening


def reopen(wallet: Wallet) -> Wallet:
    """What the next process finds."""
    wallet.close()
    return Wallet.open(wallet.folder)


@pytest.fixture
def wallet(tmp_path: Path) -> Wallet:
    """An empty wallet."""
    return Wallet.open(tmp_path / "wallet")


def test_an_identity_is_drawn_once(wallet: Wallet) -> None:
    drawn = bytes(wallet.identity.buffer)
    assert bytes(reopen(wallet).identity.buffer) == drawn


def test_two_wallets_are_two_people() -> None:
    with Wallet.in_memory() as one, Wallet.in_memory() as two:
        assert one.identity.buffer != two.identity.buffer


def test_everything_is_for_its_owner_alone(wallet: Wallet) -> None:
    wallet.remember(entry())
    wallet.post(URL, statement())
    for path in wallet.folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_wallet_is_open_in_one_process(wallet: Wallet) -> None:
    with pytest.raises(WalletError, match="in use"):
        Wallet.open(wallet.folder)


def test_a_wallet_that_is_not_there_is_not_made_unasked(tmp_path: Path) -> None:
    with pytest.raises(WalletError, match="holds no wallet"):
        Wallet.open(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


def test_a_passing_wallet_leaves_nothing() -> None:
    with Wallet.in_memory() as wallet:
        assert wallet.folder.exists()
    assert not wallet.folder.exists()


def test_a_damaged_identity_is_refused_and_not_quoted(wallet: Wallet) -> None:
    wallet.close()
    (wallet.folder / "identity").write_text("abcd" * 3)
    with pytest.raises(WalletError, match="must hold 64 lower-case hex digits") as refused:
        Wallet.open(wallet.folder)
    assert "abcd" not in str(refused.value)


def test_a_refused_folder_is_not_left_locked(wallet: Wallet) -> None:
    wallet.close()
    kept = (wallet.folder / "identity").read_bytes()
    (wallet.folder / "identity").write_bytes(b"x")
    with pytest.raises(WalletError):
        Wallet.open(wallet.folder)
    (wallet.folder / "identity").write_bytes(kept)
    Wallet.open(wallet.folder).close()


def test_nothing_secret_is_in_a_repr(wallet: Wallet) -> None:
    secret = SECRET.hex()
    assert secret not in repr(entry()) and str(SECRET) not in repr(entry()) and "bytearray" not in repr(entry())
    assert wallet.identity.buffer.hex() not in repr(wallet)


# Keygens


def test_a_keygen_is_remembered_whole(wallet: Wallet) -> None:
    wallet.remember(entry())
    assert reopen(wallet).keygens() == (entry(),)


def test_keygens_are_found_by_coordinator(wallet: Wallet) -> None:
    wallet.remember(entry())
    wallet.remember(entry(b"o", "wss://elsewhere"))
    assert [found.id for found in wallet.keygens(URL)] == [entry().id]


def test_the_joins_of_each_slot_are_on_disk_in_their_order(wallet: Wallet) -> None:
    wallet.remember(entry())
    first, second, other = (Id(secret_of(name)) for name in ("first", "second", "other"))
    for slot, join in ((1, second), (2, other), (1, first)):
        wallet.note_join(entry().id, slot, join)
    found = reopen(wallet).keygen(entry().id)
    assert found is not None and found.joins == {1: [second, first], 2: [other]} and found.slots == (1, 2)
    with pytest.raises(WalletError, match="no ticket"):
        wallet.note_join(entry(b"o").id, 1, first)


def test_each_join_that_the_coordinator_refused_to_take_is_remembered(wallet: Wallet) -> None:
    wallet.remember(KeygenEntry(WAITING.stream, URL, bytearray(32)))
    said = [WAITING.join(1, policy=Hash(secret_of(policy))) for policy in ("one", "other")]
    for statement in said:
        wallet.turn_away(statement)
    found = reopen(wallet).keygen(WAITING.stream)
    assert found is not None and found.turned_away == {1: [each.id for each in said]} and found.slots == ()


def test_what_is_refused_and_is_no_join_of_ours_leaves_no_trace(wallet: Wallet) -> None:
    wallet.turn_away(WAITING.join(1))
    wallet.turn_away(statement())
    assert wallet.keygens() == ()


def test_what_its_owner_does_without_is_remembered(wallet: Wallet) -> None:
    wallet.remember(entry())
    given = {1: [Id(bytes(32)), Id(bytes([1]) * 32)]}
    wallet.give_up(entry().id, given)
    found = reopen(wallet).keygen(entry().id)
    assert found is not None and found.given_up == given
    with pytest.raises(WalletError, match="no ticket"):
        wallet.give_up(entry(b"o").id, given)


def test_a_damaged_keygen_is_named_and_not_quoted_and_the_others_go_on(wallet: Wallet) -> None:
    wallet.remember(entry())
    path = next((wallet.folder / "keygens").iterdir())
    path.write_bytes(path.read_bytes()[:-5])
    wallet.remember(entry(b"o"))
    again = reopen(wallet)
    assert again.keygens() == (entry(b"o"),)
    why = again.damaged[entry().id]
    assert why == f"keygens/{path.name} is damaged: move it away, and restore the session with a ticket of it"
    with pytest.raises(WalletError, match="is damaged"):
        again.remember(entry())
    path.unlink()
    again = reopen(again)
    again.remember(entry())
    assert again.damaged == {} and len(again.keygens()) == 2


def test_evidence_that_cannot_be_read_any_more_still_counts(wallet: Wallet) -> None:
    wallet.accuse(entry().id, {"fork": True, "why": "two histories"})
    next((wallet.folder / "evidence").iterdir()).write_bytes(b"{")
    assert (wallet.evidence(entry().id) or {})["fork"] is True
    assert wallet.evidence(entry(b"o").id) is None


def test_sessions_without_their_identity_get_no_other_one(wallet: Wallet) -> None:
    wallet.remember(entry())
    (wallet.folder / "identity").unlink()
    wallet.close()
    with pytest.raises(WalletError, match="holds sessions and no identity: put your copy"):
        Wallet.open(wallet.folder)
    assert not (wallet.folder / "identity").exists()


# The outbox


def test_a_statement_is_stored_byte_for_byte(wallet: Wallet) -> None:
    said = statement()
    wallet.post(URL, said)
    (pending,) = reopen(wallet).outbox(URL)
    assert pending.statement.wire == said.wire


def test_statements_keep_their_order(wallet: Wallet) -> None:
    said = [statement() for _ in range(12)]
    for one in said:
        wallet.post(URL, one)
    assert [pending.statement.id for pending in reopen(wallet).outbox()] == [one.id for one in said]


def test_an_answered_statement_is_gone(wallet: Wallet) -> None:
    wallet.answered(wallet.post(URL, statement()))
    assert reopen(wallet).outbox() == ()


def test_one_statement_is_posted_once(wallet: Wallet) -> None:
    said = statement()
    assert wallet.post(URL, said) is wallet.post(URL, said)


def test_an_outbox_is_for_one_coordinator(wallet: Wallet) -> None:
    wallet.post(URL, statement())
    assert wallet.outbox("wss://elsewhere") == ()


# Evidence


def test_evidence_is_kept_and_not_overwritten(wallet: Wallet) -> None:
    stream = scribe().stream
    wallet.accuse(stream, {"why": "first", "fork": True})
    wallet.accuse(stream, {"why": "second"})
    assert reopen(wallet).evidence(stream) == {"why": "first", "fork": True}
