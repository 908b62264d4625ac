"""handle.py: a handle holds no state of its own; before anything was heard it says so."""

from collections.abc import Iterator

import pytest

from keymeld_client.errors import WalletError
from keymeld_client.handle import Handle
from keymeld_protocol.errors import Reason, Refused
from keymeld_protocol.wire.frames import wire_head
from tests.client.paper import Reader, Tale
from tests.promises.desk import at_desk


@pytest.fixture(scope="module")
def tale() -> Tale:
    """One signed session, only read."""
    return Tale()


@pytest.fixture
def reader(tale: Tale) -> Iterator[Reader]:
    """Somebody with a ticket who has heard nothing yet."""
    with Reader(tale).closing() as reader:
        yield reader


@pytest.fixture
def handle(reader: Reader, tale: Tale) -> Handle:
    """The tale's keygen."""
    return at_desk(reader).keygen(tale.keygen)


def test_before_anything_was_heard_there_is_nothing_to_show(handle: Handle) -> None:
    assert repr(handle) == f"<Keygen {handle.id.hex()[:12]} not heard>"
    assert (handle.read_only, handle.head_age_ms) == (None, None)
    with pytest.raises(WalletError, match="nothing was heard of this keygen yet"):
        handle.heard  # noqa: B018


def test_a_session_that_the_coordinator_refuses_says_why(handle: Handle, reader: Reader) -> None:
    reader.ledger.refused[handle.id] = Refused(Reason.NOT_ALLOWED, "not for you")
    with pytest.raises(Refused, match="not for you"):
        handle.heard  # noqa: B018


def test_it_shows_what_was_verified_meanwhile(handle: Handle, reader: Reader, tale: Tale) -> None:
    reader.subscribed(tale.keygen, head=wire_head(tale.head(tale.keygen)))
    reader.hear(tale.keygen)
    assert repr(handle) == f"<Keygen {handle.id.hex()[:12]} completed>"
    assert handle.heard.chain.offset == len(tale.wires(tale.keygen))
    assert handle.head_age_ms is not None


def test_a_log_that_broke_is_read_only(handle: Handle, reader: Reader, tale: Tale) -> None:
    reader.subscribed(tale.keygen)
    reader.hear(tale.keygen)
    reader.subscribed(tale.keygen, top=1, reason="fork")
    assert handle.read_only
    assert handle.heard.chain.offset == len(tale.wires(tale.keygen)), "what was verified stays readable"
