"""keys.json, sealing.json and envelopes.json: what is derived, and what is sealed, to the group and to an enclave."""

from __future__ import annotations

from typing import Any

from keymeld_protocol.curve.schnorr import tagged_hash
from keymeld_protocol.curve.secp256k1 import Secret, ecdh, has_even_y
from keymeld_protocol.keys.derivation import even_secret, possession_message, prove_possession
from keymeld_protocol.keys.envelope import EnvelopeContext, seal_envelope
from keymeld_protocol.keys.kdf import hkdf
from keymeld_protocol.keys.sealing import NO_SESSION, GroupKey, _place
from keymeld_protocol.plaintext.policy import policy_commitment
from keymeld_protocol.values import Id, PlainKey, XOnlyKey

from . import cast
from .cast import commented, secret_of, xonly_of
from .chance import Chance
from .story import policy_of

KEYGEN = Id(secret_of("some keygen"))
SIGNING = Id(secret_of("some signing"))


def keys_json() -> Any:
    """Every derivation, from root to public key."""
    identity, salt = secret_of("alice"), cast.SALT
    under = [(slot, policy_commitment(policy_of(policy))) for slot, policy in ((0, 0), (0, 1), (1, 0), (999, 2))]
    return commented(
        "HKDF-SHA256 to 32 bytes; info is given as bytes (hex). An x-only key is the x of secret*G.",
        derivations=[
            _derived("creator key", identity, salt, b"keymeld/create/v1"),
            _derived("wallet key", identity, b"", b"keymeld/wallet/v1"),
            *(_derived(f"auth key, slot {slot}", identity, KEYGEN, b"keymeld/auth/v1" + u16(slot))
              for slot in (0, 1, 256, 999)),
            *(_derived(f"signing key, slot {slot}, under the policy {policy.hex()}", identity, KEYGEN,
                       b"keymeld/signing/v1" + u16(slot) + policy) for slot, policy in under),
            *(_derived(f"slot secret {slot}; its x-only key is the invite key", cast.OPEN_SECRET, b"",
                       b"keymeld/invite/v1" + u16(slot)) for slot in (0, 1, 2, 999)),
        ],
        secrets=[
            commented("notes key: bytes, no scalar", ikm=identity, salt=b"", info=b"keymeld/wallet-notes/v1",
                      secret=bytes(hkdf(identity, b"", b"keymeld/wallet-notes/v1"))),
            commented("open secret of the keygen that was opened with this salt: bytes, no scalar", ikm=identity,
                      salt=salt, info=b"keymeld/open/v1", secret=cast.OPEN_SECRET),
        ],
        group=_group(), possession=_possession(),
    )  # fmt: skip


def u16(number: int) -> bytes:
    """Two bytes, big-endian."""
    return number.to_bytes(2, "big")


def _derived(comment: str, ikm: bytes, salt: bytes, info: bytes) -> dict[str, Any]:
    secret = bytes(hkdf(ikm, salt, info))
    with Secret(secret) as scalar:
        point = scalar.point
    return commented(comment, ikm=ikm, salt=salt, info=info, secret=secret, plain_key=point, xonly_key=point[1:])


def _group() -> dict[str, Any]:
    key = hkdf(cast.GROUP_SECRET, cast.SALT, b"keymeld/group/v1")
    return commented(
        "K = HKDF(S, keygen salt, 'keymeld/group/v1'); commitment = TH('keymeld/group-commitment/v1', K)",
        S=cast.GROUP_SECRET, salt=cast.SALT, K=bytes(key), commitment=tagged_hash("keymeld/group-commitment/v1", key),
    )  # fmt: skip


def _possession() -> list[dict[str, Any]]:
    """Proofs of possession: one that holds, and places where it does not."""
    with Chance("possession"), Secret(secret_of("signing key")) as secret:
        auth, point = xonly_of("auth key"), PlainKey(secret.point)
        proof = prove_possession(secret, KEYGEN, 1, auth)
    good = {"keygen_id": KEYGEN, "slot": 1, "auth": auth, "pubkey": point}
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("another slot", {"slot": 2}),
        ("another keygen", {"keygen_id": SIGNING}),
        ("another auth key", {"auth": xonly_of("bob")}),
        ("the negated key", {"pubkey": bytes([point[0] ^ 1]) + point[1:]}),
    ]
    found = [commented("holds", **good, message=possession_message(KEYGEN, 1, auth, point), proof=proof, holds=True)]
    return found + [commented(why, **(good | change), proof=proof, holds=False) for why, change in wrong]


# sealing.json ---------------------------------------------------------------------------------------------------


def sealing_json() -> Any:
    """Sealed fields with their associated data, and places where they do not open."""
    with Chance("sealing"):
        group = GroupKey(cast.GROUP_SECRET, cast.SALT)
        creator, alice, enclave = xonly_of("some creator"), xonly_of("some member"), xonly_of("enclave one")
        fields = [
            ("keygen.create", "terms", NO_SESSION, creator, "session is 32 zero bytes"),
            ("keygen.join", "card", KEYGEN, alice, "session is the keygen_id"),
            ("custody.refuse", "detail", KEYGEN, enclave, "session is the keygen_id"),
            ("signing.request", "body", KEYGEN, alice, "session is the keygen_id here too"),
            ("signing.contribute", "values", SIGNING, enclave, "session is the signing_id"),
            ("signing.refuse", "detail", SIGNING, enclave, "session is the signing_id"),
            ("note.thanks", "body", SIGNING, alice, "session is the stream in which the note is said"),
        ]
        sealed = [_sealed(group, *field) for field in fields]
    card = sealed[1]
    wrong = [
        ("another kind", {"kind": "keygen.create"}),
        ("another field", {"field": "cards"}),
        ("kind and field that run together alike", {"kind": "keygen.joinc", "field": "ard"}),
        ("another session", {"session": SIGNING.hex()}),
        ("another speaker", {"by": creator.hex()}),
        ("one bit altered", {"sealed": card["sealed"][:-1] + format(int(card["sealed"][-1], 16) ^ 1, "x")}),
        ("cut short", {"sealed": card["sealed"][:-2]}),
        ("shorter than nonce and tag", {"sealed": card["sealed"][:78]}),
    ]
    place = {name: card[name] for name in ("kind", "field", "session", "by", "sealed")}
    return commented(
        "sealed = nonce(24) || XChaCha20-Poly1305(K, nonce, plaintext, aad); aad = TH('keymeld/sealed/v1', "
        "u8 len(kind) || kind || u8 len(field) || field || session(32) || by(32)).",
        S=cast.GROUP_SECRET, salt=cast.SALT, group=group.commitment, sealed=sealed,
        does_not_open=[commented(why, **(place | change)) for why, change in wrong],
        foreign_group_secret=secret_of("another S"),
    )  # fmt: skip


def _sealed(group: GroupKey, kind: str, field: str, session: Id, by: XOnlyKey, why: str) -> dict[str, Any]:
    plaintext = f"what {kind} says in {field}".encode()
    box = group.seal(kind, field, session, by, plaintext)
    return commented(
        why, kind=kind, field=field, session=session, by=by, aad=_place(kind, field, session, by), nonce=box[:24],
        plaintext=plaintext, sealed=box,
    )  # fmt: skip


# envelopes.json -------------------------------------------------------------------------------------------------


def envelopes_json() -> Any:
    """Envelopes to identities of even and odd y, with every value on the way."""
    names = [_identity(odd=False), _identity(odd=True)]
    with Chance("envelopes") as chance:
        made = [_envelope(name, slot, chance) for slot, name in enumerate(names)]
    good = made[0]
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("another keygen", {"keygen_id": SIGNING.hex()}),
        ("another slot", {"slot": 1}),
        ("under another policy", {"policy_commitment": made[1]["policy_commitment"]}),
        ("another auth key", {"auth": xonly_of("bob").hex()}),
        ("another enclave identity", {"identity_secret": secret_of(names[1]).hex()}),
        ("another version", {"envelope": "02" + good["envelope"][2:]}),
        ("another ephemeral point", {"envelope": "01" + made[1]["ephemeral_point"] + good["envelope"][68:]}),
        ("one bit altered", {"envelope": good["envelope"][:-1] + format(int(good["envelope"][-1], 16) ^ 1, "x")}),
        ("cut short", {"envelope": good["envelope"][:-2]}),
    ]
    place = {n: good[n] for n in ("identity_secret", "keygen_id", "slot", "policy_commitment", "auth", "envelope")}
    return commented(
        "P = 02 || identity key; E = e*G; Z = SHA-256(compressed e*P); k = HKDF(Z, E || P, 'keymeld/envelope/v1'); "
        "aad = TH('keymeld/envelope/v1', keygen_id || u16 slot || policy commitment(32) || auth || identity key); "
        "envelope = 01 || E(33) || nonce(24) || XChaCha20-Poly1305(k, nonce, signing_key || S || policy, aad).",
        envelopes=made, does_not_open=[commented(why, **(place | change)) for why, change in wrong],
    )  # fmt: skip


def _identity(*, odd: bool) -> str:
    """The first enclave of the cast whose point has that parity, or a name made for it."""
    names = [*cast.ENCLAVES, *(f"enclave of some parity {i}" for i in range(64))]
    return next(name for name in names if has_even_y(cast.key_of(name).point) != odd)


def _envelope(name: str, slot: int, chance: Chance) -> dict[str, Any]:
    policy, begin = policy_of(slot), len(chance.drawn)
    context = EnvelopeContext(
        keygen_id=KEYGEN, slot=slot, policy=policy_commitment(policy), auth=xonly_of("auth key"), enclave=xonly_of(name)
    )
    with Secret(secret_of("signing key")) as signing, Secret(secret_of(name)) as identity:
        envelope = seal_envelope(context, signing, cast.GROUP_SECRET, policy)
        with Secret(chance.drawn[begin]) as ephemeral, even_secret(identity) as even:
            shared, point = ecdh(ephemeral.buffer, context.point), ephemeral.point
            assert shared == ecdh(even.buffer, point) and envelope[1:34] == point
        odd = not has_even_y(identity.point)
    return commented(
        f"an identity of {'odd' if odd else 'even'} y" + (": its secret is negated for the ECDH" if odd else ""),
        identity_secret=secret_of(name), identity_key=context.enclave, keygen_id=KEYGEN, slot=slot,
        auth=context.auth, signing_key=secret_of("signing key"), S=cast.GROUP_SECRET, policy=policy.decode(),
        policy_commitment=context.policy, ephemeral_secret=chance.drawn[begin],
        ephemeral_point=point, Z=shared, k=bytes(hkdf(shared, point + context.point, b"keymeld/envelope/v1")),
        aad=context.data, nonce=envelope[34:58], envelope=envelope,
    )  # fmt: skip
