"""What is said to open a keygen, and the invitations that come of it: secrets drawn, sealed, each used in one place.

    salt and S drawn ─▶ creator key, open secret, invite keys, sealed terms ─▶ keygen.create ─▶ tickets

No socket and no waiting here: values in, a signed statement out.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import urandom

from keymeld_protocol.curve.secp256k1 import wipe
from keymeld_protocol.keys.derivation import slot_secret
from keymeld_protocol.keys.sealing import NO_SESSION, GroupKey, new_group_secret
from keymeld_protocol.keys.ticket import Ticket, TicketSecret, split_url
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Terms
from keymeld_protocol.values import Salt, XOnlyKey, digest
from keymeld_protocol.wire.payloads import KeygenCreate
from keymeld_protocol.wire.statements import Statement, make

from ..errors import WalletError
from ..wallet.entries import KeygenEntry
from ..wallet.own_seats import OwnSeats
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
    salt, group_secret = Salt(urandom(32)), new_group_secret()
    open_secret = wallet.identity.open_secret(salt)
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
    wipe(open_secret)
    return KeygenEntry(statement.id, url, group_secret), statement


def _invite_key(open_secret: bytearray, slot: int) -> XOnlyKey:
    with slot_secret(open_secret, slot) as secret:
        return XOnlyKey(secret.point[1:])


def tickets_of(wallet: Wallet, entry: KeygenEntry, create: KeygenCreate) -> tuple[Ticket, ...]:
    """The creator's invitations: one for each slot, by slot, or the single open one; all follow from his identity.

    Raises:
        WalletError: this wallet did not create the keygen.
    """
    if not OwnSeats(wallet).opened(create):
        raise WalletError("only the wallet that created a keygen holds its tickets")
    open_secret = wallet.identity.open_secret(create.salt)
    host, secure = split_url(entry.url)

    def ticket(slot: int | None, secret: bytearray) -> Ticket:
        return Ticket(
            host=host, secure=secure, keygen_id=entry.id, group_secret=TicketSecret(bytes(entry.group_secret)),
            slot=slot, secret=TicketSecret(bytes(secret)),
        )  # fmt: skip

    try:
        if create.open:
            return (ticket(None, open_secret),)
        made = []
        for slot in range(len(create.slots)):
            with slot_secret(open_secret, slot) as secret:
                made.append(ticket(slot, secret.buffer))
        return tuple(made)
    finally:
        wipe(open_secret)
