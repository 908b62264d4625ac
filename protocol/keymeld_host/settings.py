"""From one table of settings to --help, the file, the environment and the flags.

    default  <  file (TOML)  <  environment (PREFIX_NAME)  <  flag (--name)
                       each value ──▶ its rule ──▶ the frozen dataclass          a bad one is refused by name

The file has one key for each setting and no tables.  A misspelt key, variable or flag is refused like a bad value: what
an operator believes to be set is set, or the program does not start.

A settings class is a frozen dataclass whose fields are made with `setting`: default, group, help and the rule that a
value must keep.  Every value is checked by the same rule wherever it comes from, and the complaint says where that was.
"""

from __future__ import annotations

import argparse
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from keymeld_protocol.errors import KeymeldError

from .files import BadFile, open_file, read_all

S = TypeVar("S")

_WHOLE: Final = re.compile(r"-?[0-9]+", re.ASCII)
UNITS: Final = {"ms": "MS", "bytes": "BYTES"}
"""Endings of names that say a unit, and how --help calls their values."""


class BadSetting(KeymeldError):
    """A setting breaks its rule, or nobody knows it; the message names it, the rule, the value and its source."""


@dataclass(frozen=True)
class SettingRule:
    """How one kind of value is read and checked: ``says`` is the rule in words, ``read`` gives the value.

    ``read`` gets a TOML value or a text, and the folder that relative paths start from.

    Raises:
        ValueError: by ``read``, for what breaks the rule; `build` says which setting that was, and from where.
    """

    metavar: str
    says: str
    read: Callable[[object, Path], Any]


def whole(low: int, high: int) -> SettingRule:
    """A whole number in ``low…high``; a text must be written in digits, and true is no number."""

    def _take(raw: object, _: Path) -> int:
        number = int(raw) if isinstance(raw, str) and _WHOLE.fullmatch(raw) else raw
        if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
            raise ValueError
        return number

    return SettingRule("N", f"{low}…{high}", _take)


def one_of(*words: str) -> SettingRule:
    """One of a few words."""

    def _take(raw: object, _: Path) -> str:
        if raw not in words:
            raise ValueError
        return str(raw)

    return SettingRule("WORD", " or ".join(words) if len(words) < 3 else "one of " + ", ".join(words), _take)


def text(metavar: str, says: str, fits: Callable[[str], bool]) -> SettingRule:
    """A text for which ``fits`` holds."""

    def _take(raw: object, _: Path) -> str:
        if not isinstance(raw, str) or not fits(raw):
            raise ValueError
        return raw

    return SettingRule(metavar, says, _take)


def path() -> SettingRule:
    """A path; a relative one in a file starts from that file's folder."""

    def _take(raw: object, folder: Path) -> Path:
        if not isinstance(raw, str) or not raw or "\0" in raw:
            raise ValueError
        try:
            return folder / Path(raw).expanduser()
        except RuntimeError:  # `~name` of nobody
            raise ValueError from None

    return SettingRule("PATH", "a path", _take)


def many(rule: SettingRule) -> SettingRule:
    """Any number of values, each by ``rule``: a TOML array, or texts separated by commas."""

    def _take(raw: object, folder: Path) -> tuple[Any, ...]:
        parts = [part.strip() for part in raw.split(",") if part.strip()] if isinstance(raw, str) else raw
        if not isinstance(parts, list):
            raise ValueError
        return tuple(rule.read(part, folder) for part in parts)

    return SettingRule(f"{rule.metavar},…", f"any number of: {rule.says}", _take)


def maybe(rule: SettingRule) -> SettingRule:
    """A value by ``rule``, or an empty text for none."""
    return SettingRule(rule.metavar, rule.says, lambda raw, folder: None if raw == "" else rule.read(raw, folder))


def setting(
    default: Any, rule: SettingRule, group: str, help: str, *, shown: str | None = None, told: bool = False
) -> Any:
    """A field of a settings class.

    ``shown`` is the default in words where it follows from other settings; ``told`` marks limits that peers are told.
    """
    return field(default=default, metadata={"rule": rule, "group": group, "help": help, "shown": shown, "told": told})


def limits_told(settings: Any) -> dict[str, int]:
    """The limits that peers are told, by name."""
    return {f.name: getattr(settings, f.name) for f in fields(settings) if f.metadata["told"]}


@dataclass(frozen=True)
class Given:
    """A raw value, where it came from (for the complaint) and the folder that relative paths start from."""

    name: str
    raw: object
    source: str
    folder: Path = Path()


def from_file(kind: type, file: Path) -> Iterator[Given]:
    """The values in a TOML file, one per key, without tables.

    Raises:
        BadSetting: the file cannot be read, is not TOML, or has a key that nobody knows.
    """
    try:
        table = tomllib.loads(_text_of(file))
    except BadFile as error:
        raise BadSetting(f"config: {error}") from None
    except UnicodeDecodeError:
        raise BadSetting(f"config: {file} cannot be read: must be text in UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadSetting(f"config: {file} cannot be read: {error}") from None
    known = {f.name for f in fields(kind)}
    for name, raw in table.items():
        if name not in known:
            shown = name if name.isprintable() else repr(name)
            raise BadSetting(f"{shown}: is not a setting (in {file}); --help lists them")
        yield Given(name, raw, str(file), file.parent)


def _text_of(file: Path) -> str:
    """What a file says, without waiting for a pipe; a link to a file is fine here."""
    handle = open_file(file.resolve(), os.O_RDONLY)
    try:
        return read_all(file, handle).decode()
    finally:
        os.close(handle)


def from_environment(kind: type, prefix: str, environment: Mapping[str, str]) -> Iterator[Given]:
    """The values of variables that begin with ``prefix``; a misspelt one is refused, not ignored.

    Raises:
        BadSetting: a variable with the prefix that nobody knows.
    """
    known = {prefix + f.name.upper(): f.name for f in fields(kind)}
    for variable in sorted(environment):
        if variable in known:
            yield Given(known[variable], environment[variable], variable)
        elif variable.startswith(prefix) and variable != prefix + "CONFIG":
            raise BadSetting(f"{variable}: is not a setting; --help lists them")


def from_flags(kind: type, arguments: argparse.Namespace) -> Iterator[Given]:
    """The values of the flags that were given."""
    for f in fields(kind):
        if (raw := getattr(arguments, f.name)) is not None:
            yield Given(f.name, raw, flag(f.name))


def flag(name: str) -> str:
    """The flag of a setting."""
    return "--" + name.replace("_", "-")


def build(kind: Callable[..., S], given: Iterable[Given]) -> S:
    """The settings from ``given``, where a later value of one name replaces an earlier one.

    Every value is checked, also one that is replaced: a mistake in the file should not wait for the flag to go.

    Raises:
        BadSetting: a value breaks its rule.
    """
    rules: dict[str, SettingRule] = {f.name: f.metadata["rule"] for f in fields(kind)}  # type: ignore[arg-type]
    values = {}
    for one in given:
        try:
            values[one.name] = rules[one.name].read(one.raw, one.folder)
        except ValueError:
            rule = rules[one.name].says
            raise BadSetting(f"{one.name}: must be {rule}, not {_shown(one.raw)} (from {one.source})") from None
    return kind(**values)


def _shown(raw: object) -> str:
    """A refused value as a person wrote it: texts in quotes, unless they are numbers."""
    return raw if isinstance(raw, str) and _WHOLE.fullmatch(raw) else repr(raw)


def parser(kind: type, program: str, prefix: str, about: str, example: str) -> argparse.ArgumentParser:
    """The command line: a flag for each setting, grouped, with unit, range, default and variable.

    ``program`` may have words of its own after its name, as `--help` shows them: ``keymeld-server [new-epoch]``.
    """
    result = argparse.ArgumentParser(
        program.partition(" ")[0],
        usage=f"{program} [--config FILE] [--NAME VALUE ...]",
        description=about,
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    result.add_argument("--config", metavar="FILE", help=f"TOML file with any of these settings [{prefix}CONFIG]")
    groups: dict[str, argparse._ArgumentGroup] = {}
    for f in fields(kind):
        group = groups.setdefault(f.metadata["group"], result.add_argument_group(f.metadata["group"]))
        default = f.metadata["shown"] or ("none" if f.default in (None, ()) else f.default)
        words = f"{f.metadata['help']}; {f.metadata['rule'].says} (default: {default}) [{prefix}{f.name.upper()}]"
        metavar = UNITS.get(f.name.rpartition("_")[2], f.metadata["rule"].metavar)
        group.add_argument(flag(f.name), metavar=metavar, help=words.replace("%", "%%"))
    return result


def read(kind: Callable[..., S], arguments: argparse.Namespace, prefix: str, environment: Mapping[str, str]) -> S:
    """The settings of this start: defaults, then the file, the environment and the flags that `parser` has read.

    Raises:
        BadSetting: naming the setting, its rule and where the value came from.
    """
    layers: list[Given] = []
    if file := arguments.config or environment.get(prefix + "CONFIG"):
        layers += from_file(kind, Path(file))  # type: ignore[arg-type]
    layers += from_environment(kind, prefix, environment)  # type: ignore[arg-type]
    layers += from_flags(kind, arguments)  # type: ignore[arg-type]
    return build(kind, layers)
