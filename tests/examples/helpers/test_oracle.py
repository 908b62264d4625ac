"""examples/oracle.py: what it announces tells every point, what it attests is the secret of one."""

import pytest

from examples.helpers.oracle import Oracle
from keymeld_protocol.curve.secp256k1 import pubkey_of
from keymeld_protocol.errors import InvalidCrypto


@pytest.fixture
def oracle() -> Oracle:
    return Oracle(("heads", "tails"))


@pytest.mark.parametrize("outcome", ["heads", "tails"])
def test_an_attestation_is_the_secret_of_the_point_that_was_announced(oracle: Oracle, outcome: str) -> None:
    assert pubkey_of(oracle.attest(outcome)) == oracle.announcement.point(outcome)


def test_an_attestation_is_a_bip340_signature_of_its_outcome_and_of_no_other(oracle: Oracle) -> None:
    attestation = oracle.attest("heads")
    assert oracle.announcement.holds("heads", attestation)
    assert not oracle.announcement.holds("tails", attestation)


def test_a_second_attestation_would_give_the_key_away_and_is_refused(oracle: Oracle) -> None:
    oracle.attest("heads")
    with pytest.raises(InvalidCrypto):
        oracle.attest("tails")


def test_what_was_not_announced_has_no_point_and_spends_no_nonce(oracle: Oracle) -> None:
    with pytest.raises(ValueError, match="must be one of heads, tails"):
        oracle.announcement.point("edge")
    with pytest.raises(ValueError, match="must be one of heads, tails"):
        oracle.attest("edge")
    assert oracle.announcement.holds("heads", oracle.attest("heads"))
