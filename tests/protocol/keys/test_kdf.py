"""HKDF-SHA256: RFC 5869's first test case, and what becomes of a result that is no key."""

import pytest

from keymeld_protocol.errors import InvalidCrypto
from keymeld_protocol.keys import kdf
from keymeld_protocol.keys.kdf import hkdf, hkdf_scalar

IKM, SALT, INFO = b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA))


def test_the_first_test_case_of_rfc_5869() -> None:
    assert hkdf(IKM, SALT, INFO).hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


def test_an_empty_salt_is_32_zeros() -> None:
    assert hkdf(IKM, b"", INFO) == hkdf(IKM, bytes(32), INFO)


def test_every_argument_counts() -> None:
    assert len({bytes(hkdf(*arguments)) for arguments in [(IKM, SALT, INFO), (b"", SALT, INFO), (IKM, b"", INFO)]}) == 3
    assert hkdf(IKM, SALT, b"") != hkdf(IKM, SALT, INFO)


def test_secrets_come_from_and_go_to_buffers_that_can_be_wiped() -> None:
    assert hkdf(bytearray(IKM), SALT, INFO) == hkdf(IKM, SALT, INFO)
    assert isinstance(hkdf(IKM, SALT, INFO), bytearray)


def test_a_scalar_is_the_same_32_bytes() -> None:
    assert hkdf_scalar(IKM, SALT, INFO).buffer == hkdf(IKM, SALT, INFO)


@pytest.mark.parametrize("result", [bytes(32), b"\xff" * 32])
def test_a_result_that_is_no_key_is_refused_and_wiped(result: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    derived = bytearray(result)
    monkeypatch.setattr(kdf, "hkdf", lambda ikm, salt, info: derived)
    with pytest.raises(InvalidCrypto):
        hkdf_scalar(IKM, SALT, INFO)
    assert derived == bytes(32)
