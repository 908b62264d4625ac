"""The enclave's identity at rest.

The identity is random, made inside the enclave, and outlives its restarts: envelopes are sealed to it.  Where it rests
is a port, ``KeyManagement``; this version has the development key file.  Whoever can read that file can open every
envelope: it is for development and for machines whose operator the participants trust.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from keymeld_host.files import BadFile, FileLock, InUse, refused_as
from keymeld_host.keyfiles import KEY_RULE, own_key
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.curve.secp256k1 import Holder, Secret, wipe
from keymeld_protocol.errors import InvalidCrypto, KeymeldError
from keymeld_protocol.values import XOnlyKey


class IdentityUnavailable(KeymeldError):
    """The identity cannot be read or made; the message says what to do."""


class EnclaveIdentity(Holder):
    """The secret that opens envelopes and signs the enclave's statements; ``key`` is its x-only public key."""

    __slots__ = ("key", "secret", "signing")

    def __init__(self, secret: Secret) -> None:
        """Take over ``secret``; nobody else keeps it."""
        self.secret = secret
        self.signing = Keypair(secret)
        self.key = XOnlyKey(self.signing.key)

    def sign(self, message: bytes) -> bytes:
        """BIP-340 over 32 bytes."""
        return self.signing.sign(message)

    def wipe(self) -> None:
        """Overwrite it."""
        self.secret.wipe()
        self.signing.wipe()


class KeyManagement(Protocol):
    """Where the identity rests."""

    def load(self) -> EnclaveIdentity:
        """The identity, made at the first call.

        Raises:
            IdentityUnavailable: it cannot be read, or others can read it.
        """


class KeyFile:
    """Development: 32 bytes as hex in a file that only its owner can read (mode 0600).

    With ``alone`` no other process that says so loads it, until this one ends: two enclaves with one identity spend
    each other's attempts.
    """

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        self._path = path
        self._alone = alone
        self._lock: FileLock | None = None

    def load(self) -> EnclaveIdentity:
        """Read the file, or make it.

        Raises:
            IdentityUnavailable: the file cannot be read or made, is readable by others, holds no key, or is in use.
        """
        secret = bytearray()
        try:
            with refused_as(self._path, "made"):
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            secret = own_key(self._path)
            if self._alone and self._lock is None:
                self._lock = FileLock(self._path, itself=True)
            return EnclaveIdentity(Secret(secret))
        except InUse:
            rule = "another enclave runs with it; stop that one, or give this one a key file of its own (--key-file)"
            raise IdentityUnavailable(f"key file {self._path}: {rule}") from None
        except BadFile as error:
            raise IdentityUnavailable(f"key file {error}") from None
        except InvalidCrypto:
            rule = f"{KEY_RULE}, not zero and below the order of secp256k1"
            raise IdentityUnavailable(f"key file {self._path} {rule}") from None
        finally:
            wipe(secret)

    def release(self) -> None:
        """Let others load it; the end of the process does the same, however it comes."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
