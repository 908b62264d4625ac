"""The enclave's own words: payloads filled in, sealed to the group, signed with its identity."""

from __future__ import annotations

from typing import Any

from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.keygen_state import KeygenState
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing_state import SigningState
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import MAX_TEXT, Detail
from keymeld_protocol.values import Id, XOnlyKey, digest
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.payloads import SigningRefuse
from keymeld_protocol.wire.shapes import VERSION, Said
from keymeld_protocol.wire.statements import Statement

from .keymanagement import EnclaveIdentity


class Speaker:
    """Speaks as one enclave; ``key`` is its identity."""

    def __init__(self, identity: EnclaveIdentity) -> None:
        self._identity = identity
        self.key: XOnlyKey = identity.key

    def say(self, replay: Replay, kind: type[Said], **fields: Any) -> Statement:
        """A statement in ``replay``'s stream, after the latest record that we verified there."""
        blobs = fields.pop("blobs", ())
        payload = kind(v=VERSION, by=self.key, stream=replay.stream, after=replay.chain.hash, **fields)
        return statements.make(payload, self._identity.sign, blobs=blobs)

    def sealed(self, group: GroupKey | None, kind: str, session: Id, **plaintexts: bytes) -> dict[str, Any]:
        """Fields and blobs of a statement with plaintexts sealed to the group; nothing while S is not known."""
        if group is None:
            return {}
        blobs = {name: group.seal(kind, name, session, self.key, plain) for name, plain in plaintexts.items()}
        return {name: digest(blob) for name, blob in blobs.items()} | {"blobs": tuple(blobs.values())}

    def detail(self, group: GroupKey | None, kind: str, session: Id, message: str) -> dict[str, Any]:
        """A refusal's detail, for the members only."""
        text = contents.encode(Detail(v=VERSION, message=message[:MAX_TEXT]))
        return self.sealed(group, kind, session, detail=text)

    def refuse(self, replay: Replay, group: GroupKey | None, code: str, message: str) -> list[Statement]:
        """``signing.refuse`` for the needed slots that are ours, with a detail for the members only; else nothing."""
        state = replay.as_signing
        assert state is not None
        slots = self.needed(state, state.keygen)
        if not slots:
            return []
        detail = self.detail(group, "signing.refuse", replay.stream, message)
        return [self.say(replay, SigningRefuse, attempt=state.attempt, slots=slots, code=code, **detail)]

    def needed(self, state: SigningState, keygen: KeygenState) -> tuple[int, ...]:
        """The slots that a request needs and that are sealed to us, rising."""
        return tuple(sorted(set(keygen.slots_at(self.key)) & set(state.request.slots)))
