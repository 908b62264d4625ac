"""The roster as a member reads it: the sealed terms and cards, opened and checked, and the keys they come to.

The coordinator never sees any of this.  Every slot's card carries its signing key with a proof of possession; every
reader verifies all of them before it shows an address, confirms, or signs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ..bitcoin.children import path_told, synthetic_xpub
from ..bitcoin.descriptor import BOTH_BRANCHES, child_descriptor, taproot_descriptor
from ..bitcoin.summary import Summary
from ..bitcoin.transaction import Spend, taproot_address, taproot_script
from ..bitcoin.tweaks import Steps, child_steps, is_opaque, tweaked
from ..curve.keyagg import KeyAgg, aggregate
from ..errors import BadInput, Blamed, InvalidCrypto, Reason, Refused, bad_field, code_for
from ..keys.derivation import possession_is_proven
from ..keys.sealing import GroupKey
from ..machines.keygen import KeygenState
from ..machines.replay import Replay
from ..plaintext import contents
from ..plaintext.contents import Card, Terms
from ..values import Hash, Id
from ..wording import counted, slots_told
from .own_scripts import OwnScripts
from .patience import Patience


@dataclass(frozen=True)
class Roster:
    """A completed keygen's members: one verified card for each slot, by slot."""

    keygen: Id
    hash: Hash
    terms: Terms
    cards: tuple[Card, ...]
    subsets: tuple[tuple[int, ...], ...]

    def slots_of(self, subset: int | None) -> tuple[int, ...]:
        """The key list of a subset, or of the whole group.

        Raises:
            BadInput: there is no such subset.
        """
        if subset is None:
            return tuple(range(len(self.cards)))
        return _subset(self.subsets, subset)

    def keyagg(self, subset: int | None = None, steps: Steps | None = None) -> KeyAgg:
        """The key list of ``subset`` (None: the whole group), sorted, aggregated and tweaked (None: as the terms say).

        Raises:
            BadInput: there is no such subset.
            InvalidCrypto: a tweak cannot be applied.
            NotYet: as `Patience.spend`.
        """
        if subset not in self._made:
            slots = self.slots_of(subset)
            self.patience.spend(len(slots))
            self._made[subset] = aggregate(self.cards[slot].pubkey for slot in slots)
        return tweaked(self._made[subset], self.terms, steps)

    @cached_property
    def _made(self) -> dict[int | None, KeyAgg]:
        """The key lists that were aggregated so far, without any tweak."""
        return {}

    @cached_property
    def patience(self) -> Patience:
        """How much is worked out before somebody else has his turn."""
        return Patience()

    @property
    def opaque(self) -> bool:
        """Whether the terms' tweak hides something: then the addresses are not provably this group's alone."""
        return is_opaque(self.terms)

    def xpub(self, subset: int | None = None) -> str:
        """The synthetic xpub (BIP-328) of the untweaked aggregate key, from which children are derived."""
        return synthetic_xpub(self.keyagg(subset, ()).point, self.terms.network)

    def child(self, path: tuple[int, ...], subset: int | None = None) -> KeyAgg:
        """The BIP-328 child along ``path`` (receive: (0, n), change: (1, n)), with the terms' tweak."""
        return self.keyagg(subset, child_steps(path))

    @cached_property
    def output(self) -> bytes:
        """The group's taproot output key (x-only, 32 bytes)."""
        return self.keyagg().output

    def child_address(self, path: tuple[int, ...], subset: int | None = None) -> str:
        """The taproot address of a child."""
        return taproot_address(self.child(path, subset).output, self.terms.network)

    def script(self, subset: int | None = None, steps: Steps | None = None) -> bytes:
        """The scriptPubKey that the group, or a subset, spends from; ``steps`` as for `keyagg`."""
        return taproot_script(self.keyagg(subset, steps).output)

    def address(self, subset: int | None = None) -> str:
        """The taproot address of the group, or of a subset."""
        return taproot_address(self.keyagg(subset).output, self.terms.network)

    def descriptor(self, subset: int | None = None) -> str:
        """The same address as a descriptor with its checksum (BIP-390), for watch-only wallets."""
        return taproot_descriptor(self.keyagg(subset))

    def child_descriptor(self, path: tuple[int, ...] | None = None, subset: int | None = None) -> str:
        """One child's address as a descriptor, or without ``path`` all receive and change addresses (BIP-389).

        Raises:
            BadInput: all of them, of a key with scripts beside it: no descriptor can say that.
        """
        if path is not None and self.terms.tweak in ("tree", "root"):
            return taproot_descriptor(self.child(path, subset))
        told = BOTH_BRANCHES if path is None else path_told(path)
        return child_descriptor(self.xpub(subset), told, self.terms.tweak)

    def summary(self, spend: Spend, payers: Mapping[bytes, frozenset[int]]) -> Summary:
        """Who gets what from a transaction: what is own, and which outputs come back, is said by `OwnScripts.flow`.

        ``payers``: the slots by script of what items spend with tweaks of their own (`Plan.payers`); it pays too.
        """
        flow = self.own.flow(spend, payers)
        return spend.summary(self.terms.network, flow.own, flow.change)

    @cached_property
    def own(self) -> OwnScripts:
        """Every script of ours: of the group, its subsets, their children up to the gap limit, and single keys."""
        return OwnScripts(self)


@dataclass(frozen=True)
class Safety:
    """Whether an address may be funded: only when every slot has confirmed the same roster (§6.3).

    ``trouble`` is what speaks against it whoever has confirmed, such as a log that broke.  ``named`` is what a person
    should know beside it, such as a seat that was filled anew; it makes nothing unsafe by itself.
    """

    by_participant: tuple[int, ...]
    by_enclave: tuple[int, ...]
    missing: tuple[int, ...]
    trouble: str | None = None
    named: tuple[str, ...] = ()

    @property
    def safe(self) -> bool:
        """Nobody is missing, and nothing speaks against it."""
        return not self.missing and self.trouble is None

    def __str__(self) -> str:
        """In words, as shown beside an address."""
        if self.trouble is not None:
            return f"NOT safe to fund: {self.trouble}"
        if self.missing:
            have = "has" if len(self.missing) == 1 else "have"
            return f"NOT safe to fund: {slots_told(self.missing)} {have} not confirmed the roster"
        whose = "its participant" if len(self.by_participant) == 1 else "their participants"
        told = [f"{slots_told(self.by_participant)} confirmed by {whose}"] if self.by_participant else []
        told += [f"{slots_told(self.by_enclave)} confirmed by an enclave alone"] if self.by_enclave else []
        return f"safe to fund: {', '.join(told)}"


def safety(state: KeygenState, at: int = 0, subset: int | None = None) -> Safety:
    """Who has confirmed, as the log tells it; and whether a coin of that key list could be spent, from ``at`` (ms) on.

    Raises:
        BadInput: there is no such subset.
    """
    how = [None if seat is None else seat.confirmed for seat in state.seats]
    slots = {word: tuple(i for i, said in enumerate(how) if said == word) for word in ("participant", "enclave", None)}
    needed = range(len(how)) if subset is None else _subset(state.create.subsets, subset)
    return Safety(slots["participant"], slots["enclave"], slots[None], _stuck(state, tuple(needed), at))


def _stuck(state: KeygenState, needed: tuple[int, ...], at: int) -> str | None:
    """Why nothing that needs these slots would be signed, from ``at`` (ms) on, whoever agreed (§6.3)."""
    joins = {slot: seat.join for slot in needed if (seat := state.seats[slot]) is not None}
    if gone := tuple(slot for slot in needed if slot in state.left):
        return f"{slots_told(gone)} left: nothing that needs {'it' if len(gone) == 1 else 'them'} is signed any more"
    if device := tuple(slot for slot, join in joins.items() if join.custody == "device"):
        return f"{slots_told(device)} would have to sign on a device, which none can yet: nothing could be spent"
    rules = {slot: join.rule for slot, join in joins.items()}
    ripe = max((max(at + (rule.delay_ms or 0), rule.not_before or 0) for rule in rules.values()), default=at)
    if late := tuple(slot for slot, rule in rules.items() if rule.not_after is not None and rule.not_after < ripe):
        return f"the rule of {slots_told(late)} ends before all slots' rules let them sign: nothing could be spent"
    return None


def _subset(subsets: tuple[tuple[int, ...], ...], subset: int) -> tuple[int, ...]:
    """The slots of a subset.

    Raises:
        BadInput: there is no such subset.
    """
    if not 0 <= subset < len(subsets):
        raise bad_field("subset", f"this keygen has {counted(len(subsets), 'subset')}, the first is 0")
    return subsets[subset]


def read_terms(heard: Replay, group: GroupKey) -> Terms:
    """Open the terms of a keygen.

    Raises:
        Blamed: the group secret is not this session's, or the creator sealed no terms.
    """
    state = _keygen(heard)
    if state.create.group != group.commitment:
        raise Blamed("foreign_group_secret", (), "the group secret does not give this session's commitment")
    try:
        return contents.parse(Terms, _open(heard, group, heard.stream, "terms"))
    except BadInput as error:
        raise Blamed(code_for(error, "bad_terms"), (), str(error)) from None


def read_card(heard: Replay, group: GroupKey, slot: int) -> Card:
    """Open the card of a filled slot and verify its proof of possession (§9.2).

    Raises:
        Blamed: the card does not open, does not parse, or does not prove its key for this slot and auth key.
    """
    seat = _keygen(heard).seats[slot]
    if seat is None:
        raise Blamed("no_card", (slot,), "nobody has joined this slot")
    try:
        card = contents.parse(Card, _open(heard, group, seat.id, "card"))
    except (BadInput, Blamed) as error:
        raise Blamed(code_for(error, "bad_card"), (slot,), str(error)) from None
    if not possession_is_proven(card.possession, heard.stream, slot, seat.join.by, card.pubkey):
        raise Blamed("bad_possession", (slot,), "the card does not prove that its owner holds the signing key")
    return card


def read_roster(heard: Replay, group: GroupKey, terms: Terms | None = None) -> Roster:
    """Open and verify everything that a completed keygen sealed to its members (§11.1).

    ``terms``: those of this keygen, where they were read before and let go.

    Raises:
        Refused: the keygen is not completed.
        Blamed: a card does not hold, or two slots share a signing key; names the slots.
    """
    state = _keygen(heard)
    if state.roster is None:
        missing = f"; missing: {slots_told(state.holdouts())}" if state.holdouts() else ""
        raise Refused(Reason.WRONG_STATE, f"the keygen is {state.phase}, not completed{missing}")
    terms = terms or read_terms(heard, group)
    cards = tuple(read_card(heard, group, slot) for slot in range(len(state.seats)))
    _check_distinct(cards)
    roster = Roster(heard.stream, state.roster, terms, cards, state.create.subsets)
    try:
        roster.keyagg()
    except InvalidCrypto as error:
        raise Blamed("bad_roster", (), str(error)) from None
    return roster


def _check_distinct(cards: tuple[Card, ...]) -> None:
    """No two slots share a signing key (compared without parity, §9.2)."""
    seen: dict[bytes, int] = {}
    for slot, card in enumerate(cards):
        first = seen.setdefault(card.pubkey[1:], slot)
        if first != slot:
            raise Blamed("shared_key", (first, slot), "two slots share a signing key")


def _keygen(heard: Replay) -> KeygenState:
    if (state := heard.as_keygen) is None:
        raise Refused(Reason.WRONG_STATE, "not a keygen that was heard")
    return state


def _open(heard: Replay, group: GroupKey, ident: Id, field: str) -> bytes:
    """Open a sealed blob of the statement ``ident`` of this stream."""
    statement = heard.record_of(ident).statement
    sealed = statement.blob(field)
    if sealed is None:
        raise Blamed("missing_blob", (), f"the sealed {field} was not delivered")
    try:
        return group.open_in(statement.payload, field, sealed)
    except InvalidCrypto as error:
        raise Blamed("bad_seal", (), f"{field}: {error}") from None
