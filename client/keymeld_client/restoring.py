"""How a wallet finds its seats again: from its identity, a ticket and the log (§8.5).

    first record ─▶ the ticket's secret is this session's ─▶ creator key │ auth keys, the ticket's slot first: one hears
                 ─▶ the log shows the own joins ─▶ they are proven, and everything goes on as before

Nothing is joined here, and nothing is sealed.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import KeymeldError, Reason, Refused
from keymeld_protocol.keys.ticket import Ticket
from keymeld_protocol.peer.resuming import PAGE, SessionList, SessionPage
from keymeld_protocol.values import Id
from keymeld_protocol.wording import slots_told

from .errors import NotConnected, WalletError
from .line.inner import MOST_SESSIONS, keys_of

if TYPE_CHECKING:
    from .client import Client
    from .keygens import Keygen
    from .line.finding import Candidate


async def hear_ticket(client: Client, keygen: Keygen, slot: int | None) -> bool:
    """Whether a ticket for ``slot`` (None: an open one), or a seat, lets this wallet hear ``keygen``; it is heard then.

    Raises:
        Blamed, WireError, NotConnected: as `hear_again`.
    """
    if slot is not None:
        with client.wallet.identity.auth(keygen.id, slot) as auth, Secret(keygen.entry.slot_secrets[slot]) as secret:
            await client.courier.prove([Keypair(secret), auth])
    await client.courier.subscribe(keygen.id)
    if keygen.id in client.ledger.shut:
        client.sought.add(keygen.id)
        return await hear_again(client, keygen)
    heard = await client.ledger.until(keygen.id, lambda heard: heard if heard.caught_up else None)
    if heard.as_keygen is not None and (keygen.opened or client.ledger.own.joined(heard)):
        await _go_on(client, keygen)
    return True


async def hear_again(client: Client, keygen: Keygen) -> bool:
    """Whether a key of this wallet hears ``keygen``; it is then heard, with its signings, as far as it has come.

    Raises:
        Blamed: the ticket's group secret is not this session's; nothing was proven.
        WireError: the coordinator does not know the session.
        NotConnected: there will be no conversation.
    """
    from .line.finding import hear_as_any  # it dials: commands that do not need no sockets

    if client.ledger.replay(keygen.id) is None:
        await hear_as_any(client.courier, keygen.id, [])
    client.group(keygen.id)
    if not await hear_as_any(client.courier, keygen.id, _candidates(client, keygen)):
        return False
    await _go_on(client, keygen)
    return True


async def _go_on(client: Client, keygen: Keygen) -> None:
    """Prove whatever is this wallet's, as the next conversations do, and hear the signings that are there already."""
    await client.courier.prove(keys_of(client.ledger, keygen.entry))
    await client.courier.subscribe(keygen.id)
    await client.ledger.until(keygen.id, lambda heard: heard.caught_up or None)
    for stream in await _signings(client, keygen.id):
        await client.courier.subscribe(stream)
    await client.ledger.until_all(client.ledger.caught_up)


def _candidates(client: Client, keygen: Keygen) -> list[Candidate]:
    """The keys that may hear it: of the creator that one; else of the ticket's slots, then of all."""
    own, entry, create = client.ledger.own, keygen.entry, keygen.state.create
    identity = client.wallet.identity
    if own.opened(create):
        return [partial(identity.creator, create.salt)]
    slots = range(len(create.slots))
    found: list[Candidate] = []
    for slot in sorted(slots, key=lambda slot: slot not in entry.slot_secrets):
        found.append(partial(identity.auth, keygen.id, slot))
        if own.invites(entry, create, slot):
            found.append(partial(own.invite, entry, create, slot))
    return found


async def _signings(client: Client, keygen: Id) -> list[Id]:
    """The signings of ``keygen`` that the coordinator lists and that were not heard to their end."""
    listed, goes_on = SessionList(MOST_SESSIONS), True
    while goes_on:
        page = await client.courier.ask("sessions", {"limit": PAGE, **listed.after}, SessionPage)
        try:
            goes_on = listed.take(page, PAGE)
        except Refused as problem:
            goes_on = False
            client.courier.problems.append(problem)
    ours = (each.stream for each in listed.sessions() if each.keygen == keygen)
    return [stream for stream in ours if not client.ledger.has_ended(stream)]


async def restore_all(client: Client) -> None:
    """Look, once, for every session of the wallet that its coordinator shows to none of the keys proven so far.

    Raises:
        NotConnected: there will be no conversation.
    """
    for entry in client.wallet.keygens(client.url):
        if entry.id in client.ledger.shut and entry.id not in client.sought:
            client.sought.add(entry.id)
            try:
                await hear_again(client, client.keygen(entry.id))
            except NotConnected:
                raise
            except KeymeldError as error:
                client.courier.problems.append(error)


async def restore(client: Client, ticket: Ticket) -> Keygen:
    """Find what is this wallet's in the keygen of ``ticket``; where there is nothing, the ticket is not remembered.

    Raises:
        KeymeldError: as `Client.restore`.
    """
    known = client.wallet.keygen(ticket.keygen_id)
    keygen = await client.open_ticket(ticket)
    try:
        _require_found(keygen)
    except KeymeldError:
        if known is None:
            client.wallet.forget(keygen.id)
        raise
    return keygen


def _require_found(keygen: Keygen) -> None:
    """See that this wallet sits in a slot, or opened the keygen.

    Raises:
        JoinRefused: it had joined, and its join fills its slot no longer.
        WalletError: its identity has never joined.
    """
    if keygen.slots or keygen.opened:
        return
    for lost in keygen.lost:
        raise lost.error()
    raise WalletError("found nothing: this wallet's identity has said no join in that session, and did not open it")


def require_unseated(slots: Collection[int]) -> None:
    """See that a join takes none of the own ``slots``, where this wallet sits, once more.

    Raises:
        Refused: ``already_said``.
    """
    if slots:
        message = (
            f"this wallet sits in {slots_told(tuple(slots))} already: nothing was sealed, and the key keeps its rule"
        )
        raise Refused(Reason.ALREADY_SAID, message, field="slot")


def taken(ticket: Ticket) -> Refused:
    """What is told to somebody whose ticket was used, and who sits nowhere."""
    filled = "every slot is taken" if ticket.slot is None else f"slot {ticket.slot} is taken"
    message = f"{filled}, and not by this wallet's identity, which sits in no slot of that session"
    return Refused(Reason.SLOT_TAKEN, message, field="slot")
