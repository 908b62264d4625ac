"""Words of one key: payloads filled in, sealed to the group, signed (§3.1, §8.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..keys.sealing import GroupKey
from ..machines.replay import Replay
from ..plaintext import contents
from ..plaintext.contents import MAX_TEXT, Detail
from ..values import Id, XOnlyKey, digest
from ..wire import statements
from ..wire.payloads import SigningRefuse
from ..wire.shapes import VERSION, Said
from ..wire.statements import Statement
from .holder import KeyHolder, needed


class Speaker:
    """Speaks with one key; ``sign`` gives its BIP-340 signature (64 bytes) over 32 bytes."""

    def __init__(self, key: XOnlyKey, sign: Callable[[bytes], bytes]) -> None:
        self.key = key
        self._sign = sign

    def say(self, replay: Replay, kind: type[Said], **fields: Any) -> Statement:
        """A statement in ``replay``'s stream, after the latest record that we verified there."""
        blobs = fields.pop("blobs", ())
        payload = kind(v=VERSION, by=self.key, stream=replay.stream, after=replay.chain.hash, **fields)
        return statements.make(payload, self._sign, blobs=blobs)

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

    def refuse(self, replay: Replay, holder: KeyHolder, code: str, message: str) -> list[Statement]:
        """``signing.refuse`` for the needed slots of ``holder``, with a detail for the members only; else nothing."""
        state = replay.as_signing
        assert state is not None
        slots = needed(holder, state.request)
        if not slots:
            return []
        detail = self.detail(holder.group, "signing.refuse", replay.stream, message)
        return [self.say(replay, SigningRefuse, attempt=state.attempt, slots=slots, code=code, **detail)]
