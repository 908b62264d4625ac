"""PSBTs (BIP-174 and BIP-370) in and out: how other wallets hand a transaction over, and take it back signed.

    raw or base64, v0 or v2 ─► Psbt ─► spend            the triple of transaction.py, and nothing else of it is believed
                                    ├► inputs(own)      those that spend our scripts: what becomes items
                                    ├► hint(i, keys)    where to look for one of ours that is far down the path
                                    └► sign(...)        the same PSBT with key-path signatures (BIP-371), participants
                                                        (BIP-373), and the final transaction when nothing is missing

Only clients read PSBTs. What they seal is the reduction, and enclaves recompute everything from that. Own scripts come
from the roster; internal keys and origins of a PSBT decide nothing here and leave it as they came. An origin is a hint
at most: whoever follows it computes the child and compares the script.

Parsing and writing are btclib-wallet's. No other file may import it, and it never sees a secret. It checks what came
from outside once, as it reads. What we have made (keys that we aggregated, signatures that we verified) it writes as
it is: to check a key takes it a tenth of a millisecond.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from typing import Final, NamedTuple, Self

from btclib.exceptions import BTClibException
from btclib.hashes import hash160
from btclib.script import is_p2tr
from btclib.tx import Tx, TxOut
from btclib_wallet.psbt.psbt import Psbt as _Psbt
from btclib_wallet.psbt.psbt_in import PsbtIn

from ..curve.keyagg import KeyAgg
from ..curve.schnorr import verify
from ..errors import bad_field
from ..plaintext.body import MAX_INPUTS, MAX_PATH
from .children import HARDENED
from .transaction import Output, Spend

MAX_PSBT: Final = 4 * 1024 * 1024
"""Bytes of a PSBT; whole previous transactions make it long, and a taproot input needs none."""

_MAGIC: Final = b"psbt\xff"
_DEFAULT, _ALL = 0, 1
_MODIFIABLE: Final = 0b11


class InputSignature(NamedTuple):
    """A key-path signature (64 bytes, SIGHASH_DEFAULT), and the key list that made it."""

    value: bytes
    keyagg: KeyAgg


class Signed(NamedTuple):
    """A PSBT with our signatures (raw), and the transaction for the network; None while others have to sign."""

    psbt: bytes
    final: bytes | None


class _Checked(PsbtIn):
    """An input that the library has checked as it read it; what we add is checked before it is put in."""

    def assert_valid(self) -> None:
        """Nothing more, when the library asks it again."""


class Psbt:
    """A PSBT, reduced once to ``spend``: what is shown, hashed and signed comes from there alone."""

    def __init__(self, given: bytes, field: str = "psbt") -> None:
        """Read raw bytes or base64; ``field`` says where it stood, for errors.

        Raises:
            BadInput: not one whole PSBT of version 0 or 2, longer than 4 MiB, an input whose spent output is missing
                or contradicted (BIP-174: by the txid, by its number, or by the other field), or as `Spend`.
        """
        self._raw: Final = _unpack(given, field)
        self._field: Final = field
        self._psbt: Final = _parse(self._raw, field)
        if len(self._psbt.inputs) > MAX_INPUTS:
            raise bad_field(field, f"must have at most {MAX_INPUTS:,} inputs")
        spent = [_spent(each, f"{field}.inputs[{i}]") for i, each in enumerate(self._psbt.inputs)]
        unsigned = self._psbt.tx.serialize(include_witness=False, check_validity=False)
        self.spend: Final = Spend(unsigned, spent, field)

    @classmethod
    def of(cls, spend: Spend) -> Self:
        """Make a PSBT (version 0) of a transaction that came without one, with what each input spends."""
        outputs = [_Checked(witness_utxo=TxOut(amount, script)) for amount, script in spend.inputs]
        made = _Psbt.from_tx(Tx.parse_without_witness(spend.unsigned), outputs, check_validity=False)
        return cls(made.serialize(check_validity=False))

    def inputs(self, own: Collection[bytes]) -> tuple[int, ...]:
        """The inputs that spend one of ``own`` scripts, rising.

        Raises:
            BadInput: one of them is signed or final already, or asks for another sighash type than DEFAULT or ALL.
        """
        found = tuple(i for i, output in enumerate(self.spend.inputs) if output.script in own)
        for index in found:
            _require_signable(self._psbt.inputs[index], f"{self._field}.inputs[{index}]")
        return found

    def hint(self, index: int, keys: Collection[bytes]) -> tuple[bytes, tuple[int, ...]] | None:
        """Say from which of ``keys`` (33 bytes each), and along which path, input ``index`` claims to be derived.

        That is what BIP-373 has an updater write: BIP-371's origin of the internal key (without one: of the output
        key), whose fingerprint is the aggregate key's. Nothing but a claim; None if there is none.
        """
        each = self._psbt.inputs[index]
        internal = each.taproot_internal_key or self.spend.inputs[index].script[2:]
        _, origin = each.taproot_hd_key_paths.get(internal, ((), None))
        if origin is None or not 1 <= len(origin.der_path) <= MAX_PATH or max(origin.der_path) >= HARDENED:
            return None
        found = (key for key in keys if hash160(key)[:4] == origin.master_fingerprint)
        return next(((key, tuple(origin.der_path)) for key in found), None)

    def sign(self, signatures: Mapping[int, InputSignature]) -> Signed:
        """Put in signatures by their inputs, each verified first; this PSBT itself stays as it is.

        SIGHASH_DEFAULT commits to what ALL commits to: a field that asked for ALL is dropped, since the signature is
        of 64 bytes. A v2 PSBT is no longer modifiable (BIP-370).

        Raises:
            BadInput: no such input, not taproot, or a signature that does not verify.
        """
        values = self._signed_before() | {i: signature.value for i, signature in signatures.items()}
        final = self.spend.finalize(values)
        signed = copy(self._psbt)
        signed.inputs = [_filled(each, signatures.get(i)) for i, each in enumerate(self._psbt.inputs)]
        if signed.tx_modifiable is not None and signatures:
            signed.tx_modifiable &= ~_MODIFIABLE
        raw = signed.serialize(check_validity=False)
        return Signed(raw, _complete(final, signed.inputs, values))

    def _signed_before(self) -> dict[int, bytes]:
        """Give the key-path signatures (64 bytes) that others have put in, where they verify."""
        found = {i: each.taproot_key_spend_signature for i, each in enumerate(self._psbt.inputs)}
        scripts = [output.script for output in self.spend.inputs]
        return {
            i: value
            for i, value in found.items()
            if len(value) == 64 and is_p2tr(scripts[i]) and verify(value, self.spend.sighash(i), scripts[i][2:])
        }


def _unpack(given: bytes, field: str) -> bytes:
    """Give the raw bytes of a PSBT that may be base64, wrapped in lines or not.

    Raises:
        BadInput: too long, or neither.
    """
    if len(given) > 2 * MAX_PSBT:
        raise bad_field(field, f"must be at most {MAX_PSBT:,} bytes")
    raw = bytes(given)
    if not raw.startswith(_MAGIC):
        try:
            raw = b64decode(b"".join(raw.split()), validate=True)
        except NoBase64:
            raw = b""
    if not raw.startswith(_MAGIC):
        raise bad_field(field, "must be a PSBT, raw or in base64")
    if len(raw) > MAX_PSBT:
        raise bad_field(field, f"must be at most {MAX_PSBT:,} bytes")
    return raw


def _parse(raw: bytes, field: str) -> _Psbt:
    """Parse; btclib-wallet also compares each previous transaction with its txid and with the witness UTXO.

    It checks every input as it reads it, and would do so twice more: as part of the whole, and as it writes that.

    Raises:
        BadInput: without btclib-wallet's words for what belongs to nobody else's eyes.
    """
    try:
        psbt = _Psbt.parse(raw, check_validity=False)
        for each in psbt.inputs:
            each.__class__ = _Checked
        psbt.assert_valid()
        return psbt
    except BTClibException as error:
        text = str(error)
    if "mismatched" in text or "out of range" in text:
        raise bad_field(field, "contradicts itself about an output that it spends")
    raise bad_field(field, "must be one whole valid PSBT of version 0 or 2, and nothing else")


def _spent(each: PsbtIn, field: str) -> Output:
    """Give what an input spends: from the previous transaction, which its txid vouches for, else the witness UTXO.

    Raises:
        BadInput: the PSBT has neither.
    """
    previous, at = each.non_witness_utxo, each.output_index
    output = each.witness_utxo if previous is None or at is None else previous.vout[at]
    if output is None:
        raise bad_field(field, "must name the output that it spends (witness or non-witness UTXO)")
    return Output(output.value, output.script_pub_key.script)


def _require_signable(each: PsbtIn, field: str) -> None:
    """Refuse an input of ours that somebody has finished, or wants signed in a way that leaves something open.

    A final witness may hold an annex or a script path; a PSBT has no other place for either.

    Raises:
        BadInput: naming the input and the rule.
    """
    if each.final_script_sig or each.final_script_witness:
        raise bad_field(field, "is final already")
    if each.taproot_key_spend_signature:
        raise bad_field(field, "is signed already")
    if each.sig_hash_type not in (None, _DEFAULT, _ALL):
        raise bad_field(f"{field}.sighash_type", "must be DEFAULT or ALL")


def _filled(each: PsbtIn, signature: InputSignature | None) -> PsbtIn:
    """Add BIP-371's key-path signature and, where MuSig2 made it, BIP-373's participants in their sorted order."""
    if signature is None:
        return each
    filled = copy(each)
    filled.taproot_key_spend_signature = signature.value
    filled.sig_hash_type = None
    keyagg = signature.keyagg
    if len(keyagg.keys) > 1:
        filled.musig2_participant_pub_keys = {**each.musig2_participant_pub_keys, keyagg.aggregate: list(keyagg.keys)}
    return filled


def _complete(signed: bytes, inputs: Sequence[PsbtIn], done: Collection[int]) -> bytes | None:
    """Add the final scripts of all inputs but those that are done; None if one of them is missing."""
    others = [i for i in range(len(inputs)) if i not in done]
    if not all(inputs[i].final_script_sig or inputs[i].final_script_witness for i in others):
        return None
    if not others:
        return signed
    tx = Tx.parse(signed)
    for i in others:
        tx.vin[i].script_sig, tx.vin[i].script_witness = inputs[i].final_script_sig, inputs[i].final_script_witness
    return tx.serialize(include_witness=True)
