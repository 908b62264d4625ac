"""A pre-signature as a person holds it: verified, completed by the right secrets and no others, and then telling."""

from dataclasses import replace
from secrets import token_bytes
from typing import Any

import pytest

from keymeld_client.errors import NeedsSecret
from keymeld_client.shown.presigned import Presigned, presigned
from keymeld_client.shown.results import ItemError, ItemResult, all_signed, require_all
from keymeld_protocol.curve import adaptor
from keymeld_protocol.curve.keyagg import aggregate
from keymeld_protocol.curve.musig_secret import CollapsedSigner
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import Blamed, InvalidCrypto
from keymeld_protocol.member.plan import Item
from keymeld_protocol.plaintext.body import Adaptor
from keymeld_protocol.values import Message, PlainKey, PreSignature, Signature
from tests.support.ceremony import sign_together
from tests.support.coordinator import secret_of

MESSAGE = Message(secret_of("message"))
KEYS = [Secret(secret_of(f"key {i}")) for i in range(2)]
KEYAGG = aggregate(key.point for key in KEYS)
SECRETS = [secret_of(f"lock {i}") for i in range(3)]
POINTS = tuple(PlainKey(Secret(secret).point) for secret in SECRETS)


def made(point: bytes) -> PreSignature:
    done = sign_together(KEYAGG, [CollapsedSigner(KEYAGG, KEYS)], MESSAGE, point)
    return PreSignature(adaptor.presignature(done.session, done.psigs))


def results(mode: Any, *points: PlainKey) -> tuple[Presigned, ...]:
    """What comes of an item with these points."""
    asked = Adaptor(mode=mode, points=points)
    bounds = (adaptor.combined_point(points),) if mode == "and" else points
    item = Item((0, 1), KEYAGG, MESSAGE, adaptors=bounds)
    return presigned(tuple(map(made, bounds)), asked, item)


def completed(*secrets: bytes, of: Presigned) -> bool:
    signature = of.adapt(secrets)
    return verify(signature, MESSAGE, KEYAGG.output)


def test_a_single_point_takes_its_secret_among_others_and_gives_it_away() -> None:
    (one,) = results("single", POINTS[0])
    assert completed(*SECRETS, of=one)
    assert one.extract(one.adapt(SECRETS[:1])) == SECRETS[0]


def test_an_and_takes_all_secrets_in_any_order_and_names_those_that_are_missing() -> None:
    (one,) = results("and", *POINTS)
    assert completed(*SECRETS[::-1], of=one)
    with pytest.raises(NeedsSecret, match=POINTS[1].hex()) as missing:
        one.adapt([SECRETS[0], SECRETS[2]])
    assert missing.value.points == (POINTS[1],) == one.missing([SECRETS[0], SECRETS[2]])


def test_an_or_takes_any_secret_each_for_its_own() -> None:
    for index, one in enumerate(results("or", *POINTS)):
        assert completed(SECRETS[index], of=one)
        with pytest.raises(NeedsSecret):
            one.adapt([SECRETS[index - 1]])


def test_what_does_not_hold_is_never_made() -> None:
    (one,) = results("single", POINTS[0])
    for lie in ({"point": POINTS[1]}, {"message": Message(bytes(32))}, {"presignature": PreSignature(bytes(65))}):
        with pytest.raises(InvalidCrypto, match="does not verify"):
            replace(one, **lie)


def test_another_signature_tells_no_secret() -> None:
    (one,) = results("single", POINTS[0])
    for signature in (bytes(64), token_bytes(64), adaptor.adapt(made(POINTS[0]), SECRETS[0])):
        with pytest.raises(InvalidCrypto):
            one.extract(signature)


def test_what_is_no_secret_is_refused() -> None:
    (one,) = results("single", POINTS[0])
    with pytest.raises(InvalidCrypto):
        one.adapt([bytes(32)])


def test_pre_signatures_that_were_not_asked_for_are_not_shown() -> None:
    item = Item((0, 1), KEYAGG, MESSAGE, adaptors=POINTS[:1])
    for asked in (None, Adaptor(mode="or", points=POINTS[:2])):
        with pytest.raises(Blamed, match="bad_signature"):
            presigned((made(POINTS[0]),), asked, item)
    with pytest.raises(Blamed, match="does not verify"):
        presigned((made(POINTS[1]),), Adaptor(mode="single", points=POINTS[:1]), item)


# All of a signing -------------------------------------------------------------------------------------------------


def test_signatures_are_completed_with_whatever_fits() -> None:
    plain = Signature(bytes(64))
    whole = all_signed([plain, results("or", *POINTS[:2]), results("and", *POINTS)], SECRETS)
    assert whole[0] == plain and all(verify(each, MESSAGE, KEYAGG.output) for each in whole[1:])


def test_without_the_secret_it_is_said_what_to_do() -> None:
    with pytest.raises(NeedsSecret, match=rf"item 1 .*{POINTS[0].hex()}.*or of one of 1 others.*secrets=") as missing:
        all_signed([Signature(bytes(64)), results("or", *POINTS[:2])])
    assert missing.value.points == POINTS[:1]


def test_a_failed_item_is_told_first() -> None:
    found: list[ItemResult] = [results("single", POINTS[0]), ItemError("bad_tweak", (0,), "why")]
    for ask in (all_signed, require_all):
        with pytest.raises(Blamed, match="item 1 was not signed"):
            ask(found)
    require_all(found[:1])
