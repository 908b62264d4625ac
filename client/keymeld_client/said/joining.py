"""What is said to open a keygen and to join it: secrets drawn, sealed and proven, each statement made in one place.

    create   salt, S and open secret drawn ─▶ creator key, invite keys, sealed terms ─▶ keygen.create, tickets
    join     fresh generation ─▶ signing key (or one brought) ─▶ card, policy with its salt, envelope ─▶ keygen.join

No socket and no waiting here: values in, a signed statement out.
"""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from os import urandom

from keymeld_protocol.bitcoin.tweaks import is_opaque
from keymeld_protocol.curve.secp256k1 import Bytes, Secret
from keymeld_protocol.errors import BadInput, InvalidCrypto, Reason, Refused, bad_field
from keymeld_protocol.keys.derivation import prove_possession, slot_secret
from keymeld_protocol.keys.envelope import MAX_POLICY, EnvelopeContext, seal_envelope
from keymeld_protocol.keys.sealing import NO_SESSION, GroupKey, new_group_secret
from keymeld_protocol.keys.ticket import Ticket, TicketSecret, split_url
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Card, Terms
from keymeld_protocol.plaintext.policy import AllowedOutput, Policy, policy_commitment
from keymeld_protocol.values import Id, PlainKey, Salt, XOnlyKey, digest
from keymeld_protocol.wire.payloads import KeygenCreate, KeygenJoin
from keymeld_protocol.wire.shapes import CustodyKind, Rule
from keymeld_protocol.wire.statements import Statement, make

from ..errors import WalletError
from ..wallet.entries import KeygenEntry
from ..wallet.wallet import Wallet


@dataclass(frozen=True)
class Proposal:
    """What a creator asks for; ``expires_at`` (ms) bounds the collecting of joins."""

    slots: int
    terms: Terms
    subsets: tuple[tuple[int, ...], ...]
    open_tickets: bool
    expires_at: int


def make_create(wallet: Wallet, url: str, coordinator: XOnlyKey, proposal: Proposal) -> tuple[KeygenEntry, Statement]:
    """Draw the session's secrets and say ``keygen.create``; nothing is stored or sent yet.

    Raises:
        BadInput: the proposal breaks a rule of the payload or the terms.
    """
    salt, group_secret, open_secret = Salt(urandom(32)), new_group_secret(), bytearray(urandom(32))
    with wallet.identity.creator(salt) as creator, GroupKey(group_secret, salt) as group:
        by = XOnlyKey(creator.key)
        terms = group.seal("keygen.create", "terms", NO_SESSION, by, contents.encode(proposal.terms))
        said = KeygenCreate(
            v=1,
            by=by,
            suite="musig2/1",
            coordinator=coordinator,
            salt=salt,
            group=group.commitment,
            open=proposal.open_tickets,
            slots=tuple(_invite_key(open_secret, slot) for slot in range(proposal.slots)),
            subsets=proposal.subsets,
            expires_at=proposal.expires_at,
            terms=digest(terms),
        )
        statement = make(said, creator.sign, blobs=[terms])
    entry = KeygenEntry(
        statement.id, url, group_secret, salt=salt, open_secret=open_secret, open_tickets=proposal.open_tickets
    )
    return entry, statement


def _invite_key(open_secret: bytearray, slot: int) -> XOnlyKey:
    with slot_secret(open_secret, slot) as secret:
        return XOnlyKey(secret.point[1:])


def tickets_of(entry: KeygenEntry, slots: int) -> tuple[Ticket, ...]:
    """The creator's invitations: one for each slot, by slot, or the single open one.

    Raises:
        WalletError: this wallet did not create the keygen.
    """
    if entry.open_secret is None or not entry.created:
        raise WalletError("only the wallet that created a keygen holds its tickets")
    host, secure = split_url(entry.url)

    def ticket(slot: int | None, secret: bytearray) -> Ticket:
        return Ticket(
            host=host, secure=secure, keygen_id=entry.id, group_secret=TicketSecret(bytes(entry.group_secret)),
            slot=slot, secret=TicketSecret(bytes(secret)),
        )  # fmt: skip

    if entry.open_tickets:
        return (ticket(None, entry.open_secret),)
    made = []
    for slot in range(slots):
        with slot_secret(entry.open_secret, slot) as secret:
            made.append(ticket(slot, secret.buffer))
    return tuple(made)


def entry_of(ticket: Ticket, url: str, known: KeygenEntry | None) -> KeygenEntry:
    """What the wallet remembers once it holds ``ticket`` too.

    Raises:
        WalletError: it contradicts a ticket for the same session that the wallet holds already.
    """
    if known is not None and not compare_digest(known.group_secret, ticket.group_secret):
        raise WalletError("this ticket has another group secret than the one held for this session: somebody cheats")
    entry = known or KeygenEntry(ticket.keygen_id, url, bytearray(ticket.group_secret))
    if ticket.slot is not None:
        entry.slot_secrets[ticket.slot] = bytearray(ticket.secret)
    elif entry.open_secret is None:
        entry.open_secret, entry.open_tickets = bytearray(ticket.secret), True
    return entry


@dataclass(frozen=True)
class Allow:
    """What a participant allows beyond his rule's default, and what not; sealed with the key, so that nobody else can.

    ``alone``: a subset of this key alone; ``alone_blind``: blind messages of it too; ``opaque_tweak``: tweaks that
    hide what they commit to; ``no_blind``: no blind messages at all. ``requesters``: the slots that may ask (None:
    all); ``subsets``: the subsets that are served beside the whole group (None: all).
    ``outputs``, ``max_amount`` and ``max_fee``: what one request may pay, to whom and how much (satoshi; None: no
    limit). Any of these three forbids whatever cannot be judged: blind messages, and tweaks but those of the terms and
    of their children.
    """

    alone: bool = False
    alone_blind: bool = False
    opaque_tweak: bool = False
    requesters: tuple[int, ...] | None = None
    subsets: tuple[int, ...] | None = None
    no_blind: bool = False
    outputs: tuple[AllowedOutput, ...] | None = None
    max_amount: int | None = None
    max_fee: int | None = None


NOTHING = Allow()


@dataclass(frozen=True)
class Choice:
    """How a participant takes part in one slot; ``enclave`` None with device custody."""

    slot: int
    custody: CustodyKind
    rule: Rule
    enclave: XOnlyKey | None
    label: str
    allow: Allow = NOTHING


def check_choice(state: KeygenState, terms: Terms, choice: Choice) -> None:
    """Refuse what would be unsafe, or cannot work yet, before a key is made for it (§9.2, §9.3).

    Raises:
        BadInput: the policy contradicts itself or this keygen, or is too long for an envelope.
        Refused: hybrid custody, a key that whoever finds an open ticket could use, or terms with a tweak that hides
            what it commits to.
    """
    policy = _policy(choice)
    if len(contents.encode(policy)) > MAX_POLICY:
        raise BadInput(
            Reason.TOO_BIG, f"at most {MAX_POLICY:,} bytes fit an envelope", field="policy", limit=MAX_POLICY
        )
    policy.check_place(choice.slot, len(state.seats), state.create.subsets)
    if is_opaque(terms) and not choice.allow.opaque_tweak:
        why = "the terms give a bare script root: its maker may be able to spend alone; joining takes a yes to that"
        raise Refused(Reason.NOT_ALLOWED, why, field="terms.root")
    if choice.custody == "hybrid":
        raise Refused(Reason.NOT_ALLOWED, "custody hybrid: devices cannot sign yet", field="custody")
    unasked = choice.custody == "sealed" and choice.rule.approval == "none"
    if unasked and state.create.open and choice.allow.requesters is None:
        why = "with open tickets anybody may sit in the other slots; rule none would let him sign with this key alone"
        raise Refused(Reason.NOT_ALLOWED, f"{why}: name who may ask (requesters)", field="rule.approval")


def warnings(rule: Rule, allow: Allow) -> tuple[str, ...]:
    """What somebody should know before this is sealed, though it is not refused (§10.9)."""
    told = []
    if allow.max_amount is not None and allow.outputs is None and rule.approval == "none":
        told.append(
            "the amount is a limit for each request, not a rate: one request can follow another, and nobody is asked"
        )
    if allow.outputs is not None and allow.max_amount is None and allow.max_fee is None and rule.approval != "self":
        told.append("the fee is not limited: without your yes all that is not paid out can go to a miner")
    return tuple(told)


@dataclass(frozen=True)
class BroughtKey:
    """A key that its owner brings along instead of a fresh one; ``again``: though this wallet has sealed it before."""

    key: Secret
    again: bool = False


def bring(key: Bytes, again: bool, custody: CustodyKind) -> BroughtKey:
    """Take a copy of a key (32 bytes); the caller wipes his.

    Raises:
        BadInput: it is no secret key, or it would not be sealed: the wallet keeps no copy of it.
    """
    if custody != "sealed":
        raise bad_field(
            "key", f"would be lost with custody {custody}: this wallet keeps no copy of a key brought along"
        )
    try:
        return BroughtKey(Secret(key), again)
    except InvalidCrypto:
        raise bad_field("key", "must be 32 bytes, not zero and below the order of secp256k1") from None


def make_join(
    wallet: Wallet,
    entry: KeygenEntry,
    heard: Replay,
    group: GroupKey,
    choice: Choice,
    brought: BroughtKey | None = None,
) -> Statement:
    """Make a fresh key for the slot, or take the one ``brought``; seal it if custody asks for it, say ``keygen.join``.

    The generation is on disk before the key is used, and higher than any in the log: no two envelopes ever carry the
    same key, not even those of a wallet that was restored from an old copy (§8.1).

    Raises:
        WalletError: no ticket for this slot, a key brought along was sealed before, or the disk failed.
        InvalidCrypto: the enclave's identity is no key.
    """
    if brought is not None:
        wallet.bring(brought.key.point, brought.again)
    generation = wallet.next_generation(entry.id, choice.slot, _used(wallet, heard, choice.slot))
    with (
        entry.invite(choice.slot) as invite,
        wallet.identity.auth(entry.id, choice.slot) as auth,
        brought.key if brought else wallet.identity.signing(entry.id, choice.slot, generation) as signing,
    ):
        by = XOnlyKey(auth.key)
        card = group.seal("keygen.join", "card", entry.id, by, _card(entry.id, choice, by, signing))
        policy = contents.encode(_policy(choice))
        envelope = _envelope(entry, choice, generation, by, signing, policy)
        said = KeygenJoin(
            v=1,
            by=by,
            stream=entry.id,
            after=heard.chain.hash,
            slot=choice.slot,
            invite=XOnlyKey(invite.key),
            generation=generation,
            custody=choice.custody,
            rule=choice.rule,
            policy=policy_commitment(policy),
            enclave=choice.enclave,
            card=digest(card),
            envelope=digest(envelope) if envelope is not None else None,
        )
        blobs = [card] if envelope is None else [card, envelope]
        return make(said, auth.sign, invite.sign, blobs=blobs)


def _used(wallet: Wallet, heard: Replay, slot: int) -> int:
    """The last generation in the log of this identity's joins of ``slot``; −1 if there is none."""
    with wallet.identity.auth(heard.stream, slot) as auth:
        state = heard.as_keygen
        return state.generations.get(XOnlyKey(auth.key), -1) if state is not None else -1


def _policy(choice: Choice) -> Policy:
    """The rule and what is allowed beyond it, hidden behind a fresh salt."""
    allow = choice.allow
    return Policy(
        v=1, salt=Salt(urandom(32)), rule=choice.rule, alone=allow.alone, alone_blind=allow.alone_blind,
        accept_opaque_tweak=allow.opaque_tweak, requesters=allow.requesters, subsets=allow.subsets,
        no_blind=allow.no_blind, outputs=allow.outputs, max_amount=allow.max_amount, max_fee=allow.max_fee,
    )  # fmt: skip


def _card(keygen: Id, choice: Choice, by: XOnlyKey, signing: Secret) -> bytes:
    """The card: public key, label, and the proof that the key is held."""
    possession = prove_possession(signing, keygen, choice.slot, by)
    return contents.encode(Card(v=1, pubkey=PlainKey(signing.point), label=choice.label, possession=possession))


def _envelope(
    entry: KeygenEntry, choice: Choice, generation: int, by: XOnlyKey, signing: Secret, policy: bytes
) -> bytes | None:
    """The key, sealed to the chosen enclave with the group secret and the policy; None without an enclave."""
    if choice.enclave is None:
        return None
    context = EnvelopeContext(
        keygen_id=entry.id, slot=choice.slot, generation=generation, auth=by, enclave=choice.enclave
    )
    return seal_envelope(context, signing, entry.group_secret, policy)
