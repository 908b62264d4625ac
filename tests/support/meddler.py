"""A coordinator that does what it likes with what it sends: it loses, repeats, holds back and alters.

log ── record ─▶ inbox of a peer ─▶ Meddler.play: drop · twice · blank · another time, hash, place, epoch, word …
                                         └─ hold ─▶ released later, after everything else
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from msgspec.structs import replace

from keymeld_protocol.values import Epoch, Hash, Id
from keymeld_protocol.wire.frames import WireRecord

from .coordinator import Peer

Trick = Callable[[WireRecord], tuple[WireRecord, ...]]


def _reworded(wire: WireRecord, old: str, new: str) -> tuple[WireRecord, ...]:
    """Other words under the same signatures."""
    said = replace(wire.statement, payload=wire.statement.payload.replace(old, new))
    return (replace(wire, statement=said),)


def _blank(wire: WireRecord) -> tuple[WireRecord, ...]:
    """Without its ciphertexts."""
    return (replace(wire, statement=replace(wire.statement, blobs=(None,) * len(wire.statement.blobs))),)


def _unsigned(wire: WireRecord) -> tuple[WireRecord, ...]:
    """With signatures of something else."""
    spoilt = tuple(("0" if s[0] != "0" else "1") + s[1:] for s in wire.statement.signatures)
    return (replace(wire, statement=replace(wire.statement, signatures=spoilt)),)


TRICKS: dict[str, Trick] = {
    "drop": lambda wire: (),
    "twice": lambda wire: (wire, wire),
    "blank": _blank,
    "later": lambda wire: (replace(wire, at=wire.at + 1),),
    "earlier": lambda wire: (replace(wire, at=wire.at - 1),),
    "hash": lambda wire: (replace(wire, hash=Hash(bytes([wire.hash[0] ^ 1]) + bytes(wire.hash[1:]))),),
    "place": lambda wire: (replace(wire, offset=wire.offset + 1),),
    "epoch": lambda wire: (replace(wire, epoch=Epoch(b"another epoch...")),),
    "spelling": lambda wire: _reworded(wire, '"v":1', '"v": 1'),
    "slot": lambda wire: _reworded(wire, '"slot":0', '"slot":1'),
    "signature": _unsigned,
}
"""What can happen to a record on its way, beside being held back."""

HOLD = "hold"


class Meddler:
    """Plays tricks on what is under way to a peer."""

    def __init__(self) -> None:
        self._held: defaultdict[str, list[tuple[Id, WireRecord]]] = defaultdict(list)

    def play(self, peer: Peer, place: int, trick: str) -> None:
        """Play ``trick`` on one of the records that wait for ``peer``."""
        if not peer.inbox:
            return
        peer.inbox.rotate(-(place % len(peer.inbox)))
        stream, wire = peer.inbox.popleft()
        if trick == HOLD:
            self._held[peer.name].append((stream, wire))
        else:
            peer.inbox.extendleft((stream, sent) for sent in TRICKS[trick](wire))
        peer.inbox.rotate(place % max(1, len(peer.inbox)))

    def release(self, peer: Peer) -> None:
        """Send what was held back, after everything else."""
        peer.inbox.extend(self._held.pop(peer.name, ()))
