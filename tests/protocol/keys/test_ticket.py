"""Tickets are read as they were written; a slip is found, said, and never repeats what the ticket holds."""

import traceback
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keymeld_protocol.curve.schnorr import tagged_hash
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import BadInput, Reason
from keymeld_protocol.keys import derivation, ticket
from keymeld_protocol.keys.ticket import Ticket, TicketSecret
from keymeld_protocol.values import Id, from_base64url, to_base64url

HOST = "keymeld.example:8765"
S = TicketSecret(b"\x55" * 32)
OPEN_SECRET = TicketSecret(b"\x66" * 32)


def copied(secret: Secret) -> TicketSecret:
    """The bytes of a secret that is wiped as soon as nobody holds it."""
    return TicketSecret(bytes(secret.buffer))


SLOT_SECRET = copied(derivation.slot_secret(OPEN_SECRET, 2))
SLOT = Ticket(host=HOST, secure=True, keygen_id=Id(b"\x11" * 32), group_secret=S, slot=2, secret=SLOT_SECRET)
OPEN = replace(SLOT, slot=None, secret=OPEN_SECRET)
PLAIN = replace(SLOT, host="127.0.0.1:8765", secure=False)

HOSTS = ["localhost", "a.b-c.example", "127.0.0.1:8765", "[::1]:8765", "[2001:db8::1]", "x:1", "x:65535"]
NO_HOSTS = [
    *("", "Keymeld.example", "keymeld.example:", "keymeld.example:0", "keymeld.example:08", "keymeld.example:65536"),
    *("-a.example", "a-.example", "a..b", ".a", "a.", "a_b", "a/b", "user@host", "a b", "a\n", "é.example", "x" * 64),
    *("::1", "[::1", "[127.0.0.1]", "[:::]", "[fe80::1%eth0]", "a:b:c", "*", "a?b", ".".join(["x" * 60] * 5)),
]


def refusal(text: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        Ticket.parse(text)
    return caught.value


def written(raw: bytes, host: str = HOST) -> str:
    """A ticket around ``raw``, with the checksum that belongs to it."""
    return f"keymeld:{host}#{to_base64url(raw + tagged_hash('keymeld/ticket/v1', host.encode() + raw)[:4])}"


def raw_of(given: Ticket) -> bytes:
    """What a ticket's checksum covers, after the host."""
    return from_base64url(given.text().partition("#")[2])[:-4]


# --------------------------------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("given", [SLOT, OPEN, PLAIN], ids=["slot", "open", "plain"])
def test_a_ticket_is_read_as_it_was_written(given: Ticket) -> None:
    assert Ticket.parse(given.text()) == given
    assert Ticket.parse(given.https("https://app.example")) == given


@given(
    st.builds(
        Ticket,
        host=st.sampled_from(HOSTS),
        secure=st.booleans(),
        keygen_id=st.binary(min_size=32, max_size=32).map(Id),
        group_secret=st.binary(min_size=32, max_size=32).map(TicketSecret),
        slot=st.none() | st.integers(0, 999),
        secret=st.just(SLOT_SECRET),
    )
)
def test_any_ticket_is_read_as_it_was_written(given: Ticket) -> None:
    assert Ticket.parse(given.text()) == given
    assert Ticket.parse(given.https("https://app.example:8443")) == given


def test_the_bytes_are_those_of_the_specification() -> None:
    raw = b"\x01\x00" + SLOT.keygen_id + S + b"\x00\x02" + SLOT_SECRET
    assert SLOT.text() == written(raw)
    assert raw_of(OPEN) == b"\x01\x02" + SLOT.keygen_id + S + b"\xff\xff" + OPEN_SECRET
    assert raw_of(PLAIN)[1] == 1
    assert SLOT.https("https://app.example") == SLOT.text().replace("keymeld:", "https://app.example/join#").replace(
        f"{HOST}#", f"{HOST}/"
    )


@pytest.mark.parametrize("given", [SLOT, OPEN, PLAIN], ids=["slot", "open", "plain"])
def test_the_scheme_that_web_apps_may_register_reads_as_the_same_ticket_and_is_never_printed(given: Ticket) -> None:
    registered = f"web+{given.text()}"
    assert registered.startswith("web+keymeld:")
    assert Ticket.parse(registered) == given
    assert Ticket.parse(registered).text() == given.text() and given.text().startswith("keymeld:")


def test_white_space_around_a_ticket_is_ignored() -> None:
    assert Ticket.parse(f"\n  {SLOT.text()}\r\n") == SLOT


def test_a_ticket_says_where_the_coordinator_is_dialled() -> None:
    assert SLOT.url == "wss://keymeld.example:8765"
    assert PLAIN.url == "ws://127.0.0.1:8765"


# -------------------------------------------------------------------------------------------------------------- slots


def test_an_open_ticket_gives_every_slots_secret() -> None:
    assert OPEN.is_open
    assert copied(OPEN.slot_secret(2)) == SLOT_SECRET
    assert copied(OPEN.slot_secret(3)) == copied(derivation.slot_secret(OPEN_SECRET, 3))


def test_a_slots_ticket_gives_that_slots_secret_alone() -> None:
    assert not SLOT.is_open
    assert copied(SLOT.slot_secret(2)) == SLOT_SECRET
    with pytest.raises(BadInput, match="this ticket is for slot 2"):
        SLOT.slot_secret(3)


@pytest.mark.parametrize("slot", [-1, 1000, 65535])
def test_slots_that_cannot_be_are_refused(slot: int) -> None:
    with pytest.raises(BadInput, match="slot"):
        OPEN.slot_secret(slot)
    with pytest.raises(BadInput, match="slot"):
        replace(SLOT, slot=slot)


# ------------------------------------------------------------------------------------------------- slips and forgeries


def test_every_altered_character_is_found() -> None:
    text = SLOT.text()
    for at, char in enumerate(text):
        other = "b" if char == "a" else "a"
        assert refusal(text[:at] + other + text[at + 1 :]).field == "ticket"


@pytest.mark.parametrize("text", [SLOT.text(), OPEN.https("https://app.example")], ids=["keymeld", "https"])
def test_truncations_of_every_length_are_refused(text: str) -> None:
    for size in range(len(text)):
        assert refusal(text[:size]).field == "ticket"


def test_a_ticket_with_a_foreign_checksum_is_refused() -> None:
    assert "checksum" in str(refusal(SLOT.text().replace(HOST, "evil.example")))
    assert "checksum" in str(refusal(written(raw_of(SLOT), "evil.example").replace("evil.example", HOST)))


@given(st.text(max_size=300))
def test_random_text_is_refused(text: str) -> None:
    assert refusal(text).message
    assert refusal(f"keymeld:{HOST}#{text}").message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must begin with keymeld:"),
        ("http://app.example/join#x/y", "must begin with keymeld:"),
        ("KEYMELD:host#AQ", "must begin with keymeld:"),
        ("web+keymeld://host#AQ", "needs host"),
        ("keymeld://host#AQ", "needs host"),
        ("ext+keymeld:host#AQ", "must begin with keymeld:"),
        ("https://app.example:443/join#x/AQ", "leave out the port that https:// has"),
        ("https://127.1/join#x/AQ", "four decimal numbers"),
        (f"keymeld:{HOST}", "cut off"),
        (f"keymeld:{HOST}#", "cut off"),
        ("keymeld:#AQ", "cut off"),
        ("https://app.example/join", "cut off"),
        ("https://app.example/join#AQ", "cut off"),
        ("https://app.example/other#x/AQ", "no join page"),
        ("https://app.example/a/join#x/AQ", "needs host"),
        (f"keymeld:{HOST}#A=", "damaged"),
        (f"keymeld:{HOST}#A", "damaged"),
        (f"keymeld:{HOST}#AR", "damaged"),
        (f"keymeld:{HOST}#AQ", "has 1 bytes"),
        (f"keymeld:{HOST}#Ag", "newer version of Keymeld"),
        (f"keymeld:{HOST}# AQ", "in one piece"),
        (f"keymeld:{HOST}#A\nQ", "in one piece"),
        (f"keymeld:{HOST}#A\u200bQ", "in one piece"),
        ("keymeld:" + "a" * 2000, "longer than a ticket"),
    ],
)
def test_each_slip_says_what_is_wrong_and_what_to_do(text: str, told: str) -> None:
    assert told in str(refusal(text))


def test_a_newer_version_says_so() -> None:
    for raw in (b"\x02" + raw_of(SLOT)[1:], b"\x02" + raw_of(SLOT)[1:] + b"more", b"\x01\x04" + raw_of(SLOT)[2:]):
        error = refusal(written(raw))
        assert error.reason == Reason.UNKNOWN_VERSION and "newer version of Keymeld" in str(error)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x01\x04" + raw_of(SLOT)[2:],
        b"\x01\x80" + raw_of(SLOT)[2:],
        b"\x01\x02" + raw_of(SLOT)[2:],
        b"\x01\x00" + raw_of(OPEN)[2:],
        raw_of(SLOT)[:66] + b"\x03\xe8" + raw_of(SLOT)[68:],
        raw_of(SLOT)[:68] + bytes(32),
        raw_of(SLOT)[:68] + b"\xff" * 32,
        raw_of(SLOT) + b"\x00",
        raw_of(SLOT)[:-1],
    ],
    ids=["flag 4", "flag 128", "open with a slot", "slot ffff", "slot 1000", "secret 0", "secret n", "long", "short"],
)
def test_what_no_ticket_says_is_refused_even_with_its_checksum(raw: bytes) -> None:
    refusal(written(raw))


# --------------------------------------------------------------------------------------------------- hosts and origins


@pytest.mark.parametrize("host", HOSTS)
def test_hosts_of_every_kind_are_taken(host: str) -> None:
    assert Ticket.parse(replace(SLOT, host=host).text()).host == host
    assert ticket.split_url(f"wss://{host}") == (host, True)


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(BadInput, match="host:port in lower case"):
        replace(SLOT, host=host)
    assert refusal(written(raw_of(SLOT), host)).field in ("ticket", "host")


REWRITTEN = [
    "127.1",
    "0x7f.1",
    "2130706433",
    "127.0.0.01",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "a.",
    "a%2eb",
    "a:08",
]


@pytest.mark.parametrize("host", REWRITTEN)
def test_a_host_that_url_parsers_rewrite_is_in_no_ticket(host: str) -> None:
    with pytest.raises(BadInput):
        replace(SLOT, host=host)
    assert refusal(written(raw_of(SLOT), host)).field == "ticket"
    with pytest.raises(BadInput):
        ticket.split_url(f"wss://{host}")


@pytest.mark.parametrize(("given", "port"), [(SLOT, 443), (PLAIN, 80)], ids=["wss", "ws"])
def test_the_port_that_its_scheme_has_anyway_is_in_no_ticket(given: Ticket, port: int) -> None:
    with pytest.raises(BadInput, match="leave out the port"):
        replace(given, host=f"keymeld.example:{port}")
    assert refusal(written(raw_of(given), f"keymeld.example:{port}")).field == "host"
    other = replace(given, host=f"keymeld.example:{523 - port}")
    assert Ticket.parse(other.text()) == other
    url = f"{given.url.partition(':')[0]}://keymeld.example"
    assert ticket.split_url(f"{url}:{port}") == ("keymeld.example", given.secure)
    assert ticket.origin_of(f"{url}:{port}/") == url


def test_a_url_becomes_a_host() -> None:
    assert ticket.split_url("ws://127.0.0.1:8765") == ("127.0.0.1:8765", False)
    assert ticket.split_url("WSS://Keymeld.Example/") == ("keymeld.example", True)


@pytest.mark.parametrize(
    "url", ["", "keymeld.example", "https://a.example", "wss://", "wss://a/path", "wss://a?x", "ws:/a"]
)
def test_what_is_no_url_of_a_coordinator_is_refused(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        ticket.split_url(url)
    assert caught.value.field == "url"


@pytest.mark.parametrize(
    "origin", ["app.example", "http://app.example", "https://", "https://app.example/", "https://app.example/x#"]
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(BadInput) as caught:
        SLOT.https(origin)
    assert caught.value.field == "origin"


@pytest.mark.parametrize(
    "origin", ["https://keymeld.example", "https://keymeld.example:8765", "https://keymeld.example:1"]
)
def test_a_coordinator_never_serves_what_reads_tickets(origin: str) -> None:
    with pytest.raises(BadInput, match="coordinator's host"):
        SLOT.https(origin)


# ------------------------------------------------------------------------------------------------------------- secrecy


def test_attack_19_a_ticket_shows_no_secret() -> None:
    for shown in (repr(SLOT), str(SLOT), f"{SLOT}", repr(SLOT.secret), f"{SLOT.group_secret}", repr([S])):
        assert S.hex() not in shown and SLOT_SECRET.hex() not in shown and "UUU" not in shown
    assert HOST in repr(SLOT)


def test_attack_19_errors_repeat_nothing_of_the_ticket() -> None:
    code = SLOT.text().partition("#")[2]
    for text in (SLOT.text()[:-1] + "A", code, f"keymeld:{code}", f"https://{code}", f"keymeld:{code}#{code}"):
        told = "".join(traceback.format_exception_only(refusal(text)))
        assert code[10:20] not in told
