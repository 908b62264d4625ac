"""What is said to join a keygen: a key made or brought, sealed and proven, each statement made in one place.

    ticket ─▶ KeygenEntry          policy with its fresh salt ─▶ signing key under it (or one brought)
                                     ─▶ card, envelope ─▶ keygen.join

No socket and no waiting here: values in, a signed statement out.
"""

from __future__ import annotations

from hmac import compare_digest

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.curve.secp256k1 import Secret, pubkey_of
from keymeld_protocol.keys.derivation import prove_possession
from keymeld_protocol.keys.envelope import EnvelopeContext, seal_envelope
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.keys.ticket import Ticket
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Card
from keymeld_protocol.plaintext.policy import policy_commitment
from keymeld_protocol.values import Hash, Id, PlainKey, XOnlyKey, digest
from keymeld_protocol.wire.payloads import KeygenJoin
from keymeld_protocol.wire.statements import Statement, make

from ..errors import WalletError
from ..wallet.entries import KeygenEntry
from ..wallet.own_seats import OwnSeats
from ..wallet.wallet import Wallet
from .choosing import Choice, policy_of


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
        entry.open_secret = bytearray(ticket.secret)
    return entry


def make_join(
    wallet: Wallet,
    entry: KeygenEntry,
    heard: Replay,
    group: GroupKey,
    slot: int,
    choice: Choice,
) -> Statement:
    """Make a fresh key for ``slot``, or take the one chosen; seal it if custody asks for it, say ``keygen.join``.

    The key follows from its policy, whose salt is fresh: no two joins ever carry the same key, not even those of a
    wallet that was restored from an old copy (§8.1).  The wallet remembers the join before it is said.

    Raises:
        WalletError: no ticket for this slot, a key brought along was sealed before, or the disk failed.
        InvalidCrypto: the enclave's identity is no key, or the key brought along is none.
    """
    if choice.key is not None:
        wallet.bring(pubkey_of(choice.key), choice.again)
    policy = contents.encode(policy_of(choice))
    committed = policy_commitment(policy)
    with (
        _invite(wallet, entry, heard, slot) as invite,
        wallet.identity.auth(entry.id, slot) as auth,
        _signing(wallet, entry.id, slot, committed, choice) as signing,
    ):
        by = XOnlyKey(auth.key)
        card = group.seal("keygen.join", "card", entry.id, by, _card(entry.id, slot, choice.label, by, signing))
        envelope = _envelope(entry, slot, choice.enclave, by, signing, policy)
        said = KeygenJoin(
            v=1,
            by=by,
            stream=entry.id,
            after=heard.chain.hash,
            slot=slot,
            invite=XOnlyKey(invite.key),
            custody=choice.custody,
            rule=choice.rule,
            policy=committed,
            enclave=choice.enclave,
            card=digest(card),
            envelope=digest(envelope) if envelope is not None else None,
        )
        blobs = [card] if envelope is None else [card, envelope]
        statement = make(said, auth.sign, invite.sign, blobs=blobs)
    wallet.note_join(entry.id, slot, statement.id)
    return statement


def _invite(wallet: Wallet, entry: KeygenEntry, heard: Replay, slot: int) -> Keypair:
    """The invite key of ``slot``.

    Raises:
        WalletError: no ticket for it is held.
    """
    state = heard.as_keygen
    if state is None:
        raise WalletError(f"this wallet holds no ticket for slot {slot}")
    return OwnSeats(wallet).invite(entry, state.create, slot)


def _signing(wallet: Wallet, keygen: Id, slot: int, policy: Hash, choice: Choice) -> Secret:
    """The key to seal: a copy of the one that was brought along, or the one that follows from the policy."""
    return wallet.identity.signing(keygen, slot, policy) if choice.key is None else Secret(choice.key)


def _card(keygen: Id, slot: int, label: str, by: XOnlyKey, signing: Secret) -> bytes:
    """The card: public key, label, and the proof that the key is held."""
    possession = prove_possession(signing, keygen, slot, by)
    return contents.encode(Card(v=1, pubkey=PlainKey(signing.point), label=label, possession=possession))


def _envelope(
    entry: KeygenEntry, slot: int, enclave: XOnlyKey | None, by: XOnlyKey, signing: Secret, policy: bytes
) -> bytes | None:
    """The key, sealed to the chosen enclave with the group secret and the policy; None without an enclave."""
    if enclave is None:
        return None
    committed = policy_commitment(policy)
    context = EnvelopeContext(keygen_id=entry.id, slot=slot, policy=committed, auth=by, enclave=enclave)
    return seal_envelope(context, signing, entry.group_secret, policy)
