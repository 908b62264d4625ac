"""transaction.py: BIP-341's own vectors decide the sighash, consensus code the rest, and malformed input is named."""

import re
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.helpers.regtest import Coin, transaction, verify_input
from keymeld_protocol.bitcoin.transaction import (
    MAX_SCRIPT,
    MAX_UNSIGNED,
    Output,
    Spend,
    address_of,
    key_hash_script,
    script_of,
    taproot_address,
    taproot_script,
)
from keymeld_protocol.curve import ecdsa
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import BadInput
from keymeld_protocol.plaintext.body import MAX_MONEY
from keymeld_protocol.plaintext.contents import Network
from tests.support.vectors import published_json

P2TR = b"\x51\x20" + bytes(range(32))
P2WPKH = b"\x00\x14" + bytes(20)
COIN = Coin(b"\x11" * 32, 1, 100_000, P2TR)
OTHER = Coin(b"\x22" * 32, 0, 50_000, P2WPKH)
UNSIGNED = transaction([COIN], [(99_000, P2TR)])
SPENT = [(COIN.amount, COIN.script)]


def spends(*coins: Coin) -> list[tuple[int, bytes]]:
    return [(coin.amount, coin.script) for coin in coins]


def complaint(unsigned: bytes, spent: list[tuple[int, bytes]]) -> str | None:
    """Build the spend that must fail; give the field that is named."""
    with pytest.raises(BadInput) as caught:
        Spend(unsigned, spent)
    return caught.value.field


# Published vectors -------------------------------------------------------------------------------------------------


@pytest.fixture
def case() -> Any:
    return published_json("bip341/wallet-test-vectors.json")["keyPathSpending"][0]


@pytest.fixture
def published_spend(case: Any) -> Spend:
    spent = [(coin["amountSats"], bytes.fromhex(coin["scriptPubKey"])) for coin in case["given"]["utxosSpent"]]
    return Spend(bytes.fromhex(case["given"]["rawUnsignedTx"]), spent)


def default_inputs(case: Any) -> list[Any]:
    """The vectors of inputs that are signed with SIGHASH_DEFAULT."""
    found = [vector for vector in case["inputSpending"] if vector["given"]["hashType"] == 0]
    assert found
    return found


def test_the_sighash_is_bip_341s(case: Any, published_spend: Spend) -> None:
    for vector in default_inputs(case):
        sighash = published_spend.sighash(vector["given"]["txinIndex"])
        assert sighash.hex() == vector["intermediary"]["sigHash"]


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("hashAmounts", "sha_amounts"),
        ("hashOutputs", "sha_outputs"),
        ("hashPrevouts", "sha_prevouts"),
        ("hashScriptPubkeys", "sha_script_pub_keys"),
        ("hashSequences", "sha_sequences"),
    ],
)
def test_what_all_inputs_share_is_bip_341s(case: Any, published_spend: Spend, name: str, ours: str) -> None:
    assert getattr(published_spend._common, ours).hex() == case["intermediary"][name]


def test_a_published_signature_finalizes_and_is_accepted(case: Any, published_spend: Spend) -> None:
    vector = default_inputs(case)[0]
    index = vector["given"]["txinIndex"]
    signed = published_spend.finalize({index: bytes.fromhex(vector["expected"]["witness"][0])})
    assert verify_input(signed, index, published_spend.inputs)


def test_scripts_and_addresses_are_bip_341s() -> None:
    for vector in published_json("bip341/wallet-test-vectors.json")["scriptPubKey"]:
        key = bytes.fromhex(vector["intermediary"]["tweakedPubkey"])
        assert taproot_script(key).hex() == vector["expected"]["scriptPubKey"]
        assert taproot_address(key, "bitcoin") == vector["expected"]["bip350Address"]


# Reading -----------------------------------------------------------------------------------------------------------


def test_a_spend_tells_inputs_outputs_fee_and_txid() -> None:
    spend = Spend(UNSIGNED, SPENT)
    assert (spend.inputs, spend.outputs, spend.fee) == ((Output(*SPENT[0]),), (Output(99_000, P2TR),), 1000)
    assert re.fullmatch("[0-9a-f]{64}", spend.txid)


def test_every_cut_of_a_transaction_is_refused() -> None:
    for length in range(len(UNSIGNED)):
        assert complaint(UNSIGNED[:length], SPENT) == "transaction.unsigned"


@pytest.mark.parametrize(
    "unsigned",
    [
        pytest.param(UNSIGNED + b"\x00", id="trailing byte"),
        pytest.param(UNSIGNED[:4] + b"\x00\x01" + UNSIGNED[4:], id="witness marker"),
        pytest.param(UNSIGNED[:41] + b"\x01\x51" + UNSIGNED[42:], id="scriptSig"),
        pytest.param(UNSIGNED[:4] + b"\xfd\x01\x00" + UNSIGNED[5:], id="a count in a longer form"),
        pytest.param(transaction([], [(1, P2TR)]), id="no input"),
        pytest.param(transaction([], [(1, P2TR)] * 2), id="no input, two outputs"),
        pytest.param(transaction([COIN], []), id="no output"),
        pytest.param(transaction([COIN, COIN], [(1, P2TR)]), id="one input twice"),
        pytest.param(transaction([Coin(bytes(32), 2**32 - 1, 0, b"")], [(1, P2TR)]), id="coinbase"),
        pytest.param(transaction([COIN], [(-1, P2TR)]), id="a negative amount"),
        pytest.param(transaction([COIN], [(MAX_MONEY + 1, P2TR)]), id="more than all bitcoin"),
        pytest.param(transaction([COIN], [(MAX_MONEY, P2TR), (1, P2TR)]), id="more than all bitcoin together"),
        pytest.param(transaction([COIN], [(1, bytes(MAX_UNSIGNED))]), id="too many bytes"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff" * 100, id="noise"),
    ],
)
def test_what_is_no_unsigned_transaction_is_refused(unsigned: bytes) -> None:
    assert complaint(unsigned, SPENT) == "transaction.unsigned"


@pytest.mark.parametrize(
    ("spent", "field"),
    [
        pytest.param([], "transaction.spent", id="none"),
        pytest.param(SPENT * 2, "transaction.spent", id="one too many"),
        pytest.param([(98_999, P2TR)], "transaction.spent", id="less than the outputs"),
        pytest.param([(-1, P2TR)], "transaction.spent[0].amount", id="negative"),
        pytest.param([(MAX_MONEY + 1, P2TR)], "transaction.spent[0].amount", id="more than all bitcoin"),
        pytest.param([(True, P2TR)], "transaction.spent[0].amount", id="a bool"),
        pytest.param([(99_000, bytes(MAX_SCRIPT + 1))], "transaction.spent[0].script", id="a script too long"),
    ],
)
def test_wrong_spent_outputs_are_refused_by_name(spent: list[tuple[int, bytes]], field: str) -> None:
    assert complaint(UNSIGNED, spent) == field


def test_spent_outputs_worth_more_than_all_bitcoin_together_are_refused() -> None:
    unsigned = transaction([COIN, OTHER], [(1, P2TR)])
    assert complaint(unsigned, [(MAX_MONEY, P2TR), (1, P2TR)]) == "transaction.spent"


def test_an_error_names_the_field_where_the_transaction_stood() -> None:
    with pytest.raises(BadInput, match=r"transactions\[3\]\.spent\[0\]\.amount: must be 0 to"):
        Spend(UNSIGNED, [(-1, P2TR)], field="transactions[3]")


def test_a_complaint_does_not_quote_the_transaction() -> None:
    with pytest.raises(BadInput) as caught:
        Spend(transaction([COIN], [(MAX_MONEY + 77, P2TR)]), SPENT)
    assert str(MAX_MONEY + 77) not in str(caught.value) and caught.value.__suppress_context__


@given(st.binary(max_size=200), st.integers(0, len(UNSIGNED)), st.integers(0, len(UNSIGNED)))
def test_damage_is_refused_or_read_as_another_transaction(noise: bytes, start: int, stop: int) -> None:
    damaged = UNSIGNED[:start] + noise + UNSIGNED[stop:]
    try:
        spend = Spend(damaged, [(MAX_MONEY, P2TR)])
    except BadInput as error:
        assert error.field in ("transaction.unsigned", "transaction.spent")
    else:
        assert (spend.sighash(0) == Spend(UNSIGNED, [(MAX_MONEY, P2TR)]).sighash(0)) == (damaged == UNSIGNED)


# Signing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [-1, 1])
def test_an_input_that_is_not_there_has_no_sighash(index: int) -> None:
    with pytest.raises(BadInput, match="input: the transaction has no such input"):
        Spend(UNSIGNED, SPENT).sighash(index)


def test_only_taproot_inputs_are_signed() -> None:
    spend = Spend(transaction([COIN, OTHER], [(1, P2TR)]), spends(COIN, OTHER))
    with pytest.raises(BadInput, match=r"transaction\.spent\[1\]\.script: must be taproot"):
        spend.sighash(1)


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(65)])
def test_a_signature_that_does_not_verify_is_not_finalized(signature: bytes) -> None:
    with pytest.raises(BadInput, match=r"signatures\[0\]: does not verify"):
        Spend(UNSIGNED, SPENT).finalize({0: signature})


def test_the_sighash_depends_on_every_spent_amount_and_script() -> None:
    unsigned = transaction([COIN, OTHER], [(1, P2TR)])
    truths = spends(COIN, OTHER)
    lies = [(truths[0], (truths[1][0] + 1, P2WPKH)), (truths[0], (truths[1][0], P2TR))]
    assert len({Spend(unsigned, spent).sighash(0) for spent in (truths, *lies)}) == 3


@st.composite
def payments(draw: st.DrawFn) -> tuple[list[int], list[tuple[int, bytes]], int, int]:
    """Amounts of one to four coins, outputs worth no more, a lock time and a sequence."""
    amounts = draw(st.lists(st.integers(0, MAX_MONEY // 4), min_size=1, max_size=4))
    shares = draw(st.lists(st.integers(0, sum(amounts) // 3), min_size=1, max_size=3))
    outputs = [(share, draw(st.binary(max_size=80))) for share in shares]
    return amounts, outputs, draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 2**32 - 1))


@settings(max_examples=30)
@given(payments())
def test_consensus_accepts_what_is_finalized_and_nothing_that_was_misreported(
    payment: tuple[list[int], list[tuple[int, bytes]], int, int],
) -> None:
    amounts, outputs, lock, sequence = payment
    keys = [Keypair.generate() for _ in amounts]
    coins = [Coin(bytes([i]) * 32, i, a, taproot_script(keys[i].key)) for i, a in enumerate(amounts)]
    spend = Spend(transaction(coins, outputs, lock=lock, sequence=sequence), spends(*coins))
    signed = spend.finalize({i: key.sign(spend.sighash(i)) for i, key in enumerate(keys)})
    lie = [(spend.inputs[0].amount + 1, spend.inputs[0].script), *spend.inputs[1:]]
    assert all(verify_input(signed, i, spend.inputs) for i in range(len(coins)))
    assert not any(verify_input(signed, i, lie) for i in range(len(coins)))


def test_inputs_that_were_not_named_stay_unsigned() -> None:
    with Keypair.generate() as key:
        own = COIN._replace(script=taproot_script(key.key))
        spend = Spend(transaction([own, OTHER], [(1, P2TR)]), spends(own, OTHER))
        signed = spend.finalize({0: key.sign(spend.sighash(0))})
    assert signed[4:6] == b"\x00\x01" and signed.endswith(b"\x00" + bytes(4))


# P2WPKH ------------------------------------------------------------------------------------------------------------

# BIP-143's example of a native P2WPKH input, the second one; the first is P2PK.
BIP143 = Spend(
    bytes.fromhex(
        "0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f0000000000eeffffffef51e1b804cc89d182"
        "d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f"
        "85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac11000000"
    ),
    [
        (625_000_000, bytes.fromhex("2103c9f4836b9a4f77fc0d81f7bcb01b7f1b35916864b9476c241ce9fc198bd25432ac")),
        (600_000_000, bytes.fromhex("00141d0f172a0ecb48aee1be1f2687d2963ae33f71a1")),
    ],
)
BIP143_KEY = Secret(bytes.fromhex("619c335025c7f4012e556c2a58b2506e30b8511b53ade95ea316fd8c3286feb9"))


def test_the_sighash_of_p2wpkh_is_bip_143s() -> None:
    expected = "c37af31116d1b27caf68aae9e3ac82f1477929014d5b917657d0eb49478cb670"
    assert BIP143.key_hash_sighash(1).hex() == expected
    assert BIP143.inputs[1].script == key_hash_script(BIP143_KEY.point)


def test_the_signature_and_witness_of_p2wpkh_are_bip_143s() -> None:
    signature = ecdsa.sign(BIP143.key_hash_sighash(1), BIP143_KEY, b"")
    expected = (
        "0002" "47304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a"
        "0220573a954c4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee01"
        "21025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee635711000000"
    )  # fmt: skip
    signed = BIP143.finalize({1: signature}, {1: BIP143_KEY.point})
    assert signed.hex().endswith(expected)
    assert verify_input(signed, 1, BIP143.inputs)


@settings(max_examples=30)
@given(payments())
def test_consensus_accepts_p2wpkh_beside_taproot_and_no_other_amount(
    payment: tuple[list[int], list[tuple[int, bytes]], int, int],
) -> None:
    amounts, outputs, lock, sequence = payment
    secret, key = Secret.generate(), Keypair.generate()
    scripts = [key_hash_script(secret.point), *[taproot_script(key.key)] * (len(amounts) - 1)]
    coins = [Coin(bytes([i]) * 32, i, a, scripts[i]) for i, a in enumerate(amounts)]
    spend = Spend(transaction(coins, outputs, lock=lock, sequence=sequence), spends(*coins))
    made = {0: ecdsa.sign(spend.key_hash_sighash(0), secret)}
    made |= {i: key.sign(spend.sighash(i)) for i in range(1, len(coins))}
    signed = spend.finalize(made, {0: secret.point})
    lie = [(spend.inputs[0].amount + 1, spend.inputs[0].script), *spend.inputs[1:]]
    assert all(verify_input(signed, i, spend.inputs) for i in range(len(coins)))
    assert not verify_input(signed, 0, lie)


def test_only_p2wpkh_inputs_have_a_key_hash_sighash() -> None:
    with pytest.raises(BadInput, match=r"transaction\.spent\[0\]\.script: must be P2WPKH"):
        BIP143.key_hash_sighash(0)
    with pytest.raises(BadInput, match="no such input"):
        BIP143.key_hash_sighash(2)


@pytest.mark.parametrize(
    ("signer", "key"),
    [(Secret.generate(), BIP143_KEY.point), (BIP143_KEY, Secret.generate().point)],
    ids=["signed by another", "under another"],
)
def test_an_ecdsa_signature_by_another_key_is_not_finalized(signer: Secret, key: bytes) -> None:
    signature = ecdsa.sign(BIP143.key_hash_sighash(1), signer)
    with pytest.raises(BadInput, match=r"signatures\[1\]: does not verify"):
        BIP143.finalize({1: signature}, {1: key})


def test_a_key_hash_needs_a_plain_key() -> None:
    with pytest.raises(BadInput, match="key: must be 33 bytes"):
        key_hash_script(BIP143_KEY.point[1:])


# Addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "start"), [("bitcoin", "bc1p"), ("testnet", "tb1p"), ("signet", "tb1p"), ("regtest", "bcrt1p")]
)
def test_each_network_has_its_prefix(network: Network, start: str) -> None:
    assert taproot_address(bytes(range(32)), network).startswith(start)


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("76a914751e76e8199196d454941c45d1b3a323f1433bd688ac", "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH"),
        ("0014751e76e8199196d454941c45d1b3a323f1433bd6", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
        ("6a04deadbeef", "script 6a04deadbeef"),
        ("", "script (empty: anyone can spend it)"),
    ],
)
def test_scripts_are_shown_as_addresses_or_as_themselves(script: str, text: str) -> None:
    assert address_of(bytes.fromhex(script), "bitcoin") == text


def test_a_long_script_is_shown_by_its_hash() -> None:
    assert re.fullmatch("script of 101 bytes, SHA-256 [0-9a-f]{64}", address_of(b"\x6a" + bytes(100), "bitcoin"))


@given(st.binary(max_size=200), st.sampled_from(get_args(Network)))
def test_every_script_has_a_text_that_one_can_print(script: bytes, network: Network) -> None:
    assert re.fullmatch(r"[0-9A-Za-z ,:()-]+", address_of(script, network))


@given(st.binary(max_size=42), st.binary(max_size=42))
def test_two_scripts_never_share_a_text(one: bytes, other: bytes) -> None:
    assert (address_of(one, "bitcoin") == address_of(other, "bitcoin")) == (one == other)


def test_an_unknown_network_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="network: must be one of bitcoin, testnet, signet, regtest"):
        address_of(P2TR, "mainnet")  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 31, 33])
def test_an_output_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(BadInput, match="output_key: must be 32 bytes"):
        taproot_script(bytes(size))


# Addresses read -----------------------------------------------------------------------------------------------------

SCRIPTS = (
    P2TR,
    P2WPKH,
    b"\x00\x20" + bytes(32),
    b"\x76\xa9\x14" + bytes(20) + b"\x88\xac",
    b"\xa9\x14" + bytes(20) + b"\x87",
)


@pytest.mark.parametrize("network", get_args(Network))
@pytest.mark.parametrize("script", SCRIPTS)
def test_an_address_stands_for_its_script(script: bytes, network: Network) -> None:
    assert script_of(address_of(script, network), network) == script


def test_a_bech32_address_may_be_in_capitals_as_qr_codes_have_it() -> None:
    assert script_of(taproot_address(bytes(range(32)), "bitcoin").upper(), "bitcoin") == P2TR


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_address_of_another_network_is_refused(script: bytes) -> None:
    with pytest.raises(BadInput, match="none of the network"):
        script_of(address_of(script, "bitcoin"), "regtest")


@pytest.mark.parametrize(
    "text", ["", "bc1", "bc1qqqqqq", taproot_address(bytes(range(32)), "bitcoin")[:-2] + "qq", "5120" * 17]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        script_of(text, "bitcoin")
    assert caught.value.field == "address"
