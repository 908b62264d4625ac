"""What an operator can measure: Prometheus metrics of one coordinator, in a registry of their own.

    submit ──▶ statements{kind, result} · submit_seconds          commit ──▶ commit_size · commit_seconds · records
    socket ──▶ connections{side} · closes{code} · subscriptions   clock ───▶ deadlines{kind}

Labels come from short lists of our own.  A stranger's word never becomes one: who could invent kinds could fill the
memory with time series.  No key, stream, address or token is a label.
"""

from __future__ import annotations

import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from keymeld_protocol.errors import Reason
from keymeld_protocol.wire.payloads import KINDS

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SIDES: Final = ("participant", "enclave")
SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
STORED: Final = "stored"
KNOWN: Final = "known"
RESULTS: Final = frozenset({STORED, KNOWN, *map(str, Reason)})
"""What becomes of a statement: stored, known already, or refused for a `Reason`."""


class Metrics:
    """One coordinator's metrics; tests make their own, nothing is global."""

    def __init__(self) -> None:
        """Start every metric at nothing."""
        self.registry = CollectorRegistry()
        self._rendered: tuple[float, bytes] | None = None
        self.connections = self._gauge("connections", "Open connections", "side")
        self.subscriptions = self._gauge("subscriptions", "Streams followed, over all connections")
        self.records = self._counter("records", "Records committed")
        self.closes = self._counter("closes", "Connections that we closed, by close code", "code")
        self.deadlines = self._counter("deadlines", "Deadlines that the clock turned into notices", "kind")
        self.commit_size = self._histogram("commit_size", "Appends in one commit", SIZES)
        self.commit_seconds = self._histogram("commit_seconds", "From BEGIN to the end of COMMIT")
        self.submit_seconds = self._histogram("submit_seconds", "From a statement's arrival to its answer")
        self._statements = self._counter("statements", "Statements submitted, by kind and result", "kind", "result")

    def committed(self, size: int, seconds: float) -> None:
        """A commit has ended: how many appends it held and how long it took (the store's ``on_commit``)."""
        self.commit_size.observe(size)
        self.commit_seconds.observe(seconds)

    def submitted(self, kind: str, result: str, seconds: float) -> None:
        """A statement was answered; ``result`` is ``stored``, ``known`` or the reason of its refusal."""
        self._statements.labels(known_kind(kind), result if result in RESULTS else "other").inc()
        self.submit_seconds.observe(seconds)

    def fired(self, kind: str) -> None:
        """The clock has said a notice of ``kind``."""
        self.deadlines.labels(known_kind(kind)).inc()

    def closed(self, code: int) -> None:
        """We closed a connection with one of our codes (4000…4299); any other counts as ``other``."""
        self.closes.labels(str(code) if 4000 <= code < 4300 else "other").inc()

    def render(self) -> bytes:
        """The text that a Prometheus server reads (`CONTENT_TYPE`); made once a second at most, whoever asks."""
        now = time.monotonic()
        if self._rendered is None or now >= self._rendered[0] + 1:
            self._rendered = now, generate_latest(self.registry)
        return self._rendered[1]

    def _gauge(self, name: str, help: str, *labels: str) -> Gauge:
        return Gauge(name, help, labels, namespace="keymeld", registry=self.registry)

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(name, help, labels, namespace="keymeld", registry=self.registry)

    def _histogram(self, name: str, help: str, buckets: tuple[float, ...] = SECONDS) -> Histogram:
        return Histogram(name, help, namespace="keymeld", registry=self.registry, buckets=buckets)


def known_kind(kind: str) -> str:
    """A kind as a label: itself if it is ours, ``note.*`` for any note, else ``unknown``."""
    if kind in KINDS:
        return kind
    return "note.*" if kind.startswith("note.") else "unknown"
