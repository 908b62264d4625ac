"""The files of a wallet's streams: one for each, records that were verified, signed heads, and our own checkpoints.

    {"epoch":…,"offset":9,…}       a record; the last one is the position from which the stream is resumed
    {"head":{…}}                   the coordinator's word on the records before it
    {"checkpoint":{…}}             our own (§4.6)

Only appended to, but where a stream is told anew (§4.3); a torn last line is dropped, and heard again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from keymeld_protocol.values import Id, decode_sized
from keymeld_protocol.wire.checkpoints import Checkpoint, WireCheckpoint, checkpoint_json, checkpoint_of
from keymeld_protocol.wire.frames import WireHead, WireRecord, head_json, record_json
from keymeld_protocol.wire.records import Head, Record

from ..errors import Damaged
from .files import AppendFile, named_by_id, read_lines, replace_file
from .lost import LostTails

FILES_OPEN: Final = 64
"""Streams whose files are kept open; the least recently written is closed first."""
_HEAD: Final = b'{"head":'
_CHECKPOINT: Final = b'{"checkpoint":'


class _HeadLine(msgspec.Struct):
    """The line of a stream's file that holds a signed head."""

    head: WireHead


class _CheckpointLine(msgspec.Struct):
    """The line of a stream's file that holds our own word on it."""

    checkpoint: WireCheckpoint


_records = msgspec.json.Decoder(WireRecord, dec_hook=decode_sized)
_heads = msgspec.json.Decoder(_HeadLine, dec_hook=decode_sized)
_checkpoints = msgspec.json.Decoder(_CheckpointLine, dec_hook=decode_sized)


class StreamFiles:
    """Every stream of one wallet; ``lost`` are the records that were verified and are in no log any more.

    ``damaged`` says of a session whose own file cannot be read which one it is, and what to do; the others go on.
    """

    def __init__(self, folder: Path, lost: LostTails) -> None:
        """In ``folder``, which is there."""
        self._streams, self.lost = folder, lost
        self.damaged = dict(lost.damaged)
        self._files: dict[Id, AppendFile] = {}

    def close_files(self) -> None:
        """Nothing more is written."""
        while self._files:
            self._files.popitem()[1].close()

    def streams(self) -> tuple[Id, ...]:
        """The streams of which records are stored."""
        return tuple(stream for stream, _ in named_by_id(self._streams, "jsonl"))

    def stores(self, stream: Id) -> bool:
        """Whether anything of ``stream`` is stored."""
        return self._stream_path(stream).exists()

    def undamaged(self, stream: Id) -> tuple[list[WireRecord], WireHead | None] | None:
        """As `stream`; None where a file of this session is ``damaged``, this one or another.

        Raises:
            WalletError: the file cannot be read.
        """
        try:
            records = self.stream(stream)
        except Damaged as error:
            self.damaged[stream] = str(error)
        return None if stream in self.damaged else records

    def append(self, stream: Id, record: Record) -> None:
        """Store a record that was verified; it becomes the position from which ``stream`` is resumed.

        Raises:
            WalletError: the disk is full, or the folder cannot be written.
        """
        self._stream_file(stream).append(record_json(record))

    def tell_anew(self, stream: Id, records: Sequence[Record], lost: Sequence[Record]) -> None:
        """Store ``records`` in the place of what is stored of ``stream``; those that are ``lost`` are kept beside.

        Raises:
            WalletError: the disk is full, or the folder cannot be written.
        """
        self.lost.add(stream, lost)
        if (file := self._files.pop(stream, None)) is not None:
            file.close()
        replace_file(self._stream_path(stream), b"".join(record_json(record) + b"\n" for record in records))

    def append_head(self, stream: Id, head: Head) -> None:
        """Store a signed head that agrees with the stored records: for exports, and against a second one.

        Raises:
            WalletError: the disk is full, or the folder cannot be written.
        """
        self._stream_file(stream).append(_HEAD + msgspec.json.encode(head_json(head)) + b"}")

    def append_checkpoint(self, stream: Id, checkpoint: Checkpoint) -> None:
        """Store our own word on the stored records, so that their signatures need not be verified again (§4.6).

        Raises:
            WalletError: the disk is full, or the folder cannot be written.
        """
        self._stream_file(stream).append(_CHECKPOINT + msgspec.json.encode(checkpoint_json(checkpoint)) + b"}")

    def checkpoint(self, stream: Id) -> Checkpoint | None:
        """The latest stored checkpoint of ``stream``, not yet believed; what is none counts as none.

        Raises:
            WalletError: the file cannot be read.
        """
        for line in reversed(read_lines(self._stream_path(stream))):
            if line.startswith(_CHECKPOINT):
                with suppress(msgspec.DecodeError, ValueError):
                    return checkpoint_of(_checkpoints.decode(line).checkpoint)
        return None

    def stream(self, stream: Id) -> tuple[list[WireRecord], WireHead | None]:
        """The stored records of ``stream`` and its latest head; they are verified again by whoever reads them.

        Raises:
            Damaged: a line before the last is not what was written.
            WalletError: the file cannot be read.
        """
        records: list[WireRecord] = []
        head: WireHead | None = None
        for number, line in enumerate(read_lines(self._stream_path(stream)), 1):
            try:
                if line.startswith(_HEAD):
                    head = _heads.decode(line).head
                elif not line.startswith(_CHECKPOINT):
                    records.append(_records.decode(line))
            except (msgspec.DecodeError, ValueError):
                name = f"streams/{stream.hex()}.jsonl"
                raise Damaged(f"{name} line {number} is damaged: move it away, and it is heard again") from None
        return records, head

    def does_not_hold(self, stream: Id, why: str) -> None:
        """What is stored of a stream can be read and does not hold, though it did when it was stored."""
        self.damaged[stream] = f"streams/{stream.hex()}.jsonl is damaged ({why}): move it away, and it is heard again"

    def _stream_file(self, stream: Id) -> AppendFile:
        """The open file of a stream; what a power cut takes from it, the coordinator sends again."""
        file = self._files.pop(stream, None) or AppendFile(self._stream_path(stream))
        self._files[stream] = file
        if len(self._files) > FILES_OPEN:
            self._files.pop(next(iter(self._files))).close()
        return file

    def _stream_path(self, stream: Id) -> Path:
        return self._streams / f"{stream.hex()}.jsonl"
