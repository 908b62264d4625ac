"""Signings in every phase: two enclaves, the vault (slots 0 and 1, goes last) and the tower (slot 2).

asked(SELF)      a request by slot 0; the rules by slot, else none: then its first attempt is open by itself
waiting()        it waits for the yes of slot 1
nonces()         its first attempt is open              psigs()       the vault has said nonces and psigs
signed()         the tower has finished it              IN[phase]()   a session in that phase
"""

from collections.abc import Callable
from typing import Any

from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.wire.payloads import SigningExpired
from keymeld_protocol.wire.shapes import MAX_ATTEMPTS, Rule
from keymeld_protocol.wire.statements import Statement
from tests.support.machines import (
    GRACE,
    HOUR,
    NONE,
    NOON,
    TOWER,
    VAULT,
    Keygen,
    Signing,
    completed,
    key_of,
)

SELF = Rule(approval="self")
DELAY = 60_000
"""A minute (ms)."""
DELAYED = Rule(approval="none", delay_ms=DELAY)


def quorum(threshold: int, *of: int) -> Rule:
    """The rule ``threshold`` of these slots."""
    return Rule(approval="quorum", threshold=threshold, of=of)


def asked(*rules: Rule, slots: int = 3, **fields: Any) -> Signing:
    """A request by slot 0 of a keygen with these rules; slots 0 and 1 are at the vault, slot 2 at the tower."""
    return Signing(completed(slots, *rules), **fields)


def waiting() -> Signing:
    """A request that waits for the yes of slot 1."""
    return asked(NONE, SELF)


def nonces() -> Signing:
    """The first attempt is open."""
    return asked()


def given_up(**fields: Any) -> Signing:
    """The grace of its first attempt has just passed."""
    stream = asked(**fields)
    stream.now += GRACE
    return stream


def psigs() -> Signing:
    """Everybody has sent nonces; the vault, which is last, has signed too."""
    return nonces().steps((TOWER, "nonces"), (VAULT, "both"))


def signed() -> Signing:
    """The tower has added up the signatures."""
    return psigs().steps((TOWER, "signatures"))


def ended(make: Callable[[Signing], Statement], begin: Callable[[], Signing] = asked) -> Callable[[], Signing]:
    """How a session comes to its end: what is said last."""

    def build() -> Signing:
        stream = begin()
        said = make(stream)
        stream.hear(said, at=NOON + HOUR if isinstance(said.payload, SigningExpired) else NOON)
        return stream

    return build


IN: dict[SigningPhase, Callable[[], Signing]] = {
    SigningPhase.APPROVING: waiting,
    SigningPhase.NONCES: nonces,
    SigningPhase.PSIGS: psigs,
    SigningPhase.COMPLETED: signed,
    SigningPhase.REJECTED: ended(lambda s: s.reject(0)),
    SigningPhase.FAILED: ended(lambda s: s.refuse(VAULT)),
    SigningPhase.CANCELLED: ended(lambda s: s.cancel()),
    SigningPhase.EXPIRED: ended(lambda s: s.expired()),
}


def three() -> Signing:
    """Three enclaves of one slot each; the vault is last."""
    keygen = Keygen(3)
    for slot, name in enumerate(("vault", "castle", "tower")):
        keygen.hear(keygen.join(slot, enclave=key_of(name)))
        keygen.hear(keygen.accept(slot, by=key_of(name)))
    return Signing(keygen).open()


def sixteenth() -> Signing:
    """The last attempt that a request has; its grace has just passed."""
    stream = asked()
    for _ in range(MAX_ATTEMPTS):
        stream.open()
        stream.now += GRACE
    return stream
