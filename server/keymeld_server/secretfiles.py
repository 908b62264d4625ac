"""Files that hold secrets: the coordinator's key and the access tokens; readable by their owner alone, or refused.

A secret is read from the handle whose mode was checked, never from a name that may have been exchanged meanwhile.  Keys
leave here in a ``bytearray``, for the caller to wipe; tokens as digests, so that they cannot be printed.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

from keymeld_host.files import BadFile, read_private
from keymeld_host.keyfiles import own_key, wipe
from keymeld_host.settings import BadSetting

TOKEN_MIN: Final = 16
"""Characters of the shortest token: whatever is shorter can be guessed."""

_FILE_MAX: Final = 1_048_576


def coordinator_key(path: Path, *, create: bool = True) -> bytearray:
    """Read the coordinator's secret key (32 bytes), or make one where there is none; the caller wipes it.

    Without ``create`` an absent file is refused: a new key beside an old log would make every running ceremony
    refuse our notices.

    Raises:
        BadSetting: the file is not private, is not 64 hex digits, is absent, or cannot be read or made.
    """
    try:
        return own_key(path, create=create)
    except BadFile as error:
        raise BadSetting(f"key_file: {error}") from None


class AccessTokens:
    """The tokens that allow a connection to open sessions; kept as SHA-256."""

    def __init__(self, tokens: Iterable[bytes | bytearray]) -> None:
        """Remember the digests of ``tokens``."""
        self._digests = frozenset(sha256(token).digest() for token in tokens)

    def accepts(self, token: str) -> bool:
        """Whether this is one of them; digests are compared, so timing tells nothing of a token."""
        return sha256(token.encode("utf-8", "surrogatepass")).digest() in self._digests

    def __repr__(self) -> str:
        """How many there are, nothing else."""
        return f"AccessTokens({len(self._digests)})"


def access_tokens(path: Path) -> AccessTokens:
    """Read the tokens, one a line; empty lines and lines that begin with ``#`` are skipped.

    Raises:
        BadSetting: the file is not private, holds a token that is too short, or cannot be read; the line is named,
            the token is not.
    """
    try:
        raw = read_private(path, _FILE_MAX)
    except BadFile as error:
        raise BadSetting(f"access_tokens_file: {error}") from None
    lines = raw.splitlines()
    tokens = [line.strip() for line in lines]
    try:
        for number, token in enumerate(tokens, 1):
            if token and not token.startswith(b"#") and len(token) < TOKEN_MIN:
                raise BadSetting(f"access_tokens_file: {path} line {number}: must be at least {TOKEN_MIN} characters")
        return AccessTokens(token for token in tokens if token and not token.startswith(b"#"))
    finally:
        wipe(raw, *lines, *tokens)
