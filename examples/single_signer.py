"""Alice brings a key that she has, and spends what it holds: ``python examples/single_signer.py``.

    key from before ── sealed ──▶ keygen of one slot ── one request, three inputs ──▶ one transaction, one block
                                  │  P2TR (BIP-86) · P2TR (the bare key) · P2WPKH (ECDSA)
                                  └── leave ──▶ the envelope is deleted, the enclave wipes the key

One slot is a group like any other: the same statements, streams and rules.  Its P2WPKH coin is signed with ECDSA over
BIP-143's hash, which an enclave cannot see through: for rules it is a blind message.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

if __package__ in (None, ""):  # run as a file: the folder above this one holds the package `examples`
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples.helpers.house import House
from examples.helpers.minutes import Minutes
from examples.helpers.people import Person
from examples.helpers.regtest import COIN, Regtest, transaction
from keymeld_client.keygens import Keygen
from keymeld_client.said.asking import make_transaction
from keymeld_protocol.bitcoin.transaction import Spend, key_hash_script, taproot_script
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.plaintext.body import Body, SignEcdsa, SignInput
from keymeld_protocol.wire.shapes import Rule

FEE: Final = 20_000
NONE: Final = Rule(approval="none")


async def opened(alice: Person, key: Secret, minutes: Minutes) -> Keygen:
    """Alice opens a keygen for herself alone, and joins it with the key that she has."""
    keygen = await (await alice.wake()).create_keygen(1, label="savings", network="regtest")
    await keygen.join(rule=alice.rule, enclave=alice.enclave, label=alice.name, key=key.buffer)
    safety = await keygen.safe()
    minutes.says("Alice", f"has sealed the key that she brought, and keeps no copy in her wallet; {safety}")
    return keygen


async def spent(keygen: Keygen, chain: Regtest, minutes: Minutes) -> bytes:
    """Three coins of one key, each guarded in another way, become one transaction."""
    key = keygen.roster.cards[0].pubkey
    scripts = [keygen.roster.script(), taproot_script(key[1:]), key_hash_script(key)]
    coins = [chain.fund(script) for script in scripts]
    unsigned = transaction(coins, [(sum(coin.amount for coin in coins) - FEE, keygen.roster.script())])
    spend = Spend(unsigned, [(coin.amount, coin.script) for coin in coins])
    minutes.says("The chain", f"holds {sum(coin.amount for coin in coins) // COIN} BTC of that key at three addresses")

    items = (
        SignInput(transaction=0, input=0),
        SignInput(transaction=0, input=1, tweaks=()),
        SignEcdsa(message=spend.key_hash_sighash(2)),
    )
    body = Body(v=1, transactions=(make_transaction(unsigned, spend.inputs),), items=items, memo="into one coin")
    signing = await keygen.request(body=body)
    minutes.says("Alice", "asks for three signatures:")
    minutes.notes(*signing.summary())
    signatures = await signing.signatures()
    minutes.says("The enclave", "has given two Schnorr signatures and one of ECDSA")
    return spend.finalize(dict(enumerate(signatures)), keys={2: key})


async def tell(minutes: Minutes) -> None:
    """The whole story, in a house of its own.

    Raises:
        AssertionError: the chain did not decide as it should.
    """
    minutes.opens("Alice brings a key of her own, and spends what it holds")
    async with House() as house:
        alice = Person("Alice", house.folder / "Alice", house.url, NONE, house.enclaves[0].identity)
        try:
            with Regtest() as chain, Secret.generate() as key:
                keygen = await opened(alice, key, minutes)
                signed = await spent(keygen, chain, minutes)
                if not chain.mine(signed):
                    raise AssertionError("the chain refused what the enclave signed")
                minutes.says("The chain", f"accepts the transaction in block {chain.height}")
            await keygen.leave()
            await keygen.wiped()
            minutes.says("Alice", "leaves: the enclave has wiped her key, and the coordinator deleted its envelope")
        finally:
            await alice.sleep()
    minutes.ends()


if __name__ == "__main__":
    asyncio.run(tell(Minutes()))
