"""Signatures, computed from a verified log (§11.1).

    the last contribution: signatures ─▶ opened ─▶ each verified ─▶ signatures, pre-signatures
    an item is said to fail ──▶ every contribution opened ──▶ who failed it, and whether he could still

Nobody's word for a result is needed: every signature and pre-signature is checked against the plan's own message, key
and points.  That there is none is believed where the contributions show it, so that nobody hides one that he holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from keymeld_protocol.bitcoin.transaction import Output
from keymeld_protocol.curve.secp256k1 import Bytes
from keymeld_protocol.errors import BadInput, Blamed, InvalidCrypto, bad_field
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing import Contribution, SigningPhase, SigningState
from keymeld_protocol.member.attempt import Attempt
from keymeld_protocol.member.item_policy import WHY
from keymeld_protocol.member.places import Result
from keymeld_protocol.member.plan import Impossible, Plan
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext import contributions
from keymeld_protocol.plaintext.body import SignInput
from keymeld_protocol.plaintext.contributions import Entry, Failed
from keymeld_protocol.values import Signature
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wording import slots_told

from ..errors import NeedsSecret, NotSigned
from .presigned import Presigned, presigned

if TYPE_CHECKING:
    from keymeld_protocol.bitcoin.psbt import Psbt, Signed


@dataclass(frozen=True)
class ItemError:
    """An item that was not signed: ``code`` says why, ``slots`` are its key list's, ``why`` is for people.

    ``by_word``: so says one who may hold its signature, and nothing here shows whether he could.
    """

    code: str
    slots: tuple[int, ...]
    why: str
    by_word: bool = False


ItemResult: TypeAlias = Signature | tuple[Presigned, ...] | ItemError
"""Of an item with adaptor points the pre-signatures: one, or of an ``or`` one for each point."""


def results_of(heard: Replay, plan: Plan, roster: Roster, group: GroupKey) -> tuple[ItemResult, ...]:
    """For every item of a signing whose contributions are complete what came of it, verified, or why nothing did.

    Raises:
        Blamed: something is missing or does not verify; names the slots.
    """
    state = heard.as_signing
    if state is None:
        raise Blamed("no_signing", (), "not a signing that was heard")
    if state.phase is not SigningPhase.COMPLETED:
        raise Blamed("not_completed", (), f"the signing is {state.phase}")
    found, by_word = _Reading(heard, state, plan, roster, group).results()
    return tuple(_told(result, plan, index, by_word=by_word) for index, result in enumerate(found))


def all_signed(results: Sequence[ItemResult], secrets: Sequence[Bytes] = ()) -> tuple[Signature, ...]:
    """The signatures, if no item failed; pre-signatures are completed with ``secrets`` (32 bytes each).

    Raises:
        NotSigned: with the first failed item's code and slots.
        NeedsSecret: no secret completes an item.
        InvalidCrypto: one of ``secrets`` is none.
    """
    require_all(results)
    signatures = signed_so_far(results, secrets)
    for index, (result, signature) in enumerate(zip(results, signatures, strict=True)):
        if signature is None and isinstance(result, tuple):
            raise NeedsSecret(result[0].missing(secrets), index, others=len(result) - 1)
    return tuple(signature for signature in signatures if signature is not None)


def signed_so_far(results: Sequence[ItemResult], secrets: Sequence[Bytes] = ()) -> tuple[Signature | None, ...]:
    """The signatures, with None for each item that failed, or that no secret of ``secrets`` (32 bytes each) completes.

    Raises:
        InvalidCrypto: one of ``secrets`` is none.
    """
    done = (completed(result, secrets) for result in results)
    return tuple(result if isinstance(result, Signature) else None for result in done)


def completed(result: ItemResult, secrets: Sequence[Bytes]) -> ItemResult:
    """The signature of an item, if ``secrets`` (32 bytes each) complete a pre-signature of it; else what came of it.

    Raises:
        InvalidCrypto: one of ``secrets`` is none.
    """
    made = result if isinstance(result, tuple) else ()
    return next((each.adapt(secrets) for each in made if not each.missing(secrets)), result)


def require_all(results: Sequence[ItemResult]) -> None:
    """Refuse results of which an item failed.

    Raises:
        NotSigned: with the first failed item's code and slots.
    """
    for index, result in enumerate(results):
        if isinstance(result, ItemError):
            raise NotSigned(result.code, result.slots, f"item {index} was not signed: {result.why}")


class _Reading:
    """The latest attempt of a signing that is complete, as far as its contributions are needed."""

    def __init__(self, heard: Replay, state: SigningState, plan: Plan, roster: Roster, group: GroupKey) -> None:
        self._heard, self._group = heard, group
        self._state, self._items, self._roster = state, plan.items, roster
        *self._before, self._last = state.contributions

    def results(self) -> tuple[tuple[Result, ...], bool]:
        """What came of it, and whether that an item failed is the word of one who may have signed it.

        Raises:
            Blamed: something is missing or does not verify; names the slots.
        """
        attempt, by_word = self._fresh(), False
        entries = self._entries(attempt, self._last)
        if any(isinstance(entry, Failed) and i not in attempt.failed for i, entry in enumerate(entries)):
            try:
                for said in self._before:
                    attempt.hear(said.by, self._entries(attempt, said))
            except Blamed as error:
                if error.code != "missing_blob":
                    raise
                attempt, by_word = self._fresh(), True
                attempt.take_word(entries)
        attempt.hear(self._last.by, entries, finished=True)
        return attempt.results(), by_word

    def _fresh(self) -> Attempt:
        return Attempt.of(self._state, self._items, self._roster)

    def _entries(self, attempt: Attempt, said: Contribution) -> tuple[Entry, ...]:
        record = self._heard.records[said.offset - 1]
        return open_values(record, "values", len(attempt.places), self._group, said.slots)


def _told(result: Result, plan: Plan, index: int, by_word: bool) -> ItemResult:
    """What came of an item, for its reader: of a failure why, in words where this wallet has found it too."""
    item = plan.items[index]
    if isinstance(result, Failed):
        if isinstance(item, Impossible):
            return ItemError(result.code, item.slots, item.why)
        return ItemError(result.code, item.slots, _words(result, by_word), by_word)
    if isinstance(result, Signature):
        return result
    return presigned(result, plan.body.items[index].adaptor, plan.item(index))


def _words(failed: Failed, by_word: bool) -> str:
    """Who failed an item, by the contributions; or that it is the word of who finished, who may hold more."""
    if by_word:
        return "so says who finished it; what the others said is not here, and it may be signed all the same"
    unknown = "a policy forbids it, or it could not be signed"
    return f"{WHY.get(failed.code, unknown)} (says who signs for {slots_told(failed.by or ())})"


def open_values(record: Record, field: str, places: int, group: GroupKey, slots: tuple[int, ...]) -> tuple[Entry, ...]:
    """Open the sealed values of a contribution.

    Raises:
        Blamed: they are not here, do not open or do not parse; names ``slots``.
    """
    sealed = record.statement.blob(field)
    if sealed is None:
        raise Blamed("missing_blob", slots, f"the sealed {field} of offset {record.offset} are not here")
    try:
        return contributions.decode(group.open_in(record.statement.payload, field, sealed), places)
    except (InvalidCrypto, BadInput) as error:
        raise Blamed("bad_values", slots, f"offset {record.offset}: {error}") from None


def psbts_of(signatures: Sequence[Signature | None], plan: Plan, given: Sequence[bytes]) -> tuple[Signed, ...]:
    """Put the signatures into a PSBT for each transaction of the plan: the one that was given, or a fresh one.

    Raises:
        BadInput: one of ``given`` is no PSBT, of another transaction, or told otherwise what its inputs spend.
    """
    from keymeld_protocol.bitcoin.psbt import InputSignature

    psbts = _matched(plan, given)
    found: list[dict[int, InputSignature]] = [{} for _ in plan.spends]
    for index, (asked, signature) in enumerate(zip(plan.body.items, signatures, strict=True)):
        if isinstance(asked, SignInput) and signature is not None:
            found[asked.transaction][asked.input] = InputSignature(signature, plan.item(index).keyagg)
    return tuple(psbt.sign(each) for psbt, each in zip(psbts, found, strict=True))


def _matched(plan: Plan, given: Sequence[bytes]) -> list[Psbt]:
    """Find a PSBT for each transaction of the plan, which may be there twice with other words about what it spends."""
    from keymeld_protocol.bitcoin.psbt import Psbt

    named: dict[tuple[bytes, tuple[Output, ...]], Psbt] = {}
    for index, raw in enumerate(given):
        psbt = Psbt(raw, f"psbts[{index}]")
        same = [spend for spend in plan.spends if spend.unsigned == psbt.spend.unsigned]
        if not same:
            raise bad_field(f"psbts[{index}]", "its transaction is none of this signing")
        if all(spend.inputs != psbt.spend.inputs for spend in same):
            raise bad_field(f"psbts[{index}]", "says otherwise than the request what its inputs spend")
        named[psbt.spend.unsigned, psbt.spend.inputs] = psbt
    return [named.get((spend.unsigned, spend.inputs)) or Psbt.of(spend) for spend in plan.spends]
