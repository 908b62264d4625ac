"""A WebSocket as this protocol wants it: it is counted from accept, read when it is its turn, and ends with our codes.

    bytes ─▶ its turn? ─▶ the library: frames, pongs      else they wait here, and no more are taken from the network
    library finds a frame too big or broken ─▶ goodbye, close 4009 or 4001      instead of 1009, 1002, 1003, 1007
    we end the conversation                 ─▶ goodbye, close 4xxx              never 1000 for a failure

What a peer may make us hold: one read of the network, two messages, one that has not come to its end, and the answers
that it does not take; pings of a peer that takes none are not answered (RFC 6455, 5.5.3: the latest is enough).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State

from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import Close

from ..fairness import BYTE_US, CONTROL_US, FRAME_US, Account, Fairness, Purse
from .addresses import Addresses
from .connection_limits import ConnectionLimits, Entrance

PIECE_BYTES: Final = 1024
"""What of a read is looked at in one piece: as pings, about as long as others should wait."""
LONGEST_PIECE_BYTES: Final = 8 * 1024
"""The same within a long frame, as far as one can know."""
PONGS_BYTES: Final = 16 * 1024
"""What may wait to be taken by a peer before its pings are not answered any more."""
RETRY_MS: Final = 5_000
"""What a goodbye of the range 41xx advises."""
_MESSAGES: Final = (Opcode.TEXT, Opcode.BINARY)
_CODES: Final = frozenset(map(int, Close))
_TRANSLATED: Final[dict[int, Close]] = {
    CloseCode.MESSAGE_TOO_BIG: Close.TOO_BIG,
    CloseCode.PROTOCOL_ERROR: Close.BAD_FRAME,
    CloseCode.UNSUPPORTED_DATA: Close.BAD_FRAME,
    CloseCode.INVALID_DATA: Close.BAD_FRAME,
}


class Socket(ServerConnection):
    """A WebSocket that is counted among those of its ``address`` from accept until it is gone."""

    def __init__(
        self,
        *args: Any,
        fairness: Fairness,
        limits: ConnectionLimits,
        addresses: Addresses,
        weight: float,
        work_ms_per_second: int | None,
        **kwargs: Any,
    ) -> None:
        """It is served by ``fairness``, and its work counts ``weight`` times for each that is here of its address."""
        super().__init__(*args, **kwargs)
        self._fairness, self._limits, self._addresses = fairness, limits, addresses
        purse = Purse(work_ms_per_second) if work_ms_per_second is not None else None
        self.account = Account(fairness, lambda: weight * limits.from_address(self.address), purse)
        self.address: str | None = None
        self.entry = Entrance.CUT
        self._unread = bytearray()
        self._asked = self._held = False
        self._frames = self._controls = 0
        self._piece = PIECE_BYTES
        self._library_receive = self.protocol.recv_frame
        self.protocol.recv_frame = self._receive  # type: ignore[method-assign]
        self.heard_at = self.loop.time()
        self.sending_since: float | None = None
        self.pinged_at: float | None = None
        self.ending: int | None = None
        self._library_fail = self.protocol.fail
        self.protocol.fail = self._fail  # type: ignore[method-assign]

    # From accept to the last byte -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there: counted before a word of his is read."""
        super().connection_made(transport)
        self.recv_messages.pause, self.recv_messages.resume = self._hold, self._go_on
        peer = transport.get_extra_info("peername")
        self._count(self._addresses.of(str(peer[0])) if isinstance(peer, tuple) else None)

    def forwarded(self, headers: Iterable[str]) -> None:
        """A proxy that is trusted says for whom it speaks: he is counted in its place."""
        peer = self.transport.get_extra_info("peername")
        if isinstance(peer, tuple) and self._addresses.is_proxy(str(peer[0])):
            self._leave()
            self._count(self._addresses.forwarded(str(peer[0]), headers))

    def _count(self, address: str | None) -> None:
        self.address, self.entry = address, self._limits.enter(address)
        if self.entry is Entrance.CUT:
            self.transport.abort()

    def _leave(self) -> None:
        self._limits.leave(self.address, self.entry)
        self.entry = Entrance.CUT

    def connection_lost(self, exc: Exception | None) -> None:
        """It counts no longer."""
        self._leave()
        self._unread.clear()
        super().connection_lost(exc)

    # Reading when it is its turn --------------------------------------------------------------------------------

    @property
    def unread(self) -> int:
        """Bytes that have come and wait for their turn."""
        return len(self._unread)

    def data_received(self, data: bytes) -> None:
        """Any byte counts as life; what does not fit in this turn of the loop waits for the next ones."""
        self.heard_at = self.loop.time()
        self.pinged_at = None
        if not self._unread and not self._held and len(data) <= PIECE_BYTES and self._fairness.free(self.account):
            self._feed(data)
            return
        self._unread += data
        self.transport.pause_reading()
        self._ask()

    def _ask(self) -> None:
        if self._unread and not self._held and not self._asked:
            self._asked = True
            self._fairness.ask(self.account, 0, self._next)

    def _next(self) -> None:
        """It is our turn: one piece."""
        self._asked = False
        if self._held or not self._unread:
            return
        piece = bytes(self._unread[: self._piece])
        del self._unread[: self._piece]
        self._feed(piece)
        if not self._unread and not self.transport.is_closing():
            self.transport.resume_reading()
        self._ask()

    def _feed(self, data: bytes) -> None:
        self._frames = self._controls = 0
        super().data_received(data)
        self._piece = PIECE_BYTES if self._frames else min(2 * self._piece, LONGEST_PIECE_BYTES)
        self.account.charge(BYTE_US * len(data) + FRAME_US * self._frames + CONTROL_US * self._controls)

    def _receive(self, frame: Frame) -> None:
        """A frame is whole; a ping of a peer that takes no answers has none."""
        self._frames += 1
        self._controls += frame.opcode not in _MESSAGES
        if frame.opcode is not Opcode.PING or self.transport.get_write_buffer_size() <= PONGS_BYTES:
            self._library_receive(frame)

    def _hold(self) -> None:
        """Enough messages wait: no more is read."""
        self._held = True

    def _go_on(self) -> None:
        self._held = False
        self._ask()

    def excuse(self) -> None:
        """We did not run: what it owes is owed from now on."""
        now = self.heard_at = self.loop.time()
        self.pinged_at = now if self.pinged_at is not None else None
        self.sending_since = now if self.sending_since is not None else None

    # Writing, and the end ---------------------------------------------------------------------------------------

    def write(self, texts: Iterable[bytes]) -> bool:
        """Hand text frames to the transport in one write if it takes more now; if not, `send` waits until it does."""
        if self.paused or self.protocol.state is not State.OPEN:
            return False
        for text in texts:
            self.protocol.send_text(text)
        self.transport.write(b"".join(self.protocol.data_to_send()))
        return True

    def say_goodbye(self, code: int) -> None:
        """Hand the goodbye and the close frame to the transport, whether or not the peer takes them."""
        if self.ending is None and self.protocol.state is State.OPEN:
            self.ending = code
            self.protocol.send_text(goodbye(code))
            self.protocol.send_close(code, _word(code))
            self.send_data()

    def _fail(self, code: CloseCode | int, reason: str = "") -> None:
        """The library has found a frame that is too big, or none at all: say so in the words of this protocol."""
        translated = _TRANSLATED.get(int(code))
        if translated is not None and self.ending is None and self.protocol.state is State.OPEN:
            self.ending = translated
            self.protocol.send_text(goodbye(translated))
            code, reason = translated, _word(translated)
        self._library_fail(code, reason)


def goodbye(code: int) -> bytes:
    """The last notification before a close."""
    retry = RETRY_MS if 4100 <= code < 4200 else 0
    return frames.notification("goodbye", {"code": int(code), "reason": _word(code), "retry_after_ms": retry})


def _word(code: int) -> str:
    return Close(code).name.lower() if code in _CODES else "failed"
