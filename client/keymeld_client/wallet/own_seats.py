"""What of a keygen is this wallet's own: it follows from its identity and the verified log (§1.5).

    identity, keygen, slot ─▶ auth key ─▶ its joins in the log         the slots that were joined, and where it sits
    identity, the log's salt ─▶ creator key, open secret               whether it opened the keygen, and its invitations

So a wallet of which only the identity and a ticket are left is the wallet that it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.curve.secp256k1 import Secret, wipe
from keymeld_protocol.keys.derivation import slot_secret
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.values import Id, Salt, XOnlyKey
from keymeld_protocol.wire.payloads import KeygenCreate, KeygenJoin

from ..errors import WalletError
from .entries import KeygenEntry

if TYPE_CHECKING:
    from .wallet import Wallet


class OwnSeats:
    """What is one wallet's own, of each keygen."""

    def __init__(self, wallet: Wallet) -> None:
        """Nothing is derived before it is asked for."""
        self._wallet = wallet
        self._auth: dict[Id, dict[int, XOnlyKey]] = {}
        self._creators: dict[Salt, XOnlyKey] = {}

    def auth_keys(self, keygen: Id, slots: int) -> Mapping[int, XOnlyKey]:
        """The auth keys with which this wallet speaks for each of ``slots`` slots, joined or not."""
        if keygen not in self._auth:
            keys = dict[int, XOnlyKey]()
            for slot in range(slots):
                with self._wallet.identity.auth(keygen, slot) as auth:
                    keys[slot] = XOnlyKey(auth.key)
            self._auth[keygen] = keys
        return self._auth[keygen]

    def joined(self, heard: Replay) -> tuple[int, ...]:
        """The slots of which the verified log shows a join by this wallet, whatever became of it; rising."""
        state = heard.as_keygen
        if state is None:
            return ()
        keys = self.auth_keys(heard.stream, len(state.seats))
        said = (record.statement.payload for record in heard.records)
        return tuple(sorted({s.slot for s in said if isinstance(s, KeygenJoin) and s.by == keys.get(s.slot)}))

    def opened(self, create: KeygenCreate) -> bool:
        """Whether this wallet opened the keygen."""
        if create.salt not in self._creators:
            with self._wallet.identity.creator(create.salt) as creator:
                self._creators[create.salt] = XOnlyKey(creator.key)
        return self._creators[create.salt] == create.by

    def invites(self, entry: KeygenEntry, create: KeygenCreate, slot: int) -> bool:
        """Whether this wallet can sign with the invite key of ``slot``."""
        return self._invite(entry, create, slot) is not None

    def invite(self, entry: KeygenEntry, create: KeygenCreate, slot: int) -> Keypair:
        """The invite key of ``slot``.

        Raises:
            WalletError: no ticket for this slot is held.
        """
        found = self._invite(entry, create, slot)
        if found is None:
            raise WalletError(f"this wallet holds no ticket for slot {slot}")
        return found

    def _invite(self, entry: KeygenEntry, create: KeygenCreate, slot: int) -> Keypair | None:
        """By the ticket of the slot, by an open one, or as the creator, whose open secret follows from his identity."""
        if slot in entry.slot_secrets:
            with Secret(entry.slot_secrets[slot]) as secret:
                return Keypair(secret)
        roots = [] if entry.open_secret is None else [bytearray(entry.open_secret)]
        if self.opened(create):
            roots.append(self._wallet.identity.open_secret(create.salt))
        try:
            invites = (_invite_of(root, slot) for root in roots)
            return next((invite for invite in invites if invite.key == create.slots[slot]), None)
        finally:
            for root in roots:
                wipe(root)


def _invite_of(root: bytearray, slot: int) -> Keypair:
    """The invite key that follows from an open secret."""
    with slot_secret(root, slot) as secret:
        return Keypair(secret)
