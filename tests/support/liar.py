"""An enclave that is honest in all but what a test spoils: its words are altered, sealed and signed anew.

tower = Liar(world, "tower"); tower.reader = alice                        somebody whose group key opens its words
tower.spoil = lambda step, entries: (Nonce(GARBAGE), *entries[1:])        what it contributes; bytes: as they are
tower.accuses = "bad_psig"; tower.at = "psigs"                            a refusal instead of that step
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.member.plan import read_body
from keymeld_protocol.plaintext import contents, contributions
from keymeld_protocol.plaintext.body import places_of
from keymeld_protocol.plaintext.contents import Detail
from keymeld_protocol.plaintext.contributions import Entry
from keymeld_protocol.values import Id, digest
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.payloads import SigningContribute, SigningRefuse
from keymeld_protocol.wire.statements import Statement

from .coordinator import key_of
from .world import Enclave, Member

Spoil = Callable[[str, tuple[Entry, ...]], tuple[Entry, ...] | bytes]
"""Alters the entries of a step: ``nonces``, ``both``, ``psigs``, or ``signatures``."""


class Liar(Enclave):
    """A real enclave whose contributions are altered before they are said, or become refusals."""

    reader: Member
    spoil: Spoil | None = None
    accuses: str | None = None
    at = "nonces"
    keeps: frozenset[str] = frozenset()
    """Kinds that it keeps to itself."""

    def step(self) -> bool:
        """As an enclave; what it is about to say is altered first."""
        while self.outbox and self.outbox[0].payload.kind in self.keeps:
            self.outbox.popleft()
        if self.outbox and self.here:
            self.outbox[0] = self._altered(self.outbox[0])
        return super().step()

    def _altered(self, statement: Statement) -> Statement:
        said = statement.payload
        if isinstance(said, SigningContribute):
            accuses = self.accuses is not None and said.step == self.at
            return self._refusal(said) if accuses else self._spoilt(statement, said.step)
        return statement

    def _group(self, signing: Id) -> GroupKey:
        return self.reader.groups[self.reader.signing(signing).request.keygen]

    def _spoilt(self, statement: Statement, step: str) -> Statement:
        if self.spoil is None:
            return statement
        said: Any = statement.payload
        group = self._group(said.stream)
        body = read_body(self.reader.heard(said.stream).records[0].statement, group)
        plain = group.open_in(said, "values", statement.blob("values") or b"")
        spoilt = self.spoil(step, contributions.decode(plain, sum(map(places_of, body.items))))
        encoded = spoilt if isinstance(spoilt, bytes) else contributions.encode(spoilt)
        sealed = group.seal(said.kind, "values", said.stream, said.by, encoded)
        said = msgspec.structs.replace(said, values=digest(sealed))
        return statements.make(said, key_of(self.name).sign, blobs=[sealed])

    def _refusal(self, said: SigningContribute) -> Statement:
        """Somebody else is accused of what this enclave makes up."""
        plain = contents.encode(Detail(v=1, message="slot 1 sent rubbish"))
        sealed = self._group(said.stream).seal("signing.refuse", "detail", said.stream, said.by, plain)
        refusal = SigningRefuse(
            v=1, by=said.by, stream=said.stream, after=said.after, attempt=said.attempt, slots=said.slots,
            code=self.accuses or "", detail=digest(sealed),
        )  # fmt: skip
        return statements.make(refusal, key_of(self.name).sign, blobs=[sealed])
