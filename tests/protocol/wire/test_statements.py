"""Bytes earn trust: one spelling, one valid signature for each signer, and the blobs that were named."""

from typing import Any

import msgspec
import pytest

from keymeld_protocol.curve.schnorr import tagged_hash
from keymeld_protocol.errors import BadInput, Reason
from keymeld_protocol.values import digest, to_base64url
from keymeld_protocol.wire.payloads import CustodyRefuse, KeygenJoin, WalletOpen
from keymeld_protocol.wire.sizes import MAX_DETAIL
from keymeld_protocol.wire.statements import Statement, WireStatement, make, parse, require_blobs, to_wire
from tests.support.machines import STRANGER, Keygen, Signing, completed, xonly
from tests.support.spoil import full, spoils

KEYGEN = Keygen(2)
JOIN = KEYGEN.join(0)
REFUSED: dict[str, Any] = {"slot": 0, "join": JOIN.id, "code": "bad"}


def refusal(wire: WireStatement) -> BadInput:
    with pytest.raises(BadInput) as caught:
        parse(wire)
    return caught.value


def changed(statement: Statement, **other: Any) -> BadInput:
    return refusal(msgspec.structs.replace(statement.wire, **other))


def test_a_statement_comes_back_from_the_wire() -> None:
    assert parse(JOIN.wire) == JOIN


def test_an_id_is_the_tagged_hash_of_the_payload() -> None:
    assert JOIN.id == tagged_hash("keymeld/statement/v1", JOIN.text.encode())


def test_the_payload_is_carried_as_it_was_said() -> None:
    assert parse(JOIN.wire).text == JOIN.wire.payload == JOIN.text


# Signatures -------------------------------------------------------------------------------------------------------


def test_attack_36_an_extra_signature_is_refused() -> None:
    said = KEYGEN.accept(0)
    extra = (*said.wire.signatures, STRANGER.sign(said.id).hex())
    error = changed(said, signatures=extra)
    assert (error.reason, error.field) == (Reason.BAD_SIGNATURE, "signatures")


def test_attack_36_a_third_party_cannot_sign_anothers_payload() -> None:
    said = KEYGEN.accept(0)
    error = changed(said, signatures=(STRANGER.sign(said.id).hex(),))
    assert (error.reason, error.field) == (Reason.BAD_SIGNATURE, "signatures[0]")


def test_attack_36_equal_words_of_two_members_are_two_statements() -> None:
    signing = Signing(completed())
    one, two = signing.approve(1), signing.approve(2)
    assert one.id != two.id
    assert changed(one, signatures=two.wire.signatures).reason is Reason.BAD_SIGNATURE


def test_attack_6_a_signature_serves_no_other_statement() -> None:
    one, two = Signing(completed(name="one")), Signing(completed(name="one"), by=1)
    error = changed(one.approve(2), signatures=two.approve(2).wire.signatures)
    assert error.reason is Reason.BAD_SIGNATURE


def test_a_join_without_its_invite_signature_is_refused() -> None:
    error = changed(JOIN, signatures=JOIN.wire.signatures[:1])
    assert (error.reason, error.field) == (Reason.BAD_SIGNATURE, "signatures")


def test_a_join_signed_twice_by_its_auth_key_is_refused() -> None:
    error = changed(JOIN, signatures=(JOIN.wire.signatures[0],) * 2)
    assert (error.reason, error.field) == (Reason.BAD_SIGNATURE, "signatures[1]")


def test_the_signatures_of_a_join_have_an_order() -> None:
    error = changed(JOIN, signatures=JOIN.wire.signatures[::-1])
    assert (error.reason, error.field) == (Reason.BAD_SIGNATURE, "signatures[0]")


def test_a_payload_that_was_altered_is_not_signed() -> None:
    error = changed(JOIN, payload=JOIN.text.replace('"slot":0', '"slot":1'))
    assert error.reason is Reason.BAD_SIGNATURE


def test_a_speaker_whose_key_is_no_point_has_signed_nothing() -> None:
    message = full(WalletOpen) | {"by": "ff" * 32}
    wire = WireStatement(msgspec.json.encode(message).decode(), ("00" * 64,), ())
    assert refusal(wire).reason is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("spelled", ["", "00" * 63, "00" * 65, "AA" * 64, "zz" * 64])
def test_a_signature_is_lower_case_hex_of_its_length(spelled: str) -> None:
    error = changed(JOIN, signatures=(JOIN.wire.signatures[0], spelled))
    assert (error.reason, error.field) == (Reason.BAD_FIELD, "signatures[1]")


def test_attack_6_upper_case_is_no_other_statement() -> None:
    said = KEYGEN.accept(0)
    assert changed(said, signatures=(said.wire.signatures[0].upper(),)).field == "signatures[0]"
    key = xonly(KEYGEN.home(0)).hex()
    assert changed(said, payload=said.text.replace(key, key.upper())).field == "by"


def test_what_our_own_store_kept_is_not_verified_again() -> None:
    wire = msgspec.structs.replace(JOIN.wire, signatures=("00" * 64, "00" * 64))
    assert parse(wire, verified=True).id == JOIN.id


# Blobs ------------------------------------------------------------------------------------------------------------


def test_attack_23_swapped_blobs_are_refused() -> None:
    error = changed(JOIN, blobs=JOIN.wire.blobs[::-1])
    assert (error.reason, error.field) == (Reason.BAD_FIELD, "blobs[0]")


@pytest.mark.parametrize("count", [0, 1])
def test_a_blob_that_is_left_out_is_missed(count: int) -> None:
    assert changed(JOIN, blobs=JOIN.wire.blobs[:count]).field == "blobs"


def test_a_blob_that_was_not_named_is_refused() -> None:
    assert changed(KEYGEN.accept(0), blobs=(to_base64url(b"more"),)).field == "blobs"


def test_a_blob_of_another_digest_is_refused() -> None:
    assert changed(JOIN, blobs=(JOIN.wire.blobs[0], to_base64url(b"another"))).field == "blobs[1]"


@pytest.mark.parametrize("spelled", ["=", "AA==", "a b", "+", "A"])
def test_a_blob_has_one_spelling(spelled: str) -> None:
    assert changed(JOIN, blobs=(spelled, None)).field == "blobs[0]"


def test_a_blob_that_is_too_long_is_refused() -> None:
    said = KEYGEN.said(KEYGEN.home(0), CustodyRefuse, bytes(MAX_DETAIL), **REFUSED, detail=digest(bytes(MAX_DETAIL)))
    assert parse(said.wire) == said
    error = changed(said, blobs=(to_base64url(bytes(MAX_DETAIL + 1)),))
    assert (error.reason, error.field, error.limit) == (Reason.TOO_BIG, "blobs[0]", MAX_DETAIL)
    assert error.message == "detail: at most 4096 bytes"


def test_a_blob_may_be_absent_and_the_id_stays() -> None:
    without = JOIN.without_blobs(["envelope"])
    heard = parse(without.wire)
    assert heard.id == JOIN.id and heard.signatures == JOIN.signatures
    assert (heard.blob("card"), heard.blob("envelope"), heard.blob("surplus")) == (b"sealed card", None, None)


def test_whoever_submits_sends_every_blob() -> None:
    require_blobs(JOIN)
    with pytest.raises(BadInput) as caught:
        require_blobs(JOIN.without_blobs(["envelope"]))
    assert caught.value.field == "blobs[1]"


def test_an_optional_blob_has_no_place_when_it_is_not_named() -> None:
    device = KEYGEN.device(0)
    assert len(device.blobs) == 1 and device.blob("envelope") is None


# Making -----------------------------------------------------------------------------------------------------------


def test_nobody_makes_a_statement_that_would_be_refused() -> None:
    fields = {f: getattr(JOIN.payload, f) for f in KeygenJoin.__struct_fields__}
    auth, invite = KEYGEN.auth(0).sign, KEYGEN.cast.invite(0).sign
    for broken, signs, blobs in (
        (fields | {"custody": "device"}, (auth, invite), JOIN.blobs),
        (fields, (auth,), JOIN.blobs),
        (fields, (auth, invite), JOIN.blobs[:1]),
        (fields, (auth, invite), JOIN.blobs[::-1]),
    ):
        with pytest.raises(BadInput):
            make(KeygenJoin(**broken), *signs, blobs=[b for b in blobs if b is not None])


# From decoded JSON ------------------------------------------------------------------------------------------------


def test_a_wire_statement_comes_from_decoded_json() -> None:
    wire = JOIN.wire
    assert to_wire({"payload": wire.payload, "signatures": list(wire.signatures), "blobs": list(wire.blobs)}) == wire


@pytest.mark.parametrize("spoilt", list(spoils(WireStatement)), ids=lambda s: s.what)
def test_every_fault_of_a_wire_statement_is_named(spoilt: Any) -> None:
    with pytest.raises(BadInput) as caught:
        to_wire(spoilt.message)
    assert caught.value.field is not None and caught.value.field.startswith(f"statement.{spoilt.field}")
