"""This wallet's own word on what it has verified: at the next start those signatures are not verified again (§4.6).

    stored records ─▶ do they chain to the hash of our checkpoint? ─▶ up to there without their signatures
                                                                   └▶ no: all in full, and the owner is told

What a coordinator sends is never covered, and what is exported or accused with is verified in full again.
"""

from __future__ import annotations

from typing import Final

from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire.checkpoints import doubt, sign_checkpoint
from keymeld_protocol.wire.frames import WireRecord

from ..wallet.wallet import Wallet

EVERY: Final = 4
"""After so many records that the last checkpoint does not cover, another one is written."""


class Checkpoints:
    """The checkpoints of one wallet's streams; ``doubts`` says of which stream one was not believed, and why."""

    def __init__(self, wallet: Wallet) -> None:
        """Derive whose word counts."""
        self.doubts: dict[Id, str] = {}
        self._wallet = wallet
        self._covered: dict[Id, int] = {}
        with wallet.identity.wallet() as key:
            self._owner = XOnlyKey(key.key)

    def reach(self, stream: Id, records: list[WireRecord]) -> int:
        """Up to which offset the stored ``records`` are those that were verified; 0: all is verified in full."""
        kept = self._wallet.checkpoint(stream)
        if kept is None:
            return 0
        why = doubt(kept, stream, records, self._owner)
        if why is not None:
            self.doubts[stream] = (
                f"the checkpoint of {stream.hex()} is not believed, all of it was verified again: {why}"
            )
            return 0
        self._covered[stream] = kept.offset
        return kept.offset

    def forget(self, stream: Id) -> None:
        """The history of ``stream`` that was covered is another one now."""
        self._covered.pop(stream, None)

    def note(self, heard: Replay, *, over: bool = False) -> None:
        """Write a checkpoint where ``heard`` was verified far beyond the last one; ``over``: no more is expected.

        Raises:
            WalletError: the disk is full, or the folder cannot be written.
        """
        here, beyond = heard.chain.position, heard.chain.offset - self._covered.get(heard.stream, 0)
        if here is None or heard.broken is not None or beyond < (1 if over else EVERY):
            return
        with self._wallet.identity.wallet() as key:
            self._wallet.append_checkpoint(heard.stream, sign_checkpoint(heard.stream, here, key.sign))
        self._covered[heard.stream] = here.offset
