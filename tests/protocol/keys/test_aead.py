"""Our way to libsodium gives byte for byte what PyNaCl's own functions give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)

from keymeld_protocol.errors import InvalidCrypto
from keymeld_protocol.keys import aead

KEY = bytes(range(32))


@given(st.binary(max_size=300), st.binary(max_size=64))
def test_pynacl_opens_what_we_seal(plaintext: bytes, data: bytes) -> None:
    sealed = aead.seal(KEY, plaintext, data)
    assert crypto_aead_xchacha20poly1305_ietf_decrypt(sealed[24:], data, sealed[:24], KEY) == plaintext


@given(st.binary(max_size=300), st.binary(max_size=64), st.binary(min_size=24, max_size=24))
def test_we_open_what_pynacl_seals(plaintext: bytes, data: bytes, nonce: bytes) -> None:
    box = crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, data, nonce, KEY)
    assert aead.open_sealed(bytearray(KEY), nonce + box, data) == plaintext


def test_buffers_of_every_kind_are_taken() -> None:
    sealed = aead.seal(memoryview(bytearray(KEY)), memoryview(b"text"), b"data")
    assert aead.open_sealed(KEY, bytearray(sealed), b"data") == b"text"


def test_no_nonce_comes_twice() -> None:
    assert len({aead.seal(KEY, b"", b"")[:24] for _ in range(100)}) == 100


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_of_another_length_are_refused(size: int) -> None:
    with pytest.raises(InvalidCrypto, match="key: 32 bytes"):
        aead.seal(bytes(size), b"", b"")
    with pytest.raises(InvalidCrypto, match="key: 32 bytes"):
        aead.open_sealed(bytes(size), bytes(40), b"")


def test_every_truncation_is_refused() -> None:
    sealed = aead.seal(KEY, b"nine more", b"data")
    for size in range(len(sealed)):
        with pytest.raises(InvalidCrypto):
            aead.open_sealed(KEY, sealed[:size], b"data")


def test_every_altered_byte_is_refused() -> None:
    sealed = aead.seal(KEY, b"nine more", b"data")
    for at in range(len(sealed)):
        altered = bytearray(sealed)
        altered[at] ^= 0x80
        with pytest.raises(InvalidCrypto):
            aead.open_sealed(KEY, altered, b"data")
