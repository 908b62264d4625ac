# ruff: noqa: RUF009 - `setting` makes a field, as dataclasses.field does
"""Every setting of the coordinator, with its unit, default, range and reason: the table that `--help` prints.

    defaults  <  --config FILE (TOML)  <  KEYMELD_SERVER_NAME  <  --name          see keymeld_host

A name carries its unit: ``_ms`` milliseconds, ``_bytes``, ``_per_second``, ``_max`` a count.  Nothing secret is a
setting: keys and tokens lie in files of their own (secretfiles.py), and settings name those files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

from keymeld_host import settings
from keymeld_host.settings import BadSetting, many, maybe, one_of, path, setting, text, whole
from keymeld_protocol.wire import hosts
from keymeld_protocol.wire.frames import PEER_FRAME_BYTES
from keymeld_protocol.wire.shapes import (
    MAX_ATTEMPTS,
    MAX_GRACE_MS,
    MAX_ITEMS,
    MAX_SLOTS,
    MAX_SUBSETS,
    MIN_GRACE_MS,
    REQUEST_LIFE_MS,
)

PREFIX: Final = "KEYMELD_SERVER_"
SECOND: Final = 1_000
DAY: Final = 24 * 3600 * SECOND

ABOUT: Final = """\
The Keymeld coordinator: it orders signed statements, stores them and streams them; it can neither read nor forge them.

Settings come from defaults, then --config FILE, then the environment, then flags; the last one wins. In the file a
setting is `requests_per_second = 200`, in the environment KEYMELD_SERVER_REQUESTS_PER_SECOND=200; a relative path in
the file starts from the file's folder."""

EXAMPLE: Final = """\
examples:
  keymeld-server
      ws://127.0.0.1:8765, the log in ./keymeld.sqlite, enclaves at ./keymeld-enclave.sock
  keymeld-server --listen-host 0.0.0.0 --origins wss://keymeld.example.org --database /var/lib/keymeld/log.sqlite
      behind a proxy that speaks TLS; origins is the URL that clients dial, for a proof is bound to it
  keymeld-server new-epoch --database /var/lib/keymeld/log.sqlite
      once, after a backup was put back and before the start: peers are told that what followed it may be
      lost. Restart the enclaves too: one that has heard what is lost does not believe what takes its place"""

LISTENING: Final = "listening"
KEEPING: Final = "keeping"
CONNECTIONS: Final = "limits of connections"
SESSIONS: Final = "limits of sessions"
LOGGING: Final = "logging"

FRAME_BYTES_MAX: Final = PEER_FRAME_BYTES - 64 * 1024
"""The longest frame that may be taken: as a record it is somewhat longer, and still one that peers take."""
SOCKET_PATH_BYTES: Final = 107
"""The longest path that a Unix socket's address holds."""

_HOST: Final = r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\])"
_ENDPOINT: Final = re.compile(rf"{_HOST}:([0-9]{{1,5}})", re.ASCII)


def is_origin(raw: str) -> bool:
    """Whether this is an origin in its one spelling (§2.4): a host as in tickets, no path; or `unix`, `vsock`."""
    scheme, _, host = raw.partition("://")
    return hosts.is_host(host, scheme) if scheme in ("ws", "wss") else raw in ("unix", "vsock")


def is_network(raw: str) -> bool:
    """Whether this is an address or a network in which no bit beside it is set."""
    try:
        ip_network(raw)
    except ValueError:
        return False
    return True


def is_endpoint(raw: str) -> bool:
    """Whether this is `host:port`."""
    found = _ENDPOINT.fullmatch(raw)
    return found is not None and int(found[1]) < 65_536


ORIGIN: Final = text("ORIGIN", "ws[s]://host[:port] (lower case, no path, no default port), unix or vsock", is_origin)
ENDPOINT: Final = text("HOST:PORT", "host:port", is_endpoint)
NETWORK: Final = text("NETWORK", "an address or a network, as 192.0.2.0/24", is_network)
HOST: Final = text("HOST", "a host name or an address", lambda raw: bool(re.fullmatch(r"[A-Za-z0-9.:-]{1,253}", raw)))


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """The coordinator's settings; made by `load`, or directly in tests. Paths that follow from others are filled in."""

    listen_host: str = setting("127.0.0.1", HOST, LISTENING, "address of the participants' listener")
    listen_port: int = setting(8765, whole(0, 65_535), LISTENING, "its port; 0 takes a free one")
    origins: tuple[str, ...] = setting(
        (),
        many(ORIGIN),
        LISTENING,
        "what clients dial; proofs bound to another are refused",
        shown="the listeners' own",
    )
    enclave_socket: Path = setting(
        None, path(), LISTENING, "Unix socket that enclaves dial", shown="keymeld-enclave.sock beside the database"
    )
    enclave_tcp: str | None = setting(None, maybe(ENDPOINT), LISTENING, "a TCP listener for enclaves beside the socket")
    drain_ms: int = setting(
        10 * SECOND, whole(0, 600 * SECOND), LISTENING, "after SIGTERM: time to answer what has begun"
    )

    database: Path = setting(Path("keymeld.sqlite"), path(), KEEPING, "the log; made with mode 0600 if absent")
    key_file: Path = setting(
        None, path(), KEEPING, "the coordinator key, 64 hex digits, mode 0600; made if absent",
        shown="keymeld-coordinator.key beside the database",
    )  # fmt: skip
    access_tokens_file: Path | None = setting(
        None, maybe(path()), KEEPING, "tokens, one a line; if given, opening a session needs one of them"
    )

    trusted_proxies: tuple[str, ...] = setting(
        (), many(NETWORK), CONNECTIONS, "addresses or networks whose X-Forwarded-For is believed"
    )
    ipv6_bits: int = setting(64, whole(32, 128), CONNECTIONS, "bits of an IPv6 address that count as one")
    connections_max: int = setting(
        10_000, whole(1, 1_000_000), CONNECTIONS, "connections in all; nofile must exceed it by an eighth and 256"
    )
    connections_per_address: int = setting(
        100, whole(1, 1_000_000), CONNECTIONS, "connections from one address", told=True
    )
    frame_bytes: int = setting(
        1_048_576, whole(65_536, FRAME_BYTES_MAX), CONNECTIONS, "longest frame, either way", told=True
    )
    requests_per_second: int = setting(
        100, whole(1, 100_000), CONNECTIONS, "requests on one connection, each second", told=True
    )
    work_ms_per_second: int = setting(
        200, whole(10, 10_000), CONNECTIONS, "processor time (ms) that one connection may take, each second"
    )
    proofs_per_connection: int = setting(
        1_000, whole(1, 10_000), CONNECTIONS, "keys that one connection may prove", told=True
    )
    subscriptions_per_connection: int = setting(
        10_000, whole(1, 1_000_000), CONNECTIONS, "streams that one connection may follow at a time", told=True
    )
    handshake_ms: int = setting(10 * SECOND, whole(100, 60 * SECOND), CONNECTIONS, "time for the WebSocket handshake")
    heartbeat_ms: int = setting(
        20 * SECOND, whole(100, 600 * SECOND), CONNECTIONS, "silence after which a peer is pinged"
    )
    heartbeat_answer_ms: int = setting(
        10 * SECOND, whole(100, 600 * SECOND), CONNECTIONS, "time to answer that ping; then closed with 4101"
    )
    send_stall_ms: int = setting(
        30 * SECOND, whole(100, 600 * SECOND), CONNECTIONS, "a peer that reads nothing for so long is closed"
    )

    slots_max: int = setting(200, whole(1, MAX_SLOTS), SESSIONS, "slots of one keygen", told=True)
    subsets_max: int = setting(200, whole(0, MAX_SUBSETS), SESSIONS, "named subsets of one keygen", told=True)
    items_max: int = setting(1_000, whole(1, MAX_ITEMS), SESSIONS, "items (signatures) of one request", told=True)
    open_sessions_per_key: int = setting(
        1_000, whole(1, 1_000_000), SESSIONS, "open sessions that one key may have opened", told=True
    )
    keygen_life_ms: int = setting(
        30 * DAY, whole(SECOND, 366 * DAY), SESSIONS, "longest time to collect joins", told=True
    )
    request_life_ms: int = setting(
        REQUEST_LIFE_MS, whole(SECOND, REQUEST_LIFE_MS), SESSIONS, "longest life of a signing request", told=True
    )
    grace_min_ms: int = setting(
        MIN_GRACE_MS,
        whole(MIN_GRACE_MS, MAX_GRACE_MS),
        SESSIONS,
        "shortest grace a request may ask for",
        told=True,
    )
    grace_max_ms: int = setting(
        MAX_GRACE_MS,
        whole(MIN_GRACE_MS, MAX_GRACE_MS),
        SESSIONS,
        "longest grace a request may ask for",
        told=True,
    )

    log_format: str = setting("text", one_of("text", "json"), LOGGING, "a line for people, or an object a line")
    log_level: str = setting("info", one_of("debug", "info", "warning", "error"), LOGGING, "the least that is written")

    def __post_init__(self) -> None:
        """Fill in the paths beside the database; settings must agree with one another.

        Raises:
            BadSetting: two of them contradict each other.
        """
        if not self.database.name:
            raise BadSetting(f"database: must name a file, not the folder {self.database}")
        self._default("enclave_socket", self.database.with_name("keymeld-enclave.sock"))
        self._default("key_file", self.database.with_name("keymeld-coordinator.key"))
        if self.grace_min_ms > self.grace_max_ms:
            raise BadSetting(
                f"grace_min_ms: must be at most grace_max_ms ({self.grace_max_ms}), not {self.grace_min_ms}"
            )
        if len(os.fsencode(self.enclave_socket)) > SOCKET_PATH_BYTES:
            raise BadSetting(
                f"enclave_socket: must be at most {SOCKET_PATH_BYTES} bytes long, not {self.enclave_socket}"
            )

    def limits_for_hello(self) -> dict[str, int]:
        """The limits that `hello` tells every peer, by the names that they have here, and the protocol's own."""
        return settings.limits_told(self) | {"attempts_max": MAX_ATTEMPTS}

    def accepted_origins(self, port: int | None = None) -> frozenset[str]:
        """The origins to which a proof may be bound: those configured, else the listeners' own.

        ``port`` is the one that was bound, where ``listen_port`` is 0.
        """
        if self.origins:
            return frozenset(self.origins)
        own = {self.listen_host, "127.0.0.1", "localhost", "::1"}
        found = {_origin(host, self.listen_port if port is None else port) for host in own}
        if self.enclave_tcp is not None:
            host, _, tcp_port = self.enclave_tcp.rpartition(":")
            found.add(_origin(host, int(tcp_port)))
        return frozenset(found | {"unix", "vsock"})

    def _default(self, name: str, value: Any) -> None:
        if getattr(self, name) is None:
            object.__setattr__(self, name, value)


def load(argv: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> ServerConfig:
    """The settings of this start, from the command line and the environment (the process's own by default).

    Raises:
        BadSetting: naming the setting, its rule and where the value came from.
        SystemExit: ``--help``, or a flag that nobody knows.
    """
    command = settings.parser(ServerConfig, "keymeld-server [new-epoch]", PREFIX, ABOUT, EXAMPLE)
    environment = os.environ if environment is None else environment
    return settings.read(ServerConfig, command.parse_args(argv), PREFIX, environment)


def _origin(host: str, port: int) -> str:
    """``ws://host[:port]`` as a client spells it."""
    bare = host.removeprefix("[").removesuffix("]")
    with suppress(ValueError):
        host = f"[{hosts.ipv6(bare)}]"
    return f"ws://{host.lower()}" + ("" if str(port) == hosts.DEFAULT_PORTS["ws"] else f":{port}")
