"""A session's log in a file: JSON lines that anybody can check later, without a server (§4.5).

    {"keymeld":"log/1","stream":…,"kind":"keygen","coordinator":…}
    {"epoch":…,"offset":1,…}                                            every record, as it was heard
    …
    {"head":{"offset":…,"hash":…,"at":…,"sig":…}}                       the coordinator's latest signed word on it
    {"keymeld":"log/1","stream":…,"kind":"signing","coordinator":…}     a signing follows its keygen
    …

Nothing in it is believed: ``verify_log`` puts every record through the rules that a client applies to what it hears
live.  What members sealed stays sealed; whoever has the group secret (a ticket, or the wallet) checks that too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from keymeld_protocol.errors import KeymeldError
from keymeld_protocol.keys.ticket import Ticket
from keymeld_protocol.values import Id, XOnlyKey, decode_sized, encode_sized
from keymeld_protocol.wire.frames import WireHead, WireRecord, head_json, head_of, record_json, record_of
from keymeld_protocol.wire.payloads import KeygenCreate, SigningRequest
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.shapes import split_complaint
from keymeld_protocol.wire.statements import parse

from ..clock import now_ms
from ..errors import WalletError
from ..line.bygone import history_with
from ..wallet.wallet import Wallet
from .audit import Audit, Report

FORMAT: Final = "log/1"
MAX_LINE: Final = 2 * 1024 * 1024
"""Characters of one line: a record with its blobs is shorter."""

Kind = Literal["keygen", "signing"]


class BadLog(KeymeldError):
    """The file is not an exported log; names the line and what is wrong with it."""


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line of a section."""

    keymeld: Literal["log/1"]
    stream: Id
    kind: Kind
    coordinator: XOnlyKey


@dataclass
class Section:
    """One stream of a file, not yet believed."""

    header: Header
    records: list[WireRecord] = field(default_factory=list)
    head: WireHead | None = None


class _HeadLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    head: WireHead


_headers = msgspec.json.Decoder(Header, dec_hook=decode_sized)
_heads = msgspec.json.Decoder(_HeadLine, dec_hook=decode_sized)
_records = msgspec.json.Decoder(WireRecord, dec_hook=decode_sized)


# Out ------------------------------------------------------------------------------------------------------------


def export_log(wallet: Wallet, stream: Id) -> list[str]:
    """The lines of ``stream``'s log as the wallet has it, a signing's after its keygen's; without line ends.

    Raises:
        WalletError: the wallet has nothing of it, or it is neither a keygen nor a signing.
    """
    said = _opening(wallet, stream)
    if isinstance(said, SigningRequest):
        create = _opening(wallet, said.keygen)
        if isinstance(create, KeygenCreate):
            keygen = _keygen_of(wallet, said, Header("log/1", said.keygen, "keygen", create.coordinator))
            return [*keygen, *_lines(wallet, Header("log/1", stream, "signing", create.coordinator))]
    elif isinstance(said, KeygenCreate):
        return list(_lines(wallet, Header("log/1", stream, "keygen", said.coordinator)))
    raise WalletError(f"this wallet holds no log of {stream.hex()}")


def _opening(wallet: Wallet, stream: Id) -> object:
    """What a stored stream begins with; None if nothing is stored."""
    records, _ = wallet.stream(stream)
    return parse(records[0].statement, verified=True).payload if records else None


def _keygen_of(wallet: Wallet, said: SigningRequest, header: Header) -> Iterator[str]:
    """The keygen's section of a signing: where a restored coordinator has lost what the request names, as it was."""
    wires, _ = wallet.stream(said.keygen)
    if any(wire.hash == said.after for wire in wires):
        return _lines(wallet, header)
    kept = [record_of(wire, verified=True) for wire in wires]
    return _told(header, history_with(said.after, kept, wallet.lost.of(said.keygen)) or kept)


def _told(header: Header, records: Iterable[Record]) -> Iterator[str]:
    """A section without its head."""
    yield msgspec.json.encode(header, enc_hook=encode_sized).decode()
    for record in records:
        yield record_json(record).decode()


def _lines(wallet: Wallet, header: Header) -> Iterator[str]:
    """One section."""
    records, head = wallet.stream(header.stream)
    yield from _told(header, map(record_of, records))
    if head is not None:
        yield msgspec.json.encode({"head": head_json(head_of(head))}).decode()


# In -------------------------------------------------------------------------------------------------------------


def read_log(lines: Iterable[str]) -> list[Section]:
    """Parse the lines of a file; nothing is verified yet.

    Raises:
        BadLog: a line is no header, record or head, is in another spelling, or stands in the wrong place.
    """
    sections: list[Section] = []
    for number, line in enumerate(lines, 1):
        if text := line.rstrip("\r\n"):
            _take(sections, number, text)
    if not sections:
        raise BadLog("the file is empty")
    if not sections[-1].records:
        raise BadLog("the last section holds no record")
    return sections


def _take(sections: list[Section], number: int, line: str) -> None:
    """Add one line to the section it belongs to."""
    if len(line) > MAX_LINE:
        raise BadLog(f"line {number} is longer than any record")
    if line.startswith('{"keymeld":'):
        if not line.startswith(f'{{"keymeld":"{FORMAT}"'):
            raise BadLog(f"line {number} is of another format than {FORMAT}: it needs a newer Keymeld")
        if sections and not sections[-1].records:
            raise BadLog(f"line {number} follows a section that holds no record")
        sections.append(Section(_decode(_headers, number, line)))
        return
    if not sections:
        raise BadLog('line 1 must begin with {"keymeld":"log/1"')
    section = sections[-1]
    if section.head is not None:
        raise BadLog(f"line {number} follows a head, which ends its section")
    if line.startswith('{"head":'):
        if not section.records:
            raise BadLog(f"line {number} is the head of a section that holds no record")
        section.head = _decode(_heads, number, line).head
    else:
        section.records.append(_decode(_records, number, line))


def _decode(decoder: msgspec.json.Decoder[Any], number: int, line: str) -> Any:
    """What a line says, which must be in its one spelling.

    Raises:
        BadLog: it is not.
    """
    try:
        said = decoder.decode(line)
    except msgspec.ValidationError as error:
        name, rule = split_complaint(error)
        raise BadLog(f"line {number}: {name}: {rule}") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BadLog(f"line {number} is not a line of JSON") from None
    if msgspec.json.encode(said, enc_hook=encode_sized).decode() != line:
        raise BadLog(f"line {number} is not in its one spelling: members in order, no spaces, none unknown or twice")
    return said


def verify_log(
    lines: Iterable[str], secret: Ticket | bytes | None = None, *, now: Callable[[], int] = now_ms
) -> Report:
    """Verify an exported log from its first byte.

    With ``secret``, a ticket or the group secret S (32 bytes), what members sealed is opened and verified too.
    What does not hold is in the report, not raised. ``now`` is the clock (ms) by which the address is safe to fund.

    Raises:
        BadLog: the file is no exported log at all.
    """
    if isinstance(secret, Ticket):
        audit = Audit(bytes(secret.group_secret), now, secret.keygen_id)
    else:
        audit = Audit(secret, now)
    for section in read_log(lines):
        header = section.header
        audit.section(header.stream, header.kind, header.coordinator, section.records, section.head)
    return audit.report
