"""The stage on which the demo's story is played while processes are killed.

    async with stage(Blow(Heard("signing.request"), ("enclave 1",))) as scene:
        await scene.play()                     every step of the story, with the blow where it falls
        await scene.require_nothing_lost()

Nothing waits by the clock: a blow falls inside the call that stores a record or a statement, and whoever was killed is
back when it has printed so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from examples.helpers.house import House
from examples.helpers.regtest import Regtest
from examples.offline_trio import STEPS, Story
from keymeld_protocol.wire.shapes import Rule

from .blow import Before, Blow
from .phones import Notebook, Phone, Unread

PATIENCE_S: Final = 60
"""A story that takes longer has failed; it takes one or two seconds."""


@dataclass
class Scene:
    """A house, a chain and three phones, and the story that they play."""

    house: House
    story: Story
    minutes: Unread
    notebook: Notebook

    @property
    def phones(self) -> tuple[Phone, ...]:
        """By slot."""
        return tuple(person for person in self.story.people if isinstance(person, Phone))

    async def play(self, since: str | None = None, until: str | None = None) -> None:
        """The steps from ``since`` up to, but not including, ``until``."""
        names = [step.__name__ for step in STEPS]
        first, last = names.index(since) if since else 0, names.index(until) if until else None
        for step in STEPS[first:last]:
            blow = self.notebook.blow
            if blow is not None and blow.moment == Before(step.__name__):
                blow.fall()
                await blow.healed()
            await step(self.story)

    async def sleep(self) -> None:
        """Everybody puts the phone away."""
        await self.minutes.stop()
        for phone in self.phones:
            await phone.sleep()

    async def return_of_the_coordinator(self) -> None:
        """Start it again, and wait until the enclaves have found it."""
        found = [enclave.prints("  connected") for enclave in self.house.enclaves]
        await self.house.start()
        await asyncio.gather(*found)

    async def require_nothing_lost(self) -> None:
        """All that any phone ever verified is in the log that a new phone hears from 1; and everybody resumes."""
        await self.sleep()
        for phone in self.phones:
            await phone.wake()
            await phone.sleep()
        bad = [note for note in self.notebook.resumed if note.recovered != (note.stood > 0) or note.reason is not None]
        assert not bad
        assert not [line for enclave in self.house.enclaves for line in enclave.log if " ERROR " in line]
        await self._require_all_heard(self.phones[0])

    async def _require_all_heard(self, phone: Phone) -> None:
        verified, self.notebook.hashes = self.notebook.hashes, {}
        phone.forget()
        await phone.wake()
        await phone.sleep()
        assert verified.items() <= self.notebook.hashes.items()


def scene_of(house: House, chain: Regtest, notebook: Notebook) -> Scene:
    """The demo's people, with phones that keep notes."""

    def phone(name: str, approval: str, enclave: int) -> Phone:
        rule = Rule(approval="none") if approval == "none" else Rule(approval="self")
        made = Phone(name, house.folder / name, house.url, rule, house.enclaves[enclave - 1].identity)
        made.notebook = notebook
        return made

    people = phone("Alice", "self", 1), phone("Bob", "self", 1), phone("Carol", "none", 2)
    minutes = Unread()
    return Scene(house, Story(*people, chain, minutes), minutes, notebook)


@asynccontextmanager
async def stage(blow: Blow | None = None) -> AsyncIterator[Scene]:
    """A house for one story; every process has ended when the block has."""
    async with asyncio.timeout(PATIENCE_S), House(enclaves=2) as house:
        with Regtest() as chain:
            notebook = Notebook(blow=blow)
            if blow is not None:
                blow.house = house
            scene = scene_of(house, chain, notebook)
            try:
                yield scene
            finally:
                if blow is not None:
                    await blow.healed()
                await scene.sleep()
