"""A PSBT of many inputs: from another wallet's bytes to the same PSBT with every signature in it, verified."""

from __future__ import annotations

from time import perf_counter

from examples.helpers.regtest import Coin, transaction
from keymeld_client.keygens import Keygen
from keymeld_protocol.bitcoin.psbt import Psbt
from keymeld_protocol.bitcoin.transaction import Spend

INPUTS = 1000
SAT = 10_000


def consolidation(script: bytes, inputs: int = INPUTS) -> bytes:
    """A PSBT that gathers coins of ``script`` in one output."""
    coins = [Coin(number.to_bytes(32, "big"), 0, SAT, script) for number in range(1, inputs + 1)]
    unsigned = transaction(coins, [(inputs * (SAT - 100), script)])
    return Psbt.of(Spend(unsigned, [(SAT, script)] * inputs)).sign({}).psbt


async def sign_psbt(keygen: Keygen, psbt: bytes) -> tuple[float, float]:
    """Seconds from the request until the signatures are verified, and until the PSBT is whole again."""
    began = perf_counter()
    signing = await keygen.request(psbts=[psbt])
    await signing.signatures()
    verified = perf_counter()
    (signed,) = await signing.psbts([psbt])
    if signed.final is None:
        raise RuntimeError("inputs are missing")
    return verified - began, perf_counter() - began
