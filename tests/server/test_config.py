"""The coordinator's settings: defaults that hold, values that follow from others, limits that peers are told."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from keymeld_host.settings import BadSetting
from keymeld_protocol.values import Epoch, Hash
from keymeld_protocol.wire.frames import PEER_FRAME_BYTES, notification, record_frame, statement_json
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.shapes import MAX_ATTEMPTS, REQUEST_LIFE_MS
from keymeld_server.config import FRAME_BYTES_MAX, PREFIX, ServerConfig, is_endpoint, is_origin, load
from tests.support.phases import asked


def test_a_start_without_anything_is_local_and_beside_itself() -> None:
    config = load([], {})
    assert (config.listen_host, config.listen_port) == ("127.0.0.1", 8765)
    assert config.database == Path("keymeld.sqlite")
    assert config.enclave_socket == Path("keymeld-enclave.sock")


def test_the_complaint_names_setting_rule_value_and_source() -> None:
    with pytest.raises(BadSetting) as caught:
        load([], {"KEYMELD_SERVER_REQUESTS_PER_SECOND": "0"})
    expected = "requests_per_second: must be 1…100000, not 0 (from KEYMELD_SERVER_REQUESTS_PER_SECOND)"
    assert str(caught.value) == expected


@pytest.mark.parametrize("field", fields(ServerConfig), ids=lambda field: field.name)
def test_every_default_keeps_its_own_rule(field: object) -> None:
    default, rule = field.default, field.metadata["rule"]  # type: ignore[attr-defined]
    if default is not None:
        raw = str(default) if isinstance(default, Path) else list(default) if isinstance(default, tuple) else default
        assert rule.read(raw, Path()) == default


@pytest.mark.parametrize("field", fields(ServerConfig), ids=lambda field: field.name)
def test_every_number_carries_its_unit_in_its_name(field: object) -> None:
    number = field.type in (int, "int")  # type: ignore[attr-defined]
    units = r"_(ms|bytes|bits|max|port|per_(second|connection|address|key))$"
    assert not number or re.search(units, field.name)  # type: ignore[attr-defined]


def test_files_follow_the_database() -> None:
    config = load(["--database", "/var/lib/keymeld/log.sqlite"], {})
    assert config.enclave_socket == Path("/var/lib/keymeld/keymeld-enclave.sock")
    assert config.key_file == Path("/var/lib/keymeld/keymeld-coordinator.key")


def test_files_may_lie_elsewhere() -> None:
    config = load(["--key-file", "/etc/keymeld.key"], {PREFIX + "ENCLAVE_SOCKET": "/run/e.sock"})
    assert (config.key_file, config.enclave_socket) == (Path("/etc/keymeld.key"), Path("/run/e.sock"))


def test_a_socket_path_that_no_address_holds_is_refused_at_start() -> None:
    with pytest.raises(BadSetting, match="enclave_socket: must be at most 107 bytes"):
        load(["--database", "/" + "deep/" * 25 + "log.sqlite"], {})


def test_grace_must_have_a_range() -> None:
    with pytest.raises(BadSetting, match=r"grace_min_ms: must be at most grace_max_ms \(1000\), not 2000"):
        load(["--grace-min-ms", "2000", "--grace-max-ms", "1000"], {})


def test_peers_are_told_the_limits_they_can_meet() -> None:
    limits = load(["--slots-max", "7"], {}).limits_for_hello()
    assert limits["slots_max"] == 7
    assert (limits["attempts_max"], limits["request_life_ms"]) == (MAX_ATTEMPTS, REQUEST_LIFE_MS)
    assert limits["frame_bytes"] == 1_048_576
    assert "connections_max" not in limits and "listen_port" not in limits


def test_no_frame_is_taken_that_peers_would_not_take_as_a_record() -> None:
    assert load(["--frame-bytes", str(FRAME_BYTES_MAX)], {}).frame_bytes == FRAME_BYTES_MAX
    with pytest.raises(BadSetting, match=f"frame_bytes: must be 65536…{FRAME_BYTES_MAX}"):
        load(["--frame-bytes", str(FRAME_BYTES_MAX + 1)], {})
    statement = asked().records[0].statement
    record = Record(Epoch(bytes(16)), 2**53 - 1, 2**53 - 1, Hash(bytes(32)), statement)
    submitted = notification("submit", {"statement": statement_json(statement.wire)})
    assert FRAME_BYTES_MAX + len(record_frame(statement.id, record)) - len(submitted) <= PEER_FRAME_BYTES


# Origins --------------------------------------------------------------------------------------------------------


def test_the_default_origins_are_the_listeners_own() -> None:
    local = {"ws://127.0.0.1:8765", "ws://localhost:8765", "ws://[::1]:8765", "unix", "vsock"}
    assert load([], {}).accepted_origins() == local
    assert load(["--listen-host", "node.example"], {}).accepted_origins() == local | {"ws://node.example:8765"}


def test_an_ipv6_listener_has_the_origin_that_clients_spell() -> None:
    for host in ("2001:DB8:0::1", "2001:db8::1"):
        assert "ws://[2001:db8::1]:8765" in load(["--listen-host", host], {}).accepted_origins()


def test_the_bound_port_counts_where_none_was_chosen() -> None:
    assert "ws://localhost:41234" in load(["--listen-port", "0"], {}).accepted_origins(41234)


def test_the_default_port_is_left_out() -> None:
    assert "ws://localhost" in load(["--listen-port", "80"], {}).accepted_origins()


def test_the_enclaves_tcp_listener_is_an_origin_too() -> None:
    assert "ws://10.0.0.1:9000" in load(["--enclave-tcp", "10.0.0.1:9000"], {}).accepted_origins()


def test_configured_origins_replace_the_default_ones() -> None:
    origins = load([], {PREFIX + "ORIGINS": "wss://keymeld.example.org,unix"}).accepted_origins()
    assert origins == {"wss://keymeld.example.org", "unix"}


@pytest.mark.parametrize("origin", ["wss://a.example", "ws://127.0.0.1:8765", "wss://[::1]:9", "ws://a:443", "unix"])
def test_an_origin_in_its_one_spelling_is_accepted(origin: str) -> None:
    assert is_origin(origin)


@pytest.mark.parametrize(
    "origin",
    ["https://a.example", "wss://A.example", "wss://a.example/", "wss://a.example:443", "ws://a:80", "ws://a:0",
     "ws://a:65536", "wss://", "wss://u@a", "a.example", "", "wss://a.example\n", "ws://127.1", "wss://[::0]:9"],
)  # fmt: skip
def test_an_origin_in_another_spelling_is_refused(origin: str) -> None:
    assert not is_origin(origin)


def test_an_endpoint_has_a_host_and_a_port() -> None:
    assert is_endpoint("localhost:9000") and is_endpoint("[::1]:0")
    assert not any(map(is_endpoint, ("localhost", ":9000", "localhost:65536", "localhost:", "::1:9000")))


def test_help_names_every_flag_and_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load(["--help"], {})
    shown = capsys.readouterr().out
    for field in fields(ServerConfig):
        assert "--" + field.name.replace("_", "-") in shown
        assert PREFIX + field.name.upper() in shown
