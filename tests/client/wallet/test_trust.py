"""Which enclaves are believed: nobody, unless their owner said so (attack 1)."""

import pytest

from keymeld_client.errors import NotTrusted, WalletError
from keymeld_client.wallet.trust import Trust
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.values import XOnlyKey
from tests.support.coordinator import key_of

VAULT, STRANGER = XOnlyKey(key_of("vault").key), XOnlyKey(key_of("stranger").key)


def test_nobody_is_believed_by_default() -> None:
    with Wallet.in_memory() as wallet:
        assert Trust.load(wallet) == Trust()
    with pytest.raises(NotTrusted, match="nobody said to trust"):
        Trust().choose([STRANGER])


def test_trust_is_remembered() -> None:
    with Wallet.in_memory() as wallet:
        Trust.of(VAULT.hex()).save(wallet)
        assert Trust.load(wallet).believes(VAULT)


def test_a_trusted_enclave_is_found_among_strangers() -> None:
    assert Trust.of(VAULT.hex()).choose([STRANGER, VAULT]) == VAULT


def test_a_stranger_is_refused_even_when_asked_for() -> None:
    with pytest.raises(NotTrusted, match="nothing is sealed"):
        Trust.of(VAULT.hex()).choose([STRANGER, VAULT], STRANGER)


def test_an_enclave_that_is_away_is_not_sealed_to() -> None:
    with pytest.raises(NotTrusted, match="not connected"):
        Trust.of(VAULT.hex()).choose([STRANGER], VAULT)


def test_no_enclave_at_all_is_said_so() -> None:
    with pytest.raises(NotTrusted, match="has none connected"):
        Trust.of(VAULT.hex()).choose([])


def test_more_can_be_believed() -> None:
    assert Trust().also([VAULT]).believes(VAULT)


def test_a_damaged_file_is_refused() -> None:
    with Wallet.in_memory() as wallet:
        Trust.of(VAULT.hex()).save(wallet)
        (wallet.folder / "trusted-enclaves").write_text("AB")
        with pytest.raises(WalletError, match="64 hex digits"):
            Trust.load(wallet)
