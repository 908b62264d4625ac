"""examples/helpers/regtest.py: the private chain refuses what Bitcoin refuses."""

from collections.abc import Iterator

import pytest

from examples.helpers.regtest import COIN, Coin, Regtest, made, transaction, verify_input, witnessed
from keymeld_protocol.bitcoin.transaction import Spend, taproot_script
from keymeld_protocol.curve.schnorr import Keypair

ANYONE = b"\x51"


@pytest.fixture
def chain() -> Iterator[Regtest]:
    with Regtest() as chain:
        yield chain


@pytest.fixture
def key() -> Keypair:
    return Keypair.generate()


def signed(coin: Coin, key: Keypair, pays: int) -> bytes:
    """Spend `coin` by the key path to an output that anyone may spend."""
    spend = Spend(transaction([coin], [(pays, ANYONE)]), [(coin.amount, coin.script)])
    return spend.finalize({0: key.sign(spend.sighash(0))})


def test_a_new_chain_holds_the_genesis_block_alone(chain: Regtest) -> None:
    assert chain.height == 0


def test_funding_makes_a_coin_that_may_be_spent(chain: Regtest, key: Keypair) -> None:
    coin = chain.fund(taproot_script(key.key))
    assert (coin.amount, chain.height) == (50 * COIN, 101)


def test_a_key_path_spend_connects(chain: Regtest, key: Keypair) -> None:
    coin = chain.fund(taproot_script(key.key), COIN)
    assert chain.mine(signed(coin, key, COIN - 1000))
    assert chain.height == 102


def test_everybody_reads_the_signature_that_spent_a_coin(chain: Regtest, key: Keypair) -> None:
    coin, other = (chain.fund(taproot_script(key.key), COIN) for _ in range(2))
    spend = signed(coin, key, COIN - 1000)
    assert chain.mine(spend)
    signature = chain.signature_that_spent(coin)
    assert spend == witnessed(transaction([coin], [(COIN - 1000, ANYONE)]), signature)
    with pytest.raises(LookupError, match="does not spend this coin"):
        chain.signature_that_spent(other)


def test_a_coin_can_be_spent_before_it_exists(chain: Regtest, key: Keypair) -> None:
    coin, script = chain.fund(taproot_script(key.key), COIN), taproot_script(Keypair.generate().key)
    parent = transaction([coin], [(COIN - 1000, taproot_script(key.key))])
    child = transaction([made(parent, 0, COIN - 1000, taproot_script(key.key))], [(COIN - 2000, script)])
    spends = (Spend(parent, [(COIN, coin.script)]), Spend(child, [(COIN - 1000, coin.script)]))
    first, second = (spend.finalize({0: key.sign(spend.sighash(0))}) for spend in spends)
    assert not chain.mine(second)
    assert chain.mine(first, second)


def test_a_lock_holds_until_its_block(chain: Regtest, key: Keypair) -> None:
    coin = chain.fund(ANYONE, COIN)
    early = transaction([coin], [(COIN, ANYONE)], lock=chain.height + 1)
    assert not chain.mine(early)
    assert chain.mine()
    assert chain.mine(early)


def test_a_tampered_spend_does_not_connect(chain: Regtest, key: Keypair) -> None:
    coin = chain.fund(taproot_script(key.key), COIN)
    good = signed(coin, key, COIN - 1000)
    less = transaction([coin], [(COIN - 1001, ANYONE)])[4:-4]
    tampered = good[:6] + less + good[6 + len(less) :]
    assert not chain.mine(tampered)
    assert chain.height == 101
    assert chain.mine(good)


def test_every_byte_of_a_signature_counts(key: Keypair) -> None:
    coin = Coin(bytes(32), 7, COIN, taproot_script(key.key))
    good = signed(coin, key, COIN - 1000)
    for at in range(len(good) - 68, len(good) - 4):
        bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        assert not verify_input(bad, 0, [(coin.amount, coin.script)])
    assert verify_input(good, 0, [(coin.amount, coin.script)])


def test_a_double_spend_does_not_connect(chain: Regtest, key: Keypair) -> None:
    coin = chain.fund(taproot_script(key.key), COIN)
    assert chain.mine(signed(coin, key, COIN - 1000))
    assert not chain.mine(signed(coin, key, COIN - 2000))


def test_a_double_spend_in_one_block_does_not_connect(chain: Regtest, key: Keypair) -> None:
    coin = chain.fund(taproot_script(key.key), COIN)
    assert not chain.mine(signed(coin, key, COIN - 1000), signed(coin, key, COIN - 2000))


def test_a_spend_of_more_than_the_coin_does_not_connect(chain: Regtest) -> None:
    coin = chain.fund(ANYONE, COIN)
    assert not chain.mine(transaction([coin], [(COIN + 1, ANYONE)]))


def test_a_chain_that_refused_a_block_goes_on(chain: Regtest, key: Keypair) -> None:
    coin = chain.fund(taproot_script(key.key), COIN)
    assert not chain.mine(transaction([coin], [(COIN, ANYONE)]))
    assert chain.mine(signed(coin, key, COIN))


def test_more_than_the_subsidy_cannot_be_had(chain: Regtest) -> None:
    with pytest.raises(ValueError, match="amount: at most 5000000000 sat"):
        chain.fund(ANYONE, 50 * COIN + 1)


def test_the_subsidy_halves(chain: Regtest) -> None:
    assert [chain.fund(ANYONE).amount for _ in range(3)] == [50 * COIN, 50 * COIN, 25 * COIN]


def test_what_is_no_transaction_is_an_error(chain: Regtest) -> None:
    with pytest.raises(RuntimeError):
        chain.mine(b"no transaction")
