"""The group reads its own words in their own place, and nobody reads them anywhere else."""

import copy
import pickle
import traceback
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keymeld_protocol.curve.schnorr import tagged_hash
from keymeld_protocol.errors import InvalidCrypto
from keymeld_protocol.keys import sealing
from keymeld_protocol.keys.derivation import Identity
from keymeld_protocol.keys.kdf import hkdf
from keymeld_protocol.keys.sealing import GroupKey, NotesKey
from keymeld_protocol.values import Digest, Hash, Id, Salt, XOnlyKey
from keymeld_protocol.wire.payloads import (
    CustodyRefuse,
    KeygenCreate,
    Note,
    SigningContribute,
    SigningRequest,
    WalletOpen,
)
from keymeld_protocol.wire.shapes import Payload

S = bytes(range(32))
SALT = Salt(b"\x22" * 32)
KEYGEN, SIGNING = Id(b"\x11" * 32), Id(b"\x12" * 32)
ALICE, BOB = XOnlyKey(b"\xaa" * 32), XOnlyKey(b"\xbb" * 32)
GROUP = GroupKey(S, SALT)


@dataclass(frozen=True)
class Place:
    """Where a ciphertext belongs."""

    kind: str
    field: str
    session: Id
    by: XOnlyKey

    def seal(self, plaintext: bytes, group: GroupKey = GROUP) -> bytes:
        return group.seal(self.kind, self.field, self.session, self.by, plaintext)

    def open(self, sealed: bytes, group: GroupKey = GROUP) -> bytes:
        return group.open(self.kind, self.field, self.session, self.by, sealed)


PLACE = Place("signing.contribute", "values", SIGNING, ALICE)
TEXT = b"the values of every item"


# ------------------------------------------------------------------------------------------------------ the group key


def test_the_commitment_is_the_hash_of_the_derived_key() -> None:
    key = hkdf(S, SALT, b"keymeld/group/v1")
    assert tagged_hash("keymeld/group-commitment/v1", key) == GROUP.commitment


def test_the_right_secret_opens_the_group() -> None:
    assert PLACE.open(PLACE.seal(TEXT), GroupKey.open_group(S, SALT, GROUP.commitment)) == TEXT


@pytest.mark.parametrize(
    ("secret", "salt", "group"),
    [
        (b"\x01" + S[1:], SALT, GROUP.commitment),
        (S, Salt(b"\x23" * 32), GROUP.commitment),
        (S, SALT, Hash(bytes(32))),
    ],
    ids=["another secret", "another salt", "another commitment"],
)
def test_a_secret_that_does_not_give_the_commitment_is_refused(secret: bytes, salt: Salt, group: Hash) -> None:
    with pytest.raises(InvalidCrypto, match="does not give the commitment"):
        GroupKey.open_group(secret, salt, group)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_group_secrets_of_another_length_are_refused(size: int) -> None:
    with pytest.raises(InvalidCrypto, match="group secret: 32 bytes"):
        GroupKey(bytes(size), SALT)


def test_new_group_secrets_differ() -> None:
    assert len({bytes(sealing.new_group_secret()) for _ in range(10)}) == 10


# ------------------------------------------------------------------------------------------------ sealing and opening


@given(st.binary(max_size=2000))
def test_what_is_sealed_opens_in_its_place(plaintext: bytes) -> None:
    sealed = PLACE.seal(plaintext)
    assert len(sealed) == len(plaintext) + 40
    assert PLACE.open(sealed) == plaintext


def test_the_same_text_is_never_sealed_twice_alike() -> None:
    assert PLACE.seal(TEXT) != PLACE.seal(TEXT)


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(PLACE, kind="signing.refuse"),
        replace(PLACE, field="signatures"),
        replace(PLACE, session=KEYGEN),
        replace(PLACE, by=BOB),
        replace(PLACE, kind="signing.contribut", field="evalues"),
        replace(PLACE, kind="signing.contributev", field="alues"),
    ],
    ids=["kind", "field", "session", "speaker", "a letter moved right", "a letter moved left"],
)
def test_attack_23_a_ciphertext_moved_elsewhere_is_refused(elsewhere: Place) -> None:
    with pytest.raises(InvalidCrypto, match="does not open"):
        elsewhere.open(PLACE.seal(TEXT))


def test_attack_23_swapped_session_and_speaker_are_refused() -> None:
    swapped = replace(PLACE, session=Id(PLACE.by), by=XOnlyKey(PLACE.session))
    with pytest.raises(InvalidCrypto, match="does not open"):
        swapped.open(PLACE.seal(TEXT))


def test_another_group_cannot_open_it() -> None:
    with pytest.raises(InvalidCrypto, match="does not open"):
        PLACE.open(PLACE.seal(TEXT), GroupKey(S, Salt(b"\x23" * 32)))


def test_truncations_of_every_length_are_refused() -> None:
    sealed = PLACE.seal(TEXT)
    for size in range(len(sealed)):
        with pytest.raises(InvalidCrypto):
            PLACE.open(sealed[:size])


@given(st.integers(0, len(TEXT) + 39), st.integers(1, 255))
def test_an_altered_byte_is_refused(at: int, change: int) -> None:
    altered = bytearray(PLACE.seal(TEXT))
    altered[at] ^= change
    with pytest.raises(InvalidCrypto, match="does not open"):
        PLACE.open(bytes(altered))


@pytest.mark.parametrize("place", [replace(PLACE, kind=""), replace(PLACE, kind="k" * 256), replace(PLACE, field="é")])
def test_names_that_the_associated_data_cannot_hold_are_refused(place: Place) -> None:
    with pytest.raises(InvalidCrypto, match="1 to 255 ASCII"):
        place.seal(TEXT)


# --------------------------------------------------------------------------------------------- the place of a payload

CREATE = KeygenCreate(
    v=1, by=ALICE, suite="musig2/1", coordinator=BOB, salt=SALT, group=GROUP.commitment, open=False,
    slots=(BOB,), subsets=(), expires_at=0, terms=Digest(bytes(32)),
)  # fmt: skip
REFUSE = CustodyRefuse(v=1, by=ALICE, stream=KEYGEN, after=Hash(bytes(32)), slot=0, join=Id(bytes(32)), code="no")
REQUEST = SigningRequest(
    v=1, by=ALICE, keygen=KEYGEN, after=Hash(bytes(32)), roster=Hash(bytes(32)), slots=(0,), items=1, grace_ms=500,
    expires_at=0, body=Digest(bytes(32)),
)  # fmt: skip
CONTRIBUTE = SigningContribute(
    v=1, by=ALICE, stream=SIGNING, after=Hash(bytes(32)), attempt=1, slots=(0,), step="nonces", values=Digest(bytes(32))
)
NOTE = Note(kind="note.hello", v=1, by=ALICE, stream=SIGNING, after=Hash(bytes(32)))


@pytest.mark.parametrize(
    ("payload", "field", "session"),
    [
        (CREATE, "terms", Id(bytes(32))),
        (REFUSE, "detail", KEYGEN),
        (REQUEST, "body", KEYGEN),
        (CONTRIBUTE, "values", SIGNING),
        (NOTE, "body", SIGNING),
    ],
    ids=lambda value: value.kind if isinstance(value, Payload | Note) else "",
)
def test_a_payload_says_where_its_fields_belong(payload: Payload | Note, field: str, session: Id) -> None:
    assert sealing.session_of(payload) == session
    sealed = GROUP.seal(payload.kind, field, session, payload.by, TEXT)
    assert GROUP.open_in(payload, field, sealed) == TEXT


def test_a_wallet_belongs_to_no_group() -> None:
    with pytest.raises(InvalidCrypto, match=r"wallet\.open"):
        sealing.session_of(WalletOpen(v=1, by=ALICE))


# ------------------------------------------------------------------------------------------------------------ secrecy


def test_a_wiped_group_key_neither_seals_nor_opens() -> None:
    group, sealed = GroupKey(S, SALT), PLACE.seal(TEXT)
    group.wipe()
    with pytest.raises(InvalidCrypto, match="key"):
        PLACE.seal(TEXT, group)
    with pytest.raises(InvalidCrypto, match="key"):
        PLACE.open(sealed, group)


def test_a_group_key_is_never_copied_pickled_or_shown() -> None:
    for refused in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            refused(GROUP)
    assert repr(GROUP) == "<GroupKey>"


def test_the_key_of_the_notes_comes_from_the_identity_alone() -> None:
    key = NotesKey(Identity(S))
    place = ("wallet.note", "note", SIGNING, ALICE)
    assert key.open(*place, NotesKey(Identity(S)).seal(*place, TEXT)) == TEXT
    for other in (NotesKey(Identity(bytes(32))), GROUP):
        with pytest.raises(InvalidCrypto):
            key.open(*place, other.seal(*place, TEXT))
    key.wipe()
    with pytest.raises(InvalidCrypto, match="key"):
        key.seal(*place, TEXT)
    with pytest.raises(InvalidCrypto, match="identity"), Identity(S) as identity:
        identity.wipe()
        NotesKey(identity)


def test_attack_19_errors_hold_neither_secret_nor_plaintext() -> None:
    with pytest.raises(InvalidCrypto) as caught:
        GroupKey.open_group(S, SALT, Hash(bytes(32)))
    told = "".join(traceback.format_exception(caught.value))
    assert S.hex() not in told and repr(S) not in told
