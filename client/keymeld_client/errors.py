"""What the client raises beside the protocol's own errors; each says what a person can do about it.

    KeymeldError
    ├── WalletError      we: the wallet's folder is in use, damaged, or lacks what is asked of it
    │   └── Damaged      one file of it cannot be read: which one, and what to do; one session's harms no other
    ├── NotConnected     we: the coordinator closed for good, or cannot be reached with this wallet
    ├── NotTrusted       the client refuses to seal a key to an enclave that nobody told it to believe
    ├── ReadOnly         the session's log does not hold; nothing is said in it any more
    ├── WaitsForLost     the coordinator has lost statements that are not back: nothing new is said until they are
    ├── JoinRefused      an enclave refused the join; the slot is free again
    │   └── PushedOut    the same, and nobody can join any more: what is there now is not confirmed
    ├── KeygenEnded      the keygen ended without a group
    ├── SigningEnded     the signing ended without signatures: its code, who refused, who is at fault
    ├── NotSigned        an item failed alone (a ``Blamed``): its code and slots; the others may be signed
    └── NeedsSecret      what was signed is completed by a secret that was not given: the points it belongs to

What the coordinator answers is the protocol's ``WireError``, what a member sealed and does not hold is its ``Blamed``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from keymeld_protocol.errors import Blamed, KeymeldError
from keymeld_protocol.foreign import REASON_CELLS, quoted
from keymeld_protocol.wording import slots_told

NEEDS_NEWER: Final = "this needs a newer version of Keymeld"
"""What is told of a session that holds a record of a later version (§12)."""


class WalletError(KeymeldError):
    """The wallet's folder is in use, damaged, or lacks what is asked of it; never quotes a secret."""


class Damaged(WalletError):
    """What a file of the wallet holds is no longer what was written; names the file, and never quotes it."""


class NotConnected(KeymeldError):
    """The conversation with the coordinator has ended and coming back cannot help."""


class NotTrusted(KeymeldError):
    """No enclave that is trusted is there: nothing was sealed."""


class ReadOnly(KeymeldError):
    """This session's log broke the protocol or forked; the evidence is in the wallet."""


class WaitsForLost(KeymeldError):
    """This session's coordinator was restored from a backup, and statements that it lost are not back yet (§4.3).

    It is not broken. ``go_without_lost`` of its handle goes on without them.
    """


class JoinRefused(KeymeldError):
    """The join of ``slot`` no longer fills it: an enclave refused it, or the creator released it, with ``code``.

    ``how`` says in words who did it, and when.  ``detail`` is somebody's sealed text as it came; the message quotes it.
    """

    AND_NOW: ClassVar = "joining again makes a fresh key"

    def __init__(self, slot: int, code: str, detail: str = "", how: str = "") -> None:
        told = quoted(detail, REASON_CELLS) if detail else ""
        what = f"{how} ({': '.join(filter(None, (code, told)))})" if how else f"{code} ({told})" if told else code
        super().__init__(f"slot {slot}: {what}; {self.AND_NOW}")
        self.slot = slot
        self.code = code
        self.detail = detail


class PushedOut(JoinRefused):
    """The keygen was completed without a join that this wallet said, in ``slot``: it is not confirmed (§6.3)."""

    AND_NOW: ClassVar = "the roster is not confirmed unless you say that you do without that slot"


class KeygenEnded(KeymeldError):
    """The keygen ended without a group; names the slots that were missing."""


class SigningEnded(KeymeldError):
    """The signing ended without signatures.

    ``phase`` is how it ended, ``code`` the stable word, ``slots`` who
    refused, or whom it waited for.  ``at_fault`` is whom the log proves to be at fault, recomputed here and told by
    ``judged``; nobody's accusation is believed, and ``detail`` is one.  ``may_be_signed`` warns that somebody may hold
    a signature.
    """

    def __init__(
        self, phase: str, code: str, slots: tuple[int, ...], detail: str, may_be_signed: bool,
        at_fault: tuple[int, ...] = (), judged: Sequence[str] = (),
    ) -> None:  # fmt: skip
        if code == phase:
            hopeless = ": a rule can no longer be met" if phase == "rejected" else ""
            how = f" by {slots_told(slots)}" if slots else hopeless
        else:
            how = f": {code}, {slots_told(slots)}" if slots else f": {code}"
        why = f" ({quoted(detail, REASON_CELLS)})" if detail else ""
        if judged:
            how, why = "" if code == phase else f" ({code})", f": {'; '.join(judged)}"
        warning = f"; {SIGNED_ALL_THE_SAME}" if may_be_signed else ""
        super().__init__(f"the signing {_ENDED.get(phase, phase)}{how}{why}{warning}")
        self.phase = phase
        self.code = code
        self.slots = slots
        self.detail = detail
        self.may_be_signed = may_be_signed
        self.at_fault = at_fault
        self.judged = tuple(judged)


class NotSigned(Blamed):
    """An item failed alone: its code, the slots of its key list, and why; the others may be signed."""


class NeedsSecret(KeymeldError):
    """An item has adaptor points: what was made is a pre-signature, and the secrets of ``points`` are missing."""

    def __init__(self, points: Sequence[bytes], item: int | None = None, others: int = 0) -> None:
        which = "the pre-signature" if item is None else f"item {item} has a pre-signature, which"
        told = " and ".join(point.hex() for point in points) + (f" (or of one of {others} others)" if others else "")
        super().__init__(f"{which} is completed by the secret of {told}: give it as secrets=, or take `results()`")
        self.points = tuple(points)


SIGNED_ALL_THE_SAME: Final = "it may be signed all the same: treat its coins as spent"
"""Of a signing that shows no signature, where somebody may hold one (§7.1)."""
_ENDED = {"failed": "failed", "rejected": "was rejected", "cancelled": "was cancelled by who asked for it",
          "expired": "has expired"}  # fmt: skip
