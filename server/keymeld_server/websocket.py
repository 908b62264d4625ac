"""A WebSocket as this protocol wants it: it knows when it last heard anything, and ends with our words and codes.

library finds a frame too big or broken ─▶ goodbye, close 4009 or 4001      instead of 1009, 1002, 1003, 1007
we end the conversation                 ─▶ goodbye, close 4xxx              never 1000 for a failure
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode
from websockets.protocol import State

from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import Close

RETRY_MS: Final = 5_000
"""What a goodbye of the range 41xx advises."""
_CODES: Final = frozenset(map(int, Close))
_TRANSLATED: Final[dict[int, Close]] = {
    CloseCode.MESSAGE_TOO_BIG: Close.TOO_BIG,
    CloseCode.PROTOCOL_ERROR: Close.BAD_FRAME,
    CloseCode.UNSUPPORTED_DATA: Close.BAD_FRAME,
    CloseCode.INVALID_DATA: Close.BAD_FRAME,
}


class Socket(ServerConnection):
    """A WebSocket that notes when it last heard anything, and ends a broken conversation with our codes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heard_at = self.loop.time()
        self.sending_since: float | None = None
        self.pinged_at: float | None = None
        self.ending: int | None = None
        self._library_fail = self.protocol.fail
        self.protocol.fail = self._fail  # type: ignore[method-assign]

    def data_received(self, data: bytes) -> None:
        """Any byte counts as life."""
        self.heard_at = self.loop.time()
        self.pinged_at = None
        super().data_received(data)

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
