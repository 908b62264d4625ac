"""Whose connection it is, for limits: an address, an IPv6 network, or whom a trusted proxy names.

192.0.2.7                         itself
2001:db8:1:2:3:4:5:6              2001:db8:1:2::/64      one customer has 2⁶⁴ of them
127.0.0.1, a trusted proxy        the last of X-Forwarded-For that is no trusted proxy
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

AddressRange: TypeAlias = IPv4Network | IPv6Network


class Addresses:
    """Tells addresses apart; ``ipv6_prefix`` bits of IPv6, through ``proxies`` (networks, `192.0.2.0/24`)."""

    def __init__(self, proxies: Sequence[str] = (), ipv6_prefix: int = 64) -> None:
        """The networks are those of the settings, which were looked at."""
        self._proxies: list[AddressRange] = [ip_network(proxy) for proxy in proxies]
        self._prefix = ipv6_prefix

    def is_proxy(self, raw: str) -> bool:
        """Whether whoever connects from ``raw`` is believed about where others come from."""
        found = _parsed(raw)
        return found is not None and any(found in network for network in self._proxies)

    def of(self, raw: str) -> str:
        """What counts as one address."""
        found = _parsed(raw)
        if isinstance(found, IPv6Address):
            return str(ip_network((int(found), self._prefix), strict=False))
        return str(found) if found is not None else raw

    def forwarded(self, raw: str, headers: Iterable[str]) -> str:
        """Whom the proxy at ``raw`` names in its X-Forwarded-For ``headers``; itself if nobody."""
        named = [name.strip() for header in headers for name in header.split(",")]
        for name in reversed(named):
            bare = _bare(name)
            if _parsed(bare) is None:
                break
            if not self.is_proxy(bare):
                return self.of(bare)
        return self.of(raw)


def _bare(name: str) -> str:
    """An address without port and brackets, as some proxies write them."""
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0] if name.count(":") == 1 else name


def _parsed(raw: str) -> IPv4Address | IPv6Address | None:
    """An address; one of IPv4 in the clothes of IPv6 is one of IPv4."""
    try:
        found = ip_address(raw)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
