"""Which enclaves this wallet believes: nobody's key goes to any other.

A coordinator may offer whatever enclave it likes (attack 1); a client seals only to identities that its owner has
named, having read them where the enclave runs (``keymeld-enclave identity``).  Refusing is the default: an empty
``Trust`` believes no enclave at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from keymeld_protocol.values import XOnlyKey

from ..errors import NotTrusted, WalletError
from .files import read_private, replace_file
from .wallet import Wallet

_FILE: Final = "trusted-enclaves"


@dataclass(frozen=True)
class Trust:
    """The enclave identities that are believed."""

    enclaves: frozenset[XOnlyKey] = frozenset()

    @classmethod
    def of(cls, *keys: str) -> Self:
        """Believe these identities, given as hex (64 characters each).

        Raises:
            ValueError: one is not 64 lower-case hex characters.
        """
        return cls(frozenset(XOnlyKey.from_hex(key) for key in keys))

    @classmethod
    def load(cls, wallet: Wallet) -> Self:
        """What the wallet's owner has said before; nobody, if nothing.

        Raises:
            WalletError: the file is damaged, or readable by others.
        """
        try:
            lines = read_private(wallet.folder / _FILE).decode("ascii").split()
            return cls.of(*lines)
        except FileNotFoundError:
            return cls()
        except ValueError:
            raise WalletError(f"{_FILE} is damaged: one identity of 64 hex digits a line") from None

    def save(self, wallet: Wallet) -> None:
        """Remember these identities in the wallet's folder.

        Raises:
            WalletError: the disk is full, or the folder cannot be written.
        """
        lines = "".join(f"{key.hex()}\n" for key in sorted(self.enclaves))
        replace_file(wallet.folder / _FILE, lines.encode())

    def also(self, keys: Iterable[XOnlyKey]) -> Trust:
        """Believe these as well."""
        return Trust(self.enclaves | frozenset(keys))

    def believes(self, key: XOnlyKey) -> bool:
        """Whether a key may be sealed to this enclave (§11.1)."""
        return key in self.enclaves

    def choose(self, present: Iterable[XOnlyKey], wanted: XOnlyKey | None = None) -> XOnlyKey:
        """The enclave to seal to: ``wanted``, or the first one present that is believed.

        Raises:
            NotTrusted: it, or every enclave that is there, is one that nobody said to believe; or it is not there.
        """
        here = tuple(present)
        if wanted is not None and not self.believes(wanted):
            raise NotTrusted(f"enclave {wanted.hex()} is not trusted: nothing is sealed to it")
        if wanted is not None and wanted not in here:
            raise NotTrusted(f"enclave {wanted.hex()} is not connected to this coordinator now")
        found = [wanted] if wanted is not None else [key for key in here if self.believes(key)]
        if not found:
            offered = f"offers {len(here)} that nobody said to trust" if here else "has none connected"
            raise NotTrusted(f"no trusted enclave is there: the coordinator {offered}")
        return found[0]
