"""Every setting of the enclave, and where its value comes from.

    default  <  --config FILE (TOML)  <  KEYMELD_ENCLAVE_NAME  <  --name        each value keeps its rule, or is refused

Nothing secret is a setting: the identity lies in a file of its own, and ``key_file`` names it.
"""

from __future__ import annotations

import argparse
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from keymeld_protocol.errors import BadInput, KeymeldError
from keymeld_protocol.keys.ticket import split_url

PREFIX: Final = "KEYMELD_ENCLAVE_"

ABOUT: Final = """\
A Keymeld enclave: it holds sealed keys and speaks for participants who are away.

It dials out to its coordinator, opens the envelopes that were sealed to its identity, verifies every statement and
every rule itself, and signs. Participants trust it by its identity: give them the line that `identity` prints.

Settings come from defaults, then --config FILE, then the environment, then flags; the last one wins."""

EXAMPLE: Final = """\
examples:
  keymeld-enclave identity
      the identity key (64 hex digits), made at the first call: keymeld join --trust-enclave KEY
  keymeld-enclave
      dial ./keymeld-enclave.sock, where a keymeld-server that was started in this folder listens for enclaves
  keymeld-enclave --coordinator ws://127.0.0.1:8766 --key-file /var/lib/keymeld/enclave.key
      dial over TCP; the key file has mode 0600, and whoever can read it can open every envelope

It runs until SIGTERM or SIGINT, then wipes its secrets and ends with 0. Without its key file the keys that were sealed
to it are gone: keep a copy where only you can read it."""


class BadSetting(KeymeldError):
    """A setting breaks its rule, or nobody knows it; the message names it, the rule and where the value came from."""


@dataclass(frozen=True)
class Address:
    """Where the coordinator listens for enclaves: the ``path`` of a Unix socket, or a ``url``."""

    path: str | None = None
    url: str | None = None

    @property
    def origin(self) -> str:
        """What a proof is bound to: ``unix``, or the URL without its default port."""
        if self.url is None:
            return "unix"
        port = ":443" if self.url.startswith("wss:") else ":80"
        return self.url.removesuffix(port)

    def __str__(self) -> str:
        """As it is written in a setting."""
        return f"unix:{self.path}" if self.url is None else self.url


@dataclass(frozen=True)
class Setting:
    """One row of the table: name, default, how a text is read (ValueError if it breaks the rule), rule and meaning."""

    name: str
    default: str
    read: Callable[[str], Any]
    rule: str
    help: str


@dataclass(frozen=True, kw_only=True)
class EnclaveConfig:
    """The settings of one start."""

    coordinator: Address
    key_file: Path
    capacity: int
    log_format: str
    log_level: str


def _address(text: str) -> Address:
    scheme, _, rest = text.partition(":")
    if scheme == "unix" and 0 < len(os.fsencode(rest)) < 108 and "\0" not in rest:
        return Address(path=rest)
    try:
        split_url(text)
    except BadInput:
        raise ValueError from None
    return Address(url=text)


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError
    return Path(text).expanduser()


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= 10_000_000:
        raise ValueError
    return int(text)


def _word(*words: str) -> Callable[[str], str]:
    return lambda text: words[words.index(text)]


SETTINGS: Final = (
    Setting(
        "coordinator", "unix:keymeld-enclave.sock", _address, "unix:PATH or ws[s]://host[:port]",
        "where the coordinator listens for enclaves",
    ),
    Setting(
        "key_file", "keymeld-enclave.key", _path, "a path",
        "the identity, 64 hex digits, mode 0600; made if absent",
    ),
    Setting("capacity", "10000", _count, "1 to 10000000", "how many keys this enclave says that it can hold"),
    Setting("log_format", "text", _word("text", "json"), "text or json", "a line for people, or an object a line"),
    Setting(
        "log_level", "info", _word("debug", "info", "warning", "error"), "one of debug, info, warning, error",
        "the least that is written",
    ),
)  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        "keymeld-enclave",
        usage="keymeld-enclave [run | identity] [--config FILE] [--NAME VALUE ...]",
        description=ABOUT,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument("action", nargs="?", choices=("run", "identity"), default="run", metavar="run | identity")
    command.add_argument("--config", metavar="FILE", help=f"TOML file with any of these settings [{PREFIX}CONFIG]")
    for setting in SETTINGS:
        words = f"{setting.help}; {setting.rule} (default: {setting.default}) [{PREFIX}{setting.name.upper()}]"
        command.add_argument("--" + setting.name.replace("_", "-"), metavar="VALUE", help=words)
    return command


def load(argv: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> tuple[str, EnclaveConfig]:
    """What to do (``run`` or ``identity``) and the settings of this start.

    Raises:
        BadSetting: naming the setting, its rule and where the value came from.
        SystemExit: ``--help``, or a flag that nobody knows.
    """
    environment = os.environ if environment is None else environment
    arguments = parser().parse_args(argv)
    file = arguments.config or environment.get(PREFIX + "CONFIG")
    values = {setting.name: setting.read(setting.default) for setting in SETTINGS}
    for name, text, source in _given(arguments, environment, file):
        values[name] = _read(name, text, source)
    return arguments.action, EnclaveConfig(**values)


def _given(
    arguments: argparse.Namespace, environment: Mapping[str, str], file: str | None
) -> Iterator[tuple[str, object, str]]:
    """Name, value and source of everything that was set, the weakest source first."""
    if file:
        yield from _from_file(Path(file))
    known = {PREFIX + setting.name.upper(): setting.name for setting in SETTINGS}
    for variable in sorted(environment):
        if variable in known:
            yield known[variable], environment[variable], variable
        elif variable.startswith(PREFIX) and variable != PREFIX + "CONFIG":
            raise BadSetting(f"{variable}: is not a setting; --help lists them")
    for setting in SETTINGS:
        if (text := getattr(arguments, setting.name)) is not None:
            yield setting.name, text, "--" + setting.name.replace("_", "-")


def _from_file(file: Path) -> Iterator[tuple[str, object, str]]:
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadSetting(f"config: {file} cannot be read: {reason}") from None
    for name, value in table.items():
        yield name, value, str(file)


def _read(name: str, value: object, source: str) -> Any:
    setting = next((setting for setting in SETTINGS if setting.name == name), None)
    if setting is None:
        raise BadSetting(f"{name}: is not a setting (in {source}); --help lists them")
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    try:
        return setting.read(text)
    except ValueError:
        raise BadSetting(f"{name}: must be {setting.rule}, not {value!r} (from {source})") from None
