"""What one wallet decides behind its conversation: which keys it proves, which sessions it hears, and from where.

hello ──▶ creator key, auth keys; the invite keys of what still collects
listed ─▶ every keygen of the wallet ▶ every signing of one that was not heard to its end
record ─▶ the ledger, which verifies it
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from os import urandom
from typing import Final

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import WireError
from keymeld_protocol.machines.keygen import KeygenPhase
from keymeld_protocol.peer.resuming import InnerHalf
from keymeld_protocol.peer.waits import Ended
from keymeld_protocol.values import Id, Salt, XOnlyKey
from keymeld_protocol.wire.connection import Heard, Hello, Presence, SessionInfo, Subscribed
from keymeld_protocol.wire.frames import MAX_PROOFS
from keymeld_protocol.wire.payloads import KeygenCreate
from keymeld_protocol.wire.records import Position
from keymeld_protocol.wire.statements import Statement

from ..wallet.entries import KeygenEntry
from ..wallet.wallet import Wallet
from .ledger import Ledger

MOST_SESSIONS: Final = 100_000
"""Sessions of one wallet that are looked at, whatever its coordinator lists."""


class WalletHalf(InnerHalf):
    """The inner half of a participant; ``online`` is by key.

    ``on_put_off`` hears when resuming has to wait, ``on_refused`` of what nobody else hears of.
    """

    most_listed: int = MOST_SESSIONS

    def __init__(
        self, wallet: Wallet, ledger: Ledger, token: str | None, on_put_off: Callable[[WireError], None],
        on_refused: Callable[[WireError], None],
    ) -> None:  # fmt: skip
        self.wallet, self.ledger, self.token = wallet, ledger, token
        self.online: dict[XOnlyKey, bool] = {}
        self._on_put_off, self._on_refused = on_put_off, on_refused

    def keys(self, hello: Hello) -> Sequence[Keypair]:
        """Every key that lets this wallet hear something."""
        self.ledger.greet(hello.coordinator, hello.epoch)
        opening = {each.statement.id: each.statement for each in self.wallet.outbox(self.ledger.url)}
        entries = self.wallet.keygens(self.ledger.url)
        return [key for entry in entries for key in keys_of(self.ledger, entry, opening.get(entry.id))]

    def keygens(self, listed: Sequence[SessionInfo]) -> Iterable[Id]:
        """Those of the wallet, whatever the coordinator lists."""
        return [e.id for e in self.wallet.keygens(self.ledger.url) if self.ledger.trouble(e.id) is None]

    def signings(self, listed: Sequence[SessionInfo]) -> Iterable[Id]:
        """Those that were heard before, and those that are listed for a keygen of the wallet.

        One that has ended has nothing more to say, unless a restored coordinator has lost how it ended (§4.3).
        """
        self.ledger.note_listed(listed)
        known = [heard.stream for heard in self.ledger.streams() if heard.as_signing is not None]
        found = [info.stream for info in listed if info.keygen is not None and self._is_heard(info.keygen)]
        ledger, anew = self.ledger, {info.stream for info in listed if self.ledger.is_listed_otherwise(info)}
        goes_on = (s for s in dict.fromkeys([*known, *found]) if s in anew or not ledger.has_ended(s))
        return [s for s in goes_on if ledger.trouble(s) is None]

    def _is_heard(self, keygen: Id) -> bool:
        """Whether a keygen is the wallet's, and its files can be read."""
        return self.wallet.keygen(keygen) is not None and keygen not in self.wallet.damaged

    def position(self, stream: Id) -> Position | None:
        """Where the verified part of ``stream`` ends; nobody has caught up with it before the answer."""
        position = self.ledger.position(stream)
        self.ledger.expect(stream)
        return position

    def nonce(self) -> Salt:
        """Fresh for each request: the head that answers was signed after it (§4.2)."""
        return Salt(urandom(32))

    def subscribed(self, stream: Id, answer: Subscribed, nonce: Salt | None) -> None:
        """Does it continue what was verified, and is its head a fresh one?"""
        self.ledger.subscribed(stream, answer, nonce)

    def not_subscribed(self, stream: Id, problem: WireError) -> None:
        """Noted with the stream; the others go on."""
        self.ledger.refuse(stream, problem)

    def not_resumed(self, problem: WireError) -> None:
        """This conversation is over; another one may fare better."""
        raise Ended(f"the coordinator refused to resume: {problem}", None, problem.retry_after_ms or 0)

    def refused(self, method: str, problem: WireError) -> None:
        """Whoever looks at the client's problems is told."""
        self._on_refused(problem)

    def put_off(self, problem: WireError) -> None:
        """Whoever watches is told why it takes so long."""
        self._on_put_off(problem)

    def hear(self, heard: Heard) -> None:
        """A record, in the order in which they come, and the head at it."""
        self.ledger.hear(heard.stream, heard.record, heard.head)

    def rights(self, stream: Id, *, whole: bool) -> None:
        """Whoever waits for ``stream`` is told that no more of it will be heard, or that it will."""
        self.ledger.rights(stream, whole=whole)

    def presence(self, told: Presence) -> None:
        """Somebody has come or gone."""
        self.online[told.key] = told.online


def keys_of(ledger: Ledger, entry: KeygenEntry, opening: Statement | None = None) -> list[Keypair]:
    """The keys that let this wallet hear a keygen: creator key, auth keys; while it collects, invite keys too.

    Of a keygen that was not heard yet: those of the slots that it has tickets for, or has said a join for; where it is
    about to be opened, by ``opening``, the creator key.
    """
    own, identity, heard = ledger.own, ledger.wallet.identity, ledger.replay(entry.id)
    state = heard.as_keygen if heard is not None else None
    if opening is not None and isinstance(said := opening.payload, KeygenCreate):
        return [identity.creator(said.salt)]
    if heard is None or state is None:
        slots = sorted({*entry.slots, *entry.slot_secrets})
        invites = [Keypair(Secret(secret)) for secret in entry.slot_secrets.values()]
        return [identity.auth(entry.id, slot) for slot in slots] + invites
    slots = sorted({*entry.slots, *own.joined(heard), *(entry.slot_secrets if heard.chain.offset == 1 else ())})
    keys = [identity.auth(entry.id, slot) for slot in slots]
    if own.opened(state.create):
        keys.append(identity.creator(state.create.salt))
    if state.phase != KeygenPhase.COLLECTING and not ledger.is_of_earlier_epochs(heard):  # else its joins may be lost
        return keys
    invited = [slot for slot in sorted({*entry.slot_secrets, *slots}) if own.invites(entry, state.create, slot)]
    if not keys and not invited:  # an open ticket, not used yet: any of the slots that are free lets it hear
        invited = list(state.holdouts())[-MAX_PROOFS:]
    return keys + [own.invite(entry, state.create, slot) for slot in invited]
