"""What was verified once and is in no log any more, because a coordinator was restored from a backup (§4.3).

    {"epoch":…,"offset":9,…}       a record of the lost tail, as it was heard
    {"without":["ID",…]}           statements that the owner goes on without

One file for each stream, only appended to, and forced to the disk before the stream itself is replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from keymeld_protocol.errors import BadInput
from keymeld_protocol.values import Id, decode_sized
from keymeld_protocol.wire.frames import WireRecord, record_json, record_of
from keymeld_protocol.wire.records import Record

from ..errors import Damaged
from .files import AppendFile, named_by_id, read_lines

_WITHOUT: Final = b'{"without":'


class _WithoutLine(msgspec.Struct):
    without: tuple[str, ...]


_records = msgspec.json.Decoder(WireRecord, dec_hook=decode_sized)
_withouts = msgspec.json.Decoder(_WithoutLine)


class LostTails:
    """The lost tails of one wallet, by stream."""

    def __init__(self, folder: Path) -> None:
        """In ``folder``, which is there; ``damaged`` says which of its files are, by stream.

        Raises:
            WalletError: a file cannot be read.
        """
        self._folder = folder
        self._lost: dict[Id, dict[Id, Record]] = {}
        self._without: dict[Id, set[Id]] = {}
        self.damaged: dict[Id, str] = {}
        for stream, path in named_by_id(folder, "jsonl"):
            try:
                self._load(stream, path)
            except Damaged as error:
                self.damaged[stream] = str(error)

    def streams(self) -> tuple[Id, ...]:
        """The streams of which something was lost."""
        return tuple(self._lost)

    def of(self, stream: Id) -> tuple[Record, ...]:
        """The records that were lost, in order."""
        return tuple(self._lost.get(stream, {}).values())

    def without(self, stream: Id) -> frozenset[Id]:
        """The statements that the owner does without."""
        return frozenset(self._without.get(stream, ()))

    def add(self, stream: Id, records: Sequence[Record]) -> None:
        """Keep what was lost; what is known already is kept once.

        Raises:
            WalletError: the disk is full, or the folder cannot be written.
        """
        known = self._lost.setdefault(stream, {}) if records else self._lost.get(stream, {})
        new = [record for record in records if record.statement.id not in known]
        self._append(stream, [record_json(record) for record in new])
        known.update({record.statement.id: record for record in new})

    def go_without(self, stream: Id, statements: Iterable[Id]) -> None:
        """Remember that the owner does without these.

        Raises:
            WalletError: the disk is full, or the folder cannot be written.
        """
        names = [ident.hex() for ident in statements]
        self._append(stream, [_WITHOUT + msgspec.json.encode(names) + b"}"] if names else [])
        self._without.setdefault(stream, set()).update(map(Id.from_hex, names))

    def _append(self, stream: Id, lines: Sequence[bytes]) -> None:
        if not lines:
            return
        file = AppendFile(self._folder / f"{stream.hex()}.jsonl")
        try:
            for line in lines:
                file.append(line)
            file.sync()
        finally:
            file.close()

    def _load(self, stream: Id, path: Path) -> None:
        lost, without = self._lost.setdefault(stream, {}), self._without.setdefault(stream, set())
        for number, line in enumerate(read_lines(path), 1):
            try:
                if line.startswith(_WITHOUT):
                    without.update(map(Id.from_hex, _withouts.decode(line).without))
                else:
                    record = record_of(_records.decode(line))
                    lost[record.statement.id] = record
            except (msgspec.DecodeError, ValueError, BadInput):
                told = "move it away to go on without what was lost, once you have seen to it"
                raise Damaged(f"lost/{path.name} line {number} is damaged: {told}") from None
