"""How ``host[:port]`` is written, in tickets, in origins and in settings: as URL parsers write it (§2.4, §8.2).

A browser turns ``127.1`` into 127.0.0.1, ``[0:0:0:0:0:0:0:1]`` into [::1] and drops the port that a scheme has anyway.
What it would rewrite is refused: else two readers of one ticket dial two things, or prove their keys for two origins.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

DEFAULT_PORTS: Final = {"ws": "80", "wss": "443", "https": "443"}
"""The port that a scheme has where none is written."""

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = re.compile(rf"(?:({_LABEL}(?:\.{_LABEL})*)|\[([0-9a-f:]{{2,39}})\])(?::([1-9][0-9]{{0,4}}))?", re.ASCII)
_LONGEST: Final = 259
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
"""A last label for which URL parsers take the whole name for an IPv4 address."""
_ZEROS: Final = re.compile(r"\b0(?::0)+\b", re.ASCII)


def hostname(text: str, scheme: str | None = None) -> str:
    """The name or address in ``host[:port]``, dialled by ``scheme``; None where that is not known yet.

    Raises:
        ValueError: it is not written as URL parsers write it; says how it is.
    """
    found = _HOST.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None or int(found[3] or 1) > 65535:
        raise ValueError("needs host or host:port in lower case, such as keymeld.example or 127.0.0.1:8765")
    if scheme is not None and found[3] == DEFAULT_PORTS[scheme]:
        raise ValueError(f"must leave out the port that {scheme}:// has anyway")
    if found[2] is not None:
        return _address(found[2])
    if _NUMBER.fullmatch(found[1].rpartition(".")[2]) and not _is_ipv4(found[1]):
        raise ValueError("must write an IPv4 address as four decimal numbers, such as 127.0.0.1")
    return found[1]


def is_host(text: str, scheme: str) -> bool:
    """Whether ``host[:port]``, dialled by ``scheme``, is written as URL parsers write it."""
    try:
        return bool(hostname(text, scheme))
    except ValueError:
        return False


def ipv6(address: str) -> str:
    """An IPv6 address in its one spelling: RFC 5952's, without decimal parts.

    Raises:
        ValueError: it is none.
    """
    raw = IPv6Address(address).packed
    text = ":".join(raw[i : i + 2].hex().lstrip("0") or "0" for i in range(0, 16, 2))
    longest = max(_ZEROS.finditer(text), key=lambda run: len(run[0]), default=None)  # of equal ones the first
    if longest is None:
        return text
    return f"{text[: longest.start()].rstrip(':')}::{text[longest.end() :].lstrip(':')}"


def _address(written: str) -> str:
    try:
        spelled = ipv6(written)
    except ValueError:
        raise ValueError("needs host or host:port in lower case, such as [2001:db8::1]:8765") from None
    if spelled != written:
        raise ValueError("must write an IPv6 address in its shortest form, such as [2001:db8::1] (RFC 5952)")
    return written


def _is_ipv4(name: str) -> bool:
    try:
        return str(IPv4Address(name)) == name
    except ValueError:
        return False
