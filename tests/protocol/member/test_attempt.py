"""One attempt with real nonces and psigs: what adds up is a signature, and what does not blames exactly one."""

from dataclasses import dataclass, field

import pytest

from keymeld_protocol.curve import musig
from keymeld_protocol.curve.musig_secret import CollapsedSigner as MusigSigner
from keymeld_protocol.curve.musig_secret import Secnonce, partial_sign
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import Blamed
from keymeld_protocol.member.attempt import Attempt
from keymeld_protocol.member.plan import Item
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext.contents import Card, Terms
from keymeld_protocol.plaintext.contributions import Both, Entry, Failed, Finished, Nonce, Nothing, Psig
from keymeld_protocol.values import Hash, Id, Message, PlainKey, Signature, XOnlyKey
from keymeld_protocol.wire.shapes import Signer
from tests.support.ceremony import EXTRA, sign_alone
from tests.support.coordinator import key_of, secret_of

SECRETS = [Secret(secret_of(f"slot {i}")) for i in range(3)]
CARDS = tuple(Card(v=1, pubkey=PlainKey(s.point), label="", possession=Signature(bytes(64))) for s in SECRETS)
TERMS = Terms(v=1, label="", network="regtest", tweak="bip86")
SUBSETS = ((0, 1), (1, 2), (1,))
ROSTER = Roster(Id(bytes(32)), Hash(bytes(32)), TERMS, CARDS, SUBSETS)
ONE, TWO, THREE = ((0, 1, 2),), ((0, 1), (2,)), ((0,), (1,), (2,))
BAD_POINT = b"\x02" + b"\xff" * 32 + b"\x03" * 33
SIGNING = Id(secret_of("signing"))
NAMES = ("vault", "tower", "castle")


def item(word: str, subset: int | None = None) -> Item:
    return Item(ROSTER.slots_of(subset), ROSTER.keyagg(subset), Message(secret_of(word)))


@dataclass
class Table:
    """Enclaves at one table: the first is last to speak, as the coordinator would choose; each signs all its items."""

    held: tuple[tuple[int, ...], ...]
    items: tuple[Item, ...] = (item("first"), item("second"))
    attempt: Attempt = field(init=False)
    drawn: dict[tuple[XOnlyKey, int], Secnonce] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keys = [XOnlyKey(key_of(name).key) for name in NAMES]
        self.signers = tuple(Signer(key=k, slots=s) for k, s in zip(keys, self.held, strict=False))
        self.attempt = Attempt(SIGNING, 1, self.items, self.signers, keys[0], ROSTER)

    def musig(self, who: Signer, index: int) -> MusigSigner:
        slots = [slot for slot in who.slots if slot in self.items[index].slots]
        return MusigSigner(self.items[index].keyagg, [SECRETS[slot] for slot in slots])

    def nonces(self, who: Signer) -> tuple[Entry, ...]:
        return tuple(self._nonce(who, index) for index in range(len(self.items)))

    def _nonce(self, who: Signer, index: int) -> Entry:
        item, among = self.items[index], self.attempt.signers_of(index)
        if who not in among:
            return Nothing()
        if among == (who,):
            return Finished(sign_alone([SECRETS[slot] for slot in item.slots], item.keyagg, item.message))
        drawn = self.musig(who, index).nonce_gen(item.keyagg, item.message, EXTRA)
        self.drawn[who.key, index] = drawn
        return Nonce(drawn.pubnonce)

    def psigs(self, who: Signer) -> tuple[Entry, ...]:
        return tuple(
            Psig(partial_sign(self.attempt.session(i), self.musig(who, i), self.drawn[who.key, i]))
            if (who.key, i) in self.drawn
            else Nothing()
            for i in range(len(self.items))
        )

    def both(self, who: Signer) -> tuple[Entry, ...]:
        """Nonces and psigs of the last signer in one step, as `Both`."""
        said = []
        for index, entry in enumerate(self.nonces(who)):
            if isinstance(entry, Nonce):
                session = self.attempt.session(index, also=entry.pubnonce, by=who.key)
                psig = partial_sign(session, self.musig(who, index), self.drawn.pop((who.key, index)))
                entry = Both(entry.pubnonce, psig)
            said.append(entry)
        return tuple(said)

    def first_round(self, *, spoil: dict[int, tuple[Entry, ...]] | None = None) -> "Table":
        """Everybody's nonces, and the last one's psigs; ``spoil`` replaces what a signer says."""
        for number, who in list(enumerate(self.signers))[1:]:
            self.attempt.hear(who.key, (spoil or {}).get(number, self.nonces(who)))
        last = self.signers[0]
        self.attempt.hear(last.key, self.both(last))
        return self

    def finish(self, *, spoil: dict[int, tuple[Entry, ...]] | None = None) -> "Table":
        for number, who in list(enumerate(self.signers))[1:]:
            self.attempt.hear(who.key, (spoil or {}).get(number) or self.psigs(who))
        return self

    def blamed(self) -> tuple[str, tuple[int, ...]]:
        with pytest.raises(Blamed) as caught:
            self.attempt.results()
        return caught.value.code, caught.value.slots


def damaged(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


# What adds up -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [ONE, TWO, THREE], ids=["one enclave", "two", "three"])
def test_every_item_gets_a_signature_that_verifies(held: tuple[tuple[int, ...], ...]) -> None:
    table = Table(held).first_round().finish()
    for made, asked in zip(table.attempt.results(), table.items, strict=True):
        assert isinstance(made, Signature) and verify(made, asked.message, asked.keyagg.output)


@pytest.mark.parametrize("held", [ONE, TWO, THREE], ids=["one enclave", "two", "three"])
def test_subsets_are_signed_by_whoever_holds_them(held: tuple[tuple[int, ...], ...]) -> None:
    items = (item("all"), item("0 and 1", 0), item("1 and 2", 1), item("1 alone", 2))
    table = Table(held, items).first_round().finish()
    for made, asked in zip(table.attempt.results(), items, strict=True):
        assert isinstance(made, Signature) and verify(made, asked.message, asked.keyagg.output)


def test_the_signers_of_an_item_are_those_that_hold_its_slots() -> None:
    table = Table(TWO, (item("all"), item("0 and 1", 0)))
    assert table.attempt.signers_of(0) == table.signers
    assert table.attempt.signers_of(1) == table.signers[:1]
    assert table.attempt.keys_of(table.signers[0], 1) == (CARDS[0].pubkey, CARDS[1].pubkey)


def test_contributions_may_be_heard_twice() -> None:
    table = Table(TWO)
    said, other = table.nonces(table.signers[1]), table.signers[1].key
    table.attempt.hear(other, said)
    table.attempt.hear(other, said)
    table.attempt.hear(table.signers[0].key, table.both(table.signers[0]))
    assert all(table.finish().attempt.results())


def test_the_aggnonce_of_the_others_is_all_but_ones_own() -> None:
    table = Table(THREE).first_round()
    a, b, c = (table.attempt.pubnonces[signer.key][0] for signer in table.signers)
    assert a and b and c
    assert table.attempt.aggnonce_of_others(0, table.signers[1].key) == musig.nonce_agg([a, c])


def test_an_item_that_failed_leaves_the_others() -> None:
    table = Table(TWO)
    said = (Failed("no_key"), *table.nonces(table.signers[1])[1:])
    table.attempt.hear(table.signers[1].key, said)
    del table.drawn[table.signers[1].key, 0]
    last = table.signers[0]
    nonces = table.nonces(last)
    assert isinstance(nonces[1], Nonce)
    psig = partial_sign(
        table.attempt.session(1, also=nonces[1].pubnonce, by=last.key), table.musig(last, 1), table.drawn[last.key, 1]
    )
    table.attempt.hear(last.key, (Nothing(), Both(nonces[1].pubnonce, psig)))
    table.finish()
    failed, signed = table.attempt.results()
    assert failed == Failed("no_key") and isinstance(signed, Signature)


# Blame ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2])
def test_attack_24_a_nonce_that_is_no_point_blames_its_signer(number: int) -> None:
    table = Table(THREE)
    for who in table.signers[1:]:
        said = table.nonces(who)
        bad = (said[0], Nonce(BAD_POINT))
        table.attempt.hear(who.key, bad if who is table.signers[number] else said)
    with pytest.raises(Blamed) as caught:
        table.attempt.aggnonce_of_others(1, table.signers[0].key)
    assert (caught.value.code, caught.value.slots) == ("bad_nonce", THREE[number])


@pytest.mark.parametrize("number", [1, 2])
def test_attack_24_a_bad_psig_blames_its_signer(number: int) -> None:
    table = Table(THREE).first_round()
    said = table.psigs(table.signers[number])
    assert isinstance(said[1], Psig)
    table.finish(spoil={number: (said[0], Psig(damaged(said[1].psig)))})
    assert table.blamed() == ("bad_psig", THREE[number])


def test_attack_24_a_bad_psig_of_an_enclave_blames_all_its_slots() -> None:
    table = Table(TWO)
    table.attempt.hear(table.signers[1].key, table.nonces(table.signers[1]))
    said = table.both(table.signers[0])
    assert isinstance(said[0], Both)
    table.attempt.hear(table.signers[0].key, (Both(said[0].pubnonce, damaged(said[0].psig)), said[1]))
    assert table.finish().blamed() == ("bad_psig", (0, 1))


@pytest.mark.parametrize("psig", [b"\xff" * 32, bytes(32)])
def test_attack_24_a_psig_that_is_no_scalar_blames_its_signer(psig: bytes) -> None:
    table = Table(THREE).first_round()
    said = table.psigs(table.signers[2])
    table.finish(spoil={2: (Psig(psig), said[1])})
    assert table.blamed() == ("bad_psig", (2,))


def test_attack_24_swapped_psigs_blame_the_first_whose_psig_is_wrong() -> None:
    table = Table(THREE).first_round()
    one, two = table.psigs(table.signers[1]), table.psigs(table.signers[2])
    table.finish(spoil={1: (one[1], one[0]), 2: two})
    assert table.blamed() == ("bad_psig", (1,))


def test_attack_46_nonces_that_cancel_go_on_and_the_psig_tells() -> None:
    table = Table(THREE)
    honest = table.nonces(table.signers[1])
    assert isinstance(honest[0], Nonce) and isinstance(honest[1], Nonce)
    cancelling = bytearray(honest[0].pubnonce)
    cancelling[0] ^= 1
    cancelling[33] ^= 1
    table.attempt.hear(table.signers[1].key, honest)
    table.attempt.hear(table.signers[2].key, (Nonce(bytes(cancelling)), table.nonces(table.signers[2])[1]))
    table.attempt.hear(table.signers[0].key, table.both(table.signers[0]))
    said = table.psigs(table.signers[1])
    table.attempt.hear(table.signers[1].key, said)
    table.attempt.hear(table.signers[2].key, (Psig(b"\x01" * 32), Psig(b"\x01" * 32)))
    assert table.blamed() == ("bad_psig", (2,))


def test_attack_44_a_second_nonce_in_one_attempt_blames_its_signer_and_the_first_one_stays() -> None:
    table = Table(THREE).first_round()
    traitor = table.signers[2]
    first = table.attempt.pubnonces[traitor.key][0]
    other = Table(THREE).nonces(traitor)
    with pytest.raises(Blamed) as caught:
        table.attempt.hear(traitor.key, other)
    assert (caught.value.code, caught.value.slots) == ("said_twice", (2,))
    assert table.attempt.pubnonces[traitor.key][0] == first


def test_attack_44_a_nonce_slipped_in_beside_a_psig_cannot_shift_the_blame() -> None:
    table = Table(THREE).first_round()
    traitor, said = table.signers[2], table.psigs(table.signers[2])
    other = Table(THREE).nonces(traitor)
    assert isinstance(other[0], Nonce) and isinstance(said[0], Psig)
    with pytest.raises(Blamed) as caught:
        table.attempt.hear(traitor.key, (Both(other[0].pubnonce, said[0].psig), said[1]))
    assert caught.value.slots == (2,)


def test_a_nonce_that_is_missing_is_missed_by_its_slots() -> None:
    table = Table(THREE)
    table.attempt.hear(table.signers[1].key, table.nonces(table.signers[1]))
    assert table.blamed() == ("missing_nonce", (0, 2))
    with pytest.raises(Blamed) as caught:
        table.attempt.aggnonce_of_others(0, table.signers[0].key)
    assert caught.value.slots == (2,)


def test_a_nonce_that_is_missing_for_one_item_only_is_missed() -> None:
    table = Table(TWO)
    table.attempt.hear(table.signers[1].key, (table.nonces(table.signers[1])[0], Nothing()))
    with pytest.raises(Blamed, match="item 1") as caught:
        table.attempt.aggnonce_of_others(1, table.signers[0].key)
    assert (caught.value.code, caught.value.slots) == ("missing_nonce", (2,))


def test_a_psig_that_is_missing_is_missed_by_its_slots() -> None:
    table = Table(THREE).first_round()
    table.attempt.hear(table.signers[1].key, table.psigs(table.signers[1]))
    assert table.blamed() == ("missing_psig", (2,))


@pytest.mark.parametrize("said", [(Nothing(), Nothing()), (Finished(bytes(64)), Finished(bytes(64)))])
def test_a_signature_of_an_enclave_alone_that_does_not_verify_blames_it(said: tuple[Entry, ...]) -> None:
    table = Table(ONE)
    table.attempt.hear(table.signers[0].key, said)
    assert table.blamed() == ("bad_signature", (0, 1, 2))


def test_a_stranger_contributes_nothing() -> None:
    with pytest.raises(Blamed) as caught:
        Table(TWO).attempt.hear(XOnlyKey(key_of("stranger").key), (Nothing(), Nothing()))
    assert (caught.value.code, caught.value.slots) == ("foreign_signer", ())


@pytest.mark.parametrize("entry", [Finished(bytes(64)), Failed("bad"), Nonce(BAD_POINT), Psig(bytes(32))])
def test_a_signer_spoils_no_item_that_is_not_its_own(entry: Entry) -> None:
    table = Table(TWO, (item("all"), item("0 and 1", 0))).first_round()
    table.attempt.hear(table.signers[1].key, (table.psigs(table.signers[1])[0], entry))
    assert all(isinstance(made, Signature) for made in table.attempt.results())


def test_a_finished_signature_by_one_of_several_signers_is_no_result() -> None:
    table = Table(TWO).first_round()
    table.attempt.hear(table.signers[1].key, (Finished(bytes(64)), Finished(bytes(64))))
    assert table.blamed() == ("missing_psig", (2,))
