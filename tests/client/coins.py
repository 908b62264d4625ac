"""Unsigned transactions for tests: some coins in, one payment out."""

from __future__ import annotations

from collections.abc import Sequence

from keymeld_client.said.asking import Unsigned
from keymeld_protocol.bitcoin.psbt import Psbt
from keymeld_protocol.bitcoin.transaction import Spend, taproot_script

FOREIGN = taproot_script(bytes(31) + b"\1")
"""A taproot script of somebody else."""


def payment(coins: Sequence[tuple[int, bytes]], amount: int, script: bytes = FOREIGN) -> Unsigned:
    """An unsigned transaction that spends ``coins`` (satoshi, script) and pays ``amount`` to ``script``."""
    inputs = b"".join(bytes([i + 1]) * 32 + bytes(4) + b"\0" + b"\xff" * 4 for i in range(len(coins)))
    outputs = amount.to_bytes(8, "little") + bytes([len(script)]) + script
    unsigned = b"\2\0\0\0" + bytes([len(coins)]) + inputs + b"\1" + outputs + bytes(4)
    return unsigned, list(coins)


def psbt(coins: Sequence[tuple[int, bytes]], amount: int) -> bytes:
    """The same payment as another wallet's PSBT."""
    return Psbt.of(Spend(*payment(coins, amount))).sign({}).psbt
