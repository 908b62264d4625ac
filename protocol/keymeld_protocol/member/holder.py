"""What a contributor asks of whoever holds keys: an enclave's custody, or a device (§11.2).

    KeyHolder ──┬─ key, slots ───▶ who speaks, and for whom
                ├─ group ────────▶ opens and seals what the members say to each other
                ├─ policy(slot) ─▶ asked before any nonce
                └─ secret(slot) ─▶ lent to the signer, and to nobody else

What has left, who joined and what was asked stand in the log; a holder is not asked for it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from ..curve.secp256k1 import Secret
from ..errors import KeymeldError
from ..keys.sealing import GroupKey
from ..machines.replay import Replay
from ..plaintext.policy import Policy
from ..values import XOnlyKey
from ..wire.payloads import SigningRequest
from ..wire.records import Record


class NotHeld(KeymeldError):
    """A key that is not held here, or not lent any more; ``code`` and ``message`` are those of a refusal."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class KeyHolder(Protocol):
    """Whoever holds keys in one keygen: one signer, whatever number of slots it signs for."""

    @property
    def key(self) -> XOnlyKey:
        """The key it speaks with, which is also its name among the signers of an attempt."""

    @property
    def slots(self) -> Collection[int]:
        """The slots it signs for, also those that have left."""

    @property
    def group(self) -> GroupKey | None:
        """What opens the members' words; None while S is not known, and once it is wiped."""

    def secret(self, slot: int) -> Secret:
        """The signing key of a slot, lent and not copied: whoever holds it wipes it.

        Raises:
            NotHeld: it is not held, or not any more.
        """

    def policy(self, slot: int) -> Policy:
        """What the owner of a slot's key allows it to be used for.

        Raises:
            NotHeld: as `secret`.
        """

    def let_go(self, heard: Replay, record: Record, blob: str) -> None:
        """A blob of ``record`` was read, and is not asked for again: whoever shows it to nobody need not keep it."""


def needed(holder: KeyHolder, request: SigningRequest) -> tuple[int, ...]:
    """The slots that a request needs and that ``holder`` signs for, rising."""
    return tuple(sorted(set(holder.slots) & set(request.slots)))
