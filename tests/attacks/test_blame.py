"""Attacks on blame: a bad value that nobody answers for, an accusation without cause, a last word that lies.

liar ── one bad value ──▶ the others refuse          every member finds the liar in the log, whatever is said of whom
liar ── "bad_psig!" ────▶ nobody believes it         everything that was sent verifies: the liar is at fault
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial

import pytest

from keymeld_client.shown.blame import Fault, Judgement, judge_signing
from keymeld_client.shown.endings import tell_judgement
from keymeld_client.shown.results import results_of
from keymeld_client.shown.telling import name_of
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import Blamed
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing_state import SigningPhase, nonces_hash
from keymeld_protocol.member.faults import ACCUSES
from keymeld_protocol.member.plan import plan_of
from keymeld_protocol.plaintext.body import Adaptor, SignMessage
from keymeld_protocol.plaintext.contributions import Both, Entry, Failed, Finished, Nonce, Nothing, Prefinished, Psig
from keymeld_protocol.values import Id, Message, PlainKey
from tests.support.liar import Liar, Spoil
from tests.support.world import HOUR, MESSAGE, World, secret_of

from .mischief import contribution, seal_values

GARBAGE = b"\x02" + b"\xff" * 32
OTHER = Secret(secret_of("another nonce")).point
POINT = PlainKey(Secret(secret_of("lock")).point)
SILENT = frozenset({"signing.refuse"})
PLAIN, LOCKED, OWN = range(3)
"""The places of ``ITEMS``: a signature and a pre-signature of everybody, and a signature of slot 2 alone."""

ITEMS = (
    SignMessage(message=Message(MESSAGE)),
    SignMessage(message=Message(MESSAGE), adaptor=Adaptor(mode="single", points=(POINT,))),
    SignMessage(message=Message(MESSAGE), subset=0),
)


class Table:
    """Three enclaves, each of which may lie, for Alice, Bob and Carol; that of slot 0 goes last."""

    def __init__(self, *, alone: bool = True) -> None:
        self.world = World()
        self.enclaves = [Liar(self.world, name) for name in ("vault", "keep", "tower")]
        members = [self.world.member(name) for name in ("alice", "bob", "carol")]
        self.alice, self.carol = members[0], members[2]
        for enclave in self.enclaves:
            enclave.reader = self.alice
        allow = [{"alone": alone, "alone_blind": alone}] * 3
        self.group = self.world.gather(members, at=self.enclaves, subsets=((2,),), allow=allow)
        self.signing = Id(bytes(32))

    def ask(self) -> None:
        """Carol asks, and everybody answers; that of slot 2 finishes."""
        self.signing = self.carol.request(self.group, *ITEMS)
        self.world.run()
        self.world.wait(2_000)

    @property
    def heard(self) -> Replay:
        """The log, as Alice has verified it."""
        return self.alice.heard(self.signing)

    def second_attempt(self) -> None:
        """Carol asks, the first attempt lacks the last enclave, and the second is about to open; all are honest now."""
        self.signing = self.carol.request(self.group, *ITEMS)
        self.enclaves[0].leave()
        self.world.run()
        for enclave in self.enclaves:
            enclave.spoil = None

    def go_on(self) -> None:
        """The last enclave comes back, and the grace of the first attempt passes."""
        self.enclaves[0].come_back()
        self.world.run()
        self.world.wait(4_000)

    def phases(self, phase: SigningPhase) -> bool:
        """Whether the signing stands there."""
        return bool(self.world.state(self.signing).phase == phase)

    def judged(self, heard: Replay | None = None) -> Judgement:
        """What the log proves to Alice."""
        return judge_signing(heard or self.heard, self.alice.roster(self.group), self.alice.groups[self.group])

    def faults(self) -> list[tuple[str, tuple[int, ...]]]:
        return [(fault.code, fault.slots) for fault in self.judged().faults]

    def told(self) -> str:
        return "; ".join(tell_judgement(self.judged(), partial(name_of, self.alice.roster(self.group))))

    def results(self) -> tuple[object, ...]:
        roster, group = self.alice.roster(self.group), self.alice.groups[self.group]
        plan = plan_of(self.alice.signing(self.signing), self.heard.records[0].statement, roster, group)
        return results_of(self.heard, plan, roster, group)


@pytest.fixture
def table() -> Table:
    return Table()


def spoilt(step: str, place: int, change: Callable[[Entry], Entry]) -> Spoil:
    """One entry of one step is another than it should be."""

    def spoil(said: str, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        if said != step:
            return entries
        return (*entries[:place], change(entries[place]), *entries[place + 1 :])

    return spoil


def rubbish(step: str) -> Spoil:
    """One step is no entries at all."""
    return lambda said, entries: b"rubbish" if said == step else entries


def nonce(entry: Entry, pubnonce: bytes, proof: bytes | None = None) -> Entry:
    """The entry with another nonce, or with another proof of it."""
    if isinstance(entry, Both):
        return Both(pubnonce, entry.psig, proof or entry.proof)
    assert isinstance(entry, Nonce)
    return Nonce(pubnonce, proof or entry.proof)


def own(entry: Entry) -> bytes:
    assert isinstance(entry, Nonce | Both)
    return entry.pubnonce


def psig(entry: Entry, scalar: bytes = bytes(31) + b"\x01") -> Entry:
    """The entry with another psig."""
    return Both(entry.pubnonce, scalar, entry.proof) if isinstance(entry, Both) else Psig(scalar)


def only_nonce(entry: Entry) -> Entry:
    assert isinstance(entry, Both)
    return Nonce(entry.pubnonce, entry.proof)


LIES: list[tuple[str, int, Spoil]] = [
    ("bad_nonce", 1, spoilt("nonces", PLAIN, lambda e: nonce(e, GARBAGE * 2))),
    ("bad_nonce", 2, spoilt("nonces", LOCKED, lambda e: nonce(e, own(e)[:33] + bytes(33)))),
    ("bad_nonce", 0, spoilt("both", PLAIN, lambda e: nonce(e, bytes(66)))),
    ("bad_proof", 1, spoilt("nonces", LOCKED, lambda e: nonce(e, own(e), bytes(64)))),
    ("bad_proof", 1, spoilt("nonces", LOCKED, lambda e: nonce(e, OTHER + own(e)[33:]))),
    ("bad_proof", 0, spoilt("both", LOCKED, lambda e: nonce(e, own(e), bytes(64)))),
    ("missing_nonce", 2, spoilt("nonces", PLAIN, lambda e: Nothing())),
    ("missing_nonce", 0, spoilt("both", LOCKED, lambda e: Nothing())),
    ("bad_values", 1, rubbish("nonces")),
    ("bad_values", 0, rubbish("both")),
    ("bad_values", 1, rubbish("psigs")),
    ("bad_values", 2, spoilt("nonces", LOCKED, lambda e: Nonce(own(e)))),
    ("bad_values", 1, spoilt("psigs", PLAIN, lambda e: Prefinished(bytes(65)))),
    ("said_twice", 1, spoilt("psigs", PLAIN, lambda e: Both(OTHER * 2, bytes(32)))),
    ("failed_late", 1, spoilt("psigs", LOCKED, lambda e: Failed("no"))),
    ("bad_psig", 1, spoilt("psigs", PLAIN, psig)),
    ("bad_psig", 1, spoilt("psigs", LOCKED, psig)),
    ("bad_psig", 0, spoilt("both", PLAIN, psig)),
    ("bad_psig", 0, spoilt("both", LOCKED, lambda e: psig(e, b"\xff" * 32))),
    ("missing_psig", 1, spoilt("psigs", PLAIN, lambda e: Nothing())),
    ("missing_psig", 0, spoilt("both", LOCKED, only_nonce)),
]
"""The code, the slot whose enclave lies, and how."""


@pytest.mark.parametrize(("code", "liar", "lie"), LIES, ids=[f"{code} of slot {liar}" for code, liar, _ in LIES])
def test_attack_24_everybody_finds_who_is_to_blame_in_the_log(table: Table, code: str, liar: int, lie: Spoil) -> None:
    """24: a bad nonce that nobody is blamed for; nor is any other bad value."""
    table.enclaves[liar].spoil = lie
    table.enclaves[liar].keeps = SILENT
    table.ask()
    state, judged = table.world.state(table.signing), table.judged()
    assert table.faults() == [(code, (liar,))] and judged.at_fault == (liar,)
    assert table.phases(SigningPhase.FAILED) and state.code in ACCUSES
    assert judged.refusal is not None and judged.has_cause and judged.refusal.slots != (liar,)


def test_attack_24_two_liars_are_both_named(table: Table) -> None:
    """24: a bad nonce that nobody is blamed for."""
    table.enclaves[1].spoil = spoilt("nonces", PLAIN, lambda e: nonce(e, GARBAGE * 2))
    table.enclaves[2].spoil = rubbish("nonces")
    table.ask()
    assert sorted(table.faults()) == [("bad_nonce", (1,)), ("bad_values", (2,))]


def test_attack_24_people_are_told_who_it_was_and_what(table: Table) -> None:
    """24: a bad nonce that nobody is blamed for."""
    table.enclaves[1].spoil = spoilt("nonces", LOCKED, lambda e: nonce(e, own(e), bytes(64)))
    table.ask()
    assert table.told() == (
        'the enclave of slot 1 "bob" sent a nonce that does not prove itself (item 1); '
        'the enclave of slot 0 "alice" refused because of it'
    )


def test_a_liar_of_an_attempt_that_was_given_up_is_remembered(table: Table) -> None:
    table.enclaves[1].spoil = spoilt("nonces", PLAIN, lambda e: nonce(e, GARBAGE * 2))
    table.second_attempt()
    table.go_on()
    assert table.phases(SigningPhase.COMPLETED) and table.world.state(table.signing).attempt == 2
    assert table.judged().faults == (Fault("bad_nonce", (1,), 1, "item 0"),)


def test_attack_44_the_fault_of_an_earlier_attempt_is_no_cause(table: Table) -> None:
    """44: a dispute without cause."""
    table.enclaves[1].spoil = spoilt("nonces", PLAIN, lambda e: nonce(e, GARBAGE * 2))
    table.second_attempt()
    table.enclaves[2].accuses = "bad_nonce"
    table.go_on()
    assert table.phases(SigningPhase.FAILED) and table.faults() == [("bad_nonce", (1,)), ("without_cause", (2,))]
    assert 'sent a bad nonce (item 0), in attempt 1; the enclave of slot 2 "carol" refused with' in table.told()


# 44: a dispute without cause -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(ACCUSES))
@pytest.mark.parametrize(("liar", "step"), [(1, "nonces"), (0, "both"), (1, "psigs"), (2, "signatures")])
def test_attack_44_who_accuses_without_cause_is_at_fault(table: Table, code: str, liar: int, step: str) -> None:
    """44: a dispute without cause."""
    table.enclaves[liar].accuses, table.enclaves[liar].at = code, step
    table.ask()
    assert table.phases(SigningPhase.FAILED) and table.world.state(table.signing).code == code
    assert table.faults() == [("without_cause", (liar,))]
    assert table.told().endswith(f"refused with {code}, but everything that was sent verifies: it is at fault itself")


@pytest.mark.parametrize("code", ["rule_not_met", "expired", "cannot_sign", "missing_blob", "a_word_of_tomorrow"])
def test_a_refusal_that_accuses_nobody_is_nobodys_fault(table: Table, code: str) -> None:
    table.enclaves[1].accuses = code
    table.ask()
    assert table.phases(SigningPhase.FAILED) and table.judged().faults == () and table.told() == ""


def test_attack_44_who_spoils_an_item_later_does_not_frame_who_refused_because_of_the_first_liar(table: Table) -> None:
    """44: a dispute without cause; here it has one, which an accomplice would like to hide."""
    last, accomplice, _ = table.enclaves
    last.spoil, last.keeps = spoilt("both", LOCKED, psig), SILENT
    table.signing = table.carol.request(table.group, *ITEMS)
    while "signing.contribute" not in last.kinds():
        for peer in table.world.peers.values():
            peer.step()
    over = nonces_hash(table.world.state(table.signing))
    late = seal_values(table.alice, table.signing, accomplice, Failed("no"), Failed("no"), Nothing())
    table.world.submit(contribution(table.world, accomplice, table.signing, late, slots=(1,), step="psigs", over=over))
    accomplice.keeps = SILENT
    table.world.run()
    assert table.phases(SigningPhase.FAILED) and table.world.state(table.signing).blamed == (2,)
    assert table.faults() == [("bad_psig", (0,)), ("failed_late", (1,))]


def test_what_is_not_here_convicts_nobody(table: Table) -> None:
    table.enclaves[1].spoil = spoilt("nonces", PLAIN, lambda e: Nothing())
    table.ask()
    heard = copy(table.heard)
    heard.records = [record.without_blobs(("values",)) for record in heard.records]
    judged = table.judged(heard)
    assert judged.faults == () and judged.unread is not None
    (line,) = tell_judgement(judged, partial(name_of, table.alice.roster(table.group)))
    assert line.startswith('the enclave of slot 0 "alice" refused; nobody can tell here why')


def test_what_was_sent_after_something_that_is_not_here_is_not_judged(table: Table) -> None:
    table.enclaves[1].spoil = spoilt("nonces", PLAIN, lambda e: Failed("cannot"))
    table.ask()
    heard = copy(table.heard)
    first = next(r.offset for r in heard.records if r.statement.payload.by == table.enclaves[1].key)
    heard.records = [r.without_blobs(("values",)) if r.offset == first else r for r in heard.records]
    assert table.judged(heard) == Judgement(unread=first), "that the item failed stands in what is not here"


# A last word that lies -----------------------------------------------------------------------------------------------


def finishes(*entries: Entry | None) -> Spoil:
    """Other signatures than those that were added up; None leaves one as it is."""
    return lambda step, honest: tuple(map(_either, entries, honest)) if step == "signatures" else honest


def _either(lie: Entry | None, honest: Entry) -> Entry:
    return honest if lie is None else lie


LAST_WORDS: list[tuple[str, Spoil]] = [
    ("bad_signature", finishes(Finished(bytes(64)), None, None)),
    ("bad_signature", finishes(None, Prefinished(bytes(65)), None)),
    ("bad_signature", finishes(None, None, Finished(bytes(64)))),
    ("bad_signature", finishes(Nothing(), Nothing(), Nothing())),
    ("failed_late", finishes(Failed("no"), Failed("no"), Failed("no"))),
    ("failed_late", finishes(None, Failed("no"), None)),
    ("bad_values", finishes(Prefinished(bytes(65)), None, None)),
    ("bad_values", rubbish("signatures")),
]


@pytest.mark.parametrize(("code", "lie"), LAST_WORDS)
def test_a_last_word_that_lies_convicts_who_said_it(table: Table, code: str, lie: Spoil) -> None:
    table.enclaves[2].spoil = lie
    table.ask()
    assert table.phases(SigningPhase.COMPLETED) and table.faults() == [(code, (2,))]
    with pytest.raises(Blamed, match=code) as blamed:
        table.results()
    assert blamed.value.slots == (2,)


def test_who_finishes_says_the_signatures_of_all_and_finds_whose_psig_is_bad(table: Table) -> None:
    table.ask()
    assert table.world.state(table.signing).contributions[-1].step == "signatures"
    assert table.phases(SigningPhase.COMPLETED) and table.judged() == Judgement() and len(table.results()) == 3
    table.enclaves[1].spoil = spoilt("psigs", PLAIN, psig)
    table.ask()
    assert table.phases(SigningPhase.FAILED) and table.world.state(table.signing).blamed == (2,)
    assert table.faults() == [("bad_psig", (1,))] and table.judged().has_cause


def test_a_set_that_does_not_add_up_and_is_finished_all_the_same_names_both_liars(table: Table) -> None:
    table.enclaves[0].spoil = spoilt("both", PLAIN, psig)
    table.enclaves[2].keeps = SILENT
    table.ask()
    assert table.phases(SigningPhase.PSIGS), "it does not add up, and who found out keeps it to himself"
    late, over = table.enclaves[2], nonces_hash(table.world.state(table.signing))
    made = seal_values(
        table.alice, table.signing, late, Finished(bytes(64)), Prefinished(bytes(65)), Finished(bytes(64))
    )
    said = contribution(table.world, late, table.signing, made, slots=(2,), step="signatures", over=over)
    table.world.submit(said)
    table.world.run()
    assert table.phases(SigningPhase.COMPLETED) and table.faults() == [("bad_psig", (0,)), ("bad_signature", (2,))]
    with pytest.raises(Blamed, match="bad_signature, slot 2: item 0"):
        table.results()


@pytest.mark.parametrize("alone", [True, False], ids=["every item", "one that a policy forbids"])
def test_an_honest_signing_convicts_nobody(alone: bool) -> None:
    table = Table(alone=alone)
    table.ask()
    assert table.phases(SigningPhase.COMPLETED) and table.judged() == Judgement()
    assert [isinstance(result, bytes) for result in table.results()] == [True, False, alone]


def test_an_item_that_fails_midway_convicts_nobody(table: Table) -> None:
    table.enclaves[1].spoil = spoilt("nonces", PLAIN, lambda e: Failed("cannot"))
    table.ask()
    assert table.phases(SigningPhase.COMPLETED) and table.judged() == Judgement()


def test_a_signing_that_nobody_completes_names_who_spoilt_it(table: Table) -> None:
    table.enclaves[1].spoil = spoilt("psigs", PLAIN, psig)
    for enclave in table.enclaves:
        enclave.keeps = SILENT
    table.ask()
    assert table.phases(SigningPhase.PSIGS) and table.faults() == [("bad_psig", (1,))]
    table.world.wait(2 * HOUR)
    assert not table.world.state(table.signing).open and table.faults()[0] == ("bad_psig", (1,))
