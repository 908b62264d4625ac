"""tickets.json and contributions.json: what people hand out, and what signers send."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from keymeld_protocol.curve.schnorr import Keypair, tagged_hash
from keymeld_protocol.keys.kdf import hkdf
from keymeld_protocol.keys.ticket import Ticket, TicketSecret
from keymeld_protocol.machines import signing_state
from keymeld_protocol.plaintext.contributions import Nonce
from keymeld_protocol.values import Id, from_base64url, to_base64url

from . import cast
from .cast import commented, secret_of
from .wire_secrets import KEYGEN, SIGNING, u16

# tickets.json ---------------------------------------------------------------------------------------------------


def tickets_json() -> Any:
    """Tickets that are read, and texts that are refused."""
    slot = Ticket(
        host="keymeld.example", secure=True, keygen_id=KEYGEN, group_secret=TicketSecret(cast.GROUP_SECRET), slot=1,
        secret=TicketSecret(bytes(hkdf(cast.OPEN_SECRET, b"", b"keymeld/invite/v1" + u16(1)))),
    )  # fmt: skip
    anyone = replace(slot, slot=None, secret=TicketSecret(cast.OPEN_SECRET))
    local = replace(slot, host="127.0.0.1:8765", secure=False)
    v6 = replace(anyone, host="[2001:db8::1]:8765")
    told = [
        _ticket("for one slot", slot),
        _ticket("open: for any free slot", anyone),
        _ticket("a port, and ws:// instead of wss://", local),
        _ticket("an IPv6 address", v6),
        _ticket("a name in another script, as the network has it", replace(slot, host="xn--bcher-kva.example")),
        _ticket("443 where 80 is what the scheme has anyway", replace(local, host="127.0.0.1:443")),
    ]
    return commented(
        "text is what people pass on; web reads as the same ticket, and so does https, for a web app at "
        "https://app.example. The code after the host "
        "is base64url of 01 || u8 flags || keygen_id || S || u16 slot || secret || checksum(4).",
        tickets=told,
        refused=[*_refused_tickets(slot.text(), slot.https("https://app.example")), *_refused_hosts(slot, local)],
    )  # fmt: skip


def _ticket(comment: str, ticket: Ticket) -> dict[str, Any]:
    with ticket.slot_secret(1) as secret:
        invite = Keypair(secret).key
    return commented(
        comment, host=ticket.host, url=ticket.url, keygen_id=ticket.keygen_id, S=bytes(ticket.group_secret),
        slot=ticket.slot, secret=bytes(ticket.secret), invite_key_of_slot_1=invite, text=ticket.text(),
        web=f"web+{ticket.text()}", https=ticket.https("https://app.example"),
    )  # fmt: skip


def _refused_hosts(slot: Ticket, local: Ticket) -> list[dict[str, Any]]:
    """Hosts that URL parsers rewrite, each with the checksum that belongs to it."""
    hosts = [
        ("two numbers, which URL parsers take for 127.0.0.1", "127.1"),
        ("one number, which they take for 127.0.0.1", "2130706433"),
        ("hexadecimal numbers", "0x7f.1"),
        ("a name that ends in a number", "keymeld.1"),
        ("a leading zero in an IPv4 address", "127.0.0.01"),
        ("a number above 255", "127.0.0.256"),
        ("an IPv6 address at length", "[0:0:0:0:0:0:0:1]"),
        ("a leading zero in an IPv6 address", "[2001:0db8::1]"),
        ("the shorter of two runs of zeros left out", "[2001::1:0:0:0:1]"),
        ("decimals in an IPv6 address", "[::ffff:127.0.0.1]"),
        ("an IPv6 address in upper case", "[2001:DB8::1]"),
        ("an IPv6 address with a zone", "[fe80::1%eth0]"),
        ("a leading zero in a port", "keymeld.example:08765"),
        ("a dot at the end", "keymeld.example."),
        ("a percent sign", "keymeld%2eexample"),
        ("the port that wss:// has anyway", "keymeld.example:443"),
    ]
    cases = [(why, _with_host(slot, host)) for why, host in hosts]
    cases.append(("the port that ws:// has anyway", _with_host(local, "127.0.0.1:80")))
    app = slot.https("https://app.example")
    cases.append(("a web app at the port that https:// has anyway", app.replace("app.example", "app.example:443")))
    cases.append(("a web app at a host that URL parsers rewrite", app.replace("app.example", "127.1")))
    flagged = commented("a flag of a newer version, with its checksum", reason="unknown_version",
                        text=_with_host(slot, slot.host, flags=4))  # fmt: skip
    return [*(commented(why, text=text, reason="bad_field") for why, text in cases), flagged]


def _with_host(ticket: Ticket, host: str, flags: int = 0) -> str:
    """The text of ``ticket`` with another host, whatever it is, and with more ``flags``."""
    raw = from_base64url(ticket.text().partition("#")[2])[:-4]
    raw = bytes([raw[0], raw[1] | flags]) + raw[2:]
    checksum = tagged_hash("keymeld/ticket/v1", host.encode() + raw)[:4]
    return f"keymeld:{host}#{to_base64url(raw + checksum)}"


def _refused_tickets(text: str, link: str) -> list[dict[str, Any]]:
    front, _, code = text.partition("#")
    swapped = code[:40] + ("A" if code[40] != "A" else "B") + code[41:]
    cases = [
        ("a character is wrong", f"{front}#{swapped}", "bad_field"),
        ("another host: the checksum covers it", text.replace("keymeld.example", "keymeld.evil"), "bad_field"),
        ("the port was lost or added", text.replace("example#", "example:443#"), "bad_field"),
        ("cut off", text[:-8], "bad_field"),
        ("nothing after the host", f"{front}#", "bad_field"),
        ("no #", text.replace("#", ""), "bad_field"),
        ("no host", f"keymeld:#{code}", "bad_field"),
        ("a host in upper case", text.replace("keymeld.example", "Keymeld.example"), "bad_field"),
        ("a port of 0", text.replace("example#", "example:0#"), "bad_field"),
        ("a space inside", f"{front}# {code}", "bad_field"),
        ("padding", text + "=", "bad_field"),
        ("another scheme", text.replace("keymeld:", "keymelt:", 1), "bad_field"),
        ("version 2", f"{front}#Ag{code[2:]}", "unknown_version"),
        (
            "a flag that nobody knows, and the checksum that was there before",
            f"{front}#AQ{'Q' if code[2] != 'Q' else 'g'}{code[3:]}",
            "bad_field",
        ),
        ("http instead of https", link.replace("https:", "http:"), "bad_field"),
        ("a link to another page", link.replace("/join#", "/enter#"), "bad_field"),
        ("longer than 1,024 characters", text + "A" * 1024, "too_big"),
    ]
    return [commented(why, text=bad, reason=reason) for why, bad, reason in cases]


# contributions.json ---------------------------------------------------------------------------------------------


def contributions_json() -> Any:
    """Entries as bytes, bytes that are refused, what psigs answer, and what a nonce is bound to."""
    nonce, psig, sig = secret_of("a") * 2 + b"\x02\x03", secret_of("psig"), secret_of("r") + secret_of("s")
    half = b"\x03" + sig
    good: list[tuple[str, str, list[dict[str, Any]]]] = [
        ("nothing", "00", [{"tag": 0}]),
        ("a pubnonce", "01" + nonce.hex(), [{"tag": 1, "pubnonce": nonce.hex()}]),
        ("a psig", "02" + psig.hex(), [{"tag": 2, "psig": psig.hex()}]),
        ("both", "03" + nonce.hex() + psig.hex(), [{"tag": 3, "pubnonce": nonce.hex(), "psig": psig.hex()}]),
        ("a finished signature", "04" + sig.hex(), [{"tag": 4, "signature": sig.hex()}]),
        ("a pubnonce that proves itself", "05" + nonce.hex() + sig.hex(),
         [{"tag": 5, "pubnonce": nonce.hex(), "proof": sig.hex()}]),
        ("both, for an adaptor point", "06" + nonce.hex() + sig.hex() + psig.hex(),
         [{"tag": 6, "pubnonce": nonce.hex(), "proof": sig.hex(), "psig": psig.hex()}]),
        ("a finished pre-signature", "07" + half.hex(), [{"tag": 7, "presignature": half.hex()}]),
        ("an error", "ff09" + b"bad_nonce".hex(), [{"tag": 255, "code": "bad_nonce"}]),
    ]  # fmt: skip
    every = ("one of each", "".join(raw for _, raw, _ in good), [entry for _, _, told in good for entry in told])
    bad = [
        ("no entry for the second item", "00", 2, "bad_field", "values[1]"),
        ("a byte too many", "0000", 1, "too_big", "values"),
        ("an unknown tag", "08", 1, "bad_field", "values[0]"),
        ("a pubnonce that is cut off", "01" + nonce.hex()[:-2], 1, "bad_field", "values[0]"),
        ("a proof that is cut off", "05" + nonce.hex() + sig.hex()[:-2], 1, "bad_field", "values[0]"),
        ("a pre-signature without its parity", "07" + half.hex()[2:], 1, "bad_field", "values[0]"),
        ("an error without a code", "ff00", 1, "bad_field", "values[0]"),
        ("an error in upper case", "ff03" + b"Bad".hex(), 1, "bad_field", "values[0]"),
        ("a code that is cut off", "ff09" + b"bad".hex(), 1, "bad_field", "values[0]"),
    ]
    return commented(
        "The plaintext of signing.contribute's values: one entry per place. The "
        "values here have the right lengths and mean nothing.",
        entries=[commented(why, items=len(told), bytes=raw, entries=told) for why, raw, told in [*good, every]],
        refused=[commented(why, items=n, bytes=raw, reason=r, field=f) for why, raw, n, r, f in bad],
        over=_over(), nonce_extra=_nonce_extra(),
    )  # fmt: skip


def _over() -> list[dict[str, Any]]:
    ids = [Id(secret_of(f"contribution {i}")) for i in range(3)]
    return [
        commented(f"{n} contributions with nonces, attempt {attempt}", signing_id=SIGNING, attempt=attempt,
                  ids_by_lowest_slot=ids[:n], over=signing_state.over(SIGNING, attempt, ids[:n]))
        for n, attempt in ((1, 1), (3, 16))
    ]  # fmt: skip


def _nonce_extra() -> list[dict[str, Any]]:
    """What NonceGen's extra_in is: others is the aggregate of the others' nonces, or zeros where it is unknown."""
    others = Nonce(pubnonce=secret_of("others") * 2 + b"\x02\x03").pubnonce
    none, lock = bytes(33), b"\x02" + secret_of("T")
    cases = [
        ("first: the others' nonces are unknown", 1, 0, 0, (2,), bytes(66), none),
        ("last", 2, 7, 0, (0, 1, 999), others, none),
        ("for the third point of an or", 2, 7, 2, (0, 1, 999), others, lock),
    ]
    return [
        commented(why, signing_id=SIGNING, attempt=attempt, item=item, point=point, slots=slots,
                  others=aggregate, T=T, extra_in=tagged_hash(
                      "keymeld/nonce-extra/v1",
                      SIGNING + attempt.to_bytes(4, "big") + item.to_bytes(4, "big")
                      + point.to_bytes(4, "big") + b"".join(map(u16, slots)) + aggregate + T))
        for why, attempt, item, point, slots, aggregate, T in cases
    ]  # fmt: skip
