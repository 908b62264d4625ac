"""Who plays in the vectors: Alice, Bob and Carol, two enclaves, a coordinator; their secrets are public for ever.

Every secret is SHA-256 of ``keymeld wire vectors: NAME``, so that another implementation can make them too.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.keys.derivation import Identity, slot_secret
from keymeld_protocol.values import Epoch, Id, Salt, XOnlyKey

NOON: Final = 1_800_000_000_000
"""When the first record is written (milliseconds since the Unix epoch)."""

DAY: Final = 24 * 3600 * 1000


def secret_of(name: str) -> bytes:
    """The 32 secret bytes of ``name``."""
    return sha256(f"keymeld wire vectors: {name}".encode()).digest()


def key_of(name: str) -> Keypair:
    """The signing key whose secret is `secret_of` ``name``."""
    with Secret(secret_of(name)) as secret:
        return Keypair(secret)


def xonly_of(name: str) -> XOnlyKey:
    """The x-only key of ``name``."""
    return XOnlyKey(key_of(name).key)


EPOCH: Final = Epoch(secret_of("epoch")[:16])
SALT: Final = Salt(secret_of("keygen salt"))
GROUP_SECRET: Final = secret_of("group secret S")
OPEN_SECRET: Final = bytes(Identity(secret_of("alice")).open_secret(SALT))
"""Alice opens the keygen: its open secret follows from her identity."""
COORDINATOR: Final = key_of("coordinator")
PEOPLE: Final = ("alice", "bob", "carol")
ENCLAVES: Final = ("enclave one", "enclave two")
IDENTITIES: Final = {name: secret_of(name) for name in PEOPLE}


def identity_of(name: str) -> Identity:
    """The identity of one of the people."""
    return Identity(IDENTITIES[name])


def invite_of(slot: int) -> Keypair:
    """The invite key of ``slot``, as the holder of its ticket has it."""
    with slot_secret(OPEN_SECRET, slot) as secret:
        return Keypair(secret)


def auth_of(slot: int, keygen_id: Id) -> Keypair:
    """The auth key with which the person in ``slot`` speaks; Alice sits in slot 0, Bob in 1, Carol in 2."""
    return identity_of(PEOPLE[slot]).auth(keygen_id, slot)


def commented(comment: str, **fields: Any) -> dict[str, Any]:
    """One vector: what it shows, then its fields; bytes become hex."""
    return {"comment": comment} | {name: plain(value) for name, value in fields.items()}


def plain(value: Any) -> Any:
    """``value`` as JSON has it: bytes as lower-case hex."""
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value
