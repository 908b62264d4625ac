"""What a wallet remembers of one keygen: the secrets that no log holds, and the joins that it has said.

A ticket's holder has the group secret and one slot's secret; with an open ticket he has the open secret, from which
every slot's secret follows.  ``joins`` are the ids of the joins said: a coordinator may hide one, and the log shows all
others.  What follows from the identity and the log stands in no file (`own`).

The file form is JSON with hex, mode 0600.  What passed through JSON cannot be wiped from Python's memory; nothing here
is ever part of a repr, a log or an exception.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from keymeld_protocol.values import Id, decode_sized, encode_sized

from ..errors import Damaged

Joins: TypeAlias = dict[int, list[Id]]
"""Ids of joins by slot."""


@dataclass
class KeygenEntry:
    """One keygen of the wallet.

    ``url`` is the coordinator's origin, as dialled; ``open_secret`` is that of an open ticket; ``slot_secrets`` are
    those of the tickets held; ``joins`` has the joins said for each slot, in the order in which they were said,
    ``turned_away`` those that the coordinator refused to take, and ``given_up`` those that their owner does without
    (§6.3).
    """

    id: Id
    url: str
    group_secret: bytearray = field(repr=False)
    open_secret: bytearray | None = field(default=None, repr=False)
    slot_secrets: dict[int, bytearray] = field(default_factory=dict, repr=False)
    joins: Joins = field(default_factory=dict)
    turned_away: Joins = field(default_factory=dict)
    given_up: Joins = field(default_factory=dict)

    @property
    def slots(self) -> tuple[int, ...]:
        """The slots that this wallet has said a join for, rising."""
        return tuple(sorted(self.joins))


class _Stored(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The file form of an entry; hex for every secret."""

    v: int
    id: Id
    url: str
    group_secret: str
    open_secret: str | None = None
    slot_secrets: dict[str, str] = {}
    joins: dict[str, list[Id]] = {}
    turned_away: dict[str, list[Id]] = {}
    given_up: dict[str, list[Id]] = {}

    def __repr__(self) -> str:
        return "<stored keygen>"


def dump_entry(entry: KeygenEntry) -> bytes:
    """The file form of ``entry``."""
    stored = _Stored(
        v=1,
        id=entry.id,
        url=entry.url,
        group_secret=entry.group_secret.hex(),
        open_secret=entry.open_secret.hex() if entry.open_secret is not None else None,
        slot_secrets={str(slot): secret.hex() for slot, secret in entry.slot_secrets.items()},
        joins=_written(entry.joins),
        turned_away=_written(entry.turned_away),
        given_up=_written(entry.given_up),
    )
    return msgspec.json.encode(stored, enc_hook=encode_sized)


def load_entry(raw: bytes | bytearray, name: str) -> KeygenEntry:
    """Read the file form.

    Raises:
        Damaged: it is no entry; names the file and never what is in it.
    """
    try:
        stored = msgspec.json.decode(raw, type=_Stored, dec_hook=decode_sized)
        return KeygenEntry(
            id=stored.id,
            url=stored.url,
            group_secret=_secret(stored.group_secret),
            open_secret=_secret(stored.open_secret) if stored.open_secret is not None else None,
            slot_secrets={int(slot): _secret(text) for slot, text in stored.slot_secrets.items()},
            joins=_read(stored.joins),
            turned_away=_read(stored.turned_away),
            given_up=_read(stored.given_up),
        )
    except (msgspec.DecodeError, ValueError):
        told = "move it away, and restore the session with a ticket of it"
        raise Damaged(f"{name} is damaged: {told}") from None


def _written(joins: Joins) -> dict[str, list[Id]]:
    """Joins by slot, as JSON names slots."""
    return {str(slot): said for slot, said in joins.items()}


def _read(joins: dict[str, list[Id]]) -> Joins:
    """Joins by slot."""
    return {int(slot): said for slot, said in joins.items()}


def _secret(text: str) -> bytearray:
    """32 bytes of hex."""
    raw = bytearray.fromhex(text)
    if len(raw) != 32:
        raise ValueError("must be 32 bytes")
    return raw
