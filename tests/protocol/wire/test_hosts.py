"""A host is written as URL parsers write it; every other spelling of it is refused, and told how it is written."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keymeld_protocol.wire.hosts import DEFAULT_PORTS, hostname, ipv6, is_host

WRITTEN = [
    *(
        "localhost",
        "a.b-c.example",
        "x:1",
        "x:65535",
        "xn--bcher-kva.example",
        "1.example",
        "0x1.example",
        "1e3",
        "0xg",
    ),
    *("127.0.0.1", "0.0.0.0:8765", "255.255.255.255", "[::]", "[::1]:8765", "[2001:db8::1]", "[1:0:0:2::3]"),
    *("[1::2:0:0:3]", "[::ffff:7f00:1]", "[1:2:3:4:5:6:7:8]", "[1:0:3:4:5:6:7:8]"),
]
REWRITTEN = {
    "a number is an address": ("127.1", "127.0.1", "2130706433", "1", "a.1", "a.0x", "0x7f.1", "0x7f000001", "0x"),
    "an address in other digits": ("127.0.0.01", "0177.0.0.1", "127.0.0.0x1", "256.0.0.1", "1.2.3.4.5", "08.0.0.1"),
    "an IPv6 address at length": ("[0:0:0:0:0:0:0:1]", "[::0]", "[::01]", "[2001:db8:0:0::1]", "[1:0:0:2:0:0:0:3]"),
    "an IPv6 address cut elsewhere": ("[1:0:0:2:0:0:3:4]", "[1:0:0:2::3:4]", "[1::3:4:5:6:7:8]", "[::1:0:0:0:0]"),
    "decimals in an IPv6 address": ("[::ffff:127.0.0.1]", "[::127.0.0.1]"),
    "a dot at the end": ("a.", "127.0.0.1.", "localhost.:80"),
    "an escape": ("%6c", "a%2eexample", "[fe80::1%25eth0]", "[fe80::1%eth0]"),
    "a port in other digits": ("a:08", "a:0", "a:00080", "a:65536", "a:", "a:+1"),
    "capitals": ("A", "[2001:DB8::1]", "0X7F.1", "XN--bcher-kva.example"),
    "another script": ("bücher.example", "a\u3002example", "\uff41.example"),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_what_url_parsers_leave_as_it_is_is_taken(text: str) -> None:
    assert text.startswith((hostname(text), f"[{hostname(text)}]"))
    assert all(is_host(text, scheme) for scheme in DEFAULT_PORTS)


@pytest.mark.parametrize("text", [text for texts in REWRITTEN.values() for text in texts])
def test_what_url_parsers_rewrite_or_refuse_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(needs|must)"):
        hostname(text)
    assert not is_host(text, "wss")


@pytest.mark.parametrize(("scheme", "port"), DEFAULT_PORTS.items())
def test_the_port_that_a_scheme_has_anyway_is_left_out(scheme: str, port: str) -> None:
    for host in ("a.example", "127.0.0.1", "[::1]"):
        assert is_host(host, scheme) and is_host(f"{host}:1{port}", scheme)
        with pytest.raises(ValueError, match="leave out the port"):
            hostname(f"{host}:{port}", scheme)
        assert hostname(f"{host}:{port}") == hostname(host), "as long as nobody knows what it is dialled by"


def test_it_is_said_how_an_address_is_written() -> None:
    for text, told in (("127.1", "four decimal numbers"), ("[::0]", "shortest form"), ("[::1", "needs host")):
        with pytest.raises(ValueError, match=told):
            hostname(text)


@given(st.lists(st.sampled_from([0, 0, 1, 0x10, 0xFFFF]), min_size=8, max_size=8))
def test_an_ipv6_address_has_one_spelling_that_means_the_same(groups: list[int]) -> None:
    long = ":".join(f"{group:04x}" for group in groups)
    short = ipv6(long)
    assert IPv6Address(short) == IPv6Address(long) and ipv6(short) == short and len(short) <= len(long)
    assert is_host(f"[{short}]", "wss") and (short == long or not is_host(f"[{long}]", "wss"))
    if IPv6Address(long).ipv4_mapped is None:
        assert short == IPv6Address(long).compressed


def test_what_is_no_ipv6_address_is_refused() -> None:
    for text in ("", "::1::", "1", "a.example", "127.0.0.1"):
        with pytest.raises(ValueError):
            ipv6(text)
