"""A yes ends with its request, and a request within seven days: by the clock of whoever says yes.

A coordinator that dates its records into the future could keep a yes for years, and use it when it suits.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keymeld_client import Signing
from keymeld_protocol.errors import Blamed, Refused
from keymeld_protocol.wire.shapes import REQUEST_LIFE_MS
from tests.client.paper import Reader, Tale
from tests.support.world import HOUR, MINUTE, NOON

from .desk import at_desk

pytestmark = pytest.mark.asyncio


@pytest.fixture
def reader() -> Iterator[Reader]:
    """Somebody with a ticket, who has heard a keygen and a signing."""
    tale = Tale()
    reader = Reader(tale)
    for stream in (tale.keygen, tale.signing):
        reader.subscribed(stream)
        reader.hear(stream)
    yield reader
    reader.wallet.close()


@pytest.fixture
def signing(reader: Reader) -> Signing:
    """The request, which ends an hour after noon."""
    return at_desk(reader).signing(reader.tale.signing)


async def test_nobody_approves_what_would_live_longer_than_seven_days(reader: Reader, signing: Signing) -> None:
    reader.time = NOON + HOUR - REQUEST_LIFE_MS - 11 * MINUTE
    with pytest.raises(Blamed, match="expires_too_late"):
        await signing.approve()


async def test_clocks_may_be_some_minutes_apart(reader: Reader, signing: Signing) -> None:
    reader.time = NOON + HOUR - REQUEST_LIFE_MS - 9 * MINUTE
    with pytest.raises(Refused):  # this wallet sits nowhere: the life of the request was no objection
        await signing.approve()
