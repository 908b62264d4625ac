"""Tickets: everything that a person needs to find a keygen and to fill a slot, as text (§8.2).

    keymeld:HOST#BASE64URL                      HOST = host[:port] of the coordinator; this is what is handed out
    web+keymeld:HOST#BASE64URL                  the same, under the scheme that a web app may register; read only
    https://ORIGIN/join#HOST/BASE64URL          ORIGIN = host[:port] of the web app, never a coordinator

    0x01 ‖ u8 flags ‖ keygen_id(32) ‖ S(32) ‖ u16 slot ‖ secret(32) ‖ checksum(4)
    flags     bit 0: dial ws:// instead of wss:// · bit 1: an open ticket, good for any free slot
    slot      0xffff in an open ticket
    secret    the slot's secret, or the open secret that every slot's secret is derived from
    checksum  first 4 bytes of TH("keymeld/ticket/v1", HOST ‖ all before)

Whoever holds a ticket can join and, if the coordinator helps, read the session.  What follows ``#`` is never sent to a
web server.  The checksum finds slips, not forgeries: the commitment in ``keygen.create`` proves S.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Self

from ..curve.schnorr import tagged_hash
from ..curve.secp256k1 import Secret, seckey_verify
from ..errors import BadInput, Reason, bad_field
from ..values import Id, Sized, from_base64url, to_base64url
from ..wire import hosts
from ..wire.shapes import MAX_SLOTS
from . import derivation

VERSION: Final = 1
MAX_TEXT: Final = 1024
"""Characters of a ticket at most."""

_PLAIN, _OPEN, _NO_SLOT = 1, 2, 0xFFFF
_CHECKSUM: Final = 4
_SIZE: Final = 2 + 32 + 32 + 2 + 32 + _CHECKSUM
_AGAIN: Final = "copy the whole ticket again, or ask for it anew"
_SCHEMES: Final = ("keymeld:", "web+keymeld:")


class TicketSecret(Sized):
    """32 secret bytes of a ticket: the group secret S, a slot's secret or the open secret; prints nothing."""

    size = 32

    def __repr__(self) -> str:
        return "<TicketSecret>"

    __str__ = __repr__


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """An invitation; ``slot`` is None in an open ticket.  Its repr shows no secret, `text` and `https` do.

    A ticket is text that people pass on, so its secrets live in ``bytes`` and cannot be wiped: keep none for long.
    """

    host: str
    secure: bool
    keygen_id: Id
    group_secret: TicketSecret = field(repr=False)
    slot: int | None
    secret: TicketSecret = field(repr=False)

    def __post_init__(self) -> None:
        """Check every part.

        Raises:
            BadInput: the host, the slot or the slot's secret breaks its rule.
        """
        _hostname("host", self.host, self._scheme)
        if self.slot is not None and not 0 <= self.slot < MAX_SLOTS:
            raise bad_field("slot", f"must be 0 to {MAX_SLOTS - 1}")
        if self.slot is not None and not seckey_verify(self.secret):
            raise bad_field("secret", "is no secret of a slot; ask for a new ticket")

    @property
    def is_open(self) -> bool:
        """Whether any free slot may be filled with it."""
        return self.slot is None

    @property
    def url(self) -> str:
        """Where the coordinator is dialled: ``wss://HOST``, or ``ws://HOST``."""
        return f"{self._scheme}://{self.host}"

    @property
    def _scheme(self) -> str:
        return "wss" if self.secure else "ws"

    def slot_secret(self, slot: int) -> Secret:
        """The secret of the invitation to ``slot``; its x-only key is the slot's invite key.

        Raises:
            BadInput: the ticket is for another slot, or there is no such slot.
        """
        if not 0 <= slot < MAX_SLOTS:
            raise bad_field("slot", f"must be 0 to {MAX_SLOTS - 1}")
        if self.slot is None:
            return derivation.slot_secret(self.secret, slot)
        if slot != self.slot:
            raise bad_field("slot", f"this ticket is for slot {self.slot}; slot {slot} needs its own")
        return Secret(self.secret)

    def text(self) -> str:
        """The ticket to hand out; it is a secret."""
        return f"keymeld:{self.host}#{self._code()}"

    def https(self, origin: str) -> str:
        """The ticket as a link to the web app at ``origin``, such as ``https://app.example``; it is a secret.

        Raises:
            BadInput: the origin is not https, has a path, or is the coordinator: it must not serve what reads tickets.
        """
        if not origin.startswith("https://"):
            raise bad_field("origin", "must begin with https://")
        if _hostname("origin", origin.removeprefix("https://"), "https") == _hostname("host", self.host):
            raise bad_field("origin", "is the coordinator's host; pages that read tickets must come from elsewhere")
        return f"{origin}/join#{self.host}/{self._code()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a ticket in any of its forms; white space around it is ignored.

        Raises:
            BadInput: says what is wrong and what to do, and repeats nothing of the ticket.
        """
        host, code = _split(text.strip(" \t\r\n"))
        _hostname("ticket", host)
        raw = _decode(host, code)
        flags, slot = raw[1], int.from_bytes(raw[66:68], "big")
        if flags & ~(_PLAIN | _OPEN):
            message = "ticket: says something that this Keymeld does not know: it needs a newer version of Keymeld"
            raise BadInput(Reason.UNKNOWN_VERSION, message, field="ticket")
        if bool(flags & _OPEN) != (slot == _NO_SLOT):
            raise bad_field("ticket", "is for a slot and for any slot at once; ask for a new one")
        return cls(
            host=host,
            secure=not flags & _PLAIN,
            keygen_id=Id(raw[2:34]),
            group_secret=TicketSecret(raw[34:66]),
            slot=None if flags & _OPEN else slot,
            secret=TicketSecret(raw[68:100]),
        )

    def _code(self) -> str:
        """What follows the host: everything else, with its checksum."""
        flags = (0 if self.secure else _PLAIN) | (_OPEN if self.is_open else 0)
        slot = _NO_SLOT if self.slot is None else self.slot
        parts = (self.keygen_id, self.group_secret, slot.to_bytes(2, "big"), self.secret)
        raw = bytes([VERSION, flags]) + b"".join(parts)
        return to_base64url(raw + _checksum(self.host, raw))


def split_url(url: str) -> tuple[str, bool]:
    """Host and security of a coordinator's URL, as a ticket holds them.

    A host in upper case becomes lower case; the port that the scheme has anyway is left out.

    Raises:
        BadInput: not ``ws://host[:port]`` or ``wss://host[:port]``, or not as URL parsers write the host.
    """
    scheme, _, rest = url.lower().partition("://")
    if scheme not in ("ws", "wss"):
        raise bad_field("url", "must begin with wss:// (or ws:// on a private network)")
    host = rest.removesuffix("/").removesuffix(f":{hosts.DEFAULT_PORTS[scheme]}")
    _hostname("url", host, scheme)
    return host, scheme == "wss"


def origin_of(url: str) -> str:
    """``scheme://host[:port if not default]``: what proofs are bound to, and what a coordinator is known by (§2.4).

    Raises:
        BadInput: not ``ws://host[:port]`` or ``wss://host[:port]``.
    """
    host, secure = split_url(url)
    return f"{'wss' if secure else 'ws'}://{host}"


def _hostname(name: str, host: str, scheme: str | None = None) -> str:
    """The name or address in ``host[:port]``, which must be written as URL parsers write it."""
    try:
        return hosts.hostname(host, scheme)
    except ValueError as error:
        raise bad_field(name, str(error)) from None


def _split(text: str) -> tuple[str, str]:
    """Host and code of a ticket in any of its forms."""
    if len(text) > MAX_TEXT:
        raise BadInput(Reason.TOO_BIG, f"is longer than a ticket can be; {_AGAIN}", field="ticket", limit=MAX_TEXT)
    if not text.isascii() or not text.isprintable() or " " in text:
        raise bad_field("ticket", f"holds a line break, a space or a foreign character; {_AGAIN}, in one piece")
    front, found, rest = text.partition("#")
    if front.startswith(_SCHEMES):
        host, code = front.partition(":")[2], rest
    elif front.startswith("https://"):
        _check_page(front)
        host, _, code = rest.rpartition("/")
    else:
        raise bad_field("ticket", f"must begin with keymeld: or https://; {_AGAIN}")
    if not found or not host or not code:
        raise bad_field("ticket", f"is cut off: host or secret is missing around #; {_AGAIN}")
    return host, code


def _check_page(page: str) -> None:
    """What stands before ``#`` in a link is a web app's join page."""
    origin = page.removeprefix("https://").removesuffix("/join")
    if not page.endswith("/join"):
        raise bad_field("ticket", f"is a link to no join page (https://host/join#…); {_AGAIN}")
    _hostname("ticket", origin, "https")


def _decode(host: str, code: str) -> bytes:
    """The bytes of a code of this version whose length and checksum are right (§8.2)."""
    try:
        raw = from_base64url(code)
    except ValueError:
        raise bad_field("ticket", f"is damaged after the host; {_AGAIN}") from None
    if raw[0] != VERSION:
        message = f"ticket: needs a newer version of Keymeld; or {_AGAIN}"
        raise BadInput(Reason.UNKNOWN_VERSION, message, field="ticket")
    if len(raw) != _SIZE:
        raise bad_field("ticket", f"has {len(raw)} bytes where {_SIZE} are needed; {_AGAIN}")
    if raw[-_CHECKSUM:] != _checksum(host, raw[:-_CHECKSUM]):
        raise bad_field("ticket", f"does not match its checksum: a character is wrong; {_AGAIN}")
    return raw


def _checksum(host: str, raw: bytes) -> bytes:
    """Four bytes that find slips of the pen."""
    return tagged_hash("keymeld/ticket/v1", host.encode() + raw)[:_CHECKSUM]
