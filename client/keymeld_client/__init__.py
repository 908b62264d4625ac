"""The participant's side: a Python SDK and the `keymeld` command.

It verifies every record it hears, recomputes whatever it can instead of believing it, and resumes each stream where
it stood when the connection was lost.
"""

from keymeld_protocol.shapes import Rule
from keymeld_protocol.ticket import Ticket

from .client import Client, connect
from .errors import JoinRefused, KeygenEnded, NotConnected, NotTrusted, ReadOnly, SigningEnded, WalletError
from .keygens import Keygen
from .signings import Signing
from .status import Status
from .trust import Trust
from .wallet import Wallet

__all__ = [
    "Client",
    "JoinRefused",
    "Keygen",
    "KeygenEnded",
    "NotConnected",
    "NotTrusted",
    "ReadOnly",
    "Rule",
    "Signing",
    "SigningEnded",
    "Status",
    "Ticket",
    "Trust",
    "Wallet",
    "WalletError",
    "connect",
]
