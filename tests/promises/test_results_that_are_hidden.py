"""A signer that could sign says it could not: where somebody may hold a signature, nobody is told that there is none.

keep (slot 1) ─▶ nonces │ vault (0, 2) ─▶ nonces and psigs │ keep finishes: it has the signature, and says "failed", or
                        │                                  │ another signature
"""

from __future__ import annotations

import pytest

from keymeld_client.shown.results import ItemError, ItemResult, results_of
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.errors import Blamed
from keymeld_protocol.member.attempt import Attempt
from keymeld_protocol.member.plan import plan_of
from keymeld_protocol.member.signer import Nonces
from keymeld_protocol.plaintext.body import RawTransaction, Scalar, SignInput, SignMessage, Spent, Transaction
from keymeld_protocol.plaintext.contents import Script
from keymeld_protocol.plaintext.contributions import Entry, Failed, Finished
from keymeld_protocol.values import Hash, Id, Message
from keymeld_protocol.wire.payloads import SigningContribute
from keymeld_protocol.wire.records import Record
from tests.client.coins import payment
from tests.support.party import Party
from tests.support.world import MESSAGE

YES = {"accept_opaque_tweak": True}
LIE = Failed("opaque_tweak")
BAD = Finished(bytes(64))


class Liar:
    """The keep, whose nonces are honest; the signature that it finishes it keeps, and says ``instead``."""

    def __init__(self, p: Party, instead: Entry) -> None:
        self.instead, self.stolen = instead, b""
        signer = p.vaults[1].agent._groups[p.group].signer()
        self.honest = signer.signatures
        signer.signatures = self.signatures  # type: ignore[method-assign]

    def signatures(self, attempt: Attempt, kept: Nonces) -> tuple[Entry, ...]:
        """The signature that is owed stays here."""
        (made,) = self.honest(attempt, kept)
        assert isinstance(made, Finished)
        self.stolen = made.signature
        return (self.instead,)


def party() -> Party:
    p = Party("vault", "keep")
    p.gather(at=(0, 1, 0))
    return p


def lied_to(p: Party, instead: Entry) -> Id:
    """A signing that the keep has lied about; it holds the signature itself."""
    liar = Liar(p, instead)
    signing = p.alice.request(p.group, MESSAGE)
    p.world.run()
    assert verify(liar.stolen, MESSAGE, p.alice.roster(p.group).output)
    assert p.phase(signing) == "completed" and p.alice.told(signing) == (instead,)
    return signing


def shown(p: Party, signing: Id, *, deleted: bool = False) -> ItemResult:
    """The one result as a client computes it; ``deleted``: when only the last contribution is there."""
    (result,) = every(p, signing, deleted=deleted)
    return result


def every(p: Party, signing: Id, *, deleted: bool = False) -> tuple[ItemResult, ...]:
    """All of them."""
    heard, roster, key = p.alice.heard(signing), p.alice.roster(p.group), p.alice.groups[p.group]
    plan = plan_of(p.alice.signing(signing), heard.records[0].statement, roster, key)
    if deleted:
        heard.records[:-1] = [_emptied(record) for record in heard.records[:-1]]
    return results_of(heard, plan, roster, key)


def _emptied(record: Record) -> Record:
    return record.without_blobs(("values",)) if isinstance(record.statement.payload, SigningContribute) else record


@pytest.mark.parametrize(("instead", "code"), [(LIE, "failed_late"), (BAD, "bad_signature")])
def test_an_item_has_not_failed_by_the_word_of_a_signer_that_may_have_signed_it(instead: Entry, code: str) -> None:
    p = party()
    signing = lied_to(p, instead)
    with pytest.raises(Blamed, match=f"{code}, slot 1: "):
        shown(p, signing)


def test_an_item_that_one_signer_refuses_names_him() -> None:
    p = Party("vault", "keep")
    p.gather(at=(0, 1, 0), allow=[YES, {}, YES])
    opaque = SignMessage(message=Message(MESSAGE), tweaks=(Scalar(scalar=Hash(b"\1" * 32)),))
    signing = p.alice.request(p.group, MESSAGE, opaque)
    p.world.run()
    signed, error = every(p, signing)
    assert isinstance(signed, bytes)
    assert isinstance(error, ItemError) and error.code == "opaque_tweak"
    assert error.why.endswith("(says who signs for slot 1)")


def test_where_two_signers_refuse_an_item_for_different_reasons_everybody_tells_the_one_that_was_said_first() -> None:
    p = Party("vault", "keep", "loft")
    p.gather(at=(0, 1, 2), allow=[YES, {}, YES | {"no_blind": True}])
    raw, spent = payment([(50_000, p.alice.roster(p.group).script())], 40_000)
    coins = tuple(Spent(amount=amount, script=Script(script)) for amount, script in spent)
    opaque = SignMessage(message=Message(MESSAGE), tweaks=(Scalar(scalar=Hash(b"\1" * 32)),))
    transaction = Transaction(unsigned=RawTransaction(raw), spent=coins)
    signing = p.alice.request(p.group, opaque, SignInput(transaction=0, input=0), transactions=(transaction,))
    p.world.run()
    error, signed = every(p, signing)
    assert isinstance(error, ItemError) and error.code == "opaque_tweak", "the keep speaks first, the loft finishes"
    assert isinstance(signed, bytes)
    assert p.alice.told(signing)[0] == Failed("opaque_tweak")


def test_where_the_other_contributions_are_gone_a_failed_item_may_be_signed_all_the_same() -> None:
    p = party()
    error = shown(p, lied_to(p, LIE), deleted=True)
    assert isinstance(error, ItemError) and error.code == LIE.code
    assert error.why.startswith("so says who finished it") and "may be signed all the same" in error.why


def test_where_the_other_contributions_are_gone_an_item_of_others_has_failed_by_word_and_nobody_is_named() -> None:
    """The vault alone signs the subset's item; the keep, which finishes, says that it has failed."""
    p = Party("vault", "keep")
    p.gather(at=(0, 1, 0), subsets=((0, 2),))
    signer = p.vaults[1].agent._groups[p.group].signer()
    honest = signer.signatures
    signer.signatures = lambda attempt, kept: (LIE, *honest(attempt, kept)[1:])  # type: ignore[method-assign]
    signing = p.alice.request(p.group, SignMessage(message=Message(MESSAGE), subset=0), MESSAGE)
    p.world.run()
    with pytest.raises(Blamed, match="bad_signature, slot 1: "):
        every(p, signing)
    error, signed = every(p, signing, deleted=True)
    assert isinstance(error, ItemError) and error.by_word and "may be signed all the same" in error.why
    assert isinstance(signed, bytes)


def test_signatures_are_there_when_the_other_contributions_are_gone() -> None:
    p = party()
    signing = p.alice.request(p.group, MESSAGE)
    p.world.run()
    result = shown(p, signing, deleted=True)
    assert isinstance(result, bytes) and verify(result, MESSAGE, p.alice.roster(p.group).output)


def test_a_signer_that_fails_an_item_late_is_blamed_and_the_session_says_that_it_may_be_signed() -> None:
    p = Party("vault", "keep", "loft")
    p.gather(at=(0, 1, 2))
    signer = p.vaults[1].agent._groups[p.group].signer()
    signer.psigs = lambda attempt, kept, **_: (LIE,)  # type: ignore[method-assign]
    signing = p.alice.request(p.group, MESSAGE)
    p.world.run()
    assert (p.phase(signing), p.code(signing)) == ("failed", "failed_late")
    assert p.world.state(signing).may_be_signed
