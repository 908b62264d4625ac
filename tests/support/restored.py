"""A client whose coordinator was restored from a backup, played from a vector: what it makes of the new history (§4.3).

case = {"before": [{"epoch": "00…", "at": …, "payload": "{…}"}, …], "anew": […] or null, "epoch": …, "now": …,
        "speakers": ["aa…"], "keygen": […], "keygen_before": […]}
restored(case) == {"fork": 4}    or    {"shared": 3, "lost": [{"offset": 4, "is": "waited_for"}, …], "said": […]}

The client's own ledger compares, waits and decides, and its own `Again` says; the coordinator takes whatever is said.
Nothing is signed, because nothing here is verified but the logs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from unittest.mock import patch

from keymeld_client.again import Again
from keymeld_client.line.ledger import Ledger
from keymeld_client.line.lost import cannot_return
from keymeld_client.said.again import Speakers
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import Fork
from keymeld_protocol.keys.derivation import Identity
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.rewound import conflict, meanings
from keymeld_protocol.values import Epoch, Id, Salt, XOnlyKey
from keymeld_protocol.wire import payloads
from keymeld_protocol.wire.payloads import KeygenJoin
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.statements import Statement, statement_id

from .build import Cast
from .coordinator import key_of, secret_of
from .machines import COORDINATOR, xonly

CAST = Cast("group", xonly(COORDINATOR), 3)
"""Who may be the owner of a wallet here."""


def restored(case: Mapping[str, Any]) -> dict[str, Any]:
    """What a client makes of a history that is told anew."""
    with Wallet.in_memory() as wallet, patch("keymeld_client.said.again.make", _unsigned):
        desk = Desk(wallet, case)
        try:
            desk.compare()
        except Fork:
            assert desk.anew is not None
            return {"fork": conflict(desk.heard.records, desk.anew.records, desk.epoch)}
        found: dict[str, Any] = {"shared": desk.shared}
        if desk.ledger.trouble(desk.stream) == cannot_return(desk.stream):
            return found | {"cannot_return": True}
        found["lost"] = desk.told_lost()
        asyncio.run(Saying(desk).look())
        assert desk.heard.broken is None, "the log does not take what is said again"
        found["said"] = desk.said
        signing = desk.heard.as_signing
        return found | ({} if signing is None else {"may_be_signed": signing.may_be_signed})


class Desk:
    """A client, as far as `Again` looks at it: its wallet and ledger are real, its courier and keys are played."""

    def __init__(self, wallet: Wallet, case: Mapping[str, Any]) -> None:
        """Verify what the client had heard and what it is told now."""
        self.epoch, self.now = Epoch.from_hex(case["epoch"]), case["now"]
        self.keys = frozenset(XOnlyKey(bytes.fromhex(key)) for key in case["speakers"])
        wallet.identity.wipe()
        wallet.identity = _Keys(self.keys)
        self.wallet, self.ledger, self.courier = wallet, _Ledger(wallet, "ws://127.0.0.1:1", lambda: self.now), self
        self.home = self._replay(case["keygen"]) if "keygen" in case else None
        home_before = self._replay(case["keygen_before"]) if "keygen_before" in case else self.home
        self.heard = self._replay(case["before"], home_before)
        self.anew = None if case["anew"] is None else self._replay(case["anew"], self.home)
        self.stream, self.said = self.heard.stream, list[dict[str, Any]]()
        self.told: list[tuple[Record, Statement]] = []
        self._opened: Replay | None = None

    def compare(self) -> None:
        """Go on with the new history, if it is one (`Rewound`).

        Raises:
            Fork: it is none.
        """
        streams = self.ledger.hearing.streams
        streams |= {each.stream: each for each in (self.heard, self.home) if each is not None}
        self.ledger.epoch = self.epoch
        if self.anew is None:
            self.ledger.gone.add(self.stream)
        else:
            self.ledger._require_other_epochs(self.heard, self.anew)
            self.ledger._become(self.heard, self.anew)

    @property
    def lost(self) -> tuple[Record, ...]:
        """The lost tail; of a stream that is gone, all of it."""
        return self.wallet.lost.of(self.stream) if self.anew is not None else tuple(self.heard.records)

    @property
    def shared(self) -> int:
        """How many records both histories have."""
        return self.lost[0].offset - 1 if self.lost else self.heard.chain.offset

    def told_lost(self) -> list[dict[str, Any]]:
        """Of every lost statement, whether it is back, waited for, or neither."""
        missing = {each.statement.id for each in self.ledger.missing(self.stream)}
        there = {} if self.anew is None else meanings(self.heard.records)
        old = meanings([*self.heard.records, *self.lost])
        found = []
        for record in self.lost:
            ident = record.statement.id
            back = "back" if old[ident] in there.values() else "not_waited_for"
            found.append({"offset": record.offset, "is": "waited_for" if ident in missing else back})
        return found

    # What `Again` asks of a client ------------------------------------------------------------------------------

    def auth_keys(self, keygen: Id) -> Mapping[int, XOnlyKey]:
        """The slots that are ours."""
        keys = {slot: xonly(CAST.auth(slot)) for slot in range(CAST.slots)}
        return {slot: key for slot, key in keys.items() if key in self.keys}

    async def say(self, statement: Statement) -> None:
        """The coordinator takes it; what opens a stream is heard once it is subscribed."""
        heard = self.heard
        if self.stream in self.ledger.gone:
            heard = self._opened = Replay(self.stream, self.home)
        heard.hear(heard.chain.next(self.epoch, self.now, statement))

    async def ask(self, method: str, params: Mapping[str, Any], kind: object) -> None:
        """Somebody else's statement is submitted, as the same bytes."""
        _, statement = self.told[-1]
        assert method == "submit" and params["statement"]["payload"] == statement.text
        await self.say(statement)

    async def subscribe(self, stream: Id) -> None:
        """Hear the stream that was opened again."""
        assert self._opened is not None
        self.ledger._become(self.heard, self._opened)

    def _replay(self, rows: Iterable[Mapping[str, Any]], keygen: Replay | None = None) -> Replay:
        """A log of payloads, verified but for its signatures."""
        heard: Replay | None = None
        for row in rows:
            said = self._statement(row["payload"])
            heard = heard or Replay(said.id, keygen)
            heard.hear(heard.chain.next(Epoch.from_hex(row["epoch"]), row["at"], said))
        assert heard is not None
        return heard

    def _statement(self, text: str) -> Statement:
        """A statement as it was heard: of others' joins nobody is sent the envelope."""
        payload = payloads.parse(text)
        hidden = isinstance(payload, KeygenJoin) and payload.envelope is not None and payload.by not in self.keys
        return _unsigned(payload, blobs=(None,) if hidden else ())


class Saying(Again):
    """`Again`, which notes what it says."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)  # type: ignore[arg-type]
        self._desk = desk

    def _statement(self, heard: Replay, record: Record, speakers: Speakers, *, earlier: bool) -> Statement | None:
        statement = super()._statement(heard, record, speakers, earlier=earlier)
        if statement is not None:
            self._desk.told.append((record, statement))
            anew = {} if statement.id == record.statement.id else {"payload": statement.text}
            self._desk.said.append({"offset": record.offset} | anew)
        return statement


class _Ledger(Ledger):
    """A ledger that has heard already whatever was said."""

    async def until(self, stream: Id, look: Callable[[Replay], Any]) -> Any:
        heard = self.replay(stream)
        assert heard is not None
        return look(heard)


class _Keys(Identity):
    """An identity that speaks with keys of the cast."""

    __slots__ = ("keys",)

    def __init__(self, keys: frozenset[XOnlyKey]) -> None:
        super().__init__(secret_of("identity"))
        self.keys = keys

    def creator(self, salt: Salt) -> Keypair:
        """The creator's key, if it is ours."""
        return CAST.creator if xonly(CAST.creator) in self.keys else key_of("stranger")

    def auth(self, keygen_id: Id, slot: int) -> Keypair:
        """The key of a slot."""
        return CAST.auth(slot)


def _unsigned(payload: Any, *sign: object, blobs: Iterable[bytes | None] = ()) -> Statement:
    text = payloads.encode(payload)
    return Statement(text, payload, statement_id(text), (), tuple(blobs))
