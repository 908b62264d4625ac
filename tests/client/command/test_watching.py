"""command/watching.py: whoever is waited for is named, and with what."""

from keymeld_client.command.names import Names
from keymeld_client.command.watching import missing_in_keygen
from tests.support.machines import HOUR, NOON, VAULT, Keygen, completed

ENCLAVE = f"enclave {VAULT.key.hex()[:6]}"


def missing(stream: Keygen) -> str:
    """What is said of a keygen in which nobody has a label."""
    return missing_in_keygen(stream.state, Names.of(stream.state))


def test_an_empty_keygen_waits_for_people() -> None:
    assert missing(Keygen(3)) == "waiting for slot 0, slot 1 and slot 2 to join"


def test_who_has_joined_waits_for_the_enclave_and_not_for_himself() -> None:
    stream = Keygen(2)
    stream.hear(stream.join(0))
    assert missing(stream) == f"waiting for {ENCLAVE} to hold the key of slot 0, and for slot 1 to join"
    stream.hear(stream.accept(0))
    assert missing(stream) == "waiting for slot 1 to join"


def test_a_complete_keygen_waits_for_confirmations() -> None:
    stream = Keygen(1)
    stream.hear(stream.join(0))
    stream.hear(stream.accept(0))
    assert missing(stream) == "waiting for the confirmation of slot 0"
    stream.hear(stream.confirm(VAULT))
    assert missing(stream) == ""


def test_a_keygen_that_somebody_left_waits_for_his_enclave_and_not_for_his_confirmation() -> None:
    stream = completed(2)
    stream.hear(stream.leave(0))
    assert missing(stream) == "waiting for the confirmation of slot 1, and for the key of slot 0 to be wiped"
    stream.hear(stream.leave(1), stream.wiped(0), stream.wiped(1))
    assert missing(stream) == ""


def test_an_expired_keygen_waits_for_nobody() -> None:
    stream = Keygen(2, expires_at=NOON + HOUR)
    stream.hear(stream.device(0))
    stream.hear(stream.expired(), at=NOON + HOUR)
    assert missing(stream) == "missing: slot 1"
