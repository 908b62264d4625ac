"""The minutes of a story: who did what, and when; colours on a terminal only."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final, TextIO

from examples.helpers.house import House
from keymeld_client.command.names import Names
from keymeld_client.command.sentences import sentence
from keymeld_client.signings import Signing

_FAINT, _WHO, _NOTE, _LIVE, _BOLD = "2", "1;36", "32", "33", "1"
_MARGIN: Final = " " * 19


class Minutes:
    """Writes to ``out``, line by line, as things happen."""

    def __init__(self, out: TextIO | None = None) -> None:
        """The clock starts now; ``out`` is standard output unless given."""
        self._out = out or sys.stdout
        self._colours = self._out.isatty()
        self._began = time.monotonic()
        self._following: asyncio.Task[None] | None = None

    def opens(self, headline: str) -> None:
        """The headline."""
        self._write(f"\n{self._paint(_BOLD, headline)}\n")

    def house(self, house: House) -> None:
        """Who keeps the house."""
        self.says("The house", f"opens: a coordinator at {house.url}, its log in SQLite, and two enclaves")
        self.notes(*(f"enclave {enclave.identity}" for enclave in house.enclaves))

    def says(self, who: str, what: str) -> None:
        """Somebody does something."""
        now = self._paint(_FAINT, f"{time.monotonic() - self._began:5.2f} s")
        self._write(f"{now}  {self._paint(_WHO, f'{who:<9}')} {what}")

    def notes(self, *lines: str) -> None:
        """Details of what was said before."""
        for line in lines:
            self._write(_MARGIN + self._paint(_NOTE, line))

    def follow(self, signing: Signing) -> None:
        """Write each record of a signing down as it reaches the watcher's socket, beside everything else."""
        self._following = asyncio.create_task(self._follow(signing))

    async def followed(self) -> None:
        """Until the signing that is followed has ended."""
        if self._following is not None:
            await self._following

    def ends(self) -> None:
        """How long it took."""
        self._write(f"\nEverybody has gone. It took {time.monotonic() - self._began:.1f} s.\n")

    async def _follow(self, signing: Signing) -> None:
        cards = signing.keygen.roster.cards
        names = Names.of(signing.keygen.state, lambda slot: cards[slot].label)
        async for record in signing:
            told = sentence(record, names)
            self._write(f"{_MARGIN}{self._paint(_LIVE, f'▸ {told.who} {told.what}')}")

    def _paint(self, colour: str, text: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colours else text

    def _write(self, text: str) -> None:
        print(text, file=self._out, flush=True)
