"""config.py: four sources, the later one wins, and what breaks its rule is refused by name."""

from dataclasses import fields
from pathlib import Path

import pytest

from keymeld_enclave.config import Address, EnclaveConfig, load
from keymeld_host.settings import BadSetting


def config(*argv: str, **environment: str) -> EnclaveConfig:
    return load(argv, {f"KEYMELD_ENCLAVE_{name}": value for name, value in environment.items()})[1]


def refusal(*argv: str, **environment: str) -> str:
    with pytest.raises(BadSetting) as refused:
        config(*argv, **environment)
    return str(refused.value)


def test_without_settings_it_dials_the_socket_beside_it_with_the_key_beside_it() -> None:
    found = config()
    assert str(found.coordinator) == "unix:keymeld-enclave.sock"
    assert found.key_file == Path("keymeld-enclave.key")


def test_to_run_is_what_it_does_unless_told_to_say_who_it_is() -> None:
    assert (load([], {})[0], load(["run"], {})[0], load(["identity"], {})[0]) == ("run", "run", "identity")


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text('capacity = 1\nlog_level = "debug"\nlog_format = "json"\n')
    found = config(f"--config={tmp_path / 'e.toml'}", "--capacity=3", CAPACITY="2", LOG_LEVEL="error")
    assert (found.capacity, found.log_level, found.log_format) == (3, "error", "json")


def test_a_relative_path_in_the_file_starts_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text('key_file = "enclave.key"\ncoordinator = "unix:run/e.sock"\n')
    found = config(f"--config={tmp_path / 'e.toml'}")
    assert found.key_file == tmp_path / "enclave.key"
    assert str(found.coordinator) == f"unix:{tmp_path / 'run/e.sock'}"
    assert str(config("--coordinator=unix:run/e.sock").coordinator) == "unix:run/e.sock"


def test_the_file_may_be_named_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text("capacity = 5\n")
    assert config(CONFIG=str(tmp_path / "e.toml")).capacity == 5


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("unix:/run/keymeld.sock", "unix"),
        ("ws://127.0.0.1:8766", "ws://127.0.0.1:8766"),
        ("ws://coordinator:80", "ws://coordinator"),
        ("wss://keymeld.example:443", "wss://keymeld.example"),
        ("wss://keymeld.example", "wss://keymeld.example"),
    ],
)
def test_a_proof_is_bound_to_what_was_dialled(text: str, origin: str) -> None:
    address = config(f"--coordinator={text}").coordinator
    assert (str(address), address.origin) == (text, origin)


@pytest.mark.parametrize("text", ["", "unix:", "unix:" + "x" * 108, "http://host", "ws://", "ws://host/path", "host:1"])
def test_a_coordinator_that_cannot_be_dialled_is_refused_by_name(text: str) -> None:
    assert refusal(f"--coordinator={text}").startswith("coordinator: must be unix:PATH or ws[s]://host[:port], not")


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "many", "10000001", "١"])
def test_a_capacity_out_of_its_range_is_refused_by_name(text: str) -> None:
    assert refusal(f"--capacity={text}").startswith("capacity: must be 1…10000000, not")


def test_a_refusal_says_where_the_value_came_from(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text("log_level = 5\n")
    assert "(from --log-level)" in refusal("--log-level=loud")
    assert "(from KEYMELD_ENCLAVE_LOG_LEVEL)" in refusal(LOG_LEVEL="loud")
    assert str(tmp_path / "e.toml") in refusal(f"--config={tmp_path / 'e.toml'}")


def test_a_value_that_a_later_one_replaces_is_checked_too() -> None:
    assert "(from KEYMELD_ENCLAVE_CAPACITY)" in refusal("--capacity=3", CAPACITY="none")


def test_a_misspelt_variable_or_key_is_refused_and_not_ignored(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text("capacitty = 5\n")
    assert "KEYMELD_ENCLAVE_CAPACITTY: is not a setting" in refusal(CAPACITTY="5")
    assert "capacitty: is not a setting" in refusal(f"--config={tmp_path / 'e.toml'}")


@pytest.mark.parametrize("text", [None, "= = ="])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "e.toml").write_text(text)
    assert "cannot be read" in refusal(f"--config={tmp_path / 'e.toml'}")


def test_help_teaches_every_setting_with_its_rule_default_and_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit) as ended:
        load(["--help"], {})
    shown = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    assert "keymeld-enclave identity" in shown
    assert "usage: keymeld-enclave [run | identity] [--config FILE]" in shown
    for field in fields(EnclaveConfig):
        flag, variable = "--" + field.name.replace("_", "-"), f"[KEYMELD_ENCLAVE_{field.name.upper()}]"
        words = (flag, variable, field.metadata["rule"].says, f"(default: {field.default})")
        assert all(word in shown for word in words)


@pytest.mark.parametrize(
    ("dialled", "origin"),
    [
        ("ws://H.example:80", "ws://h.example"),
        ("ws://h.example/", "ws://h.example"),
        ("wss://h.example:443/", "wss://h.example"),
        ("ws://127.0.0.1:8766/", "ws://127.0.0.1:8766"),
    ],
)
def test_a_proof_is_bound_to_the_origin_however_the_address_is_spelt(dialled: str, origin: str) -> None:
    assert Address(url=dialled).origin == origin
