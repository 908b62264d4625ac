"""statements.json and records.json: every kind once, spellings that are refused, and a log with its hash chain."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from msgspec import structs

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.keys.envelope import EnvelopeContext, seal_envelope
from keymeld_protocol.keys.sealing import GroupKey, NotesKey
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Detail
from keymeld_protocol.values import Hash, Id, Salt, Signature, XOnlyKey, digest, to_base64url
from keymeld_protocol.wire import payloads, statements
from keymeld_protocol.wire.checkpoints import Checkpoint, checkpoint_json, checkpoint_message, sign_checkpoint
from keymeld_protocol.wire.frames import head_json, record_json, statement_json
from keymeld_protocol.wire.payloads import (
    AttemptOpened,
    CustodyRefuse,
    CustodyReseal,
    CustodyWiped,
    KeygenExpired,
    KeygenJoin,
    KeygenLeave,
    KeygenRelease,
    Note,
    SigningCancel,
    SigningDispute,
    SigningExpired,
    SigningHeard,
    SigningRefuse,
    SigningReject,
    SigningRetry,
    WalletNote,
    WalletOpen,
)
from keymeld_protocol.wire.records import Head, Position, first_hash, head_message, record_hash, sign_head
from keymeld_protocol.wire.statements import Statement

from . import cast
from .cast import commented
from .chance import Chance
from .refused import bad_payloads
from .story import Story, policy_of, tell
from .wire_notes import session_note

NOT_TAKEN = ("custody.reseal", "signing.dispute")
"""Kinds whose payloads are fixed, but which this version's coordinator answers with ``unknown_kind``."""


def statements_json() -> Any:
    """One valid statement of every kind; payloads and statements that are refused."""
    with Chance("statements"):
        every = {said.payload.kind: said for said in reversed([*_heard(tell()), *_others(tell())])}
        order = [*payloads.KINDS, "note.thanks"]
        return commented(
            "Statements. id = TH('keymeld/statement/v1', payload); signatures[i] is BIP-340 over id by signed_by[i]; "
            "blobs are base64url. 'taken' says whether the coordinator of this version takes the kind.",
            statements=[_vector(every[kind]) for kind in order],
            refused_payloads=[
                commented(why, payload=text, reason=reason, field=field)
                for why, text, reason, field in bad_payloads(every)
            ],
            refused_statements=_refused_statements(every["keygen.join"]),
            longest_blobs=[each for kind in order for each in _longest(every[kind])],
        )


def _vector(said: Statement) -> dict[str, Any]:
    kind = said.payload.kind
    return commented(
        f"{kind}, said by {_who(kind)}", kind=kind, taken=kind not in NOT_TAKEN, payload=said.text, id=said.id,
        signed_by=said.payload.signed_by(), signatures=said.signatures,
        blobs=[to_base64url(blob) for blob in said.blobs if blob is not None],
    )  # fmt: skip


def _who(kind: str) -> str:
    if issubclass(payloads.KINDS.get(kind, Note), payloads.NOTICES):
        return "the coordinator (a notice)"
    enclave = ("custody.accept", "custody.refuse", "custody.wiped", "signing.contribute")
    if kind in (*enclave, "signing.retry", "signing.refuse", "signing.heard"):
        return "an enclave"
    return "a person"


def _heard(story: Story) -> list[Statement]:
    """What the story tells; of a kind that it tells more than once, the example with the most in it comes first."""
    chosen = (story.keygen.records[9], story.together.records[3])  # a person's confirm, and step "both"
    heard = (*chosen, *story.keygen.records, *story.together.records)
    return [record.statement for record in heard]


def _others(story: Story) -> list[Statement]:
    """The kinds that the story does not tell."""
    keygen, signing, group = story.keygen, story.together, GroupKey(cast.GROUP_SECRET, cast.SALT)
    alice, enclave = cast.auth_of(0, keygen.stream), cast.key_of("enclave one")
    join, state = keygen.records[1].statement.id, signing.as_signing
    assert state is not None
    detail = contents.encode(Detail(v=1, message="the envelope does not open"))
    by = XOnlyKey(enclave.key)
    refused = group.seal("custody.refuse", "detail", keygen.stream, by, detail)
    declined = group.seal("signing.refuse", "detail", signing.stream, by, detail)
    thanks = group.seal("note.thanks", "body", signing.stream, XOnlyKey(alice.key), b'{"v":1,"message":"thank you"}')
    said = [
        _say(enclave, keygen, CustodyRefuse, slot=0, join=join, code="bad_envelope", blobs={"detail": refused}),
        _say(cast.identity_of("alice").creator(cast.SALT), keygen, KeygenRelease, slot=0, join=join, code="released"),
        _reseal(keygen, alice),
        _say(alice, keygen, KeygenLeave, slot=0),
        _say(enclave, keygen, CustodyWiped, slot=0),
        _say(cast.COORDINATOR, keygen, KeygenExpired),
        _say(cast.auth_of(1, keygen.stream), signing, SigningReject),
        _say(alice, signing, SigningCancel),
        _say(enclave, signing, SigningRetry, attempt=1),
        _say(cast.COORDINATOR, signing, AttemptOpened, attempt=2, signers=state.signers, last=state.last),
        _say(enclave, signing, SigningRefuse, attempt=1, slots=(0, 1), code="rule_not_met", blobs={"detail": declined}),
        _say(enclave, signing, SigningHeard, at=cast.NOON),
        _say(alice, signing, SigningDispute, attempt=1, offset=5, item=0, point=0),
        _say(cast.COORDINATOR, signing, SigningExpired),
        _say(alice, signing, Note, kind="note.thanks", blobs={"body": thanks}),
    ]
    return said + _wallet()


def _reseal(keygen: Replay, alice: Keypair) -> Statement:
    join = keygen.records[1].statement.payload
    assert isinstance(join, KeygenJoin)
    enclave = cast.xonly_of("enclave two")
    context = EnvelopeContext(keygen_id=keygen.stream, slot=0, policy=join.policy, auth=join.by, enclave=enclave)
    secret = cast.identity_of("alice").signing(keygen.stream, 0, join.policy)
    sealed = seal_envelope(context, secret, cast.GROUP_SECRET, policy_of(0))
    return _say(alice, keygen, CustodyReseal, slot=0, enclave=enclave, blobs={"envelope": sealed})


def _wallet() -> list[Statement]:
    wallet = cast.identity_of("alice").wallet()
    by = XOnlyKey(wallet.key)
    opened = statements.make(WalletOpen(v=1, by=by), wallet.sign)
    plaintext = contents.encode(session_note("some keygen"))
    with Chance("wallet note"):
        note = NotesKey(cast.identity_of("alice")).seal("wallet.note", "note", opened.id, by, plaintext)
    after = record_hash(first_hash(opened.id), cast.EPOCH, 1, cast.NOON, opened.id)
    payload = WalletNote(v=1, by=by, stream=opened.id, after=after, note=digest(note))
    return [opened, statements.make(payload, wallet.sign, blobs=[note])]


def _say(key: Keypair, log: Replay, what: Any, *, blobs: dict[str, bytes] | None = None, **fields: Any) -> Statement:
    named = {name: digest(blob) for name, blob in (blobs or {}).items()}
    payload = what(v=1, by=XOnlyKey(key.key), stream=log.stream, after=log.chain.hash, **fields, **named)
    return statements.make(payload, key.sign, blobs=tuple((blobs or {}).values()))


def _refused_statements(join: Statement) -> list[dict[str, Any]]:
    """A good payload in a bad statement."""
    good = statement_json(join.wire)
    first, second = good["signatures"]
    flipped = ("0" if first[0] != "0" else "1") + first[1:]
    card, envelope = good["blobs"]
    cases: list[tuple[str, dict[str, Any], str, str]] = [
        ("the invite key's signature is missing", {"signatures": [first]}, "bad_signature", "signatures"),
        ("an extra signature", {"signatures": [first, second, second]}, "bad_field", "statement.signatures"),
        ("the signatures are exchanged", {"signatures": [second, first]}, "bad_signature", "signatures[0]"),
        ("one bit of a signature", {"signatures": [flipped, second]}, "bad_signature", "signatures[0]"),
        ("upper-case hex", {"signatures": [first.upper(), second]}, "bad_field", "signatures[0]"),
        ("a short signature", {"signatures": [first[:-2], second]}, "bad_field", "signatures[0]"),
        ("a blob is missing", {"blobs": [card]}, "bad_field", "blobs"),
        ("a blob too many", {"blobs": [card, envelope, envelope]}, "bad_field", "statement.blobs"),
        ("the blobs are exchanged", {"blobs": [envelope, card]}, "bad_field", "blobs[0]"),
        ("a padded blob", {"blobs": [card + "=", envelope]}, "bad_field", "blobs[0]"),
        ("a blob in another base64 alphabet", {"blobs": ["+/+/", envelope]}, "bad_field", "blobs[0]"),
        ("bits that no byte holds", {"blobs": ["QQ"[:1] + "R", envelope]}, "bad_field", "blobs[0]"),
        ("an unknown member", {"extra": 1}, "bad_field", "statement.extra"),
        ("the payload as an object", {"payload": json.loads(join.text)}, "bad_field", "statement.payload"),
    ]
    return [commented(why, statement=good | change, reason=r, field=f) for why, change, r, f in cases]


def _longest(said: Statement) -> list[dict[str, Any]]:
    """For each blob of a kind the longest that is taken, and one byte more: zeros, to be put where null stands."""
    found = []
    for place, name in enumerate(said.payload.blob_fields()):
        most = said.payload.BLOBS[name]
        for zeros, reason in ((most, None), (most + 1, "too_big")):
            named = {"by": XOnlyKey(cast.key_of("anybody").key), name: digest(bytes(zeros))}
            payload = structs.replace(said.payload, **named)
            signers = [cast.key_of("anybody")]
            if isinstance(payload, KeygenJoin):
                signers.append(cast.key_of("an invite"))
                payload = structs.replace(payload, invite=XOnlyKey(signers[1].key))
            text = payloads.encode(payload)
            signatures = tuple(Signature(key.sign(statements.statement_id(text))) for key in signers)
            others = (None,) * len(said.blobs)
            wire = statement_json(Statement(text, payload, statements.statement_id(text), signatures, others).wire)
            why = f"{payload.kind}, {name}: {zeros} zeros {'are taken' if reason is None else 'are refused'}"
            refusal = {} if reason is None else {"reason": reason, "field": f"blobs[{place}]", "limit": most}
            found.append(commented(why, statement=wire, blob=place, zeros=zeros, **refusal))
    return found


# records.json ---------------------------------------------------------------------------------------------------


def records_json() -> Any:
    """A keygen's log as it is chained, its signed heads, and logs that break."""
    keygen = tell().keygen
    with Chance("records"):
        heads = [sign_head(keygen.stream, record, cast.COORDINATOR.sign) for record in keygen.records]
        last, nonce = keygen.records[-1], Salt(cast.secret_of("hearer's nonce"))
        heads.append(sign_head(keygen.stream, last, cast.COORDINATOR.sign, last.at + 60_000, nonce))
    records = [json.loads(record_json(record)) for record in keygen.records]
    return commented(
        "A stream as the coordinator chains it. hash_0 = TH('keymeld/stream/v1', stream); hash_n = "
        "TH('keymeld/record/v1', hash_(n-1) || epoch(16) || u64 offset || u64 at || id); a head's sig is BIP-340 by "
        "the coordinator over message = TH('keymeld/head/v1', stream || epoch || u64 offset || hash || u64 at || "
        "nonce), the nonce 32 zero bytes where there is none; the last head answers one, a minute after its record. "
        "A checkpoint is 'owner's word over message = TH('keymeld/checkpoint/v1', stream || u64 offset || hash); "
        "'covers': it covers these records. 'verdict' is fork or broken (§4.1).",
        stream=keygen.stream, epoch=cast.EPOCH, coordinator=cast.COORDINATOR.key, hash_0=first_hash(keygen.stream),
        ids=[record.statement.id for record in keygen.records], records=records,
        heads=[head_json(head) | {"message": _message(keygen.stream, head)} for head in heads],
        broken=_broken(records), checkpoints=_checkpoints(keygen),
    )  # fmt: skip


def _checkpoints(keygen: Replay) -> list[dict[str, Any]]:
    """Alice's word on these records, and words that are nothing to her."""
    alice, bob, heard = cast.identity_of("alice").wallet(), cast.identity_of("bob").wallet(), keygen.records
    other, last = Id(cast.secret_of("another stream")), heard[-1].position
    beyond = Position(cast.EPOCH, last.offset + 1, Hash(cast.secret_of("a record that is not there")))
    forked = Position(cast.EPOCH, last.offset, Hash(cast.secret_of("another history")))
    earlier = Position(cast.EPOCH, last.offset - 1, last.hash)
    with Chance("checkpoints"):
        said = [
            ("the whole log", keygen.stream, last, alice, True),
            ("its first three records: an old one is a short one", keygen.stream, heard[2].position, alice, True),
            ("by another wallet", keygen.stream, last, bob, False),
            ("by the coordinator", keygen.stream, last, cast.COORDINATOR, False),
            ("of another stream", other, last, alice, False),
            ("of another history", keygen.stream, forked, alice, False),
            ("of the hash of another offset", keygen.stream, earlier, alice, False),
            ("of more records than are there", keygen.stream, beyond, alice, False),
        ]
        made = [
            _checkpoint(why, keygen.stream, sign_checkpoint(of, at, key.sign), own) for why, of, at, key, own in said
        ]
        forged = replace(
            sign_checkpoint(keygen.stream, heard[2].position, alice.sign), offset=last.offset, hash=last.hash
        )
    return [*made, _checkpoint("the signature of an earlier one", keygen.stream, forged, False)]


def _checkpoint(why: str, stream: Id, made: Checkpoint, own: bool) -> dict[str, Any]:
    message = checkpoint_message(stream, made.offset, made.hash)
    owner = cast.identity_of("alice").wallet().key
    return commented(why, owner=owner, checkpoint=checkpoint_json(made), message=message, covers=own)


def _message(stream: Id, head: Head) -> str:
    return head_message(stream, head.position, head.at, head.nonce).hex()


def _broken(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Changes to the log, at which offset a hearer stops, and whether it is a fork."""
    one, two, three = records[:3]
    late = three | {"at": two["at"] - 1}
    cases: list[tuple[str, list[dict[str, Any]], int, str]] = [
        ("a record is left out", [one, three], 2, "broken"),
        ("two records change places", [one, three, two], 2, "broken"),
        ("a record comes twice", [one, two, two], 3, "broken"),
        ("another hash", [one, two | {"hash": one["hash"]}], 2, "fork"),
        ("the clock goes back", [one, two, late], 3, "broken"),
        ("a statement is swapped for another", [one, two | {"statement": three["statement"]}], 2, "fork"),
        ("another epoch, which the hash covers", [one, two | {"epoch": "00" * 16}], 2, "fork"),
    ]
    return [commented(why, records=changed, fails_at_place=at, verdict=word) for why, changed, at, word in cases]
