"""Every kind of statement, field by field, in the order in which the fields are written (§5).

A payload is the canonical JSON of one of these types.  ``parse`` decodes, encodes again and compares, so that one
payload has exactly one spelling.  Ciphertexts are not in the payload: it names each by SHA-256 (the fields in
``BLOBS``, in that order, with the bytes that each may have) and they travel beside it.

``protocol/README.md`` says the same for readers without Python.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, TypeAlias, get_args

import msgspec
from msgspec import Meta

from ..errors import BadInput, Reason, bad_field
from ..values import Digest, Hash, Id, Salt, XOnlyKey, decode_sized, encode_sized
from .shapes import (
    MAX_ATTEMPTS,
    MAX_GRACE_MS,
    MAX_ITEMS,
    MAX_PAYLOAD,
    MAX_SLOTS,
    MAX_SUBSETS,
    MIN_GRACE_MS,
    AttemptNumber,
    Code,
    ContributionStep,
    CustodyKind,
    Millis,
    Payload,
    Rule,
    Said,
    Shape,
    Signer,
    Slot,
    Slots,
    Suite,
    Version,
    check_rising,
    members_of,
    require_version,
    split_complaint,
)
from .sizes import (
    MAX_BLOB,
    MAX_CARD,
    MAX_DETAIL,
    MAX_ENVELOPE,
    MAX_NOTE,
    MAX_TERMS,
    MAX_VALUES,
)

# Keygen ---------------------------------------------------------------------------------------------------------


class KeygenCreate(Payload, frozen=True, kw_only=True, tag="keygen.create"):
    """The creator opens a keygen; the id of this statement is the session's name, the keygen_id."""

    BLOBS: ClassVar[Mapping[str, int]] = {"terms": MAX_TERMS}

    suite: Suite
    coordinator: XOnlyKey
    salt: Salt
    group: Hash
    open: bool
    slots: Annotated[tuple[XOnlyKey, ...], Meta(min_length=1, max_length=MAX_SLOTS)]
    subsets: Annotated[tuple[Slots, ...], Meta(max_length=MAX_SUBSETS)]
    expires_at: Millis
    terms: Digest

    def check(self) -> None:
        """Invite keys are distinct; subsets are distinct, rising and within the slots (§5.1)."""
        if len(set(self.slots)) != len(self.slots):
            raise bad_field("slots", "invite keys must be distinct")
        if self.by in self.slots:
            raise bad_field("slots", "the creator key cannot be an invite key")
        for i, subset in enumerate(self.subsets):
            check_rising(f"subsets[{i}]", subset)
            if subset[-1] >= len(self.slots):
                raise bad_field(f"subsets[{i}]", f"names slot {subset[-1]} of {len(self.slots)}")
        if len(set(self.subsets)) != len(self.subsets):
            raise bad_field("subsets", "must be distinct")


class KeygenJoin(Said, frozen=True, kw_only=True, tag="keygen.join"):
    """A participant fills a slot; the slot's invite key signs beside the participant's auth key."""

    BLOBS: ClassVar[Mapping[str, int]] = {"card": MAX_CARD, "envelope": MAX_ENVELOPE}

    slot: Slot
    invite: XOnlyKey
    custody: CustodyKind
    rule: Rule
    policy: Hash
    enclave: XOnlyKey | None = None
    reader: XOnlyKey | None = None
    card: Digest
    envelope: Digest | None = None

    def check(self) -> None:
        """Sealed and hybrid custody carry an enclave and an envelope, device custody neither; keys differ (§5.1)."""
        self.rule.check()
        sealed = self.custody != "device"
        if (self.enclave is not None) != sealed:
            raise bad_field("enclave", f"custody {self.custody} {'needs' if sealed else 'takes no'} enclave")
        if (self.envelope is not None) != sealed:
            raise bad_field("envelope", f"custody {self.custody} {'needs' if sealed else 'takes no'} envelope")
        named = [k for k in (self.by, self.invite, self.enclave, self.reader) if k is not None]
        if len(set(named)) != len(named):
            raise bad_field("by", "the keys by, invite, enclave and reader must differ")

    def signed_by(self) -> tuple[XOnlyKey, ...]:
        """The auth key, then the invite key."""
        return (self.by, self.invite)


class CustodyAccept(Said, frozen=True, kw_only=True, tag="custody.accept"):
    """An enclave has opened a join's envelope and holds its key."""

    slot: Slot
    join: Id


class CustodyRefuse(Said, frozen=True, kw_only=True, tag="custody.refuse"):
    """An enclave will not hold a join's key; the slot is free again."""

    BLOBS: ClassVar[Mapping[str, int]] = {"detail": MAX_DETAIL}

    slot: Slot
    join: Id
    code: Code
    detail: Digest | None = None


class KeygenRelease(Said, frozen=True, kw_only=True, tag="keygen.release"):
    """The creator frees a slot, while the keygen collects joins."""

    slot: Slot
    join: Id
    code: Code


class KeygenConfirm(Said, frozen=True, kw_only=True, tag="keygen.confirm"):
    """A participant, or an enclave for the slots it holds, has verified this roster."""

    roster: Hash


class CustodyReseal(Said, frozen=True, kw_only=True, tag="custody.reseal"):
    """A participant moves an unchanged key and policy to another enclave identity."""

    BLOBS: ClassVar[Mapping[str, int]] = {"envelope": MAX_ENVELOPE}

    slot: Slot
    enclave: XOnlyKey
    envelope: Digest


class KeygenLeave(Said, frozen=True, kw_only=True, tag="keygen.leave"):
    """A participant withdraws a slot: its envelope is deleted and nothing that needs the slot is signed any more."""

    slot: Slot


class CustodyWiped(Said, frozen=True, kw_only=True, tag="custody.wiped"):
    """An enclave has wiped the key of a slot that left."""

    slot: Slot


class KeygenExpired(Said, frozen=True, kw_only=True, tag="keygen.expired"):
    """Notice: the deadline for collecting joins has passed."""


# Signing --------------------------------------------------------------------------------------------------------


class SigningRequest(Payload, frozen=True, kw_only=True, tag="signing.request"):
    """A member asks for signatures; the id of this statement is the session's name, the signing_id.

    ``after`` is a hash of the keygen stream; ``slots`` are those whose keys some item needs.
    """

    BLOBS: ClassVar[Mapping[str, int]] = {"body": MAX_BLOB}

    keygen: Id
    after: Hash
    roster: Hash
    slots: Slots
    items: Annotated[int, Meta(ge=1, le=MAX_ITEMS)]
    grace_ms: Annotated[int, Meta(ge=MIN_GRACE_MS, le=MAX_GRACE_MS)]
    expires_at: Millis
    body: Digest

    def check(self) -> None:
        """Slots are rising."""
        check_rising("slots", self.slots)


class SigningApprove(Said, frozen=True, kw_only=True, tag="signing.approve"):
    """A member says yes, until the request ends or until ``until``."""

    until: Millis | None = None


class SigningReject(Said, frozen=True, kw_only=True, tag="signing.reject"):
    """A member says no, for good; an earlier yes is withdrawn."""


class SigningCancel(Said, frozen=True, kw_only=True, tag="signing.cancel"):
    """The requester takes the request back, before anybody has sent a psig."""


class SigningContribute(Said, frozen=True, kw_only=True, tag="signing.contribute"):
    """A signer's nonces, partial signatures, both, or finished signatures, for all its slots at once."""

    BLOBS: ClassVar[Mapping[str, int]] = {"values": MAX_VALUES}

    attempt: AttemptNumber
    slots: Slots
    step: ContributionStep
    over: Hash | None = None
    values: Digest

    def check(self) -> None:
        """Slots are rising; whoever sends psigs names the nonces they answer (§5.2)."""
        check_rising("slots", self.slots)
        if self.over is None if self.step in ("psigs", "both") else (self.over is not None and self.step == "nonces"):
            raise bad_field("over", "belongs to the steps psigs and both, and to signatures that answer nonces")


class SigningRetry(Said, frozen=True, kw_only=True, tag="signing.retry"):
    """A signer whose nonces are gone asks for a new attempt."""

    attempt: AttemptNumber


class SigningRefuse(Said, frozen=True, kw_only=True, tag="signing.refuse"):
    """An enclave will not sign; ``attempt`` is 0 before the first one."""

    BLOBS: ClassVar[Mapping[str, int]] = {"detail": MAX_DETAIL}

    attempt: Annotated[int, Meta(ge=0, le=MAX_ATTEMPTS)]
    slots: Slots
    code: Code
    detail: Digest | None = None

    def check(self) -> None:
        """Slots are rising."""
        check_rising("slots", self.slots)


class SigningHeard(Said, frozen=True, kw_only=True, tag="signing.heard"):
    """An enclave with a ``delay`` has verified the request, at its own time ``at``."""

    at: Millis


class SigningDispute(Said, frozen=True, kw_only=True, tag="signing.dispute"):
    """A signer points at a record whose contribution does not verify; everybody recomputes it."""

    attempt: AttemptNumber
    offset: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    item: Annotated[int, Meta(ge=0, lt=MAX_ITEMS)]
    point: Annotated[int, Meta(ge=0, lt=MAX_ITEMS)]


class AttemptOpened(Said, frozen=True, kw_only=True, tag="attempt.opened"):
    """Notice: an attempt begins now, and which enclave goes last (absent when one signs alone)."""

    attempt: AttemptNumber
    signers: Annotated[tuple[Signer, ...], Meta(min_length=1, max_length=MAX_SLOTS)]
    last: XOnlyKey | None = None

    def check(self) -> None:
        """Signers are distinct, their slots rising and disjoint; with several, one of them is last (§5.2)."""
        keys = [signer.key for signer in self.signers]
        slots = [slot for signer in self.signers for slot in signer.slots]
        for i, signer in enumerate(self.signers):
            check_rising(f"signers[{i}].slots", signer.slots)
        if len(set(keys)) != len(keys) or len(set(slots)) != len(slots):
            raise bad_field("signers", "keys and slots must be distinct")
        if self.last is not None and self.last not in keys:
            raise bad_field("last", "must be one of the signers")


class SigningExpired(Said, frozen=True, kw_only=True, tag="signing.expired"):
    """Notice: the request's deadline has passed, or the grace of its sixteenth and last attempt."""


# Wallet and notes -----------------------------------------------------------------------------------------------


class WalletOpen(Payload, frozen=True, kw_only=True, tag="wallet.open"):
    """Opens the stream of sealed notes of one identity; its name follows from the wallet key alone."""


class WalletNote(Said, frozen=True, kw_only=True, tag="wallet.note"):
    """A note that only the wallet's owner can open, such as a session to find again."""

    BLOBS: ClassVar[Mapping[str, int]] = {"note": MAX_NOTE}

    note: Digest


NOTE_KIND: Final = r"\Anote\.[a-z][a-z0-9_]{0,26}\Z"


class Note(Shape, frozen=True, kw_only=True):
    """``note.*``: said by a member; verified, stored, streamed, and never moves state."""

    BLOBS: ClassVar[Mapping[str, int]] = {"body": MAX_NOTE}

    kind: Annotated[str, Meta(pattern=NOTE_KIND)]
    v: Version
    by: XOnlyKey
    stream: Id
    after: Hash
    body: Digest | None = None

    def check(self) -> None:
        """Nothing beyond the types."""

    def blob_fields(self) -> tuple[str, ...]:
        """The body, if there is one."""
        return () if self.body is None else ("body",)

    def blob_digests(self) -> tuple[Digest, ...]:
        """SHA-256 of the body, if there is one."""
        return () if self.body is None else (self.body,)

    def signed_by(self) -> tuple[XOnlyKey, ...]:
        """The speaker alone."""
        return (self.by,)


AnyPayload: TypeAlias = (
    KeygenCreate | KeygenJoin | CustodyAccept | CustodyRefuse | KeygenRelease | KeygenConfirm | CustodyReseal
    | KeygenLeave | CustodyWiped | KeygenExpired | SigningRequest | SigningApprove | SigningReject
    | SigningCancel | SigningContribute | SigningRetry | SigningRefuse | SigningHeard
    | SigningDispute | AttemptOpened | SigningExpired | WalletOpen | WalletNote
)  # fmt: skip
KINDS: Final[dict[str, type[Payload]]] = {str(t.__struct_config__.tag): t for t in get_args(AnyPayload)}
OPENERS: Final = (KeygenCreate, SigningRequest, WalletOpen)
NOTICES: Final = (KeygenExpired, AttemptOpened, SigningExpired)

_encoder = msgspec.json.Encoder(enc_hook=encode_sized)
_decoder = msgspec.json.Decoder(AnyPayload, dec_hook=decode_sized)
_note_decoder = msgspec.json.Decoder(Note, dec_hook=decode_sized)
_kind_decoder = msgspec.json.Decoder(str)
_is_note = re.compile(NOTE_KIND).match


def encode(payload: Payload | Note) -> str:
    """The payload's one spelling."""
    return _encoder.encode(payload).decode()


def parse(text: str) -> Payload | Note:
    """Parse a payload that must be in its one spelling (§3.2).

    Raises:
        BadInput: unknown kind or version, a field that breaks its rule, or another spelling (spaces, order of
            fields, duplicate keys, escapes, numbers such as ``1.0``).
    """
    if len(text) > MAX_PAYLOAD:
        raise BadInput(Reason.TOO_BIG, "payload is too long", field="payload", limit=MAX_PAYLOAD)
    if not (text.isascii() and text.isprintable()):
        raise bad_field("payload", "must be printable ASCII")
    try:
        payload = _decoded(text)
    except (msgspec.DecodeError, RecursionError):
        raise BadInput(Reason.BAD_JSON, "payload is not JSON", field="payload") from None
    if encode(payload) != text:
        raise bad_field("payload", "must be in its one spelling: fields in order, no spaces, no escapes, no duplicates")
    payload.check()
    return payload


def _decoded(text: str) -> Payload | Note:
    """Decode a payload that may be in another spelling.

    Raises:
        BadInput: what is wrong first, in this order: its kind, its version, a field (§12).
        msgspec.DecodeError: it is not JSON.
    """
    try:
        return _note_decoder.decode(text) if text.startswith('{"kind":"note.') else _decoder.decode(text)
    except msgspec.ValidationError as error:
        members = members_of(text)  # the whole of it: what is no JSON has neither kind nor version
        kind = _kind_of(members)
        if kind is not None:
            require_version(members)
        complaint = error
    if kind is not None and kind not in KINDS:
        try:
            return _note_decoder.decode(text)
        except msgspec.ValidationError as error:
            complaint = error
    field, rule = split_complaint(complaint)
    if kind is None and field == "kind":
        raise BadInput(Reason.UNKNOWN_KIND, "kind: none that this version of Keymeld knows", field="kind")
    raise bad_field(field, rule)


def _kind_of(members: Mapping[str, msgspec.Raw]) -> str | None:
    """The kind that a payload names, wherever it stands; None: none that is known here."""
    try:
        kind = _kind_decoder.decode(members.get("kind", b"null"))
    except msgspec.ValidationError:
        return None
    return kind if kind in KINDS or _is_note(kind) else None
