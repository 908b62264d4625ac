"""What the SDK exports, each name from where it lives: `from keymeld_client import connect` finds it here."""

from keymeld_protocol.keys.ticket import Ticket
from keymeld_protocol.plaintext.body import Adaptor
from keymeld_protocol.plaintext.policy import AllowedOutput, AllowedScript
from keymeld_protocol.wire.shapes import Rule

from .client import Client, connect
from .errors import (
    JoinRefused,
    KeygenEnded,
    NeedsSecret,
    NotConnected,
    NotTrusted,
    PushedOut,
    ReadOnly,
    SigningEnded,
    WaitsForLost,
    WalletError,
)
from .keygens import Keygen
from .said.choosing import Allow, Choice
from .said.drafting import Draft
from .shown.blame import Fault, Judgement
from .shown.presigned import Presigned
from .signings import Signing
from .status import Status
from .wallet.trust import Trust
from .wallet.wallet import Wallet

__all__ = [
    "Allow",
    "AllowedOutput",
    "AllowedScript",
    "Adaptor",
    "Choice",
    "Client",
    "Draft",
    "Fault",
    "JoinRefused",
    "Judgement",
    "Keygen",
    "KeygenEnded",
    "NeedsSecret",
    "NotConnected",
    "NotTrusted",
    "PushedOut",
    "Presigned",
    "ReadOnly",
    "Rule",
    "Signing",
    "SigningEnded",
    "Status",
    "Ticket",
    "Trust",
    "WaitsForLost",
    "Wallet",
    "WalletError",
    "connect",
]
