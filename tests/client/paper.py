"""Logs on paper: real sessions of a world in memory, told to a ledger record by record, honestly or not.

tale = Tale()                       three members, one enclave; alice's request was approved and signed
reader = Reader(tale)               an empty wallet with a ticket, and its ledger
reader.hear(tale.keygen); reader.hear(tale.signing)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from keymeld_client.line.ledger import Ledger
from keymeld_client.wallet.entries import KeygenEntry
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.values import Hash, Id, XOnlyKey
from keymeld_protocol.wire.connection import Subscribed
from keymeld_protocol.wire.frames import WireRecord
from keymeld_protocol.wire.records import Head, sign_head
from tests.support.world import MESSAGE, NONE, NOON, SELF, World, secret_of

URL = "ws://127.0.0.1:8765"
GROUP_SECRET = secret_of("alice S 1")
"""S of the first keygen that alice opens in any world."""


class Tale:
    """A keygen of alice (rule none) and bob (self), and a signing that alice asked for and bob approved."""

    def __init__(self, *, refused: bool = False) -> None:
        """Play it to its end; ``refused``: bob said no."""
        self.world = World()
        vault = self.world.enclave("vault")
        self.alice, self.bob = self.world.member("alice"), self.world.member("bob")
        self.keygen = self.world.gather([self.alice, self.bob], at=vault, rule=[NONE, SELF])
        self.signing = self.alice.request(self.keygen, MESSAGE, memo="rent")
        self.world.run()
        (self.bob.reject if refused else self.bob.approve)(self.signing)
        self.world.run()

    @property
    def coordinator(self) -> XOnlyKey:
        """The key that this world's coordinator signs with."""
        return XOnlyKey(self.world.coordinator.key)

    def wires(self, stream: Id) -> list[WireRecord]:
        """A stream's records as alice was sent them."""
        return [self.world.wire(record, self.alice) for record in self.world.logs[stream].records]

    def head(self, stream: Id, offset: int | None = None) -> Head:
        """The coordinator's signed head."""
        records = self.world.logs[stream].records
        return sign_head(stream, records[(offset or len(records)) - 1], self.world.coordinator.sign)


def spoilt_head(tale: Tale, stream: Id, other: Hash, offset: int = 2) -> Head:
    """A head that the coordinator signed, naming another hash at ``offset`` in the same epoch."""
    record = replace(tale.world.logs[stream].records[offset - 1], hash=other)
    return sign_head(stream, record, tale.world.coordinator.sign)


class Reader:
    """A wallet with a ticket for the tale's keygen, and its ledger, whose clock shows ``time`` (ms)."""

    def __init__(self, tale: Tale, wallet: Wallet | None = None) -> None:
        """Greeted by the tale's coordinator; with ``wallet``, what it stored is verified first."""
        self.tale, self.time = tale, NOON
        self.wallet = wallet or Wallet.in_memory()
        if wallet is None:
            self.wallet.remember(KeygenEntry(tale.keygen, URL, bytearray(GROUP_SECRET)))
        self.ledger = Ledger(self.wallet, URL, lambda: self.time)
        self.ledger.greet(tale.coordinator)

    @contextmanager
    def closing(self) -> Iterator[Reader]:
        """For the length of a block; then the wallet is closed, and its folder gone."""
        try:
            yield self
        finally:
            self.wallet.close()

    def again(self) -> Reader:
        """What the next process finds in the wallet."""
        self.wallet.close()
        return Reader(self.tale, Wallet.open(self.wallet.folder))

    def subscribed(self, stream: Id, top: int | None = None, **answer: object) -> None:
        """The answer to ``subscribe`` comes; it is taken whatever its head is over."""
        self.ledger.expect(stream)
        self.ledger.subscribed(stream, self.answer(stream, top, **answer))

    def answer(self, stream: Id, top: int | None = None, **answer: object) -> Subscribed:
        """An answer to ``subscribe``."""
        top = len(self.tale.world.logs[stream].records) if top is None else top
        return Subscribed(**({"top": top, "recovered": False} | answer))  # type: ignore[arg-type]

    def hear(self, stream: Id, wires: list[WireRecord] | None = None) -> None:
        """Records come, all of a stream's by default."""
        for wire in self.tale.wires(stream) if wires is None else wires:
            self.ledger.hear(stream, wire)

    def heard(self, stream: Id) -> int:
        """How many records were verified."""
        replay = self.ledger.replay(stream)
        return replay.chain.offset if replay is not None else 0
