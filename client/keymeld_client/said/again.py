"""A lost statement of ours, said anew where the hash that it names is lost too: the same but for its ``after`` (§4.3).

who says it ─▶ the creator key, or the auth key of a slot ─▶ signed again, with the ciphertexts that it had
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, TypeAlias

import msgspec

from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.rewound import meanings
from keymeld_protocol.values import XOnlyKey
from keymeld_protocol.wire.payloads import OPENERS, KeygenJoin, KeygenRelease
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.statements import Statement, make

from ..wallet.own_seats import OwnSeats
from ..wallet.wallet import Wallet

Speakers: TypeAlias = Mapping[XOnlyKey, int | None]
"""The keys that a wallet speaks with in one keygen, each with its slot; None: the creator."""


def speakers_of(wallet: Wallet, heard: Replay, auth: Mapping[int, XOnlyKey]) -> Speakers:
    """The keys with which ``wallet`` speaks in a stream: ``auth`` by slot, and the creator's where it is he."""
    found: dict[XOnlyKey, int | None] = {key: slot for slot, key in auth.items()}
    keygen = heard.as_keygen
    if keygen is not None:
        with wallet.identity.creator(keygen.create.salt) as creator:
            if creator.key == keygen.create.by:
                found[keygen.create.by] = None
    return found


def said_anew(wallet: Wallet, heard: Replay, record: Record, whole: Statement, speakers: Speakers) -> Statement | None:
    """The statement of ``record``, ``whole`` with its ciphertexts, as it is said now; None if it is not ours to say.

    Raises:
        WalletError: no ticket is held for the slot of a join.
    """
    said: Any = whole.payload
    if said.by not in speakers or isinstance(said, OPENERS):
        return None
    changes: dict[str, Any] = {"after": heard.chain.hash}
    if isinstance(said, KeygenRelease):
        changes["join"] = _join_now(wallet, heard, said)
    payload, slot = msgspec.structs.replace(said, **changes), speakers[said.by]
    with ExitStack() as keys:
        state = heard.state
        keygen = (state.parent if state is not None else None) or heard.stream
        if slot is None:
            assert heard.as_keygen is not None
            speaker = keys.enter_context(wallet.identity.creator(heard.as_keygen.create.salt))
        else:
            speaker = keys.enter_context(wallet.identity.auth(keygen, slot))
        signers = [speaker.sign]
        entry, joining = wallet.keygen(keygen), heard.as_keygen if isinstance(said, KeygenJoin) else None
        if joining is not None and entry is not None:
            signers.append(keys.enter_context(OwnSeats(wallet).invite(entry, joining.create, said.slot)).sign)
        return make(payload, *signers, blobs=[blob for blob in whole.blobs if blob is not None])


def _join_now(wallet: Wallet, heard: Replay, said: KeygenRelease) -> object:
    """The join that a release is about, by the name that it has now."""
    keygen = heard.as_keygen
    seat = keygen.seats[said.slot] if keygen is not None else None
    found = meanings([*heard.records, *wallet.lost.of(heard.stream)])
    same = seat is not None and found.get(seat.id) == found.get(said.join)
    return seat.id if seat is not None and same else said.join
