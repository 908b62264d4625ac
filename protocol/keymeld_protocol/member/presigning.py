"""When psigs for a request began to leave: from the next attempt on, nothing more is said for its adaptor points.

attempt 1   psigs ──▶ somebody, who keeps his own back: he alone has a pre-signature
attempt 2   would give everybody another one, out of which nobody takes the secret that completes the first
"""

from __future__ import annotations

from ..errors import Blamed
from .attempt import Attempt


class Presigning:
    """What this process knows of the psigs of one request: those in the log, and its own, if they never got there."""

    def __init__(self) -> None:
        self._since: int | None = None

    def note(self, attempt: int, step: str) -> None:
        """Keep the first attempt with a psig."""
        if self._since is None and step != "nonces":
            self._since = attempt

    def require_first(self, attempt: Attempt) -> None:
        """Let nothing be said for an adaptor point after the attempt in which psigs began to leave (§10.7).

        Raises:
            Blamed: ``presigned_before``.
        """
        if self._since is None or self._since >= attempt.number:
            return
        if any(place.adaptor is not None for place in attempt.places):
            why = f"somebody may hold a pre-signature of attempt {self._since}; another one would not tell its secret"
            raise Blamed("presigned_before", (), why)
