"""A yes ends with its request, and a request within seven days: by the clock of whoever says yes.

A coordinator that dates its records into the future could keep a yes for years, and use it when it suits.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keymeld_client import Signing, signings
from keymeld_protocol.errors import Blamed, Refused
from keymeld_protocol.wire.shapes import REQUEST_LIFE_MS
from tests.client.paper import Reader, Tale
from tests.support.world import HOUR, MINUTE, NOON

from .desk import at_desk

pytestmark = pytest.mark.asyncio


@pytest.fixture
def signing() -> Iterator[Signing]:
    """A request that ends an hour after noon, as somebody with a ticket has heard it."""
    tale = Tale()
    reader = Reader(tale)
    for stream in (tale.keygen, tale.signing):
        reader.subscribed(stream)
        reader.hear(stream)
    yield at_desk(reader).signing(tale.signing)
    reader.wallet.close()


async def test_nobody_approves_what_would_live_longer_than_seven_days(
    signing: Signing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signings, "now_ms", lambda: NOON + HOUR - REQUEST_LIFE_MS - 11 * MINUTE)
    with pytest.raises(Blamed, match="expires_too_late"):
        await signing.approve()


async def test_clocks_may_be_some_minutes_apart(signing: Signing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signings, "now_ms", lambda: NOON + HOUR - REQUEST_LIFE_MS - 9 * MINUTE)
    with pytest.raises(Refused):  # this wallet sits nowhere: the life of the request was no objection
        await signing.approve()
