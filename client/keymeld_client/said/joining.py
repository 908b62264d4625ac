"""What is said to join a keygen: a key made or brought, sealed and proven, each statement made in one place.

    ticket ─▶ KeygenEntry          fresh generation ─▶ signing key (or one brought)
                                     ─▶ card, policy with its salt, envelope ─▶ keygen.join

No socket and no waiting here: values in, a signed statement out.
"""

from __future__ import annotations

from hmac import compare_digest

from keymeld_protocol.curve.secp256k1 import Secret, pubkey_of
from keymeld_protocol.keys.derivation import prove_possession
from keymeld_protocol.keys.envelope import EnvelopeContext, seal_envelope
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.keys.ticket import Ticket
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Card
from keymeld_protocol.plaintext.policy import policy_commitment
from keymeld_protocol.values import Id, PlainKey, XOnlyKey, digest
from keymeld_protocol.wire.payloads import KeygenJoin
from keymeld_protocol.wire.statements import Statement, make

from ..errors import WalletError
from ..wallet.entries import KeygenEntry
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
        entry.open_secret, entry.open_tickets = bytearray(ticket.secret), True
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

    The generation is on disk before the key is used, and higher than any in the log: no two envelopes ever carry the
    same key, not even those of a wallet that was restored from an old copy (§8.1).

    Raises:
        WalletError: no ticket for this slot, a key brought along was sealed before, or the disk failed.
        InvalidCrypto: the enclave's identity is no key, or the key brought along is none.
    """
    if choice.key is not None:
        wallet.bring(pubkey_of(choice.key), choice.again)
    generation = wallet.next_generation(entry.id, slot, _used(wallet, heard, slot))
    with (
        entry.invite(slot) as invite,
        wallet.identity.auth(entry.id, slot) as auth,
        _signing(wallet, entry.id, slot, generation, choice) as signing,
    ):
        by = XOnlyKey(auth.key)
        card = group.seal("keygen.join", "card", entry.id, by, _card(entry.id, slot, choice.label, by, signing))
        policy = contents.encode(policy_of(choice))
        envelope = _envelope(entry, slot, choice.enclave, generation, by, signing, policy)
        said = KeygenJoin(
            v=1,
            by=by,
            stream=entry.id,
            after=heard.chain.hash,
            slot=slot,
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


def _signing(wallet: Wallet, keygen: Id, slot: int, generation: int, choice: Choice) -> Secret:
    """The key to seal: a copy of the one that was brought along, or this generation's."""
    return wallet.identity.signing(keygen, slot, generation) if choice.key is None else Secret(choice.key)


def _used(wallet: Wallet, heard: Replay, slot: int) -> int:
    """The last generation in the log of this identity's joins of ``slot``; −1 if there is none."""
    with wallet.identity.auth(heard.stream, slot) as auth:
        state = heard.as_keygen
        return state.generations.get(XOnlyKey(auth.key), -1) if state is not None else -1


def _card(keygen: Id, slot: int, label: str, by: XOnlyKey, signing: Secret) -> bytes:
    """The card: public key, label, and the proof that the key is held."""
    possession = prove_possession(signing, keygen, slot, by)
    return contents.encode(Card(v=1, pubkey=PlainKey(signing.point), label=label, possession=possession))


def _envelope(
    entry: KeygenEntry, slot: int, enclave: XOnlyKey | None, generation: int, by: XOnlyKey, signing: Secret,
    policy: bytes,
) -> bytes | None:  # fmt: skip
    """The key, sealed to the chosen enclave with the group secret and the policy; None without an enclave."""
    if enclave is None:
        return None
    context = EnvelopeContext(keygen_id=entry.id, slot=slot, generation=generation, auth=by, enclave=enclave)
    return seal_envelope(context, signing, entry.group_secret, policy)
