"""Somebody at a terminal: the `keymeld` command in processes of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import Any

from examples.helpers.house import House


@dataclass
class Person:
    """Somebody at a terminal."""

    name: str
    house: House

    async def types(self, *arguments: str, input: str = "", code: int = 0) -> str:
        """Run the command; gives what it wrote to standard output, or if it is to fail, what it complained about."""
        out, err = await self.hears(*arguments, input=input, code=code)
        return out if code == 0 else err

    async def hears(self, *arguments: str, input: str = "", code: int = 0) -> tuple[str, str]:
        """Run the command in a process of its own; gives what it wrote to standard output and to standard error."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "keymeld_client.cli", "--wallet", str(self.house.folder / self.name), *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate(input.encode())
        assert process.returncode == code, f"keymeld {' '.join(arguments)}: {process.returncode}\n{err.decode()}"
        assert b"Traceback" not in err and b"\x1b" not in out + err
        return out.decode(), err.decode()

    async def asks(self, *arguments: str, input: str = "") -> Any:
        """The same, as a script would."""
        return json.loads(await self.types(*arguments, "--json", input=input))
