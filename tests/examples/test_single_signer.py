"""examples/single_signer.py: a key from before signs for three kinds of coins, and the chain accepts it."""

import io

import pytest

from examples.helpers.minutes import Minutes
from examples.single_signer import tell

STORY = [
    "has sealed the key that she brought, and keeps no copy in her wallet; safe to fund",
    "holds 125 BTC of that key at three addresses",
    "asks for three signatures",
    "from bcrt1q",
    "Message 3 of 3 (ECDSA)",
    "two Schnorr signatures and one of ECDSA",
    "The chain accepts the transaction in block 304",
    "leaves: the enclave has wiped her key",
]


@pytest.mark.processes
@pytest.mark.asyncio
async def test_a_key_from_before_spends_taproot_and_p2wpkh_in_one_transaction() -> None:
    out = io.StringIO()
    await tell(Minutes(out))
    told, at = out.getvalue(), 0
    for line in STORY:
        assert line in told[at:], f"{line!r} is missing, or too early, in\n{told}"
        at = told.index(line, at)
    assert "not this group's" not in told
