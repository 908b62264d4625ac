"""What is asked for: every own input, every blind message, and nothing that cannot be signed."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from inspect import signature

import pytest
from btclib.hashes import hash160
from btclib_wallet.bip32.key_origin import BIP32KeyOrigin
from btclib_wallet.psbt.psbt import Psbt as Wallet

from keymeld_client.said.asking import Asking, make_body
from keymeld_protocol.bitcoin.transaction import key_hash_script, taproot_script
from keymeld_protocol.bitcoin.tweaks import Steps, child_steps
from keymeld_protocol.errors import BadInput
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext.body import Adaptor, Body, Child, Scalar, SignEcdsa, SignInput, SignMessage
from keymeld_protocol.values import Hash, Message, PlainKey
from tests.client.coins import FOREIGN, payment, psbt
from tests.client.paper import Tale

MESSAGE = b"m" * 32
ZERO = Scalar(scalar=Hash(bytes(32)))


@pytest.fixture(scope="module")
def roster() -> Roster:
    """A group of two."""
    tale = Tale()
    return tale.alice.roster(tale.keygen)


def test_every_input_of_the_group_is_an_item(roster: Roster) -> None:
    unsigned = payment([(50_000, roster.script()), (60_000, FOREIGN), (70_000, roster.script())], 100_000)
    body = make_body(roster, [unsigned], [], "", None)
    assert [(i.transaction, i.input) for i in body.items if isinstance(i, SignInput)] == [(0, 0), (0, 2)]


def test_every_input_of_a_psbt_that_the_group_or_a_subset_can_sign_is_an_item(roster: Roster) -> None:
    group = replace(roster, subsets=((0, 1), (1,)))
    coins = [(50_000, group.script(1)), (60_000, FOREIGN), (70_000, group.script())]
    body = make_body(group, [], [MESSAGE], "", None, [b64encode(psbt(coins, 100_000))])
    asked = [(i.transaction, i.input, i.subset) for i in body.items if isinstance(i, SignInput)]
    assert asked == [(0, 0, 1), (0, 2, None)]
    only = make_body(group, [], [], "", 1, [psbt(coins, 100_000)])
    assert [i.input for i in only.items if isinstance(i, SignInput)] == [0]


def test_psbts_follow_transactions_and_seal_nothing_but_their_reduction(roster: Roster) -> None:
    coins = [(50_000, roster.script())]
    body = make_body(roster, [payment(coins, 40_000)], [], "", None, [psbt(coins, 30_000)])
    assert [i.transaction for i in body.items if isinstance(i, SignInput)] == [0, 1]
    plain = make_body(roster, [payment(coins, 40_000), payment(coins, 30_000)], [], "", None)
    assert body == plain


def keyed(body: Body) -> list[tuple[int, int | None, Steps | None]]:
    """Each item's input, subset and tweaks."""
    return [(item.input, item.subset, item.tweaks) for item in body.items if isinstance(item, SignInput)]


def test_inputs_of_the_first_children_are_items_in_transactions_and_psbts_alike(roster: Roster) -> None:
    group = replace(roster, subsets=((1,),))
    receive, change, lone = child_steps((0, 0)), child_steps((1, 19)), child_steps((0, 3))
    coins = [(9, group.script(steps=receive)), (9, group.script(steps=change)), (9, group.script(0, lone))]
    found = [(0, None, receive), (1, None, change), (2, 0, lone)]
    assert keyed(make_body(group, [payment(coins, 1)], [], "", None)) == found
    assert keyed(make_body(group, [], [], "", None, [psbt(coins, 1)])) == found


def test_a_subset_signs_its_own_children_and_no_others(roster: Roster) -> None:
    group = replace(roster, subsets=((1,), (0, 1)))
    steps = child_steps((0, 3))
    coins = [(9, group.script(steps=steps)), (9, group.script(0, steps)), (9, group.script())]
    assert keyed(make_body(group, [payment(coins, 1)], [], "", 0)) == [(1, 0, steps)]
    assert keyed(make_body(group, [payment(coins, 1)], [], "", 1)) == [(0, 1, steps), (2, 1, None)]


def test_tweaks_ask_for_one_key_and_no_other(roster: Roster) -> None:
    steps = child_steps((5, 500))
    coins = [(9, roster.script()), (9, roster.script(steps=steps)), (9, roster.script(steps=child_steps((0, 1))))]
    body = make_body(roster, [payment(coins, 1)], [MESSAGE], "", None, [psbt(coins, 1)], tweaks=steps)
    assert keyed(body) == [(1, None, steps), (1, None, steps)]
    assert body.items[-1] == SignMessage(message=Message(MESSAGE), tweaks=steps)


def hinted(roster: Roster, paid: tuple[int, ...], path: tuple[int, ...], fingerprint: bytes | None = None,
           subset: int | None = None) -> bytes:  # fmt: skip
    """A watch-only wallet's PSBT: its input spends the child at ``paid``, and is said to be the one at ``path``."""
    child, parent = roster.child(paid, subset), roster.keyagg(subset, ())
    made = Wallet.parse(psbt([(9, taproot_script(child.output))], 1))
    internal = roster.keyagg(subset, (Child(path=paid),)).output
    made.inputs[0].taproot_internal_key = internal
    origin = BIP32KeyOrigin(hash160(parent.point)[:4] if fingerprint is None else fingerprint, list(path))
    made.inputs[0].taproot_hd_key_paths = {internal: ([], origin)}
    return made.serialize()


@pytest.mark.parametrize("subset", [None, 0])
def test_a_child_beyond_the_gap_is_found_where_a_psbt_hints(roster: Roster, subset: int | None) -> None:
    group = replace(roster, subsets=((1,),))
    body = make_body(group, [], [], "", None, [hinted(group, (0, 1000), (0, 1000), subset=subset)])
    assert keyed(body) == [(0, subset, child_steps((0, 1000)))]


@pytest.mark.parametrize(
    ("path", "fingerprint"),
    [((0, 999), None), ((0, 1000), bytes(4)), ((0, 2**31 + 1000), None), ((), None), ((0,) * 8 + (1000,), None)],
)
def test_a_hint_that_leads_elsewhere_makes_no_input_ours(
    roster: Roster, path: tuple[int, ...], fingerprint: bytes | None
) -> None:
    with pytest.raises(BadInput, match="spends nothing of this group"):
        make_body(roster, [], [], "", None, [hinted(roster, (0, 1000), path, fingerprint)])


def test_a_hint_that_is_longer_than_a_request_can_say_is_not_followed(roster: Roster) -> None:
    path = (0,) * 8 + (1000,)
    with pytest.raises(BadInput, match="spends nothing of this group"):
        make_body(roster, [], [], "", None, [hinted(roster, path, path)])


def test_a_hint_to_another_child_than_the_one_asked_for_is_not_followed(roster: Roster) -> None:
    with pytest.raises(BadInput, match="or of the key that was asked for"):
        make_body(roster, [], [], "", None, [hinted(roster, (0, 1000), (0, 1000))], tweaks=child_steps((0, 5)))


def test_a_wrong_hint_about_an_own_script_changes_nothing(roster: Roster) -> None:
    body = make_body(roster, [], [], "", None, [hinted(roster, (0, 7), (1, 1000))])
    assert keyed(body) == [(0, None, child_steps((0, 7)))]


LOCK = Adaptor(mode="single", points=(PlainKey(b"\x02" * 33),))


def test_an_adaptor_locks_every_item(roster: Roster) -> None:
    coins = [(50_000, roster.script())]
    body = make_body(roster, [payment(coins, 40_000)], [MESSAGE], "", None, [psbt(coins, 30_000)], adaptor=LOCK)
    assert [item.adaptor for item in body.items] == [LOCK] * 3


def test_an_adaptor_locks_no_ecdsa_signature(roster: Roster) -> None:
    with pytest.raises(BadInput, match="no adaptor points"):
        make_body(replace(roster, subsets=((1,),)), [], [], "", 0, ecdsa=[MESSAGE], adaptor=LOCK)


def test_messages_follow_inputs(roster: Roster) -> None:
    body = make_body(roster, [payment([(50_000, roster.script())], 40_000)], [MESSAGE], "", None)
    assert [type(item) for item in body.items] == [SignInput, SignMessage]


def test_ecdsa_is_asked_of_a_key_list_of_one(roster: Roster) -> None:
    group = replace(roster, subsets=((1,),))
    body = make_body(group, [], [MESSAGE], "", 0, ecdsa=[MESSAGE])
    assert body.items == (
        SignMessage(message=Message(MESSAGE), subset=0),
        SignEcdsa(message=Message(MESSAGE), subset=0),
    )


def test_the_key_hash_of_a_single_key_is_no_input_that_schnorr_signs(roster: Roster) -> None:
    group = replace(roster, subsets=((1,),))
    coins = [(9, group.script()), (9, key_hash_script(group.cards[1].pubkey))]
    assert keyed(make_body(group, [payment(coins, 1)], [], "", None)) == [(0, None, None)]
    with pytest.raises(BadInput, match="spends nothing"):
        make_body(group, [payment(coins[1:], 1)], [], "", None)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda roster: make_body(roster, [], [], "", None), "nothing to sign"),
        (lambda roster: make_body(roster, [], [], "", None, ecdsa=[MESSAGE]), "only a key of one slot signs ECDSA"),
        (
            lambda roster: make_body(replace(roster, subsets=((1,),)), [], [], "", 0, ecdsa=[b""]),
            "ecdsa\\[0\\]: must be",
        ),
        (
            lambda roster: make_body(
                replace(roster, subsets=((1,),)), [], [], "", 0, ecdsa=[MESSAGE], tweaks=child_steps((0, 1))
            ),
            "no tweak, no child",
        ),
        (lambda roster: make_body(roster, [], [b"short"], "", None), "messages\\[0\\]: must be 32 bytes"),
        (lambda roster: make_body(roster, [payment([(1, FOREIGN)], 1)], [], "", None), "spends nothing of this group"),
        (lambda roster: make_body(roster, [], [MESSAGE], "", 7), "has 0"),
        (lambda roster: make_body(roster, [], [MESSAGE], "", None, tweaks=(ZERO,)), "tweaks: tweak: zero"),
        (lambda roster: make_body(roster, [], [], "", None, [b"psbt"]), "psbts\\[0\\]: must be a PSBT"),
        (lambda roster: make_body(roster, [], [], "", None, [psbt([(9, FOREIGN)], 1)]), "spends nothing of this group"),
    ],
)
def test_what_cannot_be_signed_is_refused(roster: Roster, ask: Callable[[Roster], object], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        ask(roster)


def test_keywords_ask_for_all_that_a_body_is_made_of() -> None:
    assert list(Asking.__annotations__) == list(signature(make_body).parameters)[1:]
