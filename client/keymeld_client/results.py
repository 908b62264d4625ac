"""Signatures, computed from a verified log: from the contributions if they are there, else from the sealed confirm.

    contributions of the latest attempt ──▶ opened ──▶ added up, each item verified ──▶ signatures
    signing.confirm (when a contribution's blob was deleted) ──▶ opened ──▶ each verified ─┘

Nobody's word for a result is needed: every signature is checked against the plan's own message and key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from keymeld_protocol import contributions
from keymeld_protocol.attempt import Attempt
from keymeld_protocol.body import SignInput
from keymeld_protocol.contributions import Entry, Failed, Finished
from keymeld_protocol.errors import BadInput, Blamed, InvalidCrypto, bad_field
from keymeld_protocol.plan import Impossible, Item, Plan, Planned
from keymeld_protocol.psbt import Psbt, Signed
from keymeld_protocol.psbt import Signature as PsbtSignature
from keymeld_protocol.records import Record
from keymeld_protocol.replay import Replay
from keymeld_protocol.roster import Roster
from keymeld_protocol.sealing import GroupKey
from keymeld_protocol.signing import SigningState
from keymeld_protocol.values import Signature


@dataclass(frozen=True)
class ItemError:
    """An item that was not signed: ``code`` says why, ``slots`` are its key list's, ``why`` is for people."""

    code: str
    slots: tuple[int, ...]
    why: str


ItemResult: TypeAlias = Signature | ItemError


def results_of(heard: Replay, plan: Plan, roster: Roster, group: GroupKey) -> tuple[ItemResult, ...]:
    """For every item of a signing whose contributions are complete: its verified signature, or why there is none.

    Raises:
        Blamed: something is missing or does not verify; names the slots.
    """
    if not isinstance(heard.state, SigningState):
        raise Blamed("no_signing", (), "not a signing that was heard")
    try:
        return _from_contributions(heard, heard.state, plan, roster, group)
    except Blamed:
        if heard.state.confirmed is None:
            raise
        return _from_confirm(heard.records[heard.state.confirmed - 1], plan, group)


def all_signed(results: Sequence[ItemResult]) -> tuple[Signature, ...]:
    """The signatures, if no item failed.

    Raises:
        Blamed: with the first failed item's code and slots.
    """
    for index, result in enumerate(results):
        if isinstance(result, ItemError):
            raise Blamed(result.code, result.slots, f"item {index} was not signed: {result.why}")
    return tuple(result for result in results if isinstance(result, Signature))


def signatures_of(heard: Replay, plan: Plan, roster: Roster, group: GroupKey) -> tuple[Signature, ...]:
    """The verified signature of every item.

    Raises:
        Blamed: as `results_of`, or an item failed.
    """
    return all_signed(results_of(heard, plan, roster, group))


def _from_contributions(
    heard: Replay, state: SigningState, plan: Plan, roster: Roster, group: GroupKey
) -> tuple[ItemResult, ...]:
    """Add up what the signers of the latest attempt have said."""
    attempt = Attempt(state.attempt, plan.items, state.signers, roster)
    for said in state.contributions:
        entries = open_values(heard.records[said.offset - 1], "values", len(plan.items), group, said.slots)
        attempt.hear(said.by, entries)
    pairs = zip(attempt.results(), plan.items, strict=True)
    return tuple(_failed(r, item) if isinstance(r, Failed) else r for r, item in pairs)


def _failed(reason: Failed, item: Planned) -> ItemError:
    """The error of an item, in words where this wallet has found it too."""
    why = item.why if isinstance(item, Impossible) else "a signer's policy forbids it, or he could not sign it"
    return ItemError(reason.code, item.slots, why)


def _from_confirm(record: Record, plan: Plan, group: GroupKey) -> tuple[ItemResult, ...]:
    """Take the signatures that a signer has confirmed, and verify each; an item may have failed."""
    entries = open_values(record, "signatures", len(plan.items), group, ())
    found: list[ItemResult] = []
    for index, (entry, item) in enumerate(zip(entries, plan.items, strict=True)):
        if isinstance(entry, Failed):
            found.append(_failed(entry, item))
            continue
        if not (isinstance(entry, Finished) and isinstance(item, Item) and item.verifies(entry.signature)):
            raise Blamed("bad_signature", (), f"item {index}: the confirmed signature does not verify")
        found.append(Signature(entry.signature))
    return tuple(found)


def open_values(record: Record, field: str, items: int, group: GroupKey, slots: tuple[int, ...]) -> tuple[Entry, ...]:
    """Open the sealed values of a contribution or a confirm.

    Raises:
        Blamed: they are not here, do not open or do not parse; names ``slots``.
    """
    sealed = record.statement.blob(field)
    if sealed is None:
        raise Blamed("missing_blob", slots, f"the sealed {field} of offset {record.offset} are not here")
    try:
        return contributions.decode(group.open_in(record.statement.payload, field, sealed), items)
    except (InvalidCrypto, BadInput) as error:
        raise Blamed("bad_values", slots, f"offset {record.offset}: {error}") from None


def psbts_of(signatures: Sequence[Signature], plan: Plan, given: Sequence[bytes]) -> tuple[Signed, ...]:
    """Put the signatures into a PSBT for each transaction of the plan: the one that was given, or a fresh one.

    Raises:
        BadInput: one of ``given`` is no PSBT, of another transaction, or told otherwise what its inputs spend.
    """
    psbts = _matched(plan, given)
    found: list[dict[int, PsbtSignature]] = [{} for _ in plan.spends]
    for index, (asked, signature) in enumerate(zip(plan.body.items, signatures, strict=True)):
        if isinstance(asked, SignInput):
            found[asked.transaction][asked.input] = PsbtSignature(signature, plan.item(index).keyagg)
    return tuple(psbt.sign(each) for psbt, each in zip(psbts, found, strict=True))


def _matched(plan: Plan, given: Sequence[bytes]) -> list[Psbt]:
    """Find a PSBT for each transaction of the plan."""
    named: dict[bytes, Psbt] = {}
    for index, raw in enumerate(given):
        psbt = Psbt(raw, f"psbts[{index}]")
        same = [spend for spend in plan.spends if spend.unsigned == psbt.spend.unsigned]
        if not same:
            raise bad_field(f"psbts[{index}]", "is not of a transaction of this signing")
        if same[0].inputs != psbt.spend.inputs:
            raise bad_field(f"psbts[{index}]", "says otherwise than the request what its inputs spend")
        named[psbt.spend.unsigned] = psbt
    return [named.get(spend.unsigned) or Psbt.of(spend) for spend in plan.spends]
