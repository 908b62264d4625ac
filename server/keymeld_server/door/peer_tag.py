"""A word in place of an address: addresses are personal data, and no log line has one.

It is the same for one address while this process lives, so that lines can be put side by side, and means nothing
afterwards.
"""

from __future__ import annotations

import hmac
import os
from typing import Final

_SALT: Final = os.urandom(32)


def peer_tag(address: str) -> str:
    """The word for an address (8 hex digits); there is no way back."""
    return hmac.digest(_SALT, address.encode(), "sha256")[:4].hex()
