"""Two thousand random requests that mix everything, each judged by others than the project's own code.

    group ─▶ request ─▶ agents in a world in memory ─▶ results, as a client computes them from its log
                                                          │
    BIP-340 by coincurve, now and then by ecc · Bitcoin's consensus code · output keys by oracle.py · rules by naive.py

Every request follows from its two numbers: ``KEYMELD_REQUEST=7/13`` runs request 13 of group 7 alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from keymeld_client.shown.results import ItemError, ItemResult, open_values, results_of
from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.member.plan import plan_of
from keymeld_protocol.plaintext.body import SignEcdsa, SignInput
from keymeld_protocol.plaintext.contributions import Both, Entry, Failed, Finished, Nonce, Prefinished
from keymeld_protocol.values import Id, Signature
from keymeld_protocol.wire.payloads import SigningApprove, SigningContribute
from tests.support import naive, oracle
from tests.support.drawn_groups import DrawnGroup, Wish
from tests.support.drawn_requests import DrawnRequest, draw_request
from tests.support.vectors import published_json
from tests.support.world import SECOND

ALONE = os.environ.get("KEYMELD_REQUEST", "").split("/")
GROUPS = [ALONE[0]] if ALONE[0] else [str(number) for number in range(50)]
REQUESTS = [int(number) for number in ALONE[1:]] or range(40)


def ask(group: DrawnGroup, drawn: DrawnRequest) -> Id:
    """Ask, let those say yes who do, and let everybody come to rest."""
    member, world, keygen = group.member, group.world, group.keygen
    for enclave in group.enclaves:
        enclave.signs = not drawn.late
    member.slots[keygen] = [drawn.requester]
    signing = member.request(keygen, *(wish.asked for wish in drawn.wishes), transactions=drawn.transactions)
    world.run()
    for slot in drawn.yes:
        if slot != drawn.requester and world.state(signing).phase == SigningPhase.APPROVING:
            member.say(signing, SigningApprove, member.auth(keygen, slot))
            world.run()
    for enclave in group.enclaves:
        enclave.signs = True
    world.clock(world.logs[signing])
    world.run()
    world.wait(SECOND)  # for whoever has a delay
    return signing


class Judge:
    """Says whether what came of a request is what must come of it."""

    def __init__(self, group: DrawnGroup, drawn: DrawnRequest, signing: Id) -> None:
        self.group, self.drawn, self.signing = group, drawn, signing
        self.state = group.world.state(signing)

    def require(self) -> None:
        """Signed to the last item that can be, or refused with the right word."""
        if not self.consented():
            assert self.state.phase in (SigningPhase.APPROVING, SigningPhase.REJECTED, SigningPhase.FAILED)
            return
        refusals = set(self.refusals())
        if refusals:
            assert (self.state.phase, self.state.code in refusals) == (SigningPhase.FAILED, True)
            return
        assert self.state.phase == SigningPhase.COMPLETED, self.state.code
        for wish, result in zip(self.drawn.wishes, self.results(), strict=True):
            self.item(wish, result)
        self.require_new_nonces()

    def consented(self) -> bool:
        """Whether every rule is met, for each item and each slot of its key list."""
        records, rules = self.group.world.logs[self.signing].records, self.group.rules
        votes, now = naive.Votes.of(records, self.group.seats), self.group.world.now
        places = {(wish.slots, slot) for wish in self.drawn.wishes for slot in wish.slots}
        return not any(naive.rule_broken(rules[slot], slot, slots, votes, now) for slots, slot in places)

    def refusals(self) -> Iterator[str]:
        """With which codes an enclave may refuse the whole: for who asks, or where it would sign nothing of it."""
        possible = [wish for wish in self.drawn.wishes if not wish.impossible]
        if not possible:
            yield from self.drawn.wishes[0].codes
        needed = {slot for wish in possible for slot in wish.slots}
        if any(self.drawn.requester not in self.group.allow[s].get("requesters", self.group.slots) for s in needed):
            yield "requester_not_allowed"
        for enclave in self.group.enclaves:
            said = [self._forbidden_at(enclave.name, wish) for wish in possible]
            if said and all(said):
                yield from said[0]

    def _forbidden_at(self, enclave: str, wish: Wish) -> set[str]:
        held = [slot for slot in wish.slots if self.group.at[slot].name == enclave]
        return {code for slot in held if (code := self.group.forbidden(wish.asked, slot)) is not None}

    def results(self) -> tuple[ItemResult, ...]:
        """What a client computes from the log, and what the enclaves have confirmed is no different."""
        member, keygen = self.group.member, self.group.keygen
        heard, roster, key = member.heard(self.signing), member.roster(keygen), member.groups[keygen]
        plan = plan_of(member.signing(self.signing), heard.records[0].statement, roster, key)
        found = results_of(heard, plan, roster, key)
        told = [
            entry for wish, result in zip(self.drawn.wishes, found, strict=True) for entry in _entries(wish, result)
        ]
        assert list(member.told(self.signing)) == told
        return found

    def item(self, wish: Wish, result: ItemResult) -> None:
        """An item has its own error, or its own signature or pre-signatures."""
        if isinstance(result, ItemError):
            assert result.code in wish.codes and result.slots == wish.slots
            return
        assert not wish.codes, f"signed, and must fail with one of {set(wish.codes)}"
        if isinstance(result, Signature):
            assert not wish.secrets
            self.signature(wish, result)
            return
        for presigned, secret in zip(result, wish.secrets, strict=True):
            self.signature(wish, oracle.completed(presigned.presignature, secret))

    def signature(self, wish: Wish, signature: bytes) -> None:
        """A signature is one of its message by its key, or spends its input."""
        assert wish.key is not None
        if isinstance(wish.asked, SignInput):
            given = self.drawn.transactions[wish.asked.transaction]
            spent = [(output.amount, output.script) for output in given.spent]
            assert oracle.spends(given.unsigned, spent, wish.asked.input, signature), "consensus code refuses it"
        elif isinstance(wish.asked, SignEcdsa):
            assert oracle.is_low_ecdsa(signature, wish.asked.message, wish.key)
        else:
            assert naive.is_signature(signature, wish.asked.message, wish.key)
            assert wish.asked.message[0] % 4 or oracle.is_signature(signature, wish.asked.message, wish.key)

    def require_new_nonces(self) -> None:
        """No half of a nonce was ever seen before in this group."""
        key, places = self.group.member.groups[self.group.keygen], sum(wish.places for wish in self.drawn.wishes)
        for record in self.group.world.logs[self.signing].records:
            if isinstance(record.statement.payload, SigningContribute):
                for entry in open_values(record, "values", places, key, ()):
                    if isinstance(entry, Nonce | Both):
                        halves = {entry.pubnonce[:33], entry.pubnonce[33:]}
                        assert len(halves) == 2 and not halves & self.group.nonces, "a nonce appears twice"
                        self.group.nonces.update(halves)


def _entries(wish: Wish, result: ItemResult) -> list[Entry]:
    """What a confirm says of an item."""
    if isinstance(result, ItemError):
        return [Failed(result.code)] * wish.places
    if isinstance(result, Signature):
        return [Finished(result)]
    return [Prefinished(each.presignature) for each in result]


def judge(group: DrawnGroup, number: int) -> None:
    """Ask one request and judge it; a failure says how to repeat it alone, and what was asked."""
    drawn = draw_request(group, f"{group.seed}/{number}")
    try:
        Judge(group, drawn, ask(group, drawn)).require()
    except Exception as error:
        error.add_note(f"repeat it with KEYMELD_REQUEST={group.seed}/{number}: {drawn}")
        raise


@pytest.mark.parametrize("seed", GROUPS)
def test_whatever_is_asked_is_signed_as_others_would_verify_it_or_fails_with_its_own_error(seed: str) -> None:
    group = DrawnGroup(seed)
    for number in REQUESTS:
        judge(group, number)
    assert not any(enclave.concerns for enclave in group.enclaves)


def test_those_who_judge_agree_with_what_is_published() -> None:
    for case in published_json("bip341/wallet-test-vectors.json")["scriptPubKey"]:
        internal, root = bytes.fromhex(case["given"]["internalPubkey"]), case["intermediary"]["merkleRoot"]
        key = oracle.output_key([b"\2" + internal], bytes.fromhex(root or ""), None)
        assert key is not None and key.hex() == case["intermediary"]["tweakedPubkey"]
