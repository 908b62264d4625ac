"""tests/vectors/wire, the files about what is derived, sealed and computed: each says what the code does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keymeld_protocol.bitcoin.children import CHAIN_CODE, child_tweaks
from keymeld_protocol.bitcoin.transaction import Spend, taproot_address
from keymeld_protocol.curve import adaptor
from keymeld_protocol.curve.keyagg import aggregate, bip86_tweak, key_agg, key_sort, paired, taproot_tweak
from keymeld_protocol.curve.musig import SessionContext, nonce_agg, verify_collapsed_psig
from keymeld_protocol.curve.schnorr import Keypair, tagged_hash, verify
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import BadInput, Blamed, InvalidCrypto
from keymeld_protocol.keys.derivation import Identity, possession_is_proven, possession_message
from keymeld_protocol.keys.envelope import EnvelopeContext, open_envelope
from keymeld_protocol.keys.kdf import hkdf
from keymeld_protocol.keys.sealing import GroupKey, NotesKey
from keymeld_protocol.keys.ticket import Ticket
from keymeld_protocol.machines import consent, signing_state
from keymeld_protocol.machines.consent import Consent
from keymeld_protocol.machines.keygen import roster_hash
from keymeld_protocol.machines.wallet import stream_of
from keymeld_protocol.member import content_policy, signer
from keymeld_protocol.member.item_policy import forbids
from keymeld_protocol.member.own_scripts import Own
from keymeld_protocol.member.plan import Plan, plan
from keymeld_protocol.plaintext import contents, contributions
from keymeld_protocol.plaintext.body import Body, SignInput
from keymeld_protocol.plaintext.contents import Card, Detail, Terms
from keymeld_protocol.plaintext.contributions import Both, Entry, Failed, Finished, Nonce, Nothing, Prefinished, Psig
from keymeld_protocol.plaintext.notes import ForgetNote, SessionNote, read_note
from keymeld_protocol.plaintext.policy import Policy, policy_commitment
from keymeld_protocol.values import Hash, Id, PlainKey, Salt, Signature, XOnlyKey
from keymeld_protocol.wire.shapes import Rule
from tests.support.naive_payments import Group, Question
from tests.support.wire import HEX, each, refusal, wire
from tests.vectors.story import tell

# keys.json, sealing.json, envelopes.json, tickets.json ----------------------------------------------------------


@each("keys", "derivations")
def test_a_key_is_derived(one: Any) -> None:
    secret = hkdf(HEX(one["ikm"]), HEX(one["salt"]), HEX(one["info"]))
    assert secret.hex() == one["secret"]
    assert Secret(secret).point.hex() == one["plain_key"] and one["plain_key"][2:] == one["xonly_key"]


@each("keys", "secrets")
def test_a_secret_is_derived(one: Any) -> None:
    assert hkdf(HEX(one["ikm"]), HEX(one["salt"]), HEX(one["info"])).hex() == one["secret"]


def test_the_creators_open_secret_gives_the_slot_secrets() -> None:
    vector = wire("keys")
    slots = [one for one in vector["derivations"] if "slot secret" in one["comment"]]
    assert slots and {one["ikm"] for one in slots} == {vector["secrets"][1]["secret"]}


def opened_notes() -> list[bytes | None]:
    """Every note as its owner opens it; None where it is somebody else's."""
    vector, found = wire("notes"), list[bytes | None]()
    stream, by = Id.from_hex(vector["stream"]), XOnlyKey.from_hex(vector["wallet_key"])
    for one in vector["notes"]:
        try:
            with Identity(HEX(vector["identity"])) as identity:
                found.append(NotesKey(identity).open("wallet.note", "note", stream, by, HEX(one["sealed"])))
        except InvalidCrypto:
            found.append(None)
    return found


def test_the_notes_of_a_wallet_open_for_its_owner() -> None:
    vector = wire("notes")
    with Identity(HEX(vector["identity"])).wallet() as key:
        assert key.key.hex() == vector["wallet_key"] and stream_of(XOnlyKey(key.key)).hex() == vector["stream"]
    told = [one["plaintext"].encode() for one in vector["notes"]]
    assert opened_notes() == [*told[:-1], None]


def test_the_notes_of_a_wallet_come_to_its_sessions() -> None:
    found: dict[Id, SessionNote] = {}
    for raw in opened_notes():
        try:
            note = read_note(raw) if raw is not None else None
        except BadInput:
            continue
        if isinstance(note, SessionNote):
            found[note.keygen] = note
        elif note is not None:
            found.pop(note.keygen, None)
    assert [contents.encode(note).decode() for note in found.values()] == wire("notes")["sessions"]


def test_the_group_key_gives_its_commitment() -> None:
    one = wire("keys")["group"]
    assert hkdf(HEX(one["S"]), HEX(one["salt"]), b"keymeld/group/v1").hex() == one["K"]
    assert GroupKey(HEX(one["S"]), Salt.from_hex(one["salt"])).commitment.hex() == one["commitment"]


@each("keys", "possession")
def test_possession_is_proven_or_not(one: Any) -> None:
    place = (
        Id.from_hex(one["keygen_id"]),
        one["slot"],
        XOnlyKey.from_hex(one["auth"]),
        PlainKey.from_hex(one["pubkey"]),
    )
    assert possession_is_proven(Signature.from_hex(one["proof"]), *place) is one["holds"]
    assert (possession_message(*place).hex() == wire("keys")["possession"][0]["message"]) is one["holds"]


def group_key() -> GroupKey:
    """The vectors' group."""
    vector = wire("sealing")
    return GroupKey.open_group(HEX(vector["S"]), Salt.from_hex(vector["salt"]), Hash.from_hex(vector["group"]))


def opened(one: Any) -> bytes:
    """What a sealed vector holds."""
    session, by = Id.from_hex(one["session"]), XOnlyKey.from_hex(one["by"])
    return group_key().open(one["kind"], one["field"], session, by, HEX(one["sealed"]))


@each("sealing", "sealed")
def test_a_sealed_field_opens(one: Any) -> None:
    assert opened(one) == HEX(one["plaintext"])
    place = b"".join(bytes([len(one[n])]) + one[n].encode() for n in ("kind", "field"))
    assert tagged_hash("keymeld/sealed/v1", place + HEX(one["session"]) + HEX(one["by"])).hex() == one["aad"]


@each("sealing", "does_not_open")
def test_a_sealed_field_does_not_open_elsewhere(one: Any) -> None:
    with pytest.raises(InvalidCrypto):
        opened(one)


def test_a_foreign_group_secret_is_refused() -> None:
    vector = wire("sealing")
    with pytest.raises(InvalidCrypto):
        GroupKey.open_group(
            HEX(vector["foreign_group_secret"]), Salt.from_hex(vector["salt"]), Hash.from_hex(vector["group"])
        )


def envelope_of(one: Any) -> Any:
    """Open an envelope vector."""
    identity = Secret(HEX(one["identity_secret"]))
    context = EnvelopeContext(
        keygen_id=Id.from_hex(one["keygen_id"]), slot=one["slot"], policy=Hash.from_hex(one["policy_commitment"]),
        auth=XOnlyKey.from_hex(one["auth"]), enclave=XOnlyKey(Keypair(identity).key),
    )  # fmt: skip
    return open_envelope(identity, context, HEX(one["envelope"]))


@each("envelopes", "envelopes")
def test_an_envelope_opens(one: Any) -> None:
    envelope = envelope_of(one)
    assert envelope.signing.buffer == HEX(one["signing_key"])
    assert envelope.group_secret == HEX(one["S"]) and envelope.policy == one["policy"].encode()


def test_the_envelopes_are_for_identities_of_both_parities() -> None:
    points = [Secret(HEX(one["identity_secret"])).point for one in wire("envelopes")["envelopes"]]
    assert {point[0] for point in points} == {2, 3}


@each("envelopes", "does_not_open")
def test_an_envelope_does_not_open_elsewhere(one: Any) -> None:
    with pytest.raises(InvalidCrypto):
        envelope_of(one)


@each("tickets", "tickets")
def test_a_ticket_is_read_and_written(one: Any) -> None:
    ticket = Ticket.parse(one["text"])
    assert ticket == Ticket.parse(one["https"]) == Ticket.parse(one["web"])
    assert (ticket.host, ticket.url, ticket.slot) == (one["host"], one["url"], one["slot"])
    assert (ticket.keygen_id.hex(), bytes(ticket.group_secret).hex()) == (one["keygen_id"], one["S"])
    assert Keypair(ticket.slot_secret(1)).key.hex() == one["invite_key_of_slot_1"]
    assert ticket.text() == one["text"]


@each("tickets", "refused")
def test_a_ticket_is_refused(one: Any) -> None:
    assert refusal(Ticket.parse, one["text"])[0] == one["reason"]


SHAPES = {shape.__name__: shape for shape in (Terms, Card, Policy, Body, Detail, SessionNote, ForgetNote)}

# contents.json, contributions.json, roster.json -----------------------------------------------------------------


@each("contents", "contents")
def test_a_plaintext_has_one_spelling(one: Any) -> None:
    shape: Any = SHAPES[one["shape"]]
    assert contents.encode(contents.parse(shape, one["text"].encode())).decode() == one["text"]
    if "commitment" in one:
        assert policy_commitment(one["text"].encode()).hex() == one["commitment"]


@each("contents", "refused")
def test_a_plaintext_is_refused(one: Any) -> None:
    shape: Any = SHAPES[one["shape"]]
    assert refusal(contents.parse, shape, one["text"].encode()) == (one["reason"], one["field"])


def told(entry: Entry) -> dict[str, Any]:
    """An entry as the vectors write it."""
    tags = {Nothing: 0, Nonce: 1, Psig: 2, Both: 3, Finished: 4, Prefinished: 7, Failed: 255}
    values = {name: value for name in entry.__slots__ if (value := getattr(entry, name)) is not None}
    tag = tags[type(entry)] + (4 if isinstance(entry, Nonce) else 3) * ("proof" in values)
    return {"tag": tag} | {n: v.hex() if isinstance(v, bytes) else v for n, v in values.items()}


@each("contributions", "entries")
def test_entries_are_read_and_written(one: Any) -> None:
    entries = contributions.decode(HEX(one["bytes"]), one["items"])
    assert [told(entry) for entry in entries] == one["entries"]
    assert contributions.encode(entries) == HEX(one["bytes"])


@each("contributions", "refused")
def test_entries_are_refused(one: Any) -> None:
    assert refusal(contributions.decode, HEX(one["bytes"]), one["items"]) == (one["reason"], one["field"])


@each("contributions", "over")
def test_over_names_the_nonces(one: Any) -> None:
    ids = [Id.from_hex(ident) for ident in one["ids_by_lowest_slot"]]
    assert signing_state.over(Id.from_hex(one["signing_id"]), one["attempt"], ids).hex() == one["over"]


@each("contributions", "nonce_extra")
def test_a_nonce_is_bound_to_its_place(one: Any) -> None:
    place = b"".join(one[name].to_bytes(4, "big") for name in ("attempt", "item", "point"))
    slots = b"".join(slot.to_bytes(2, "big") for slot in one["slots"])
    data = HEX(one["signing_id"]) + place + slots + HEX(one["others"]) + HEX(one["T"])
    assert tagged_hash("keymeld/nonce-extra/v1", data).hex() == one["extra_in"]


def test_the_enclaves_bind_their_nonces_like_that(monkeypatch: pytest.MonkeyPatch) -> None:
    bound: list[bytes] = []

    def listening(tag: str, data: bytes) -> bytes:
        bound.append(bytes(data))
        return tagged_hash(tag, data)

    monkeypatch.setattr(signer, "tagged_hash", listening)
    story = tell.__wrapped__()
    first, last = (data for data in bound if data.startswith(story.together.stream))
    place = story.together.stream + b"\0\0\0\1" + bytes(4) + bytes(4)
    assert first == place + b"\0\2" + bytes(66) + bytes(33)
    assert last.startswith(place + b"\0\0\0\1") and last[-99:-33] != bytes(66) and len(last) == 44 + 4 + 99


# adaptors.json --------------------------------------------------------------------------------------------------


@each("adaptors", "combined")
def test_the_points_of_an_and_come_to_one(one: Any) -> None:
    points, secrets = [HEX(point) for point in one["points"]], [HEX(secret) for secret in one["secrets"]]
    assert adaptor.combined_point(points).hex() == one["T"]
    assert adaptor.combined_secret(points, secrets).hex() == one["t"]
    assert [key_agg(key_sort(points)).coefficient(point).hex() for point in points] == one["coefficients"]
    assert Secret(HEX(one["t"])).point.hex() == one["T"]


@each("adaptors", "proofs")
def test_a_nonce_proves_itself(one: Any) -> None:
    place = (Id.from_hex(one["signing_id"]), one["attempt"], one["item"], one["point"], HEX(one["T"]))
    message = adaptor.proof_message(*place, HEX(one["pubnonce"]))
    assert message.hex() == one["message"]
    assert adaptor.nonce_is_proven(HEX(one["proof"]), message, HEX(one["pubnonce"]))


@each("adaptors", "presignatures")
def test_a_pre_signature_holds_and_is_completed(one: Any) -> None:
    made, message, output = HEX(one["presignature"]), HEX(one["message"]), HEX(one["output"])
    assert adaptor.verify(made, HEX(one["T"]), message, output)
    assert adaptor.adapt(made, HEX(one["t"])).hex() == one["signature"]
    assert adaptor.extract(made, HEX(one["signature"]), HEX(one["T"])).hex() == one["t"]
    assert verify(HEX(one["signature"]), message, output)


def test_the_psigs_of_a_pre_signature_add_up() -> None:
    parities = set()
    for one in wire("adaptors")["presignatures"][:2]:
        keys = [HEX(key) for key in one["keys"]]
        keyagg, nonces = aggregate(keys, (bip86_tweak(keys),)), [HEX(nonce) for nonce in one["pubnonces"]]
        session = SessionContext(keyagg, nonce_agg(nonces), HEX(one["message"]), HEX(one["T"]))
        assert (session.bound.hex(), session.coefficient.hex(), session.challenge.hex()) == (
            one["bound"], one["b"], one["e"],
        )  # fmt: skip
        psigs = [HEX(psig) for psig in one["psigs"]]
        for psig, nonce, held in zip(psigs, nonces, one["keys_of_signers"], strict=True):
            assert verify_collapsed_psig(session, psig, nonce, [HEX(key) for key in held])
        assert adaptor.presignature(session, psigs).hex() == one["presignature"]
        parities.add(one["presignature"][:2])
    assert parities == {"02", "03"}


def test_a_signer_alone_is_the_second_of_two() -> None:
    for one in wire("adaptors")["presignatures"][2:]:
        made = paired(HEX(one["list"][1]))
        assert [key.hex() for key in made.keys] == one["list"] and made.tweaks[0].value.hex() == one["tweak"]
        assert made.output.hex() == one["output"]


def test_the_roster_follows_from_the_joins() -> None:
    vector = wire("roster")
    joins = tuple(Id.from_hex(join) for join in vector["joins"])
    assert roster_hash(Id.from_hex(vector["keygen_id"]), joins).hex() == vector["roster"]


@each("roster", "key_lists")
def test_a_key_list_comes_to_its_address(one: Any) -> None:
    keys = [HEX(wire("roster")["cards"][slot]["pubkey"]) for slot in one["slots"]]
    keyagg = aggregate(keys, (bip86_tweak(keys),))
    assert [key.hex() for key in keyagg.keys] == one["sorted_keys"]
    assert (keyagg.aggregate.hex(), keyagg.output.hex()) == (one["aggregate"], one["output"])
    for network, address in one["addresses"].items():
        assert taproot_address(keyagg.output, network) == address


@each("roster", "children")
def test_a_child_of_a_key_list_of_one_too_is_a_bip_328_child(one: Any) -> None:
    keys = [HEX(wire("roster")["cards"][slot]["pubkey"]) for slot in one["slots"]]
    whole = aggregate(keys, ())
    path = tuple(one["path"])
    child = aggregate(keys, child_tweaks(whole.point, path))
    final = aggregate(keys, (*child_tweaks(whole.point, path), taproot_tweak(child.point[1:])))
    assert (HEX(one["chain_code"]), final.output.hex()) == (CHAIN_CODE, one["output"])


@each("roster", "plans")
def test_a_body_comes_to_its_messages(one: Any) -> None:
    body = contents.parse(Body, one["body"].encode())
    spends = [Spend(t.unsigned, [(s.amount, s.script) for s in t.spent]) for t in body.transactions]
    messages = [
        spends[item.transaction].sighash(item.input) if isinstance(item, SignInput) else item.message
        for item in body.items
    ]
    assert [message.hex() for message in messages] == [item["message"] for item in one["items"]]
    assert [spend.fee for spend in spends] == one["fees"]


@each("roster", "quorum_rules")
def test_a_rule_is_judged(one: Any) -> None:
    heard, ends = ({int(slot): at for slot, at in one[name].items()} for name in ("heard", "approved"))
    said = Consent(one["requester"], ends, frozenset(one["rejected"]), heard)
    rule = Rule(**one["rule"] | ({"of": tuple(one["rule"]["of"])} if "of" in one["rule"] else {}))
    assert consent.evaluate(rule, one["slot"], frozenset(one["key_list"]), said, one["at"]).value == one["verdict"]


# policies.json ---------------------------------------------------------------------------------------------------


@each("policies", "own")
def test_a_script_is_own(one: Any) -> None:
    path = None if one["path"] is None else tuple(one["path"])
    expected = Own(one["subset"], path, frozenset(one["slots"]))
    assert tell().roster.own.find(HEX(one["script"])) == expected


@each("policies", "requests")
def test_a_policy_on_content_answers(one: Any) -> None:
    """Both by the code and by the naive recomputation."""
    roster, policy, body = tell().roster, contents.parse(Policy, one["policy"].encode()), one["body"]
    made = plan(contents.parse(Body, body.encode()), roster)
    keys = tuple(card.pubkey for card in roster.cards)
    question = Question(
        json.loads(one["policy"]), one["slot"], one["requester"], json.loads(body), Group(keys, roster.subsets, b"")
    )
    naive = [question.why_not(index) is None for index in range(len(made.items))]
    if one["refused"] is not None:
        assert refusal_of(policy, made, one) == one["refused"] and not any(naive)
        return
    content_policy.judge(policy, one["slot"], one["requester"], content_policy.Payments(made, roster))
    found = [forbids(policy, made.item(index), roster) for index in range(len(made.items))]
    assert [None if failed is None else failed.code for failed in found] == one["items"]
    assert naive == [code is None for code in one["items"]]


def refusal_of(policy: Policy, made: Plan, one: Any) -> str:
    """The code with which a request is refused as a whole."""
    with pytest.raises(Blamed) as caught:
        content_policy.judge(policy, one["slot"], one["requester"], content_policy.Payments(made, tell().roster))
    return caught.value.code
