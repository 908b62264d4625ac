"""addresses.py: an address, an IPv6 network, or whom a trusted proxy names; nobody else is believed."""

import pytest

from keymeld_server.door.addresses import Addresses

PROXIED = Addresses(("127.0.0.1", "10.0.0.0/8", "2001:db8:ff::/48"))


@pytest.mark.parametrize(
    ("raw", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("a name", "a name"),
    ],
)
def test_what_counts_as_one_address(raw: str, counted: str) -> None:
    assert Addresses().of(raw) == counted


def test_how_much_of_ipv6_is_one_customer_is_a_setting() -> None:
    assert Addresses(ipv6_prefix=56).of("2001:db8:1:2ff::1") == "2001:db8:1:200::/56"


@pytest.mark.parametrize(
    ("headers", "counted"),
    [
        ([], "127.0.0.1"),
        (["192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7:4711"], "192.0.2.7"),
        (["[2001:db8:1:2::7]:4711"], "2001:db8:1:2::/64"),
        (["203.0.113.5, 192.0.2.7"], "192.0.2.7"),
        (["203.0.113.5", "192.0.2.7, 10.1.2.3"], "192.0.2.7"),
        (["10.1.2.3, 127.0.0.1"], "127.0.0.1"),
        (["203.0.113.5, rubbish"], "127.0.0.1"),
        ([""], "127.0.0.1"),
    ],
)
def test_a_trusted_proxy_names_whom_it_speaks_for_and_what_he_said_himself_is_not_believed(
    headers: list[str], counted: str
) -> None:
    assert PROXIED.forwarded("127.0.0.1", headers) == counted


def test_only_those_that_are_named_are_proxies() -> None:
    assert all(map(PROXIED.is_proxy, ("127.0.0.1", "10.9.9.9", "::ffff:10.9.9.9", "2001:db8:ff::1")))
    assert not any(map(PROXIED.is_proxy, ("127.0.0.2", "192.0.2.7", "2001:db8::1", "unix")))
    assert not Addresses().is_proxy("127.0.0.1")
