"""Tickets and envelopes, fed with what strangers might hand out or seal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import BadInput, InvalidCrypto
from keymeld_protocol.keys.envelope import EnvelopeContext, open_envelope
from keymeld_protocol.keys.ticket import Ticket
from keymeld_protocol.values import Hash, Id, XOnlyKey
from tests.support.wire import wire

from .spoilt import QUICK, SLOW, either, raws, seeds, spelled

TICKETS = (*seeds("tickets", "tickets", "text"), *seeds("tickets", "tickets", "https"))
SEALED = wire("envelopes")["envelopes"]
ENVELOPES = [bytes.fromhex(case["envelope"]) for case in SEALED]


@QUICK
@given(spelled((*TICKETS, *seeds("tickets", "refused", "text"))))
def test_a_ticket_that_is_read_is_written_and_read_again(text: str) -> None:
    ticket = either(BadInput, Ticket.parse, text)
    assert ticket is None or Ticket.parse(ticket.text()) == ticket


@QUICK
@given(spelled(TICKETS))
def test_a_refused_ticket_is_not_repeated(text: str) -> None:
    try:
        Ticket.parse(text)
    except BadInput as refused:
        secret = text.rpartition("#")[2].rpartition("/")[2][-40:]
        assert len(secret) < 40 or secret not in str(refused)


@SLOW
@given(st.sampled_from(SEALED), raws(ENVELOPES))
def test_an_envelope_opens_as_it_was_sealed_or_not_at_all(case: dict[str, str], raw: bytes) -> None:
    context = EnvelopeContext(
        keygen_id=Id.from_hex(case["keygen_id"]), slot=int(case["slot"]),
        policy=Hash.from_hex(case["policy_commitment"]), auth=XOnlyKey.from_hex(case["auth"]),
        enclave=XOnlyKey.from_hex(case["identity_key"]),
    )  # fmt: skip
    with Secret(bytes.fromhex(case["identity_secret"])) as identity:
        opened = either(InvalidCrypto, open_envelope, identity, context, raw)
    assert (opened is not None) == (raw.hex() == case["envelope"])
