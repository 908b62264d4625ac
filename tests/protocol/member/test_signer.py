"""signer.py: a nonce signs once, the last signer keeps nothing, and whoever lies about a nonce is blamed for it."""

from unittest.mock import Mock

import pytest

from keymeld_enclave.custody import Custody, Unacceptable
from keymeld_protocol.curve import adaptor
from keymeld_protocol.curve.keyagg import Tweak
from keymeld_protocol.curve.musig_secret import weighted_secret
from keymeld_protocol.curve.schnorr import tagged_hash, verify
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import Blamed
from keymeld_protocol.member import signer
from keymeld_protocol.member.attempt import Attempt
from keymeld_protocol.member.plan import Item
from keymeld_protocol.member.signer import Nonces, NoncesGone
from keymeld_protocol.plaintext.contributions import Both, Failed, Finished, Nonce, Nothing, Prefinished, Psig
from keymeld_protocol.values import Id, Message, Signature
from keymeld_protocol.wire.shapes import Signer as Speaker
from tests.support.world import MESSAGE, World, secret_of

SIGNING = Id(bytes(32))
NO_POINT = b"\x02" + bytes(32)


class Bench:
    """Slots 0 and 2 at the vault, slot 1 at the keep; an attempt at one message, the vault goes last."""

    def __init__(self, *, subsets: tuple[tuple[int, ...], ...] = (), alone: bool = False) -> None:
        world = World()
        vault, keep = world.enclave("vault"), world.enclave("keep")
        alice, bob, carol = (world.member(name) for name in ("alice", "bob", "carol"))
        group = world.gather([alice, bob, carol], at=[vault, vault if alone else keep, vault], subsets=subsets)
        self.roster = alice.roster(group)
        self.vault, self.keep = (enclave.agent._groups[group].signer() for enclave in (vault, vault if alone else keep))
        speakers = (Speaker(key=vault.key, slots=(0, 2)), Speaker(key=keep.key, slots=(1,)))
        self.speakers = (Speaker(key=vault.key, slots=(0, 1, 2)),) if alone else speakers
        self.vault_key, self.keep_key = vault.key, keep.key

    def item(
        self, subset: int | None = None, message: bytes = MESSAGE, locks: tuple[bytes | None, ...] = (None,)
    ) -> Item:
        return Item(self.roster.slots_of(subset), self.roster.keyagg(subset), Message(message), adaptors=locks)

    def attempt(self, *items: Item, number: int = 1) -> Attempt:
        return Attempt(SIGNING, number, items or (self.item(),), self.speakers, self.vault_key, self.roster)

    def nonces(self, attempt: Attempt) -> Nonces:
        """The keep says its nonces."""
        kept = Nonces(attempt.number)
        attempt.hear(self.keep_key, self.keep.nonces(attempt, kept))
        return kept

    def up_to_psigs(self, attempt: Attempt) -> Nonces:
        """The keep has said nonces, the vault both."""
        kept = self.nonces(attempt)
        attempt.hear(self.vault_key, self.vault.both(attempt))
        return kept


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_nonces_then_both_then_psigs_come_to_a_signature(bench: Bench) -> None:
    attempt = bench.attempt()
    kept = bench.up_to_psigs(attempt)
    attempt.hear(bench.keep_key, bench.keep.psigs(attempt, kept))
    (signature,) = attempt.results()
    assert isinstance(signature, bytes)
    assert verify(signature, MESSAGE, bench.roster.output)


def test_who_holds_every_slot_gives_the_signature_at_once() -> None:
    bench = Bench(alone=True)
    attempt = bench.attempt()
    (entry,) = bench.vault.alone(attempt)
    assert isinstance(entry, Finished)
    assert verify(entry.signature, MESSAGE, bench.roster.output)


def test_each_step_says_what_its_signer_owes(bench: Bench) -> None:
    attempt, kept = bench.attempt(), Nonces(1)
    (first,) = bench.keep.nonces(attempt, kept)
    attempt.hear(bench.keep_key, (first,))
    (both,) = bench.vault.both(attempt)
    attempt.hear(bench.vault_key, (both,))
    (psig,) = bench.keep.psigs(attempt, kept)
    assert (type(first), type(both), type(psig)) == (Nonce, Both, Psig)


def test_a_nonce_is_spent_once(bench: Bench) -> None:
    attempt = bench.attempt()
    kept = bench.up_to_psigs(attempt)
    bench.keep.psigs(attempt, kept)
    with pytest.raises(NoncesGone):
        bench.keep.psigs(attempt, kept)


def test_a_nonce_is_gone_even_if_signing_failed(bench: Bench) -> None:
    attempt = bench.attempt()
    kept = bench.up_to_psigs(attempt)
    del attempt.pubnonces[bench.vault_key]
    with pytest.raises(Blamed, match="missing_nonce"):
        bench.keep.psigs(attempt, kept)
    attempt = bench.attempt()
    with pytest.raises(NoncesGone):
        bench.keep.psigs(attempt, kept)


def test_wiped_nonces_are_gone(bench: Bench) -> None:
    attempt = bench.attempt()
    kept = bench.up_to_psigs(attempt)
    kept.wipe()
    with pytest.raises(NoncesGone):
        bench.keep.psigs(attempt, kept)


def test_two_attempts_at_one_message_have_two_nonces(bench: Bench) -> None:
    first = bench.keep.nonces(bench.attempt(), Nonces(1))
    assert first != bench.keep.nonces(bench.attempt(number=2), Nonces(2))


def test_the_same_attempt_asked_twice_has_two_nonces(bench: Bench) -> None:
    attempt = bench.attempt()
    assert bench.keep.nonces(attempt, Nonces(1)) != bench.keep.nonces(attempt, Nonces(1))


def test_three_inputs_have_three_nonces(bench: Bench) -> None:
    """Attack 32."""
    attempt = bench.attempt(*(bench.item() for _ in range(3)))
    entries = bench.keep.nonces(attempt, Nonces(1))
    assert len({entry.pubnonce for entry in entries if isinstance(entry, Nonce)}) == 3


def test_the_last_signer_keeps_nothing_and_may_be_asked_again(bench: Bench) -> None:
    attempt = bench.attempt()
    bench.nonces(attempt)
    first, again = bench.vault.both(attempt), bench.vault.both(attempt)
    assert first != again
    assert not any(isinstance(value, Nonces) for value in vars(bench.vault).values())


def test_the_last_signer_signs_nothing_before_everybodys_nonces(bench: Bench) -> None:
    with pytest.raises(Blamed, match="missing_nonce") as blamed:
        bench.vault.both(bench.attempt())
    assert blamed.value.slots == (1,)


def test_a_nonce_that_is_no_point_is_blamed_on_who_said_it(bench: Bench) -> None:
    """Attack 24."""
    attempt = bench.attempt()
    attempt.hear(bench.keep_key, (Nonce(NO_POINT * 2),))
    with pytest.raises(Blamed, match="bad_nonce") as blamed:
        bench.vault.both(attempt)
    assert blamed.value.slots == (1,)


def test_the_last_signers_bad_nonce_is_blamed_on_it_by_the_others(bench: Bench) -> None:
    attempt = bench.attempt()
    kept = bench.up_to_psigs(attempt)
    attempt.pubnonces[bench.vault_key] = [NO_POINT * 2]
    with pytest.raises(Blamed, match="bad_nonce") as blamed:
        bench.keep.psigs(attempt, kept)
    assert blamed.value.slots == (0, 2)


def test_a_second_nonce_in_one_attempt_is_blamed(bench: Bench) -> None:
    """Attack 44."""
    attempt = bench.attempt()
    bench.nonces(attempt)
    with pytest.raises(Blamed, match="said_twice") as blamed:
        bench.nonces(attempt)
    assert blamed.value.slots == (1,)


def test_the_same_contribution_twice_is_fine(bench: Bench) -> None:
    attempt = bench.attempt()
    entries = bench.keep.nonces(attempt, Nonces(1))
    attempt.hear(bench.keep_key, entries)
    attempt.hear(bench.keep_key, entries)
    assert len(attempt.pubnonces) == 1


def test_a_bad_psig_is_blamed_on_its_signer(bench: Bench) -> None:
    attempt = bench.attempt()
    kept = bench.up_to_psigs(attempt)
    (psig,) = bench.keep.psigs(attempt, kept)
    assert isinstance(psig, Psig)
    spoilt = bytes([psig.psig[0] ^ 1]) + psig.psig[1:]
    attempt.hear(bench.keep_key, (Psig(spoilt),))
    with pytest.raises(Blamed, match="bad_psig") as blamed:
        attempt.results()
    assert blamed.value.slots == (1,)


def test_a_stranger_cannot_finish_an_item_of_somebody_else(bench: Bench) -> None:
    """The keep is alone on no item; a signature that it claims is not looked at."""
    bench = Bench(subsets=((0, 2),))
    attempt = bench.attempt(bench.item(), bench.item(0))
    kept = Nonces(1)
    nonce, nothing = bench.keep.nonces(attempt, kept)
    assert nothing == Nothing()
    attempt.hear(bench.keep_key, (nonce, Finished(Signature(bytes(64)))))
    both = bench.vault.both(attempt)
    attempt.hear(bench.vault_key, both)
    attempt.hear(bench.keep_key, bench.keep.psigs(attempt, kept))
    assert all(isinstance(result, bytes) for result in attempt.results())


def test_an_item_that_another_signer_cannot_sign_gets_no_psig(bench: Bench) -> None:
    attempt = bench.attempt(bench.item(), bench.item(message=bytes(32)))
    kept = Nonces(1)
    first, _ = bench.keep.nonces(attempt, kept)
    attempt.hear(bench.keep_key, (first, Failed(code="cannot")))
    both = bench.vault.both(attempt)
    assert (type(both[0]), both[1]) == (Both, Nothing())
    attempt.hear(bench.vault_key, both)
    attempt.hear(bench.keep_key, bench.keep.psigs(attempt, kept))
    assert attempt.results()[1] == Failed(code="cannot")


def test_an_item_of_slots_that_are_all_here_is_finished_when_psigs_are_due_and_not_before(bench: Bench) -> None:
    bench = Bench(subsets=((0, 2),))
    attempt = bench.attempt(bench.item(0))
    assert isinstance(bench.vault.both(attempt)[0], Finished)
    assert bench.vault.nonces(attempt, Nonces(1)) == (Nothing(),)
    assert isinstance(bench.vault.psigs(attempt, Nonces(1))[0], Finished)
    assert bench.keep.nonces(attempt, Nonces(1)) == (Nothing(),)


def test_one_signer_serves_requests_for_several_key_lists(bench: Bench) -> None:
    bench = Bench(subsets=((0, 1),))
    for subset in (None, 0, None):
        attempt = bench.attempt(bench.item(subset))
        kept = bench.up_to_psigs(attempt)
        attempt.hear(bench.keep_key, bench.keep.psigs(attempt, kept))
        (signature,) = attempt.results()
        assert isinstance(signature, bytes)
        assert verify(signature, MESSAGE, bench.roster.keyagg(subset).output)


# Adaptor points


LOCKS = tuple(Secret(secret_of(word)).point for word in ("first lock", "second lock"))


def test_for_every_adaptor_point_a_nonce_proves_itself_and_both_psigs_make_a_pre_signature(bench: Bench) -> None:
    attempt = bench.attempt(bench.item(), bench.item(locks=LOCKS))
    kept = bench.up_to_psigs(attempt)
    attempt.hear(bench.keep_key, bench.keep.psigs(attempt, kept))
    signature, made = attempt.results()
    assert verify(bytes(signature), MESSAGE, bench.roster.output)  # type: ignore[arg-type]
    assert isinstance(made, tuple)
    for each, lock in zip(made, LOCKS, strict=True):
        assert adaptor.verify(each, lock, MESSAGE, bench.roster.output)


def test_who_holds_every_slot_gives_pre_signatures_at_once() -> None:
    bench = Bench(subsets=((1,),), alone=True)
    attempt = bench.attempt(bench.item(locks=LOCKS), bench.item(0, locks=LOCKS[:1]))
    attempt.hear(bench.vault_key, bench.vault.alone(attempt))
    both, one = attempt.results()
    assert isinstance(both, tuple) and isinstance(one, tuple)
    assert all(adaptor.verify(m, t, MESSAGE, bench.roster.output) for m, t in zip(both, LOCKS, strict=True))
    assert adaptor.verify(one[0], LOCKS[0], MESSAGE, bench.roster.keyagg(0).output)


def test_a_pre_signature_of_slots_that_are_all_here_is_not_sent_with_nonces() -> None:
    bench = Bench(subsets=((0, 2),))
    attempt = bench.attempt(bench.item(0, locks=LOCKS[:1]))
    assert bench.vault.nonces(attempt, Nonces(1)) == (Nothing(),)
    assert isinstance(bench.vault.both(attempt)[0], Prefinished)


def test_the_last_signer_asks_for_proofs_before_it_draws_a_nonce(bench: Bench) -> None:
    attempt = bench.attempt(bench.item(locks=LOCKS[:1]))
    (said,) = bench.keep.nonces(attempt, Nonces(1))
    assert isinstance(said, Nonce)
    attempt.hear(bench.keep_key, (Nonce(said.pubnonce, bytes(64)),))
    with pytest.raises(Blamed, match="bad_proof") as blamed:
        bench.vault.both(attempt)
    assert blamed.value.slots == (1,)


def test_attack_28_who_refused_a_bad_last_one_has_no_nonce_left_for_a_better_one(bench: Bench) -> None:
    """28: a secnonce used twice: a second answer of the last one, in a fork, finds nothing to sign with."""
    bad = bench.attempt(bench.item(locks=LOCKS[:1]))
    kept = bench.nonces(bad)
    good = bench.attempt(bench.item(locks=LOCKS[:1]))
    good.pubnonces, good.proofs = ({**heard} for heard in (bad.pubnonces, bad.proofs))
    (both,) = bench.vault.both(bad)
    assert isinstance(both, Both)
    bad.hear(bench.vault_key, (Both(both.pubnonce, bytes(31) + b"\x01", both.proof),))
    with pytest.raises(Blamed, match="bad_psig"):
        bench.keep.psigs(bad, kept)
    good.hear(bench.vault_key, (both,))
    with pytest.raises(NoncesGone):
        bench.keep.psigs(good, kept)


def test_a_nonce_is_bound_to_its_point(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bound: list[bytes] = []

    def listening(tag: str, data: bytes) -> bytes:
        bound.append(data)
        return tagged_hash(tag, data)

    monkeypatch.setattr(signer, "tagged_hash", listening)
    attempt = bench.attempt(bench.item(), bench.item(locks=LOCKS), number=3)
    bench.keep.nonces(attempt, Nonces(3))
    numbers = [tuple(int.from_bytes(data[i : i + 4], "big") for i in (32, 36, 40)) for data in bound]
    assert numbers == [(3, 0, 0), (3, 1, 0), (3, 1, 1)]
    assert [data[-33:] for data in bound] == [bytes(33), *LOCKS]


def test_an_item_of_which_one_place_failed_gets_no_psig_anywhere(bench: Bench) -> None:
    attempt, kept = bench.attempt(bench.item(locks=LOCKS)), Nonces(1)
    first, _ = bench.keep.nonces(attempt, kept)
    attempt.hear(bench.keep_key, (first, Failed(code="cannot")))
    assert bench.vault.both(attempt) == (Nothing(), Nothing())
    attempt.hear(bench.vault_key, (Nothing(), Nothing()))
    assert bench.keep.psigs(attempt, kept) == (Nothing(), Nothing())
    assert attempt.results() == (Failed(code="cannot"),)


def test_an_adaptor_point_gives_one_psig_and_no_second(bench: Bench) -> None:
    attempt = bench.attempt(bench.item(locks=LOCKS))
    kept = bench.up_to_psigs(attempt)
    bench.keep.psigs(attempt, kept)
    with pytest.raises(NoncesGone):
        bench.keep.psigs(attempt, kept)


def test_a_wiped_signer_signs_nothing() -> None:
    bench = Bench(alone=True)
    vault, holder = bench.vault, bench.vault.holder
    for locks in ((None,), LOCKS):
        vault.alone(bench.attempt(bench.item(locks=locks)))
    assert isinstance(holder, Custody)
    holder.wipe()
    vault.wipe()
    for locks in ((None,), LOCKS):
        with pytest.raises(Unacceptable, match="wiped"):
            vault.alone(bench.attempt(bench.item(locks=locks)))


def test_nonces_print_their_number_and_nothing_else(bench: Bench) -> None:
    kept = bench.nonces(bench.attempt())
    assert repr(kept) == "<Nonces of attempt 1: 1 unspent>"


# Many tweaks ------------------------------------------------------------------------------------------------------


def test_the_keys_of_a_list_are_summed_once_whatever_their_tweaks(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(alone=True)
    summed = Mock(wraps=weighted_secret)
    monkeypatch.setattr(signer, "weighted_secret", summed)
    plain = bench.item()
    tweaked = [plain.keyagg.tweaked(Tweak(bytes([number]) * 32, xonly=False)) for number in range(1, 6)]
    attempt = bench.attempt(*(Item(plain.slots, keyagg, plain.message) for keyagg in tweaked))
    attempt.hear(bench.vault_key, bench.vault.alone(attempt))
    assert len(set(attempt.results())) == 5
    assert summed.call_count == 1
