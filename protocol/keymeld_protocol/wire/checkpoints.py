"""A hearer's own word on what it has verified, so that it need not verify the same signatures again (§4.6).

    checkpoint = BIP-340 by the wallet key over TH("keymeld/checkpoint/v1", stream ‖ u64 offset ‖ hash)

    records up to its offset ─▶ payloads ─▶ ids ─▶ the chain ─▶ exactly this hash: the statements that were verified

It is its owner's alone, and may lie anywhere.  Of another key, stream or hash it is nothing: all is verified in full.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..curve.schnorr import tagged_hash, verify
from ..values import Hash, Id, Signature, XOnlyKey
from .frames import WireRecord
from .records import Position, first_hash, record_hash
from .statements import statement_id


@dataclass(frozen=True)
class Checkpoint:
    """Its owner has verified a stream up to the record at ``offset``, which has this hash."""

    offset: int
    hash: Hash
    signature: Signature


class WireCheckpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A checkpoint as it is kept, not yet believed."""

    offset: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    hash: Hash
    sig: Signature


def checkpoint_message(stream: Id, offset: int, hash_: Hash) -> bytes:
    """What the wallet key signs (32 bytes)."""
    return tagged_hash("keymeld/checkpoint/v1", stream + offset.to_bytes(8, "big") + hash_)


def sign_checkpoint(stream: Id, position: Position, sign: Callable[[bytes], bytes]) -> Checkpoint:
    """The word of whoever has verified ``stream`` up to ``position``, and holds the wallet key."""
    message = checkpoint_message(stream, position.offset, position.hash)
    return Checkpoint(position.offset, position.hash, Signature(sign(message)))


def doubt(checkpoint: Checkpoint, stream: Id, records: Sequence[WireRecord], owner: XOnlyKey) -> str | None:
    """Why ``checkpoint`` is nothing to ``owner`` for these records, the first ones of ``stream``; None: it covers them.

    Covered are the records up to its offset: the payloads that were verified.  Whether their signatures are those that
    were verified it cannot say, since no id and no hash covers them.
    """
    message = checkpoint_message(stream, checkpoint.offset, checkpoint.hash)
    if not verify(checkpoint.signature, message, owner):
        return "it is not this wallet's word on this stream"
    if len(records) < checkpoint.offset:
        return f"it speaks of {checkpoint.offset} records, and {len(records)} are here"
    if chained(stream, records[: checkpoint.offset]) != checkpoint.hash:
        return "the records that are here are not those that were verified"
    return None


def chained(stream: Id, records: Sequence[WireRecord]) -> Hash | None:
    """The hash to which the payloads of ``records`` chain from the first one on; None where a record says another."""
    hash_ = first_hash(stream)
    for offset, record in enumerate(records, 1):
        hash_ = record_hash(hash_, record.epoch, offset, record.at, statement_id(record.statement.payload))
        if (record.offset, record.hash) != (offset, hash_):
            return None
    return hash_


def checkpoint_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint's members."""
    return {"offset": checkpoint.offset, "hash": checkpoint.hash.hex(), "sig": checkpoint.signature.hex()}


def checkpoint_of(wire: WireCheckpoint) -> Checkpoint:
    """A checkpoint, not yet verified."""
    return Checkpoint(wire.offset, wire.hash, wire.sig)
