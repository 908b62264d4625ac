"""Every kind of statement as a sentence: who, and what.  The table below is the whole of it.

    14:02:07  slot 1 "Bob"   takes the slot; the key is sealed to enclave 3f9a01; rule: own approval

Text of other people (labels, memos, reasons) stands in ``Names`` and in ``detail``; both are quoted already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from keymeld_protocol.wire.payloads import (
    AttemptOpened,
    CustodyAccept,
    CustodyRefuse,
    CustodyReseal,
    CustodyWiped,
    KeygenConfirm,
    KeygenCreate,
    KeygenExpired,
    KeygenJoin,
    KeygenLeave,
    KeygenRelease,
    SigningApprove,
    SigningCancel,
    SigningContribute,
    SigningDispute,
    SigningExpired,
    SigningHeard,
    SigningRefuse,
    SigningReject,
    SigningRequest,
    SigningRetry,
)
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wording import counted, slots_told

from ..shown.telling import moment
from .names import Names
from .typed.short_forms import rule_told

STEPS: Final = {
    "nonces": "sends nonces",
    "psigs": "sends partial signatures",
    "both": "sends nonces and partial signatures in one",
    "signatures": "signs",
}


@dataclass(frozen=True)
class Sentence:
    """What one record says: when (ms), who, what."""

    at: int
    who: str
    what: str

    @property
    def clock(self) -> str:
        """The time of day in UTC, ``14:02:07``."""
        return moment(self.at, "%H:%M:%S")

    def __str__(self) -> str:
        """One line."""
        return f"{self.clock}  {self.who} {self.what}"


def sentence(record: Record, names: Names, detail: str = "") -> Sentence:
    """Tell a verified record; ``detail`` is its opened and quoted text, such as a memo or a reason."""
    said = record.statement.payload
    names.learn(said)
    tell = SENTENCES.get(type(said))
    what = tell(said, names) if tell is not None else f"says {said.kind}, which this version shows no further"
    return Sentence(record.at, names.who(said.by), f"{what}: {detail}" if detail else what)


def _create(said: KeygenCreate, names: Names) -> str:
    many = counted(len(said.slots), "slot")
    free = ", with open tickets" if said.open else ""
    return f"opens a keygen of {many}{free}, to be joined until {moment(said.expires_at)}"


def _join(said: KeygenJoin, names: Names) -> str:
    kept = "keeps its key on the device" if said.enclave is None else f"seals its key to {names.who(said.enclave)}"
    return f"joins and {kept}; rule: {rule_told(said.rule)}"


def _opened(said: AttemptOpened, names: Names) -> str:
    each = [f"{names.who(signer.key)} for {slots_told(signer.slots)}" for signer in said.signers]
    last = f"; {names.who(said.last)} goes last" if said.last is not None else ""
    return f"opens attempt {said.attempt}: {', '.join(each)}{last}"


def _request(said: SigningRequest, names: Names) -> str:
    many = f"{said.items} signatures" if said.items > 1 else "a signature"
    return f"asks for {many} of {slots_told(said.slots)}"


def _contribute(said: SigningContribute, names: Names) -> str:
    return f"{STEPS[said.step]} for {slots_told(said.slots)}"


SENTENCES: Final[Mapping[type, Callable[[Any, Names], str]]] = {
    KeygenCreate: _create,
    KeygenJoin: _join,
    CustodyAccept: lambda said, names: f"holds the key of {names.slot(said.slot)}",
    CustodyRefuse: lambda said, names: f"refuses the key of slot {said.slot} ({said.code})",
    KeygenRelease: lambda said, names: f"frees slot {said.slot} ({said.code})",
    KeygenConfirm: lambda said, names: "confirms the roster",
    CustodyReseal: lambda said, names: f"moves the key of slot {said.slot} to {names.who(said.enclave)}",
    KeygenLeave: lambda said, names: f"leaves; nothing that needs slot {said.slot} is signed any more",
    CustodyWiped: lambda said, names: f"has wiped the key of slot {said.slot}",
    KeygenExpired: lambda said, names: "closes the keygen: the time to join is over",
    SigningRequest: _request,
    SigningApprove: lambda said, names: "approves" + (f" until {moment(said.until)}" if said.until else ""),
    SigningReject: lambda said, names: "rejects",
    SigningCancel: lambda said, names: "takes the request back",
    AttemptOpened: _opened,
    SigningContribute: _contribute,
    SigningRetry: lambda said, names: f"asks for a new attempt: the nonces of attempt {said.attempt} are gone",
    SigningRefuse: lambda said, names: f"refuses to sign for {slots_told(said.slots)} ({said.code})",
    SigningHeard: lambda said, names: "has verified the request; its delay begins",
    SigningDispute: lambda said, names: f"disputes what record {said.offset} contributed to item {said.item}",
    SigningExpired: lambda said, names: "closes the signing: its time is over",
}
