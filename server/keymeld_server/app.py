"""The coordinator, put together: what knows whom, how it starts, how it drains.

    listener ─▶ dispatch ─▶ sessions ─▶ decide, store ─▶ hub ─▶ outbox ─▶ listener
                               ▲  │
                      clock ───┘  └──▶ clock, enclaves: when to look again, whom it waits for

Start: store, key, deadlines (also those that have passed), then the sockets.  Drain: no new connections, nothing new is
taken, what has begun is committed and answered, goodbye 4200, the store closes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from keymeld_host.keyfiles import KEY_RULE, wipe
from keymeld_host.logs import tell
from keymeld_host.settings import BadSetting
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import InvalidCrypto
from keymeld_protocol.machines.streams import State
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire.connection import CoordinatorSide

from .admission import Admission
from .clock import Deadlines
from .config import ServerConfig
from .decide import Decider
from .dispatch import Dispatch
from .door.descriptors import fitting
from .door.listener import ENCLAVE_REQUESTS, Listener
from .enclaves import Enclaves
from .fairness import Fairness
from .hub import Hub
from .observe import Metrics
from .presence import Attendance
from .secretfiles import access_tokens, coordinator_key
from .session import Part, Session
from .sessions import Sessions
from .store.port import Store, StoreError
from .store.sqlite.store import SqliteStore


def wall_clock() -> int:
    """Milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def ticks() -> float:
    """Seconds that nobody sets, and that pass while this process is stopped or this machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Coordinator:
    """One coordinator over an open store; ``now`` is in milliseconds since the Unix epoch."""

    def __init__(
        self,
        config: ServerConfig,
        store: Store,
        keypair: Keypair,
        metrics: Metrics,
        now: Callable[[], int] = wall_clock,
    ) -> None:
        """Wire everything; nothing runs before `start`.

        Raises:
            BadSetting: the file of access tokens cannot be used.
        """
        self.config, self.store, self.metrics, self.now = config, store, metrics, now
        self.key = XOnlyKey(keypair.key)
        self.enclaves = Enclaves(store)
        tokens = access_tokens(config.access_tokens_file) if config.access_tokens_file is not None else None
        self._admission = Admission(config, self.key, self.enclaves.known, tokens)
        self._decider = Decider(keypair, now(), ticks)
        self.sessions = Sessions(
            store, keypair, self._decider, self._admission, now=now, here=lambda: self.enclaves.here
        )
        self.hub = Hub(config.subscriptions_per_connection)
        self.clock = Deadlines(now, self._look, self._decider.wake)
        self.sessions.publish, self.sessions.watch = self._publish, self._watch
        self.dispatch = Dispatch(
            self.sessions, self.hub, Attendance(self.hub), self.enclaves, store,
            now=now, metrics=metrics, proofs_max=config.proofs_per_connection, hurry=self._hurry,
        )  # fmt: skip
        fairness = Fairness()
        self._people = Listener(self.dispatch, config, metrics, fairness, hello=self._hello)
        self._vaults = [self._enclave_listener(fairness) for _ in range(2 if config.enclave_tcp else 1)]
        self._ticking: asyncio.Task[None] | None = None
        self.port = self.enclave_port = 0
        metrics.subscriptions.set_function(lambda: self.hub.subscriptions)

    def _enclave_listener(self, fairness: Fairness) -> Listener:
        return Listener(self.dispatch, self.config, self.metrics, fairness, hello=self._hello_enclave, is_enclave=True)

    # What knows whom --------------------------------------------------------------------------------------------

    def _publish(self, part: Part) -> None:
        """What is on disk is told."""
        self.metrics.records.inc(len(part.records))
        self.hub.publish(part)
        self._admission.count(part.state.opener, part.session.stream, is_open=_is_under_way(part.state))

    def _watch(self, session: Session) -> None:
        """When to look at a session again, and for which enclaves it waits."""
        now = self.now()
        self.clock.set(session.stream, self._decider.deadline(session, now))
        self.enclaves.wait(session.stream, self._decider.waits_for(session, now, self.enclaves.here))
        if self._decider.is_due(session, now, self.enclaves.here):
            self._hurry(session.stream)

    async def _look(self, stream: Id) -> None:
        """A deadline has passed."""
        for kind in await self.sessions.look(stream):
            self.metrics.fired(kind)

    def _hurry(self, stream: Id) -> None:
        """Look at a session as soon as possible."""
        self.clock.set(stream, self.now())
        self.clock.poke()

    def _hello(self, side: CoordinatorSide) -> bytes:
        """What a participant is told first."""
        return self._hello_with(side, self.config.requests_per_second)

    def _hello_enclave(self, side: CoordinatorSide) -> bytes:
        """What an enclave is told first."""
        return self._hello_with(side, self.config.requests_per_second * ENCLAVE_REQUESTS)

    def _hello_with(self, side: CoordinatorSide, requests_per_second: int) -> bytes:
        limits = self.config.limits_for_hello() | {"requests_per_second": requests_per_second}
        return side.hello(
            time=self.now(), limits=limits, heartbeat_ms=self.config.heartbeat_ms,
            coordinator=self.key, epoch=self.store.epoch,
        )  # fmt: skip

    # Start and drain --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load what was announced and what is due, then open the sockets.

        Raises:
            StoreError: the store failed.
            OSError: an address cannot be bound.
        """
        deadlines = await self.store.deadlines()
        await self.enclaves.load(stream for stream, _ in deadlines)
        for stream, deadline in deadlines:
            self.clock.set(stream, deadline)
        self._ticking = asyncio.create_task(self.clock.run())
        self.port = self.config.listen_port
        if self.config.enclave_tcp is not None:
            self.enclave_port = int(self.config.enclave_tcp.rpartition(":")[2])
        self._set_origins()  # who waited for us may prove a key as soon as the first socket is open
        await self._vaults[0].open_unix(self.config.enclave_socket)
        if self.config.enclave_tcp is not None:
            host = self.config.enclave_tcp.rpartition(":")[0]
            self.enclave_port = await self._vaults[1].open_tcp(host.strip("[]"), self.enclave_port)
        self.port = await self._people.open_tcp(self.config.listen_host, self.config.listen_port)
        self._set_origins()  # a port that was 0 is known now
        self._people.ready = True

    def _set_origins(self) -> None:
        """Proofs are bound to what is dialled: on a Unix socket that is `unix`, whatever is configured."""
        origins = self.config.accepted_origins(self.port)
        self._people.origins = tuple(origins - {"unix", "vsock"})
        self._vaults[0].origins = ("unix", "vsock")
        for vaults in self._vaults[1:]:
            vaults.origins = tuple(self.config.accepted_origins(self.enclave_port) | origins)

    @property
    def url(self) -> str:
        """Where participants dial."""
        host = self.config.listen_host
        return f"ws://[{host}]:{self.port}" if ":" in host else f"ws://{host}:{self.port}"

    def announcement(self) -> str:
        """The line that says that everything is ready, for whoever started this process."""
        return f"keymeld-server ready {self.url} enclave unix:{self.config.enclave_socket} coordinator {self.key.hex()}"

    async def tick(self) -> None:
        """Wait while the clock ticks: only its failure ends this."""
        if self._ticking is not None:
            await asyncio.shield(self._ticking)

    async def drain(self) -> None:
        """Stop: nothing new, finish what has begun, say goodbye (4200)."""
        self._people.ready = False
        self.dispatch.draining = True
        listeners = [self._people, *self._vaults]
        for listener in listeners:
            listener.stop()
        if self._ticking is not None:
            self._ticking.cancel()
        with anyio.move_on_after(self.config.drain_ms / 1000):
            await self.sessions.drain()
        async with anyio.create_task_group() as goodbyes:
            for listener in listeners:
                goodbyes.start_soon(listener.close)


def _is_under_way(state: State) -> bool:
    """Whether a session counts against its opener's limit: a ceremony that has not come to its end."""
    return state.deadline() is not None


@asynccontextmanager
async def running(
    config: ServerConfig,
    *,
    now: Callable[[], int] = wall_clock,
    store: Store | None = None,
    metrics: Metrics | None = None,
) -> AsyncIterator[Coordinator]:
    """A coordinator for the length of a block: started when it begins, drained when it ends.

    Raises:
        BadSetting: a file that the settings name cannot be used.
        StoreError: the log cannot be opened.
        OSError: an address cannot be bound.
    """
    metrics = metrics or Metrics()
    existed = config.database.exists()
    store = store or await SqliteStore.open(config.database, on_commit=metrics.committed)
    try:
        app = Coordinator(config, store, _own_keypair(config, create=not existed), metrics, now)
        try:
            await app.start()
            yield app
        finally:
            await app.drain()
    finally:
        await store.close()


def _own_keypair(config: ServerConfig, *, create: bool) -> Keypair:
    """The coordinator key; made for a new log only."""
    secret = coordinator_key(config.key_file, create=create)
    try:
        return Keypair.of(secret)
    except InvalidCrypto:
        raise BadSetting(f"key_file: {config.key_file} {KEY_RULE}, not zero and below the order of secp256k1") from None
    finally:
        wipe(secret)


async def serve(config: ServerConfig, stop: asyncio.Event) -> None:
    """Run a coordinator until ``stop`` is set; says on stdout when it is ready.

    Raises:
        BadSetting, StoreError, OSError: it could not start.
    """
    async with running(fitting(config)) as app:
        print(app.announcement(), flush=True)
        tell(logging.INFO, "ready", url=app.url)
        if config.listen_host in ("0.0.0.0", "::") and not config.origins:
            tell(logging.WARNING, "origins is not set: only clients that dial 127.0.0.1 or localhost can prove a key")
        async with anyio.create_task_group() as until:
            until.start_soon(app.tick)  # a clock that fails ends the coordinator, loudly
            await stop.wait()
            until.cancel_scope.cancel()
        tell(logging.INFO, "draining")
    tell(logging.INFO, "stopped")


__all__ = ["Coordinator", "BadSetting", "StoreError", "running", "serve", "wall_clock"]
