"""The participant's side: a Python SDK and the `keymeld` command.

It verifies every record it hears, recomputes whatever it can instead of believing it, and resumes each stream where
it stood when the connection was lost.
"""

from keymeld_protocol.body import Adaptor
from keymeld_protocol.sealed_policy import AllowedOutput, AllowedScript
from keymeld_protocol.shapes import Rule
from keymeld_protocol.ticket import Ticket

from .client import Client, connect
from .errors import (
    JoinRefused,
    KeygenEnded,
    NeedsSecret,
    NotConnected,
    NotTrusted,
    ReadOnly,
    SigningEnded,
    WalletError,
)
from .joining import Allow
from .judging import Fault, Judgement
from .keygens import Keygen
from .presigned import Presigned
from .signings import Signing
from .status import Status
from .trust import Trust
from .wallet import Wallet

__all__ = [
    "Allow",
    "AllowedOutput",
    "AllowedScript",
    "Adaptor",
    "Client",
    "Fault",
    "JoinRefused",
    "Judgement",
    "Keygen",
    "KeygenEnded",
    "NeedsSecret",
    "NotConnected",
    "NotTrusted",
    "Presigned",
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
