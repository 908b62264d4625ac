"""What strangers cost everybody else: requests that nobody approves, and one that takes long to judge.

waiting     100 requests of 500 KiB under rules that wait ─▶ how much the enclave's memory has grown
beside      an innocent group's signings, one after another, while a stranger's group asks for the costly request
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from examples.helpers.regtest import Coin, transaction
from keymeld_client.keygens import Keygen
from keymeld_client.said.choosing import NOTHING, Allow, Choice
from keymeld_client.said.joining import make_join
from keymeld_protocol.bitcoin.psbt import Psbt
from keymeld_protocol.bitcoin.transaction import Spend
from keymeld_protocol.curve.schnorr import tagged_hash
from keymeld_protocol.wire.shapes import Rule

from .people import Trio, sign, trio
from .processors import processor_ms

SELF: Final = Rule(approval="self")
COIN: Final = 10_000
WAITING: Final = 100
"""Requests that nobody approves."""
INPUTS: Final = 500
"""Of each; with their outputs about 500 KiB."""
SLOTS: Final = 200


async def gather(people: Trio, slots: int, rule: Rule, subsets: bool = False) -> Keygen:
    """A keygen of the first client's alone; with ``subsets``, one for each slot without it."""
    client = people.clients[0]
    named = tuple(tuple(slot for slot in range(slots) if slot != out) for out in range(slots)) if subsets else ()
    keygen = await client.create_keygen(slots, label="strangers", network="regtest", subsets=named)
    for slot, ticket in enumerate(keygen.tickets):
        invited = await client.open_ticket(ticket)
        with client.wallet.identity.auth(keygen.id, slot) as auth:
            await client.courier.prove([auth])
        allow = Allow(max_amount=10**12 + slot) if subsets else NOTHING
        choice = Choice(rule=rule, enclave=people.enclave(slot), allow=allow)
        await client.say(make_join(client.wallet, invited.entry, invited.heard, client.group(keygen.id), slot, choice))
    await keygen.safe()
    return keygen


def payments(script: bytes, count: int, outputs: int, word: str) -> list[bytes]:
    """PSBTs that spend a coin of ``script`` each, to strangers of whom each is another one."""
    made = []
    for number in range(count):
        strangers = (tagged_hash(word, bytes([output]) + number.to_bytes(4, "big")) for output in range(outputs))
        paid = [(COIN // outputs - 10, b"\x51\x20" + stranger) for stranger in strangers]
        unsigned = transaction([Coin(tagged_hash(word, number.to_bytes(4, "big")), 0, COIN, script)], paid)
        made.append(Psbt.of(Spend(unsigned, [(COIN, script)])).sign({}).psbt)
    return made


def resident(pid: int | None) -> float:
    """Memory of a process (MiB)."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def settled(people: Trio) -> None:
    """Until the enclave uses no processor time any more."""
    before = -1.0
    while (now := processor_ms(people.house)["enclave 1"]) != before:
        before = now
        await asyncio.sleep(1)


async def waiting(people: Trio, requests: int = WAITING) -> str:
    """How much an enclave grows by requests that nobody approves."""
    keygen = await gather(people, 1, SELF)
    pid = people.house.enclaves[0].pid
    psbts = payments(keygen.roster.script(), INPUTS, 8, "waiting")
    await settled(people)
    before, used = resident(pid), processor_ms(people.house)["enclave 1"]
    for number in range(requests):
        await keygen.request(psbts=psbts, memo=f"request {number}")
    await settled(people)
    grown, spent = resident(pid) - before, processor_ms(people.house)["enclave 1"] - used
    return f"{requests} waiting requests: {grown:.1f} MiB more, {spent / requests:.0f} ms of processor time for each"


@dataclass(frozen=True)
class Beside:
    """An innocent group's signings (s), alone and while a stranger is judged, and how long that went on (s)."""

    alone: list[float]
    meanwhile: list[float]
    answered: float


async def beside(people: Trio) -> Beside:
    """Signings of an innocent group, one after another, while a stranger's costly request is judged."""
    innocent, stranger = await gather(people, 1, Rule(approval="none")), await gather(people, SLOTS, SELF, subsets=True)
    psbts = payments(stranger.roster.script(), 550, 8, "costly")
    alone = [await sign(innocent) for _ in range(20)]
    await stranger.request(psbts=psbts)
    began, meanwhile = perf_counter(), list[float]()
    used, last = processor_ms(people.house)["enclave 1"], perf_counter()
    while perf_counter() < last + 2:
        meanwhile.append(await sign(innocent))
        now = processor_ms(people.house)["enclave 1"]
        if now > used + 20:
            last = perf_counter()
        used = now
    return Beside(alone, meanwhile, last - began)


async def rows() -> list[str]:
    """Both rows, in a house of their own."""
    async with trio(1) as people:
        memory, found = await waiting(people), await beside(people)
    told = f"alone {1000 * max(found.alone):.0f} ms, meanwhile {1000 * max(found.meanwhile):.0f} ms at most"
    return [memory, f"an innocent group's signing: {told}, of {len(found.meanwhile)}"]


if __name__ == "__main__":
    print(*asyncio.run(rows()), sep="\n")
