"""How a participant takes part in a keygen: one value, chosen once, then checked, shown and sealed as it is.

    custody, rule, enclave, label, what is allowed, a key brought along ─▶ Choice ─▶ check_choice ─▶ make_join

What would be unsafe is refused before a key is made for it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from os import urandom
from typing import Any, Final, TypedDict

from keymeld_protocol.bitcoin.tweaks import is_opaque
from keymeld_protocol.curve.secp256k1 import Bytes, Secret
from keymeld_protocol.errors import BadInput, InvalidCrypto, Reason, Refused, bad_field
from keymeld_protocol.keys.envelope import MAX_POLICY
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Terms
from keymeld_protocol.plaintext.policy import AllowedOutput, Policy
from keymeld_protocol.values import Salt, XOnlyKey
from keymeld_protocol.wire.shapes import CustodyKind, Rule
from keymeld_protocol.wording import slots_told

from .strangers import strangers


@dataclass(frozen=True)
class Allow:
    """What a participant allows beyond his rule's default, and what not; sealed with the key, so that nobody else can.

    ``alone``: a subset of this key alone; ``alone_blind``: blind messages of it too; ``opaque_tweak``: tweaks that
    hide what they commit to; ``no_blind``: no blind messages at all. ``requesters``: the slots that may ask (None:
    all); ``subsets``: the subsets that are served beside the whole group (None: all).
    ``outputs``, ``max_amount`` and ``max_fee``: what one request may pay, to whom and how much (satoshi; None: no
    limit). Any of these three forbids whatever cannot be judged: blind messages, and tweaks but those of the terms and
    of their children.
    """

    alone: bool = False
    alone_blind: bool = False
    opaque_tweak: bool = False
    requesters: tuple[int, ...] | None = None
    subsets: tuple[int, ...] | None = None
    no_blind: bool = False
    outputs: tuple[AllowedOutput, ...] | None = None
    max_amount: int | None = None
    max_fee: int | None = None


NOTHING: Final = Allow()
OWN_YES: Final = Rule(approval="self")


@dataclass(frozen=True)
class Choice:
    """How a participant takes part, whichever slot it comes to be.

    The default ``rule`` is his own yes. ``enclave``: the one to seal to (None: any that is trusted and there; with
    device custody there is none). ``label``: his name, for members. ``key``: 32 secret bytes to seal instead of a fresh
    key, lent by whoever wipes them; such a key is sealed once, unless ``again`` insists.
    ``strangers``: under open tickets, those who come to sit in free slots may have it sign without him.
    """

    custody: CustodyKind = "sealed"
    rule: Rule = OWN_YES
    enclave: XOnlyKey | None = None
    label: str = ""
    allow: Allow = NOTHING
    key: Bytes | None = field(default=None, repr=False, compare=False)
    again: bool = False
    strangers: bool = False

    def but(self, wish: Wish) -> Choice:
        """The same, but for what is wished otherwise; None wishes nothing."""
        wishes: dict[str, Any] = {name: wished for name, wished in wish.items() if wished is not None}
        return replace(self, **wishes)


USUAL: Final = Choice()
"""A fresh key, sealed to an enclave that is trusted, under its owner's own yes."""


class Wish(TypedDict, total=False):
    """What a `Choice` holds, in keywords: the short form."""

    custody: CustodyKind
    rule: Rule | None
    enclave: XOnlyKey | None
    label: str
    allow: Allow
    key: Bytes | None
    again: bool
    strangers: bool


def check_choice(state: KeygenState, terms: Terms, slot: int, choice: Choice, own: Collection[int] = ()) -> None:
    """Refuse what would be unsafe in ``slot``, or cannot work yet, before a key is made for it (§9.2, §9.3).

    ``own`` are the slots in which this wallet sits already.

    Raises:
        BadInput: the policy contradicts itself or this keygen, or is too long for an envelope; or a key brought along
            is none, or would not be sealed: the wallet keeps no copy of it.
        Refused: hybrid custody, a key that those who find an open ticket could use, or terms with a tweak that hides
            what it commits to.
    """
    _check_key(choice)
    policy = policy_of(choice)
    if len(contents.encode(policy)) > MAX_POLICY:
        raise BadInput(
            Reason.TOO_BIG, f"at most {MAX_POLICY:,} bytes fit an envelope", field="policy", limit=MAX_POLICY
        )
    policy.check_place(slot, len(state.seats), state.create.subsets)
    if is_opaque(terms) and not choice.allow.opaque_tweak:
        why = "the terms give a bare script root: its maker may be able to spend alone; joining takes a yes to that"
        raise Refused(Reason.NOT_ALLOWED, why, field="terms.root")
    if choice.custody == "hybrid":
        raise Refused(Reason.NOT_ALLOWED, "custody hybrid: devices cannot sign yet", field="custody")
    unasked = choice.custody == "sealed" and choice.rule.approval == "none"
    if unasked and state.create.open and choice.allow.requesters is None:
        why = "with open tickets anybody may sit in the other slots; rule none would let him sign with this key alone"
        raise Refused(Reason.NOT_ALLOWED, f"{why}: name who may ask (requesters)", field="rule.approval")
    if not choice.strangers and (found := strangers(state, slot, choice.custody, policy, own)):
        raise Refused(Reason.NOT_ALLOWED, f"{without_you(found)}; {_MENDED}", field="rule.approval")


_MENDED: Final = (
    "use rule self, let only slots ask that people whom you know sit in (requesters), or accept it (strangers)"
)


def without_you(slots: tuple[int, ...]) -> str:
    """What may come of a rule that ``strangers`` can meet."""
    return (
        f"with open tickets anybody may sit in {slots_told(slots)}, whose word alone has this key sign without your yes"
    )


def warnings(rule: Rule, allow: Allow) -> tuple[str, ...]:
    """What somebody should know before this is sealed, though it is not refused (§10.9)."""
    told = []
    if allow.max_amount is not None and allow.outputs is None and rule.approval == "none":
        told.append(
            "the amount is a limit for each request, not a rate: one request can follow another, and nobody is asked"
        )
    if allow.outputs is not None and allow.max_amount is None and allow.max_fee is None and rule.approval != "self":
        told.append("the fee is not limited: without your yes all that is not paid out can go to a miner")
    return tuple(told)


def _check_key(choice: Choice) -> None:
    """A key that is brought along is one, and will be sealed.

    Raises:
        BadInput: it is not, or would be lost.
    """
    if choice.key is None:
        return
    if choice.custody != "sealed":
        lost = f"would be lost with custody {choice.custody}: this wallet keeps no copy of a key brought along"
        raise bad_field("key", lost)
    try:
        Secret(choice.key).wipe()
    except InvalidCrypto:
        raise bad_field("key", "must be 32 bytes, not zero and below the order of secp256k1") from None


def policy_of(choice: Choice) -> Policy:
    """The rule and what is allowed beyond it, hidden behind a fresh salt."""
    allow = choice.allow
    return Policy(
        v=1, salt=Salt(urandom(32)), rule=choice.rule, alone=allow.alone, alone_blind=allow.alone_blind,
        accept_opaque_tweak=allow.opaque_tweak, requesters=allow.requesters, subsets=allow.subsets,
        no_blind=allow.no_blind, outputs=allow.outputs, max_amount=allow.max_amount, max_fee=allow.max_fee,
    )  # fmt: skip
