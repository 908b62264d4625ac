"""Keys that were brought along are remembered, and sealed once."""

from pathlib import Path

import pytest

from keymeld_client.errors import WalletError
from keymeld_client.wallet.brought import BroughtKeys
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.curve.secp256k1 import Secret

KEY = Secret(bytes(range(1, 33)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path / "brought-keys"


def test_a_key_is_noted_once(path: Path) -> None:
    BroughtKeys(path).note(KEY.point, again=False)
    with pytest.raises(WalletError, match="sealed before"):
        BroughtKeys(path).note(KEY.point, again=False)


def test_a_key_and_its_negative_are_one(path: Path) -> None:
    brought = BroughtKeys(path)
    brought.note(b"\x02" + KEY.point[1:], again=False)
    with pytest.raises(WalletError, match="sealed before"):
        brought.note(b"\x03" + KEY.point[1:], again=False)


def test_whoever_insists_notes_it_again_and_forgets_nothing(path: Path) -> None:
    other = Secret.generate()
    for key, again in ((KEY, False), (other, False), (KEY, True)):
        BroughtKeys(path).note(key.point, again)
    for key in (KEY, other):
        with pytest.raises(WalletError, match="sealed before"):
            BroughtKeys(path).note(key.point, again=False)


def test_the_file_is_its_owners_alone_and_tells_no_key(path: Path) -> None:
    BroughtKeys(path).note(KEY.point, again=False)
    assert path.stat().st_mode & 0o777 == 0o600
    written = path.read_text()
    assert KEY.point[1:].hex() not in written and bytes(KEY.buffer).hex() not in written


def test_a_wallet_remembers_over_restarts(tmp_path: Path) -> None:
    with Wallet.open(tmp_path / "wallet") as wallet:
        wallet.bring(KEY.point)
    with Wallet.open(tmp_path / "wallet") as wallet, pytest.raises(WalletError, match="sealed before"):
        wallet.bring(KEY.point)
