"""Two secrets: a price that only both of them release, and a deposit that either of them gives back.

    Alice and Bob ─┬─ the price,   and:N,C ──▶ the seller     the notary has registered, and the courier has delivered
    hold a key     └─ the deposit, or:N,C ───▶ the buyer      the notary, or the courier, found nothing broken

`and`: one pre-signature, locked to KeyAgg(N, C); a·n + b·c completes it, a and b being BIP-327's key coefficients.  (In
a plain sum the courier could call C − N his point, and would need no notary.)  `or`: a pre-signature for each point;
the signature on the chain tells which of them it was, and so who has spoken.  Notary and courier know of no coin; Alice
and Bob hold their keys under the rule ``self``, so that neither has anything else signed without the other.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

if __package__ in (None, ""):  # run as a file: the folder above this one holds the package `examples`
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples.helpers.contracts import FEE, finished, locked, must_mine, must_refuse, presigned, somebody, spending
from examples.helpers.gathering import SELF, gather, gone, people_of
from examples.helpers.house import House
from examples.helpers.minutes import Minutes
from examples.helpers.people import Person
from examples.helpers.regtest import COIN, Coin, Regtest, transaction, witnessed
from keymeld_client.keygens import Keygen
from keymeld_client.signings import Signing
from keymeld_protocol.curve import adaptor
from keymeld_protocol.curve.secp256k1 import Bytes, Secret
from keymeld_protocol.errors import InvalidCrypto
from keymeld_protocol.plaintext.body import Body, SignInput


def contract(price: Coin, deposit: Coin, notary: bytes, courier: bytes) -> Body:
    """The price to the seller if both speak, the deposit to the buyer if either does."""
    spends = [transaction([coin], [(coin.amount - FEE, somebody())]) for coin in (price, deposit)]
    items = (
        SignInput(transaction=0, input=0, adaptor=locked("and", notary, courier)),
        SignInput(transaction=1, input=0, adaptor=locked("or", notary, courier)),
    )
    return Body(v=1, transactions=tuple(map(spending, spends, (price, deposit))), items=items, memo="a house")


async def the_notary_speaks(signing: Signing, secret: Bytes, chain: Regtest, minutes: Minutes) -> None:
    """Her secret completes the deposit; of the price it makes nothing that the chain would take."""
    minutes.says("Notary", "has registered the sale, and publishes her secret")
    price, deposit = await signing.psbts(secrets=[secret])
    if price.final is not None:
        raise AssertionError("one secret was enough for two")
    (half,) = await presigned(signing, 0)
    must_refuse(chain, witnessed(signing.plan.spends[0].unsigned, adaptor.adapt(half.presignature, secret)))
    must_mine(chain, finished(deposit))
    minutes.says("The chain", f"gives the deposit back in block {chain.height}, and refuses to pay the price with it")


async def bob_looks(signing: Signing, signature: bytes, minutes: Minutes) -> bytes:
    """The signature on the chain is one of two pre-signatures, completed: he sees which, and takes out its secret.

    Raises:
        AssertionError: it is neither.
    """
    for who, each in zip(("notary", "courier"), await presigned(signing, 1), strict=True):
        with suppress(InvalidCrypto):
            secret = each.extract(signature)
            minutes.says("Bob", f"reads off the chain that it was the {who} who spoke, and what was said:")
            minutes.notes(secret.hex())
            return secret
    raise AssertionError("nobody's secret spent the deposit")


async def the_courier_speaks(signing: Signing, secrets: Sequence[Bytes], chain: Regtest, minutes: Minutes) -> None:
    """With his secret, too, everything is complete."""
    minutes.says("Courier", "has delivered the keys, and publishes his secret")
    price, _ = await signing.transactions(secrets=secrets)
    must_mine(chain, price)
    minutes.says("The chain", f"pays the price in block {chain.height}")


async def buy(keygen: Keygen, bob: Person, chain: Regtest, minutes: Minutes) -> None:
    """From two coins of the group, locked by one request, to two blocks."""
    script = keygen.roster.script()
    price, deposit = chain.fund(script, 40 * COIN), chain.fund(script, 2 * COIN)
    notary, courier = Secret.generate(), Secret.generate()
    signing = await keygen.request(body=contract(price, deposit, notary.point, courier.point))
    minutes.says("Alice", "asks for both in one request; what would complete them:")
    minutes.notes(*signing.summary()[-2:])
    bobs = await bob.hears(signing.id)
    await bobs.approve()
    minutes.says("Bob", "has seen the same, and approves")
    await signing.results()
    minutes.says("Alice", "has verified a pre-signature for the price and two for the deposit")
    await the_notary_speaks(signing, notary.buffer, chain, minutes)
    heard = await bob_looks(bobs, chain.signature_that_spent(deposit), minutes)
    await the_courier_speaks(signing, [heard, courier.buffer], chain, minutes)


async def tell(minutes: Minutes) -> None:
    """The whole story, in a house of its own."""
    minutes.opens("Two secrets: both for the price, either for the deposit")
    async with House(enclaves=2) as house:
        people = people_of(house, ("Alice", "Bob"), SELF)
        try:
            keygen = await gather(people)
            with Regtest() as chain:
                await buy(keygen, people[1], chain, minutes)
        finally:
            await gone(people)
    minutes.ends()


if __name__ == "__main__":
    asyncio.run(tell(Minutes()))
