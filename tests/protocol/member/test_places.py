"""places.py: one entry for each signature and pre-signature, and each stands where it belongs or nowhere."""

import pytest

from keymeld_protocol.curve import adaptor
from keymeld_protocol.curve.keyagg import aggregate
from keymeld_protocol.curve.musig import SessionContext, nonce_agg
from keymeld_protocol.curve.musig_secret import partial_sign, summed_signer, weighted_secret
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.member.places import Place, by_item, places
from keymeld_protocol.member.plan import Impossible, Item
from keymeld_protocol.plaintext.contributions import Both, Entry, Failed, Finished, Nonce, Nothing, Prefinished, Psig
from keymeld_protocol.values import Message, PreSignature, Signature
from tests.support.ceremony import EXTRA, sign_alone
from tests.support.world import secret_of

KEY, LOCK = Secret(secret_of("key")), Secret(secret_of("lock"))
MESSAGE = Message(secret_of("message"))
KEYAGG = aggregate([KEY.point])
PROOF, NONCE, PSIG, SIGNATURE = bytes(64), b"\x02" * 66, bytes(32), bytes(64)
PLAIN: tuple[Entry, ...] = (Nonce(NONCE), Both(NONCE, PSIG), Finished(SIGNATURE))
LOCKED: tuple[Entry, ...] = (Nonce(NONCE, PROOF), Both(NONCE, PSIG, PROOF), Prefinished(bytes(65)))
EITHER: tuple[Entry, ...] = (Nothing(), Psig(PSIG), Failed("no"))


def item(*adaptors: bytes | None) -> Item:
    return Item((0,), KEYAGG, MESSAGE, adaptors=adaptors)


def finished() -> Finished:
    return Finished(sign_alone([KEY], KEYAGG, MESSAGE))


def prefinished() -> Prefinished:
    signer = summed_signer(weighted_secret([KEY], KEYAGG), KEYAGG)
    secnonce = signer.nonce_gen(signer.keyagg, MESSAGE, EXTRA)
    session = SessionContext(signer.keyagg, nonce_agg([secnonce.pubnonce]), MESSAGE, LOCK.point)
    return Prefinished(adaptor.presignature(session, [partial_sign(session, signer, secnonce)]))


def test_an_item_is_one_place_and_an_or_one_for_each_point() -> None:
    failed = Impossible((0,), "bad_tweak", "", (None, None))
    found = places([item(None), item(LOCK.point), failed, item(LOCK.point, KEY.point)])
    assert [(p.index, p.point, p.adaptor) for p in found] == [
        (0, 0, None), (1, 0, LOCK.point), (2, 0, None), (2, 1, None), (3, 0, LOCK.point), (3, 1, KEY.point),
    ]  # fmt: skip
    assert [str(place) for place in found] == [
        "item 0", "item 1", "item 2, point 0", "item 2, point 1", "item 3, point 0", "item 3, point 1",
    ]  # fmt: skip


@pytest.mark.parametrize("entry", [*PLAIN, *EITHER], ids=repr)
def test_a_signatures_place_takes_no_proofs(entry: Entry) -> None:
    (place,) = places([item(None)])
    assert place.takes(entry)
    assert not any(place.takes(other) for other in LOCKED)


@pytest.mark.parametrize("entry", [*LOCKED, *EITHER], ids=repr)
def test_an_adaptors_place_takes_nothing_unproven(entry: Entry) -> None:
    (place,) = places([item(LOCK.point)])
    assert place.takes(entry)
    assert not any(place.takes(other) for other in PLAIN)


def test_what_holds_holds_in_its_own_place_only() -> None:
    plain, locked, other = places([item(None), item(LOCK.point), item(KEY.point)])
    whole, half = finished(), prefinished()
    assert plain.holds(whole) and locked.holds(half)
    wrong: list[tuple[Place, Entry | None]] = [
        (plain, half), (locked, whole), (other, half), (plain, None), (locked, Nothing()), (plain, Finished(SIGNATURE)),
        (locked, Prefinished(bytes(65))), (locked, Failed("no")),
    ]  # fmt: skip
    assert not any(place.holds(made) for place, made in wrong)


def test_results_are_gathered_item_by_item() -> None:
    whole, half = finished(), prefinished()
    items = [item(LOCK.point, LOCK.point), item(None), item(LOCK.point)]
    assert by_item(items, [half, half, whole, half]) == (
        (PreSignature(half.presignature),) * 2, Signature(whole.signature), (PreSignature(half.presignature),),
    )  # fmt: skip


def test_an_item_fails_as_a_whole() -> None:
    half, no = prefinished(), Failed("no")
    assert by_item([item(LOCK.point, LOCK.point)], [half, no]) == (no,)
