"""Adaptor items among real enclaves: whatever the mode, whoever holds the keys; and attacks 4, 5 and 29, each refused.

vault (honest) ◀── a nonce of r·G − T, a proof of something else, a psig of nothing ── tower (hostile)      no psig
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest

from keymeld_protocol.curve import adaptor
from keymeld_protocol.curve.musig_secret import CollapsedSigner, Secnonce, partial_sign
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.curve.secp256k1 import Secret, point_add, point_negate
from keymeld_protocol.errors import BadInput, Blamed
from keymeld_protocol.machines.signing_state import SigningPhase, nonces_hash
from keymeld_protocol.member import plan
from keymeld_protocol.member.attempt import Attempt
from keymeld_protocol.member.places import Place, places
from keymeld_protocol.plaintext import contents, contributions
from keymeld_protocol.plaintext.body import MAX_POINTS, Adaptor, Asked, Body, SignInput, SignMessage
from keymeld_protocol.plaintext.contributions import Both, Entry, Failed, Finished, Nonce, Prefinished
from keymeld_protocol.values import Id, Message, PlainKey, digest
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.payloads import SigningContribute
from tests.attacks.mischief import Puppet, contribution, seal_values
from tests.attacks.test_items import FOREIGN, spending
from tests.support.ceremony import EXTRA
from tests.support.world import MESSAGE, Enclave, Member, World, secret_of

SECRETS = [secret_of(f"adaptor {i}") for i in range(4)]
POINTS = tuple(PlainKey(Secret(secret).point) for secret in SECRETS)
YES = {"alone": True, "alone_blind": True, "accept_opaque_tweak": True}
Mode = Literal["single", "and", "or"]


def locked(mode: Mode, *points: PlainKey) -> Adaptor:
    return Adaptor(mode=mode, points=points or POINTS[: 1 if mode == "single" else 3])


def message(lock: Adaptor | None = None, subset: int | None = None, word: str = "message") -> SignMessage:
    return SignMessage(message=Message(secret_of(word)), subset=subset, adaptor=lock)


EVERY = (
    message(), message(locked("single")), message(locked("and")), message(locked("or")), message(subset=0),
    message(locked("single"), subset=0), message(locked("or"), subset=1), message(locked("single"), subset=2),
)  # fmt: skip


class Group:
    """Alice, Bob and Carol at these enclaves, slot by slot, with subsets (0, 2), (1, 2) and Carol alone."""

    def __init__(self, *at: int) -> None:
        self.world = World()
        self.members = [self.world.member(name) for name in ("alice", "bob", "carol")]
        self.enclaves = [self.world.enclave(name) for name in ("vault", "keep", "tower")[: max(at) + 1]]
        where = [self.enclaves[i] for i in at]
        subsets = ((0, 2), (1, 2), (2,))
        self.keygen = self.world.gather(self.members, at=where, subsets=subsets, allow=[YES] * 3)
        self.alice = self.members[0]
        self.roster = self.alice.roster(self.keygen)

    def ask(self, *items: Asked, **options: Any) -> Id:
        signing = self.members[2].request(self.keygen, *items, **options)
        self.world.run()
        return signing

    def ask_raw(self, body: bytes) -> Id:
        """Ask for one item of everybody with these bytes for a body, whatever they say."""
        carol, key = self.members[2], self.alice.groups[self.keygen]
        honest = carol.requesting(self.keygen, message())
        sealed = key.seal("signing.request", "body", self.keygen, honest.payload.by, body)
        payload = msgspec.structs.replace(honest.payload, body=digest(sealed))
        signing = carol.submit(statements.make(payload, carol.auth(self.keygen).sign, blobs=[sealed])).id
        self.world.run()
        return signing

    def results(self, signing: Id) -> tuple[Any, ...]:
        found = {member.signatures(signing) for member in self.members}
        assert len(found) == 1, "everybody computes the same"
        return found.pop()

    def holds(self, result: Any, item: Asked) -> bool:
        """Whether the result is what the item asks for, and is completed by the secrets of its points and no others."""
        assert isinstance(item, SignMessage)
        output = self.roster.keyagg(item.subset, item.tweaks).output
        if item.adaptor is None:
            return verify(result, item.message, output)
        points, secrets = item.adaptor.points, [SECRETS[POINTS.index(point)] for point in item.adaptor.points]
        if item.adaptor.mode == "and":
            pairs = [(adaptor.combined_point(points), bytes(adaptor.combined_secret(points, secrets)))]
        else:
            pairs = list(zip(points, secrets, strict=True))
        return len(result) == len(pairs) and all(
            adaptor.verify(made, point, item.message, output)
            and not verify(made[1:], item.message, output)
            and verify(adaptor.adapt(made, secret), item.message, output)
            for made, (point, secret) in zip(result, pairs, strict=True)
        )


ENCLAVES = pytest.mark.parametrize(
    "at", [(0, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 2)], ids=["one", "two", "two, other cut", "three"]
)


@ENCLAVES
def test_adaptor_items_of_every_mode_are_signed_beside_plain_ones(at: tuple[int, ...]) -> None:
    group = Group(*at)
    signing = group.ask(*EVERY)
    results = group.results(signing)
    assert all(group.holds(result, item) for result, item in zip(results, EVERY, strict=True))
    assert group.world.state(signing).phase is SigningPhase.COMPLETED
    assert not any(enclave.refused or enclave.concerns for enclave in group.enclaves)


@ENCLAVES
def test_the_confirm_says_the_same_place_by_place(at: tuple[int, ...]) -> None:
    group = Group(*at)
    signing = group.ask(*EVERY)
    told: list[bytes] = []
    for entry in group.alice.told(signing):
        assert isinstance(entry, Finished | Prefinished)
        told.append(entry.signature if isinstance(entry, Finished) else entry.presignature)
    results = group.results(signing)
    assert told == [made for result in results for made in (result if isinstance(result, tuple) else (result,))]


@ENCLAVES
def test_inputs_of_transactions_are_locked_too(at: tuple[int, ...]) -> None:
    group = Group(*at)
    own = spending(group.roster.script(), group.roster.script(0))
    items = [SignInput(transaction=0, input=i, subset=s, adaptor=locked("or")) for i, s in ((0, None), (1, 0))]
    first, second = group.results(group.ask(*items, transactions=(own,)))
    assert len(first) == len(second) == 3


def test_a_point_that_is_none_fails_its_item_alone() -> None:
    group = Group(0, 1, 0)
    no_point = PlainKey(b"\x02" + b"\xff" * 32)
    items = (message(locked("single", no_point)), message(locked("or", POINTS[0], no_point)), message(locked("single")))
    first, second, third = group.results(group.ask(*items))
    assert first == second == Failed("bad_adaptor")
    assert group.holds(third, items[2])


def test_an_or_that_cannot_be_signed_fails_as_one_item() -> None:
    group = Group(0, 1, 0)
    own = spending(group.roster.script(), FOREIGN)
    items = [SignInput(transaction=0, input=i, adaptor=locked("or")) for i in (0, 1)]
    signing = group.ask(*items, transactions=(own,))
    made, failed = group.results(signing)
    assert len(made) == 3 and failed == Failed("foreign_script")
    assert group.alice.told(signing)[3:] == (Failed("foreign_script"),) * 3


@pytest.mark.parametrize("mode", ["single", "and", "or"])
def test_a_crash_before_a_psig_has_left_is_survived_with_fresh_nonces(mode: Mode) -> None:
    group = Group(0, 1, 0)
    item = message(locked(mode))
    signing = group.members[2].request(group.keygen, item)
    while "signing.contribute" not in group.enclaves[1].kinds():
        assert any(enclave.step() for enclave in group.enclaves)
    group.enclaves[0].restart()  # who goes last
    group.world.run()
    assert group.world.state(signing).attempt == 2
    assert group.holds(group.results(signing)[0], item)
    halves = nonces_of(group)
    assert len(set(halves)) == len(halves)


# 4, 5: nonces that repeat -----------------------------------------------------------------------------------------


def nonces_of(group: Group) -> list[bytes]:
    """Both halves of every pubnonce that the enclaves have said, in all their lives."""
    found = []
    for statement in (said for enclave in group.enclaves for said in enclave.said):
        said = statement.payload
        if isinstance(said, SigningContribute):
            key, opening = group.alice.groups[group.keygen], group.alice.heard(said.stream).records[0].statement
            expected = places(plan.plan(plan.read_body(opening, key), group.roster).items)
            entries = contributions.decode(key.open_in(said, "values", statement.blobs[0] or b""), len(expected))
            nonces = [entry.pubnonce for entry in entries if isinstance(entry, Nonce | Both)]
            found += [half for nonce in nonces for half in (nonce[:33], nonce[33:])]
    return found


def many(count: int) -> tuple[PlainKey, ...]:
    return tuple(PlainKey(Secret(secret_of(f"one of many {i}")).point) for i in range(count))


def test_attack_4_more_adaptor_points_than_an_item_may_have_are_refused() -> None:
    """4: 257 adaptor points in one item repeat a nonce."""
    group, honest = Group(0, 1, 0), message(locked("or", *many(MAX_POINTS)))
    body = contents.encode(Body(v=1, transactions=(), items=(honest,), memo=""))
    first = f'"points":["{many(1)[0].hex()}"'.encode()
    assert first in body
    for count in (MAX_POINTS + 1, 257):
        extra = ",".join(f'"{point.hex()}"' for point in many(count)[MAX_POINTS:])
        signing = group.ask_raw(body.replace(first, first + b"," + extra.encode()))
        assert (group.world.state(signing).phase, group.world.state(signing).code) == (SigningPhase.FAILED, "bad_body")
    assert not any("signing.contribute" in enclave.kinds() for enclave in group.enclaves)


def test_attack_4_every_point_of_a_full_request_has_nonces_of_its_own() -> None:
    """4: 257 adaptor points in one item repeat a nonce: as many as fit into five items, and no half comes twice."""
    group = Group(0, 1, 0)
    items = [message(locked("or", *many(MAX_POINTS))) for _ in range(5)]
    results = group.results(group.ask(*items))
    assert [len(result) for result in results] == [MAX_POINTS] * 5
    halves = nonces_of(group)
    assert len(halves) == len(set(halves)) == 2 * 2 * 5 * MAX_POINTS


def test_attack_4_the_places_of_a_request_are_bounded() -> None:
    """4: 257 adaptor points in one item repeat a nonce: 1,000 places in a request."""
    full = [message(locked("or", *many(MAX_POINTS))) for _ in range(16)]
    body = Body(v=1, transactions=(), items=tuple(full), memo="")
    with pytest.raises(BadInput, match="come to 1024 signatures and pre-signatures, at most 1000"):
        body.check()


def test_attack_5_equal_items_and_equal_requests_have_different_nonces() -> None:
    """5: chosen item ids repeat a nonce: equal items, equal points, the same body again, and a second attempt."""
    group = Group(0, 1, 2)
    items = [message(locked("or")), message(locked("or")), message(locked("single")), message(), message()]
    for _ in range(3):
        assert all(group.holds(made, item) for made, item in zip(group.results(group.ask(*items)), items, strict=True))
    signing = group.members[2].request(group.keygen, *items)
    while "signing.contribute" not in group.enclaves[1].kinds()[-1:]:
        assert any(enclave.step() for enclave in group.enclaves)
    group.enclaves[0].restart()
    group.world.run()
    assert group.world.state(signing).attempt == 2
    halves = nonces_of(group)
    assert len(halves) >= 2 * 3 * 9 * 4 and len(set(halves)) == len(halves)


# 29: a nonce that cancels the point -------------------------------------------------------------------------------


class Duel:
    """An honest vault and a tower that lies; ``last``: the tower sends its nonces and psigs last, else first."""

    def __init__(self, *, last: bool, items: tuple[Asked, ...] = (message(locked("single")),)) -> None:
        self.world = World()
        self.vault, self.tower = self.world.enclave("vault"), Puppet(self.world, "tower")
        members = [self.world.member(name) for name in ("alice", "bob", "carol")]
        at: list[Enclave] = [self.vault, self.tower, self.tower] if last else [self.vault, self.vault, self.tower]
        self.slots = (1, 2) if last else (2,)
        self.alice: Member = members[0]
        self.group = self.world.gather(members, at=at)
        self.tower.mute = True
        self.signing = self.alice.request(self.group, *items)
        self.world.run()
        self.attempt = self.hear()
        secrets = [members[slot].signing_key(self.group, slot) for slot in self.slots]
        self.signer = CollapsedSigner(self.item.keyagg, secrets)

    def hear(self) -> Attempt:
        """The attempt with everything that has been said in it."""
        state = self.alice.signing(self.signing)
        key, roster = self.alice.groups[self.group], self.alice.roster(self.group)
        items = plan.plan_of(state, self.alice.heard(self.signing).records[0].statement, roster, key).items
        attempt = Attempt.of(state, items, roster)
        for said in state.contributions:
            statement = self.alice.heard(self.signing).records[said.offset - 1].statement
            values = key.open_in(statement.payload, "values", statement.blob("values") or b"")
            entries = contributions.decode(values, len(attempt.places))
            attempt.hear(said.by, entries, finished=said.step == "signatures")
        return attempt

    @property
    def place(self) -> Place:
        return self.attempt.places[0]

    @property
    def item(self) -> plan.Item:
        return self.place.item

    @property
    def point(self) -> bytes:
        assert self.place.adaptor is not None
        return self.place.adaptor

    def draw(self) -> Secnonce:
        return self.signer.nonce_gen(self.item.keyagg, self.item.message, EXTRA)

    def proven(self, secnonce: Secnonce, index: int = 0) -> bytes:
        return secnonce.prove(self.attempt.proof_message(index, secnonce.pubnonce))

    def cancelling(self, secnonce: Secnonce) -> bytes:
        """r·G − T ‖ R2."""
        first = point_add(secnonce.pubnonce[:33], point_negate(self.point))
        assert first is not None
        return first + secnonce.pubnonce[33:]

    def psig(self, secnonce: Secnonce) -> bytes:
        """The tower's own, over everybody's nonces as it knows them."""
        session = self.attempt.session(0, also=secnonce.pubnonce, by=self.tower.key)
        return partial_sign(session, self.signer, secnonce)

    def says(self, *entries: Entry, step: str = "nonces", attempt: int = 1) -> None:
        sealed = seal_values(self.alice, self.signing, self.tower, *entries)
        fields: dict[str, Any] = {"slots": self.slots, "step": step, "attempt": attempt}
        if step != "nonces":
            fields["over"] = nonces_hash(self.world.state(self.signing))
        self.world.submit(contribution(self.world, self.tower, self.signing, sealed, **fields))
        self.world.run()

    def refused(self, code: str) -> bool:
        """Whether the vault has refused for this reason, and never let a psig go."""
        steps = [s.payload.step for s in self.vault.said if isinstance(s.payload, SigningContribute)]
        state = self.world.state(self.signing)
        return (state.phase, state.code) == (SigningPhase.FAILED, code) and not set(steps) - {"nonces"}


def test_attack_29_a_cancelling_nonce_without_a_proof_gets_no_psig() -> None:
    """29: a pubnonce r·G − T in an adaptor item."""
    duel = Duel(last=False)
    duel.says(Nonce(duel.cancelling(duel.draw())))
    assert duel.refused("bad_values")


def test_attack_29_a_cancelling_nonce_with_the_proof_of_another_gets_no_psig() -> None:
    """29: a pubnonce r·G − T in an adaptor item; the proof is by r, over the lie."""
    duel = Duel(last=False)
    secnonce = duel.draw()
    lie = duel.cancelling(secnonce)
    duel.says(Nonce(lie, secnonce.prove(duel.attempt.proof_message(0, lie))))
    assert duel.refused("bad_proof")


def test_attack_29_a_proof_of_another_place_gets_no_psig() -> None:
    """29: a pubnonce r·G − T in an adaptor item: what was proven for one place proves nothing in another."""
    duel = Duel(last=False, items=(message(locked("single")), message(locked("single"))))
    one, two = duel.draw(), duel.draw()
    duel.says(Nonce(one.pubnonce, duel.proven(one)), Nonce(two.pubnonce, duel.proven(two, 0)))
    assert duel.refused("bad_proof")


@pytest.mark.parametrize("honest_proof", [True, False])
def test_attack_29_a_cancelling_nonce_of_the_last_one_gets_no_psig(honest_proof: bool) -> None:
    """29: a pubnonce r·G − T in an adaptor item, sent last: the vault's psig would make a signature of it."""
    duel = Duel(last=True)
    secnonce, spare = duel.draw(), duel.draw()
    lie = duel.cancelling(secnonce)
    proof = duel.proven(spare) if honest_proof else secnonce.prove(duel.attempt.proof_message(0, lie))
    duel.says(Both(lie, duel.psig(duel.draw()), proof), step="both")
    assert duel.refused("bad_proof")


def test_attack_29_a_last_one_without_a_proof_gets_no_psig() -> None:
    """29: a pubnonce r·G − T in an adaptor item."""
    duel = Duel(last=True)
    secnonce = duel.draw()
    duel.says(Both(secnonce.pubnonce, duel.psig(secnonce)), step="both")
    assert duel.refused("bad_values")


@pytest.mark.parametrize("psig", [bytes(31) + b"\x01", b"\xff" * 32, bytes(32)], ids=["one", "no scalar", "zero"])
def test_a_last_one_whose_psig_is_bad_gets_no_psig(psig: bytes) -> None:
    duel = Duel(last=True)
    secnonce = duel.draw()
    duel.says(Both(secnonce.pubnonce, psig, duel.proven(secnonce)), step="both")
    assert duel.refused("bad_psig")


def test_a_last_one_that_sends_no_psig_gets_none() -> None:
    duel = Duel(last=True)
    secnonce = duel.draw()
    duel.says(Nonce(secnonce.pubnonce, duel.proven(secnonce)), step="both")
    assert duel.refused("missing_psig")


def test_a_last_one_that_plays_fair_gets_its_psig() -> None:
    """The test of the tests above: with honest values the same tower completes the pre-signature."""
    duel = Duel(last=True)
    secnonce = duel.draw()
    proof = duel.proven(secnonce)
    duel.says(Both(secnonce.pubnonce, duel.psig(secnonce), proof), step="both")
    (made,) = duel.hear().results()
    assert isinstance(made, tuple)
    assert adaptor.verify(made[0], duel.point, duel.item.message, duel.item.keyagg.output)


@pytest.mark.parametrize(
    "entry",
    [Finished(bytes(64)), Both(b"\x02" * 66, bytes(32)), Nonce(b"\x02" * 66)],
    ids=["signature", "both", "nonce"],
)
def test_an_entry_for_a_signature_in_an_adaptors_place_is_its_signers_fault(entry: Entry) -> None:
    duel = Duel(last=False)
    with pytest.raises(Blamed) as blamed:
        duel.attempt.hear(duel.tower.key, (entry,))
    assert (blamed.value.code, blamed.value.slots) == ("bad_values", (2,))


@pytest.mark.parametrize(
    "entry", [Prefinished(bytes(65)), Both(b"\x02" * 66, bytes(32), bytes(64)), Nonce(b"\x02" * 66, bytes(64))],
    ids=["pre-signature", "both", "nonce"],
)  # fmt: skip
def test_an_entry_for_an_adaptor_in_a_signatures_place_is_its_signers_fault(entry: Entry) -> None:
    duel = Duel(last=False, items=(message(),))
    with pytest.raises(Blamed) as blamed:
        duel.attempt.hear(duel.tower.key, (entry,))
    assert (blamed.value.code, blamed.value.slots) == ("bad_values", (2,))


def test_a_pre_signature_that_does_not_hold_blames_who_made_it_alone() -> None:
    group = Group(0, 0, 0)
    signing = group.ask(message(locked("single")))
    state = group.alice.signing(signing)
    opening, key = group.alice.heard(signing).records[0].statement, group.alice.groups[group.keygen]
    attempt = Attempt.of(state, plan.plan_of(state, opening, group.roster, key).items, group.roster)
    attempt.hear(group.enclaves[0].key, (Prefinished(POINTS[0] + b"\x01" * 32),))
    with pytest.raises(Blamed) as blamed:
        attempt.results()
    assert (blamed.value.code, blamed.value.slots) == ("bad_signature", (0, 1, 2))


def test_a_psig_for_a_signature_needs_no_proof() -> None:
    """Adaptor items and plain ones stand side by side; MESSAGE is signed as ever."""
    group = Group(0, 1, 0)
    plain = SignMessage(message=Message(MESSAGE))
    whole, half = group.results(group.ask(plain, message(locked("single"))))
    assert verify(whole, MESSAGE, group.roster.output) and len(half) == 1
