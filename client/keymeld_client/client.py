"""The client: one connection, and every session of a wallet that lives at one coordinator.

    async with connect("ws://127.0.0.1:8765", wallet=wallet, trust=Trust.of("ab…")) as client:
        treasury = await client.create_keygen(slots=3, network="regtest")     treasury.tickets ─▶ Bob and Carol
        await treasury.join(rule=Rule(approval="none"))
        await treasury.safe()                                                 treasury.address
        signing = await treasury.request(transactions=[(unsigned, spent)])
        async for record in signing: print(record)                            survives reconnects
        raw = await signing.transactions()                                    verified here, not believed

It believes nothing that it can check: every record goes through the ledger, every result is computed from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Unpack

from keymeld_protocol.errors import Blamed, InvalidCrypto, KeymeldError, Refused, bad_field
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.keys.ticket import Ticket, origin_of
from keymeld_protocol.member.plan import Plan
from keymeld_protocol.member.roster import Roster, read_roster
from keymeld_protocol.peer.waits import Backoff
from keymeld_protocol.plaintext.contents import Leaf, Network, Terms, TermsTweak
from keymeld_protocol.values import Hash, Id, XOnlyKey
from keymeld_protocol.wire.connection import Placed
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.statements import Statement

from .again import Again
from .clock import now_ms
from .confirming import confirm_completed
from .errors import NotConnected
from .keygens import Keygen
from .line.courier import Courier, EnclaveInfo, EnclavePage
from .line.inner import keys_of
from .line.ledger import Ledger
from .restoring import hear_ticket, require_unseated, restore, restore_all, taken
from .said.choosing import USUAL, Choice, Wish
from .said.creating import Proposal, make_create
from .said.drafting import DAY_MS
from .said.joining import entry_of
from .signings import Signing
from .status import Status
from .wallet.trust import Trust
from .wallet.wallet import Wallet


@asynccontextmanager
async def connect(
    url: str,
    wallet: Wallet,
    trust: Trust | None = None,
    *,
    token: str | None = None,
    auto_confirm: bool = True,
    backoff: Backoff | None = None,
    now: Callable[[], int] = now_ms,
) -> AsyncIterator[Client]:
    """Work with the coordinator at ``url``; gives the client at once and connects in the background.

    ``trust`` None: the enclaves that the wallet's owner has named before. ``token``: the operator's permission to
    open keygens, if it asks for one. ``auto_confirm``: confirm a completed roster by itself once it was verified,
    and say again what a coordinator that was restored from a backup has lost (§4.3). ``now`` is the clock (ms since
    the Unix epoch) by which deadlines are judged and requests are dated.

    Raises:
        BadInput: the URL is not ``ws://host[:port]`` or ``wss://host[:port]``.
        WalletError: the wallet cannot be read.
    """
    ledger = Ledger(wallet, origin_of(url), now)
    courier = Courier(wallet, ledger, token=token, backoff=backoff)
    client = Client(courier, trust if trust is not None else Trust.load(wallet))
    tasks = [asyncio.create_task(client._run())]
    client.says_again = auto_confirm
    if auto_confirm:
        tasks.append(asyncio.create_task(confirm_completed(client)))
        tasks.append(asyncio.create_task(client.again.run()))
    try:
        yield client
    finally:
        courier.stop(NotConnected("the client was closed"))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Client:
    """Everything that a wallet does at one coordinator; use `connect`."""

    def __init__(self, courier: Courier, trust: Trust) -> None:
        self.courier = courier
        self.ledger = courier.ledger
        self.wallet = courier.wallet
        self.url = courier.url
        self.now = courier.ledger.now
        self.trust = trust
        self.again, self.says_again = Again(self), True
        self._groups: dict[Id, GroupKey] = {}
        self._rosters: dict[Id, Roster] = {}
        self.sought: set[Id] = set()
        self._looking = asyncio.Lock()

    # How it stands ----------------------------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        """Whether there is a conversation, and what went wrong last."""
        return self.courier.status

    async def statuses(self) -> AsyncIterator[Status]:
        """The status now, and whenever it changes; one that passed in between is skipped. Ends when stopped."""
        shown: Status | None = None
        while True:
            status = self.courier.status
            if status is not shown:
                shown = status
                yield status
            elif status.state == "stopped":
                return
            else:
                await self.courier.changed.wait()

    @property
    def problems(self) -> tuple[KeymeldError, ...]:
        """What went wrong with statements that nobody waited for, oldest first."""
        return tuple(self.courier.problems)

    async def ready(self) -> None:
        """Until every session that concerns this wallet was heard as far as it had come, also one restored from a copy.

        What a restored coordinator has lost and can be said again at once was said again then.

        Raises:
            NotConnected: there will be no conversation.
        """
        await self.courier.online()
        await self.ledger.until_all(self.ledger.caught_up)
        async with self._looking:
            await restore_all(self)
        if self.says_again:
            await self.again.look()

    def keygens(self) -> tuple[Keygen, ...]:
        """The keygens of this wallet of which anything was heard; a ticket may have named what is none."""
        heard = [self.ledger.replay(entry.id) for entry in self.wallet.keygens(self.url)]
        return tuple(Keygen(self, r.stream) for r in heard if r is not None and r.as_keygen is not None)

    def signings(self) -> tuple[Signing, ...]:
        """The signings of those keygens, oldest first."""
        found = [heard for heard in self.ledger.streams() if heard.as_signing is not None]
        return tuple(Signing(self, heard.stream) for heard in sorted(found, key=lambda h: h.records[0].at))

    def keygen(self, stream: Id) -> Keygen:
        """The keygen with this name."""
        return Keygen(self, stream)

    def signing(self, stream: Id, plan: Plan | None = None) -> Signing:
        """The signing with this name; ``plan`` if it was asked for here, and need not be planned again."""
        return Signing(self, stream, plan)

    def watch(self) -> AsyncIterator[tuple[Id, Record]]:
        """All records as they are verified, from now on."""
        return self.ledger.watch()

    async def enclaves(self) -> tuple[EnclaveInfo, ...]:
        """The enclaves that the coordinator offers; which of them to believe is `trust`'s business.

        Raises:
            NotConnected: there will be no conversation.
        """
        return (await self.courier.ask("enclaves", {}, EnclavePage)).enclaves

    async def choose_enclave(self, wanted: XOnlyKey | None = None) -> XOnlyKey:
        """An enclave that is trusted and there.

        Raises:
            NotTrusted: there is none; nothing is sealed.
        """
        if wanted is not None:
            self.trust.choose([wanted], wanted)
        here = [enclave.identity for enclave in await self.enclaves() if enclave.online]
        return self.trust.choose(here, wanted)

    # What it can read -------------------------------------------------------------------------------------------

    def group(self, keygen: Id) -> GroupKey:
        """The key that opens what members have sealed.

        Raises:
            WalletError: nothing of the keygen was heard, or no ticket for it is held.
            Blamed: the ticket's secret is not this session's.
        """
        if keygen not in self._groups:
            handle = self.keygen(keygen)
            create = handle.state.create
            try:
                self._groups[keygen] = GroupKey.open_group(handle.entry.group_secret, create.salt, create.group)
            except InvalidCrypto as error:
                raise Blamed("foreign_group_secret", (), str(error)) from None
        return self._groups[keygen]

    def auth_keys(self, keygen: Id) -> Mapping[int, XOnlyKey]:
        """The auth keys with which this wallet speaks for each slot, joined or not: a log shows its joins by them.

        Raises:
            WalletError: nothing of the keygen was heard.
        """
        return self.ledger.own.auth_keys(keygen, len(self.keygen(keygen).state.seats))

    def roster(self, keygen: Id) -> Roster:
        """The verified roster of a completed keygen.

        Raises:
            Refused: it is not completed.
            Blamed: a card does not hold; names the slots.
        """
        found, state = self._rosters.get(keygen), self.keygen(keygen).state
        if found is None or found.hash != state.roster:  # a restored coordinator may lack joins, and have new ones
            found = self._rosters[keygen] = read_roster(self.keygen(keygen).heard, self.group(keygen))
        return found

    # What it says -----------------------------------------------------------------------------------------------

    async def say(self, statement: Statement) -> Placed:
        """Store a statement, submit it until it is answered, and wait until its record was verified here.

        Raises:
            WireError: the coordinator refused it.
            ReadOnly: the log broke.
            NotConnected: there will be no conversation; the statement waits in the wallet.
        """
        placed = await self.courier.say(statement)
        stream = getattr(statement.payload, "stream", statement.id)
        self.ledger.refused.pop(stream, None)
        if self.ledger.position(stream) is None:
            await self.courier.subscribe(stream)
        await self.ledger.until(stream, lambda heard: statement.id in heard.chain.ids or None)
        return placed

    async def create_keygen(
        self,
        slots: int,
        *,
        label: str = "",
        network: Network = "bitcoin",
        tweak: TermsTweak = "bip86",
        tree: tuple[Leaf, ...] | None = None,
        root: Hash | None = None,
        subsets: tuple[tuple[int, ...], ...] = (),
        open_tickets: bool = False,
        expires_in_ms: int = 7 * DAY_MS,
    ) -> Keygen:
        """Open a keygen of ``slots`` participants; its ``tickets`` are to be handed out, ``join`` takes an own slot.

        ``tree`` belongs to ``tweak`` "tree": its leaves, depth first. ``root`` belongs to "root", which is opaque:
        nobody joins it without saying so.

        Raises:
            BadInput: the proposal breaks a rule.
            Refused: the coordinator does not open it.
            NotConnected: there will be no conversation.
        """
        terms = Terms(v=1, label=label, network=network, tweak=tweak, tree=tree, root=root)
        proposal = Proposal(slots, terms, subsets, open_tickets, self.now() + expires_in_ms)
        coordinator = (await self.courier.online()).hello.coordinator
        entry, statement = make_create(self.wallet, self.url, coordinator, proposal)
        self.wallet.remember(entry)
        try:
            await self.courier.prove(keys_of(self.ledger, entry, statement))
            await self.say(statement)
        except Refused:
            self.wallet.forget(entry.id)
            raise
        return self.keygen(entry.id)

    async def join(
        self, ticket: Ticket | str, choice: Choice = USUAL, *, slot: int | None = None, **wish: Unpack[Wish]
    ) -> Keygen:
        """Take a ticket's slot; ``await keygen.joined()`` then waits for the enclave. The rest as `Keygen.join`.

        Raises:
            BadInput: the ticket is damaged, or is for another coordinator; or ``key`` is none.
            Blamed: its group secret is not the session's, or the terms do not open.
            NotTrusted: no trusted enclave is there; nothing was sealed.
            Refused: the slot is taken, or this wallet's already (`restore` finds it); the keygen no longer collects; or
                the choice would be unsafe.
        """
        ticket = Ticket.parse(ticket) if isinstance(ticket, str) else ticket
        keygen = await self.open_ticket(ticket)
        if ticket.is_open and slot is None:
            require_unseated(keygen.slots)
        await keygen.join(ticket.slot if slot is None else slot, choice, **wish)
        return keygen

    async def restore(self, ticket: Ticket | str) -> Keygen:
        """Find again the seats of this wallet's identity in the keygen of any of its tickets, and join nothing.

        For a wallet of which only the identity is left. What was sealed with a key stays in its enclave, and cannot be
        read back; the public rule is in the log.

        Raises:
            BadInput, Blamed: as `open_ticket`.
            JoinRefused: it had joined, and its join fills its slot no longer.
            WalletError: this identity has said no join there.
            Refused: the ticket was used by somebody else, and this identity sits in no slot; or no such session.
        """
        return await restore(self, Ticket.parse(ticket) if isinstance(ticket, str) else ticket)

    async def open_ticket(self, ticket: Ticket | str) -> Keygen:
        """Remember a ticket and hear its keygen, without joining: to show terms and members first.

        Raises:
            BadInput: the ticket is damaged, or is for another coordinator.
            Blamed: its group secret is not the session's.
            WalletError: what it names is no keygen.
            Refused: its slot is taken by somebody else, and no slot is this wallet's; or there is no such session.
        """
        ticket = Ticket.parse(ticket) if isinstance(ticket, str) else ticket
        if origin_of(ticket.url) != self.url:
            raise bad_field("ticket", f"is for {origin_of(ticket.url)}, this client talks to {self.url}")
        known = self.wallet.keygen(ticket.keygen_id)
        entry = entry_of(ticket, self.url, known)
        self.wallet.remember(entry)
        keygen = self.keygen(entry.id)
        try:
            if known is None and self.wallet.stores(entry.id):
                self.ledger.load()
            if not await hear_ticket(self, keygen, ticket.slot):
                raise taken(ticket)
            self.group(entry.id)
        except KeymeldError:
            if known is None:  # a ticket that lies must not stand in the way of one that does not
                self.wallet.forget(entry.id)
            raise
        return keygen

    async def _run(self) -> None:
        """Converse until that ends for good; whoever waits is told why."""
        try:
            await self.courier.run()
        except KeymeldError as error:
            self.courier.stop(error)
        except Exception as error:
            self.courier.stop(NotConnected(f"the client failed: {type(error).__name__}"))
            raise
