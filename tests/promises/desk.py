"""A client at a desk without a line: it shows what a wallet's ledger was told, and nothing can be said.

reader = Reader(tale); client = at_desk(reader); client.keygen(tale.keygen).safety
"""

from __future__ import annotations

from keymeld_client import Client, Trust
from keymeld_client.line.courier import Courier
from tests.client.paper import Reader


def at_desk(reader: Reader) -> Client:
    """A client over the reader's ledger; it never dials."""
    return Client(Courier(reader.wallet, reader.ledger), Trust())
