"""A statement: a payload carried as a string, the signatures over its id, and the ciphertexts it names.

    {"payload": "{\"kind\":\"signing.approve\",\"v\":1,\"by\":…}", "signatures": ["…"], "blobs": []}

Bytes earn trust here and nowhere else: a ``Statement`` that came out of ``parse`` has a canonical payload, exactly one
valid signature for each key that the payload names as a signer, and blobs that match their digests.  A blob may be
``None`` where it is not for this hearer, or was deleted after its retention; ids, signatures and hashes stay (§3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..curve.schnorr import tagged_hash, verify
from ..errors import BadInput, Reason, bad_field
from ..values import Id, Signature, digest, from_base64url, to_base64url
from . import payloads
from .payloads import Note
from .shapes import MAX_PAYLOAD, Payload, split_complaint


class WireStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A statement as it lies in a frame: strings, not yet believed."""

    payload: Annotated[str, Meta(max_length=MAX_PAYLOAD)]
    signatures: Annotated[tuple[Annotated[str, Meta(max_length=128)], ...], Meta(max_length=2)]
    blobs: Annotated[tuple[str | None, ...], Meta(max_length=2)]


@dataclass(frozen=True)
class Statement:
    """A verified statement; compare by id and signatures, not by blobs."""

    text: str
    payload: Payload | Note
    id: Id
    signatures: tuple[Signature, ...]
    blobs: tuple[bytes | None, ...]

    @cached_property
    def wire(self) -> WireStatement:
        """The form that goes into a frame or a log."""
        return WireStatement(self.text, tuple(s.hex() for s in self.signatures), tuple(map(_blob_text, self.blobs)))

    @property
    def size(self) -> int:
        """Bytes of the payload and of those ciphertexts that are here."""
        return len(self.text) + sum(len(blob) for blob in self.blobs if blob is not None)

    def blob(self, field: str) -> bytes | None:
        """The ciphertext that the payload's ``field`` names; None where it is not here."""
        present = self.payload.blob_fields()
        return self.blobs[present.index(field)] if field in present else None

    def without_blobs(self, fields: Iterable[str]) -> Statement:
        """The same statement without the ciphertexts of ``fields``: ids and signatures stay."""
        present = self.payload.blob_fields()
        gone = set(fields)
        kept = tuple(None if name in gone else blob for name, blob in zip(present, self.blobs, strict=True))
        return replace(self, blobs=kept)


def statement_id(text: str) -> Id:
    """``TH("keymeld/statement/v1", payload)``: what is signed, and what a session is named by (§3.2)."""
    return Id(tagged_hash("keymeld/statement/v1", text.encode()))


def make(payload: Payload | Note, *sign: Callable[[bytes], bytes], blobs: Iterable[bytes] = ()) -> Statement:
    """Say ``payload``: one signing function for each signer, in order, and each blob it names.

    Raises:
        BadInput: the payload breaks a rule of its kind, or the blobs are not those it names.
    """
    text = payloads.encode(payload)
    payload = payloads.parse(text)
    ident = statement_id(text)
    signatures = tuple(Signature(s(ident)) for s in sign)
    statement = Statement(text, payload, ident, signatures, tuple(blobs))
    check_signature_count(statement)
    check_blobs(statement)
    return statement


def parse(wire: WireStatement, *, verified: bool = False) -> Statement:
    """Parse and verify (§11.1.1); ``verified`` skips the curve arithmetic for what our own store kept.

    Raises:
        BadInput: not canonical, an unknown kind, a signature missing, extra or wrong, a blob that does not match.
    """
    payload = payloads.parse(wire.payload)
    signatures = tuple(_signature(i, text) for i, text in enumerate(wire.signatures))
    blobs = tuple(_blob_bytes(i, text) for i, text in enumerate(wire.blobs))
    statement = Statement(wire.payload, payload, statement_id(wire.payload), signatures, blobs)
    check_signature_count(statement)
    check_blobs(statement)
    if not verified:
        check_signatures(statement)
    return statement


def check_signature_count(statement: Statement) -> None:
    """Exactly one signature for each key that the payload names as a signer (§3.1).

    Raises:
        BadInput: another number.
    """
    expected = len(statement.payload.signed_by())
    if len(statement.signatures) != expected:
        raise BadInput(Reason.BAD_SIGNATURE, f"this kind has exactly {expected} signature(s)", field="signatures")


def check_signatures(statement: Statement) -> None:
    """Every signature is BIP-340 over the id, by its key (§3.1).

    Raises:
        BadInput: ``bad_signature``, naming which.
    """
    for i, (key, signature) in enumerate(zip(statement.payload.signed_by(), statement.signatures, strict=True)):
        if not verify(signature, statement.id, key):
            raise BadInput(Reason.BAD_SIGNATURE, f"does not verify under {key.hex()}", field=f"signatures[{i}]")


def check_blobs(statement: Statement) -> None:
    """Each blob is what the payload names, of no more bytes than its field may have, or absent (§2.7, §3.1).

    Raises:
        BadInput: another number of blobs; one that is too long, with the field and its limit; or another SHA-256.
    """
    digests = statement.payload.blob_digests()
    if len(digests) != len(statement.blobs):
        raise bad_field("blobs", f"the payload names {len(digests)}, not {len(statement.blobs)}")
    fields = statement.payload.blob_fields()
    for i, (name, expected, blob) in enumerate(zip(fields, digests, statement.blobs, strict=True)):
        most = statement.payload.BLOBS[name]
        if blob is not None and len(blob) > most:
            raise BadInput(Reason.TOO_BIG, f"{name}: at most {most} bytes", field=f"blobs[{i}]", limit=most)
        if blob is not None and digest(blob) != expected:
            raise bad_field(f"blobs[{i}]", "must have the SHA-256 that the payload names")


def require_blobs(statement: Statement) -> None:
    """Whoever submits sends every blob (§3.1).

    Raises:
        BadInput: one is null.
    """
    for i, blob in enumerate(statement.blobs):
        if blob is None:
            raise bad_field(f"blobs[{i}]", "must be sent when the statement is submitted")


def _signature(index: int, text: str) -> Signature:
    try:
        return Signature.from_hex(text)
    except ValueError as error:
        raise bad_field(f"signatures[{index}]", str(error)) from None


def _blob_bytes(index: int, text: str | None) -> bytes | None:
    try:
        return None if text is None else from_base64url(text)
    except ValueError as error:
        raise bad_field(f"blobs[{index}]", str(error)) from None


def _blob_text(blob: bytes | None) -> str | None:
    return None if blob is None else to_base64url(blob)


def to_wire(raw: Any, field: str = "statement") -> WireStatement:
    """Turn decoded JSON into a wire statement.

    Raises:
        BadInput: a field is missing, unknown, or of another type.
    """
    try:
        return msgspec.convert(raw, WireStatement)
    except msgspec.ValidationError as error:
        name, rule = split_complaint(error)
        raise bad_field(f"{field}.{name}", rule) from None
