# ruff: noqa: RUF009 - `setting` makes a field, as dataclasses.field does
"""Every setting of the enclave, with its default, range and reason: the table that `--help` prints.

    defaults  <  --config FILE (TOML)  <  KEYMELD_ENCLAVE_NAME  <  --name          see keymeld_host

Nothing secret is a setting: the identity lies in a file of its own, and ``key_file`` names it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keymeld_host import settings
from keymeld_host.settings import SettingRule, one_of, path, setting, whole
from keymeld_protocol.errors import BadInput
from keymeld_protocol.keys.ticket import origin_of, split_url

PREFIX: Final = "KEYMELD_ENCLAVE_"

ABOUT: Final = """\
A Keymeld enclave: it holds sealed keys and speaks for participants who are away.

It dials out to its coordinator, opens the envelopes that were sealed to its identity, verifies every statement and
every rule itself, and signs. Participants trust it by its identity: give them the line that `identity` prints.

Settings come from defaults, then --config FILE, then the environment, then flags; the last one wins. In the file a
setting is `capacity = 200`, in the environment KEYMELD_ENCLAVE_CAPACITY=200; a relative path in the file starts from
the file's folder."""

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

SERVING: Final = "serving"
LOGGING: Final = "logging"


@dataclass(frozen=True)
class Address:
    """Where the coordinator listens for enclaves: the ``path`` of a Unix socket, or a ``url``."""

    path: str | None = None
    url: str | None = None

    @property
    def origin(self) -> str:
        """What a proof is bound to: ``unix``, or the URL's origin (§2.4)."""
        return "unix" if self.url is None else origin_of(self.url)

    def __str__(self) -> str:
        """As it is written in a setting."""
        return f"unix:{self.path}" if self.url is None else self.url


def _address(raw: object, folder: Path) -> Address:
    """Read a setting; a relative path in a file starts from that file's folder."""
    if not isinstance(raw, str):
        raise ValueError
    scheme, _, rest = raw.partition(":")
    if scheme == "unix" and rest:
        socket = str(folder / rest)
        if len(os.fsencode(socket)) >= 108 or "\0" in socket:
            raise ValueError
        return Address(path=socket)
    try:
        split_url(raw)
    except BadInput:
        raise ValueError from None
    return Address(url=raw)


ADDRESS: Final = SettingRule("ADDRESS", "unix:PATH or ws[s]://host[:port]", _address)


@dataclass(frozen=True, kw_only=True)
class EnclaveConfig:
    """The settings of one start; made by `load`, or directly in tests."""

    coordinator: Address = setting(
        Address(path="keymeld-enclave.sock"), ADDRESS, SERVING, "where the coordinator listens for enclaves"
    )
    key_file: Path = setting(
        Path("keymeld-enclave.key"), path(), SERVING, "the identity, 64 hex digits, mode 0600; made if absent"
    )
    capacity: int = setting(10_000, whole(1, 10_000_000), SERVING, "how many keys it holds; joins beyond are refused")

    log_format: str = setting("text", one_of("text", "json"), LOGGING, "a line for people, or an object a line")
    log_level: str = setting("info", one_of("debug", "info", "warning", "error"), LOGGING, "the least that is written")


def load(argv: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> tuple[str, EnclaveConfig]:
    """What to do (``run`` or ``identity``) and the settings of this start.

    Raises:
        BadSetting: naming the setting, its rule and where the value came from.
        SystemExit: ``--help``, or a flag that nobody knows.
    """
    command = settings.parser(EnclaveConfig, "keymeld-enclave [run | identity]", PREFIX, ABOUT, EXAMPLE)
    command.add_argument("action", nargs="?", choices=("run", "identity"), default="run", metavar="run | identity")
    arguments = command.parse_args(argv)
    environment = os.environ if environment is None else environment
    return arguments.action, settings.read(EnclaveConfig, arguments, PREFIX, environment)
