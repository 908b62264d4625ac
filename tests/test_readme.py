"""The READMEs' commands do what they say: they are read from them and run, on a free port in a new folder."""

from __future__ import annotations

import sys

import pytest

from tests.support.pages import block, quick_start, run

README = "README.md"


@pytest.mark.asyncio
@pytest.mark.processes
async def test_the_commands_by_hand_end_with_a_verified_log() -> None:
    async with quick_start() as (play, coordinator, _):
        here = f'keymeld() {{ command keymeld --server {coordinator.url} "$@"; }}'
        told = await run(play, "bash", "-euo", "pipefail", "-c", f"exec < <(yes)\n{here}\n{block(README, 'sh')}")
        assert "safe to fund" in told
        assert (play / "log.jsonl").exists()


@pytest.mark.asyncio
@pytest.mark.processes
async def test_the_python_program_prints_a_verified_signature() -> None:
    async with quick_start() as (play, coordinator, enclave):
        program = block(README, "python").replace("ws://127.0.0.1:8765", coordinator.url)
        told = await run(play, sys.executable, "-c", program, said=f"{enclave.identity}\n")
        assert "safe to fund" in told and "signing.contribute" in told


@pytest.mark.asyncio
@pytest.mark.processes
async def test_the_clients_page_begins_with_a_program_that_signs() -> None:
    async with quick_start() as (play, coordinator, enclave):
        program = block("client/README.md", "python").replace("ws://127.0.0.1:8765", coordinator.url)
        told = await run(play, sys.executable, "-c", program, enclave.identity)
        assert "safe to fund" in told and "Signature(" in told
