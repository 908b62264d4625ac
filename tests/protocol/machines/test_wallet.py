"""A wallet's stream: its owner's notes, and nothing else."""

import pytest

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import BadInput, Reason, Refused
from keymeld_protocol.machines import wallet
from keymeld_protocol.machines.wallet import WalletState
from keymeld_protocol.values import digest
from keymeld_protocol.wire.payloads import SigningApprove, WalletNote
from keymeld_protocol.wire.statements import Statement, make
from tests.support.logs import NOON, Scribe
from tests.support.machines import EPOCH, STRANGER, key_list, xonly


def noted(count: int = 2) -> tuple[Scribe, WalletState]:
    """A wallet with some notes, and who writes it."""
    scribe = Scribe(EPOCH)
    state = wallet.opened(scribe.open())
    for record in scribe.notes(count):
        state = wallet.apply(state, record)
    return scribe, state


def note_by(who: Keypair, scribe: Scribe) -> Statement:
    said = WalletNote(v=1, by=xonly(who), stream=scribe.stream, after=scribe.chain.hash, note=digest(b"x"))
    return make(said, who.sign, blobs=[b"x"])


def refusal(scribe: Scribe, state: WalletState, said: Statement) -> Refused:
    with pytest.raises(Refused) as caught:
        wallet.apply(state, scribe.chain.next(EPOCH, NOON, said))
    return caught.value


def test_a_wallet_holds_its_owners_notes() -> None:
    scribe, state = noted()
    assert state == WalletState(scribe.stream, scribe.key, 2)
    assert state.open and state.hearers() == {scribe.key} and state.opener == scribe.key


def test_neither_time_nor_presence_means_anything_to_a_wallet() -> None:
    scribe, state = noted()
    assert wallet.due(state, NOON + 10**12, key_list(scribe.signer)) is None
    assert state.deadline() is None and state.awaited(NOON) == frozenset()
    assert (state.parent, state.coordinator) == (None, None)


def test_a_wallet_begins_with_nothing_but_its_opening() -> None:
    scribe, _ = noted()
    with pytest.raises(BadInput, match="a wallet begins with"):
        wallet.opened(scribe.chain.next(EPOCH, NOON, note_by(scribe.signer, scribe)))


def test_nobody_else_writes_into_a_wallet() -> None:
    scribe, state = noted()
    error = refusal(scribe, state, note_by(STRANGER, scribe))
    assert (error.reason, error.field) == (Reason.NOT_ALLOWED, "by")


def test_nothing_but_notes_stands_in_a_wallet() -> None:
    scribe, state = noted()
    said = SigningApprove(v=1, by=scribe.key, stream=scribe.stream, after=scribe.chain.hash)
    error = refusal(scribe, state, make(said, scribe.signer.sign))
    assert (error.reason, error.field) == (Reason.NOT_ALLOWED, "by")


def test_a_wallet_is_not_filled_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wallet, "MAX_WALLET_NOTES", 2)
    scribe, state = noted()
    error = refusal(scribe, state, note_by(scribe.signer, scribe))
    assert (error.reason, error.field, error.limit) == (Reason.OVER_LIMIT, "kind", 2)
