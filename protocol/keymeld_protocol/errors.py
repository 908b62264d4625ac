"""Every error that Keymeld raises on purpose, and the words it uses on the wire.

Three questions divide the tree: did *they* send something that is not of this protocol, does the *ceremony* refuse
it, or did *we* fail?  Two more branches are the hearer's: what a member sealed does not hold, or the coordinator's log.

    KeymeldError
    ├── InvalidCrypto    bytes that are no point, scalar, nonce, signature or sealed text
    ├── WireError        travels as a JSON-RPC error; its ``reason`` is the stable word
    │   ├── BadInput     they: the message breaks the protocol; repeating it never helps
    │   ├── Refused      the ceremony: well formed, but not now, not here or not by you
    │   └── Unavailable  we: nothing was stored; the same bytes may be submitted again
    ├── Astray           we: a machine does not hold to its own table; nothing moved, and no peer can cause it
    │   └── Newer        we are too old: a record of a later version; read-only here, and nobody is accused
    ├── Blamed           a member or signer: what it sealed does not hold; names its slots
    └── BrokenLog        the coordinator: a record that cannot follow what was verified before
        └── Fork         two histories of one stream: evidence against whoever signed both

Messages and fields never carry a secret, a plaintext or a key that was sealed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from .wording import slots_told


class Reason(StrEnum):
    """The stable word of an error on the wire (protocol/README.md, *Errors*)."""

    BAD_JSON = "bad_json"
    BAD_FIELD = "bad_field"
    TOO_BIG = "too_big"
    UNKNOWN_METHOD = "unknown_method"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_VERSION = "unknown_version"
    BAD_SIGNATURE = "bad_signature"
    NOT_PROVEN = "not_proven"
    NOT_ALLOWED = "not_allowed"
    UNKNOWN_STREAM = "unknown_stream"
    GONE = "gone"
    FORK = "fork"
    SLOT_TAKEN = "slot_taken"
    ALREADY_SAID = "already_said"
    ALREADY_CONTRIBUTED = "already_contributed"
    STALE_ATTEMPT = "stale_attempt"
    WRONG_STATE = "wrong_state"
    EXPIRED = "expired"
    OVER_LIMIT = "over_limit"
    TOO_MANY_REQUESTS = "too_many_requests"
    UNAVAILABLE = "unavailable"
    DRAINING = "draining"

    @property
    def code(self) -> int:
        """The JSON-RPC error code: the standard ones where they exist, else −32000 − place in this list."""
        return _STANDARD.get(self, -32000 - list(Reason).index(self))

    @property
    def repeatable(self) -> bool:
        """Whether the same bytes may succeed later."""
        return self in _REPEATABLE

    @property
    def is_newer(self) -> bool:
        """Whether a later version may know what this one does not (§12)."""
        return self in (Reason.UNKNOWN_KIND, Reason.UNKNOWN_VERSION)


_STANDARD = {Reason.BAD_JSON: -32700, Reason.UNKNOWN_METHOD: -32601, Reason.BAD_FIELD: -32602}
_REPEATABLE = {Reason.OVER_LIMIT, Reason.TOO_MANY_REQUESTS, Reason.UNAVAILABLE, Reason.DRAINING}


class KeymeldError(Exception):
    """Anything that this project raises on purpose."""


class InvalidCrypto(KeymeldError, ValueError):
    """Bytes that are no point, scalar, nonce, signature or sealed text; says which, never their value."""


class WireError(KeymeldError):
    """An error that a peer is told, with the stable ``reason`` and, where one is at fault, the ``field``.

    ``limit`` is the bound that was passed, ``retry_after_ms`` when to come back.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        field: str | None = None,
        limit: int | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
        self.limit = limit
        self.retry_after_ms = retry_after_ms

    def __str__(self) -> str:
        """``reason (field): message``."""
        return f"{self.reason}{f' ({self.field})' if self.field else ''}: {self.message}"


class BadInput(WireError):
    """The message is not of this protocol: bad JSON, a wrong field, an unknown word, a bad signature, too big."""


class Refused(WireError):
    """The ceremony refuses a well-formed message: not in this state, not by this key, not any more."""


class Unavailable(WireError):
    """We could not do it now; nothing was stored."""


class Astray(KeymeldError, AssertionError):
    """A machine went where its table does not lead: our mistake, which nobody is told is his."""


class Newer(Astray):
    """Somebody speaks a later version than this Keymeld reads: it needs an update, and nobody is to blame."""


class Blamed(KeymeldError):
    """What somebody sealed to the group does not hold; ``slots`` are theirs, ``code`` is the stable word."""

    def __init__(self, code: str, slots: tuple[int, ...], message: str) -> None:
        super().__init__(f"{code}, {slots_told(slots)}: {message}" if slots else f"{code}: {message}")
        self.code = code
        self.slots = slots
        self.message = message


class BrokenLog(KeymeldError):
    """A record that cannot follow what this hearer has verified; the session becomes read-only."""


class Fork(BrokenLog):
    """Two histories of one stream exist; the message names the offset where they part."""


NEWER: Final = "newer_version"
"""The code of what is sealed and needs a newer version of Keymeld, whatever it is (§11.3)."""


def code_for(error: KeymeldError, otherwise: str) -> str:
    """The code with which what was sealed is refused: `NEWER` where a later version may read it, else ``otherwise``."""
    return NEWER if isinstance(error, WireError) and error.reason.is_newer else otherwise


def bad_field(field: str, rule: str) -> BadInput:
    """Shorthand for the commonest error: ``field`` breaks ``rule``."""
    return BadInput(Reason.BAD_FIELD, f"{field}: {rule}", field=field)
