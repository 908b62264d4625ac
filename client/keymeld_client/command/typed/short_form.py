"""A kind of option that is read by a function: what it raises is what click complains of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from keymeld_protocol.errors import WireError


class ShortForm(click.ParamType[Any]):
    """A click type from a function that reads a text; its ValueError becomes the complaint."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        """``name`` is shown in usage lines."""
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a text; a default that has its value already is left alone."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except WireError as error:
            self.fail(error.message, param, ctx)
        except ValueError as error:
            self.fail(str(error), param, ctx)
