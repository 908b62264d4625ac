"""BIP-327's secret half: nonces that sign once, and one signer for all of somebody's slots.

    nonce_gen ──► Secnonce ────────┐  spent: the second use raises
    CollapsedSigner (its slots) ───┼──► partial_sign ──► psig
    SessionContext ────────────────┘
    every key of the list at hand:  weighted_secret ─┬► summed_secret ──► Keypair ──► signature, without MuSig2
                                                     └► summed_signer ──► CollapsedSigner ──► a pre-signature, alone

Only the member's signer imports this file. A nonce used for two messages, or two psigs from one nonce,
give the signing key away to anybody who does one subtraction: a `Secnonce` is emptied before libsecp256k1 sees it,
libsecp256k1 wipes it whether or not it signs, and it can be neither copied, stored nor carried into a forked process.
"""

from collections.abc import Sequence
from os import getpid, urandom

from ..errors import InvalidCrypto
from .keyagg import paired
from .libsecp256k1 import CONTEXT, CData, ffi, lib, parse_point, sized
from .musig import KeyAgg, SessionContext, verify_collapsed_psig
from .schnorr import Keypair
from .secp256k1 import Holder, Secret, seckey_negate, seckey_tweak_add, seckey_tweak_mul, wipe

_FIRST = 4
"""Where k₁ begins in libsecp256k1's secnonce: magic(4) ‖ k₁(32) ‖ k₂(32) ‖ public key(64)."""


class Secnonce(Holder):
    """A secret nonce; it signs once. ``pubnonce`` (66 bytes) is what the others get. Made by `nonce_gen`."""

    __slots__ = ("_held", "_process", "pubnonce")

    def __init__(self, struct: CData, pubnonce: bytes) -> None:
        """Take over libsecp256k1's struct; nobody else may keep a reference to it."""
        self._held = [struct]
        self._process = getpid()
        self.pubnonce = pubnonce

    def spend(self) -> CData:
        """Hand over the struct and keep nothing.

        Raises:
            InvalidCrypto: it was spent or wiped before, or made in another process.
        """
        if self._process != getpid():
            raise InvalidCrypto("secnonce: made before this process forked; the other one may have spent it")
        try:
            return self._held.pop()  # one step: of two threads, one gets it
        except IndexError:
            raise InvalidCrypto("secnonce: spent or wiped already") from None

    def prove(self, message: bytes) -> bytes:
        """Sign ``message`` (32 bytes) by k₁, which proves that R₁ is ours (64 bytes, BIP-340); the nonce stays unspent.

        The message is `adaptor.proof_message`, and nothing else is ever signed by a nonce.

        Raises:
            InvalidCrypto: it was spent or wiped before, or the message is not 32 bytes.
        """
        first = bytearray(32)
        try:
            ffi.memmove(first, ffi.cast("unsigned char *", self._held[-1]) + _FIRST, 32)
            with Keypair.of(first) as key:
                if key.point != self.pubnonce[:33]:
                    raise InvalidCrypto("secnonce: libsecp256k1 keeps k₁ elsewhere than this file believes")
                return key.sign(message)
        except IndexError:
            raise InvalidCrypto("secnonce: spent or wiped already") from None
        finally:
            wipe(first)

    def wipe(self) -> None:
        """Give the nonce up unspent."""
        while self._held:
            _wipe_struct(self._held.pop())


class CollapsedSigner(Holder):
    """One MuSig2 signer for one or more slots of a key list: an enclave for those who are away, a device for its own.

    The slots' Σ aⱼ·xⱼ is summed once, here; of one slot it is the slot's own secret (see `keyagg.Collapsed`). ``keys``
    are the slots' plain keys (33 bytes each). The sum depends on the key list and not on its tweaks: one signer serves
    them all.
    """

    __slots__ = ("_key", "_secret", "keyagg", "keys")

    def __init__(self, keyagg: KeyAgg, secrets: Sequence[Secret]) -> None:
        """Sum the slots' secrets; the caller keeps, and wipes, its own.

        Raises:
            InvalidCrypto: there are none, one was wiped, or one is not of this key list.
        """
        self.keyagg = keyagg
        self.keys = tuple(secret.point for secret in secrets)
        for key in self.keys:
            keyagg.require(key)
        self._secret = Secret(secrets[0].buffer) if len(secrets) == 1 else weighted_secret(secrets, keyagg)
        self._key = Keypair(self._secret)

    def nonce_gen(self, keyagg: KeyAgg, message: bytes, extra: bytes, secrand: bytearray | None = None) -> Secnonce:
        """Draw a nonce for one attempt at one message (32 bytes), bound to all that is known: see `nonce_gen`.

        ``keyagg`` is this signer's key list with the item's tweaks.

        Raises:
            InvalidCrypto: a length is wrong, ``secrand`` is zeros, or the signer was wiped.
        """
        key = self._key.point
        return nonce_gen(key, secret=self._secret, keyagg=keyagg, message=message, extra=extra, secrand=secrand)

    def wipe(self) -> None:
        """Overwrite everything secret that this signer holds."""
        self._secret.wipe()
        self._key.wipe()

    def sign(self, session: SessionContext, struct: CData) -> bytes:
        """Let libsecp256k1 sign with its struct of a secnonce: ±(k₁ + b·k₂) + e·g·Σ aⱼ·xⱼ, not verified (32 bytes).

        Raises:
            InvalidCrypto: the nonce belongs to another key, or the signer was wiped.
        """
        signer = session.keyagg.collapsed(self.keys)
        parsed, psig = ffi.new("secp256k1_musig_partial_sig *"), ffi.new("unsigned char[32]")
        signs = lib.secp256k1_musig_partial_sign
        if signer is None or not signs(CONTEXT, parsed, struct, self._key.keypair, signer.cache, session.struct):
            raise InvalidCrypto("secnonce: of another key, or the signer was wiped")
        lib.secp256k1_musig_partial_sig_serialize(CONTEXT, psig, parsed)
        return bytes(ffi.buffer(psig))


def nonce_gen(
    key: bytes,
    *,
    secret: Secret | None = None,
    keyagg: KeyAgg | None = None,
    message: bytes | None = None,
    extra: bytes | None = None,
    secrand: bytearray | None = None,
) -> Secnonce:
    """Draw a nonce for the owner of ``key`` (33 bytes): BIP-327's ``NonceGen``.

    Every further argument that is known makes the nonce safer against a bad source of randomness: the ``secret`` of
    ``key``, the tweaked ``keyagg``, the ``message`` (32 bytes), ``extra`` (32 bytes). ``secrand`` is 32 fresh random
    bytes that are wiped here and never used again; by default the operating system gives them.

    Raises:
        InvalidCrypto: a length is wrong, ``key`` is no point, the secret was wiped, or ``secrand`` is zeros.
    """
    secrand = bytearray(urandom(32)) if secrand is None else secrand
    sized(secrand, 32, "secrand")
    seckey = ffi.NULL if secret is None else ffi.from_buffer(secret.buffer)
    cache = ffi.NULL if keyagg is None else _cache_of(keyagg)
    pubkey, msg, more = parse_point(key), _optional(message, "message"), _optional(extra, "extra")
    struct, public = ffi.new("secp256k1_musig_secnonce *"), ffi.new("secp256k1_musig_pubnonce *")
    drawn = ffi.from_buffer(secrand)
    if not lib.secp256k1_musig_nonce_gen(CONTEXT, struct, public, drawn, seckey, pubkey, msg, cache, more):
        _wipe_struct(struct)
        wipe(secrand)
        raise InvalidCrypto("nonce: secrand is zeros, or the secret was wiped")
    pubnonce = ffi.new("unsigned char[66]")
    lib.secp256k1_musig_pubnonce_serialize(CONTEXT, pubnonce, public)
    return Secnonce(struct, bytes(ffi.buffer(pubnonce)))


def partial_sign(
    session: SessionContext, signer: CollapsedSigner, secnonce: Secnonce, *, verified: bool = True
) -> bytes:
    """Spend a nonce on a session; returns a psig (32 bytes) for all of the signer's slots, verified.

    It is not ``verified`` here for who adds it up himself and lets nothing leave but signatures that hold.  A failure
    spends the nonce as well.

    Raises:
        InvalidCrypto: the nonce was spent before or belongs to another key; the session is of another key list; the
            signer was wiped; or the psig does not verify, so that a fault never leaves.
    """
    struct = secnonce.spend()
    try:
        if session.keyagg.keys != signer.keyagg.keys:
            raise InvalidCrypto("session: of another key list than the signer")
        psig = signer.sign(session, struct)
    finally:
        _wipe_struct(struct)
    if verified and not verify_collapsed_psig(session, psig, secnonce.pubnonce, signer.keys):
        raise InvalidCrypto("psig: our own does not verify")
    return psig


def weighted_secret(secrets: Sequence[Secret], keyagg: KeyAgg) -> Secret:
    """Sum Σ aⱼ·xⱼ of a key list in constant time; it is the same whatever the tweaks and the message.

    Of a whole list it is worth as much as all of its keys, and as much care.

    Raises:
        InvalidCrypto: there are none, one is not of the list or was wiped, or they cancel out.
    """
    total: Secret | None = None
    for secret in secrets:
        term = Secret(secret.buffer)
        seckey_tweak_mul(term.buffer, keyagg.coefficient(secret.point))
        if total is not None:
            seckey_tweak_add(term.buffer, total.buffer)
            total.wipe()
        total = term
    if total is None:
        raise InvalidCrypto("secrets: there are none")
    return total


def summed_secret(total: Secret, keyagg: KeyAgg) -> Keypair:
    """Tweak the `weighted_secret` of a whole key list to the key that signs for its output alone.

    Whoever holds all of the keys needs no MuSig2. ``total`` stays as it is.

    Raises:
        InvalidCrypto: the sum is not of exactly this key list, or was wiped.
    """
    with _tweaked_secret(total, keyagg) as tweaked:
        return Keypair(tweaked)


def summed_signer(total: Secret, keyagg: KeyAgg) -> CollapsedSigner:
    """Make the same key a MuSig2 signer that is alone, since only MuSig2 makes pre-signatures here.

    Its ``keyagg`` is `paired`, the list (G, output key); it stands for both, G's secret being 1.

    Raises:
        InvalidCrypto: as `summed_secret`; or the output key is G or −G.
    """
    with _tweaked_secret(total, keyagg) as tweaked, Secret(bytes(31) + b"\x01") as one:
        return CollapsedSigner(paired(keyagg.point), (tweaked, one))


def _tweaked_secret(total: Secret, keyagg: KeyAgg) -> Secret:
    """Compute the secret of a key list's output point.

    Raises:
        InvalidCrypto: the sum is not of exactly this key list, or was wiped.
    """
    tweaked = Secret(total.buffer)
    for tweak, flip in zip(keyagg.tweaks, keyagg.flips, strict=True):
        if flip:
            seckey_negate(tweaked.buffer)
        seckey_tweak_add(tweaked.buffer, tweak.value)
    if tweaked.point != keyagg.point:
        tweaked.wipe()
        raise InvalidCrypto("secrets: not exactly those of the key list")
    return tweaked


def _cache_of(keyagg: KeyAgg) -> CData:
    """Give the keyagg cache; a key list of one, which signs without MuSig2, has none to bind."""
    return ffi.NULL if keyagg.cache is None else keyagg.cache


def _optional(value: bytes | None, name: str) -> CData:
    """Check an optional argument of 32 bytes; ``None`` is a null pointer."""
    if value is None:
        return ffi.NULL
    sized(value, 32, name)
    return value


def _wipe_struct(struct: CData) -> None:
    """Overwrite the struct that a cffi pointer owns."""
    ffi.buffer(struct)[:] = bytes(len(ffi.buffer(struct)))
