"""Stories of people at a real coordinator: minutes of what they say, hear and believe."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec import structs

from keymeld_client import JoinRefused, NotTrusted, Rule, Signing, SigningEnded, Trust, Wallet, connect
from keymeld_client.clock import now_ms
from keymeld_client.said.asking import make_body
from keymeld_client.shown.results import open_values
from keymeld_protocol.bitcoin.psbt import Psbt
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.errors import BadInput, Blamed, Reason, Refused, WireError
from keymeld_protocol.keys.ticket import Ticket, TicketSecret
from keymeld_protocol.machines.keygen import KeygenPhase
from keymeld_protocol.member.plan import Plan, plan_of
from keymeld_protocol.plaintext.body import Body, Scalar, SignMessage
from keymeld_protocol.plaintext.contributions import Both, Nonce
from keymeld_protocol.two_threads import BIG_BATCH
from keymeld_protocol.values import Hash, Message, XOnlyKey
from keymeld_protocol.wire.payloads import SigningContribute
from tests.client.coins import FOREIGN, payment, psbt
from tests.client.house import NONE, SELF, House, gather, heard, house
from tests.support.coordinator import key_of

pytestmark = pytest.mark.asyncio
MESSAGE = b"thirty-two bytes to be signed..."


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A coordinator with one enclave."""
    async with house(tmp_path) as home:
        await home.enclave("vault")
        yield home


# Keygen


async def test_three_people_see_one_address(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob, home.person("carol") as carol:
        keygens = await gather(alice, bob, carol)
        assert len({keygen.address for keygen in keygens}) == 1
        assert len({keygen.roster_digits for keygen in keygens}) == 1
        assert [keygen.slots for keygen in keygens] == [(0,), (1,), (2,)]
        assert keygens[0].address.startswith("bcrt1p")
        assert str(keygens[0].safety).startswith("safe to fund")


async def test_participants_confirm_by_themselves(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        keygens = await gather(alice, bob)
        await alice.ledger.until(keygens[0].id, lambda _: keygens[0].safety.by_participant == (0, 1) or None)
        assert keygens[0].unconfirmed() == ()


async def test_nobody_confirms_who_was_told_not_to(home: House) -> None:
    async with home.person("alice", auto_confirm=False) as alice, home.person("bob") as bob:
        keygens = await gather(alice, bob, confirmed=False)
        assert keygens[0].unconfirmed() == (0,)
        await keygens[0].confirm()
        assert keygens[0].unconfirmed() == ()
        await keygens[0].confirm()


async def test_an_address_is_not_shown_before_everybody_is_there(home: House) -> None:
    async with home.person("alice") as alice:
        keygen = await alice.create_keygen(2, network="regtest")
        with pytest.raises(Refused, match="missing: slots 0 and 1"):
            _ = keygen.address
        assert not keygen.safety.safe


async def test_one_person_may_hold_several_slots(home: House) -> None:
    async with home.person("alice") as alice:
        keygen = await alice.create_keygen(3, network="regtest")
        for slot in range(3):
            await keygen.join(slot, rule=NONE)
        await keygen.joined()
        await keygen.safe()
        assert keygen.slots == (0, 1, 2)


async def test_a_ticket_takes_its_own_slot_whatever_other_tickets_are_held(home: House) -> None:
    """Whoever restored with somebody else's ticket sits down in his own slot, and not in theirs."""
    async with home.person("alice") as alice, home.person("bob") as bob:
        opened = await alice.create_keygen(2, network="regtest")
        await bob.open_ticket(opened.tickets[0])
        assert (await bob.join(opened.tickets[1], rule=NONE)).slots == (1,)


async def test_an_open_ticket_takes_any_free_slot(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        opened = await alice.create_keygen(2, network="regtest", open_tickets=True)
        (ticket,) = opened.tickets
        assert ticket.is_open
        await opened.join(rule=SELF)
        joined = await bob.join(ticket, rule=SELF)
        assert (await joined.completed()).terms.network == "regtest"
        assert joined.slots == (1,)


async def test_rule_none_is_not_sealed_under_an_open_ticket(home: House) -> None:
    async with home.person("alice") as alice:
        opened = await alice.create_keygen(2, network="regtest", open_tickets=True)
        with pytest.raises(Refused, match="open tickets"):
            await opened.join(rule=NONE)
        assert opened.entry.joins == {}


async def test_a_taken_slot_is_not_joined(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        opened = await alice.create_keygen(2, network="regtest")
        await opened.join(1)
        await opened.joined()
        with pytest.raises(WireError) as refused:
            await bob.join(opened.tickets[1])
        assert refused.value.reason is Reason.SLOT_TAKEN


async def test_device_custody_is_possible_and_hybrid_is_not_yet(home: House) -> None:
    async with home.person("alice") as alice:
        opened = await alice.create_keygen(1, network="regtest")
        with pytest.raises(Refused, match="hybrid"):
            await opened.join(custody="hybrid")
        await opened.join(custody="device")
        await opened.joined()
        assert opened.state.phase == KeygenPhase.COMPLETED


async def test_the_creator_releases_a_slot_and_its_guest_joins_anew(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        opened = await alice.create_keygen(2, network="regtest")
        joined = await bob.join(opened.tickets[1])
        await joined.joined()
        first = joined.state.seats[1]
        await alice.ledger.until(opened.id, lambda _: opened.state.seats[1] is not None or None)
        await opened.release(1, "wrong_person")
        await bob.ledger.until(joined.id, lambda _: joined.state.seats[1] is None or None)
        with pytest.raises(JoinRefused, match="wrong_person"):
            await joined.joined()
        await joined.join(1)
        await joined.joined()
        again = joined.state.seats[1]
        assert first is not None and again is not None
        assert first.join.policy != again.join.policy


# Whom to believe


async def test_nothing_is_sealed_to_an_enclave_that_nobody_named(home: House) -> None:
    """Attack 1."""
    async with home.person("alice", trust=Trust()) as alice:
        keygen = await alice.create_keygen(1, network="regtest")
        with pytest.raises(NotTrusted):
            await keygen.join()
        with pytest.raises(NotTrusted):
            await keygen.join(enclave=home.vaults[0].key)
        assert keygen.entry.joins == {}
        assert keygen.heard.chain.offset == 1


async def test_an_enclave_that_is_not_there_is_not_sealed_to(home: House) -> None:
    stranger = XOnlyKey(key_of("stranger").key)
    async with home.person("alice", trust=Trust(frozenset({stranger}))) as alice:
        keygen = await alice.create_keygen(1, network="regtest")
        with pytest.raises(NotTrusted, match="not connected"):
            await keygen.join(enclave=stranger)


async def test_a_ticket_with_a_foreign_secret_is_refused(home: House) -> None:
    """Attack 43: a creator hands out two secrets."""
    async with home.person("alice") as alice, home.person("bob") as bob:
        opened = await alice.create_keygen(2, network="regtest")
        true = opened.tickets[1]
        false = Ticket(
            host=true.host, secure=true.secure, keygen_id=true.keygen_id, group_secret=TicketSecret(b"\1" * 32),
            slot=1, secret=true.secret,
        )  # fmt: skip
        with pytest.raises(Blamed, match="foreign_group_secret"):
            await bob.join(false)
        assert bob.wallet.keygen(opened.id) is None
        assert (await bob.open_ticket(true)).id == opened.id, "the lie does not stand in the way of the true one"


async def test_a_ticket_for_another_coordinator_is_refused(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        opened = await alice.create_keygen(2, network="regtest")
        true = opened.tickets[1]
        other = Ticket(
            host="elsewhere:1", secure=False, keygen_id=true.keygen_id, group_secret=true.group_secret, slot=1,
            secret=true.secret,
        )  # fmt: skip
        with pytest.raises(BadInput, match="elsewhere"):
            await bob.join(other)


# Signing


async def test_a_signature_is_made_for_people_who_are_away(home: House) -> None:
    async with home.person("alice") as alice:
        async with home.person("bob") as bob, home.person("carol") as carol:
            mine, *_ = await gather(alice, bob, carol)
        signing = await mine.request(messages=[MESSAGE], memo="rent")
        assert signing.holdouts() == (1,) and signing.mine
        async with home.person("bob") as bob:
            seen = await heard(bob, signing)
            assert seen.awaits_me() and not seen.mine
            await seen.approve()
        (signature,) = await signing.signatures()
        assert verify(signature, MESSAGE, mine.roster.output)


async def test_everybody_who_hears_it_has_the_signature(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, theirs = await gather(alice, bob, rules=(NONE, NONE))
        signing = await mine.request(messages=[MESSAGE])
        seen = await heard(bob, signing)
        assert await signing.signatures() == await seen.signatures()
        kinds = [record.statement.payload.kind async for record in seen]
        assert kinds == ["signing.request", "signing.contribute"]
        assert [s.id for s in theirs.signings()] == [signing.id]


async def test_a_big_batch_is_planned_once_by_who_asks_and_beside_the_event_loop_by_who_hears_of_it(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def noted(*args: Any) -> Plan:
        threads.append(threading.current_thread())
        return plan_of(*args)

    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob, rules=(NONE, NONE))
        monkeypatch.setattr("keymeld_client.signing_view.plan_of", noted)
        signing = await mine.request(messages=[MESSAGE] * (BIG_BATCH + 1))
        await signing.signatures()
        assert threads == []
        await (await heard(bob, signing)).signatures()
    assert len(threads) == 1 and threads != [threading.main_thread()]


async def test_a_delay_is_heard_waited_for_and_over(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob, rules=(NONE, Rule(approval="none", delay_ms=300)))
        signing = await mine.request(messages=[MESSAGE])
        assert len(await signing.signatures()) == 1 and signing.state.attempt == 1
        said = {record.statement.payload.kind: record async for record in signing}
        assert list(said)[1:3] == ["signing.heard", "attempt.opened"]
        assert said["attempt.opened"].at >= said["signing.heard"].at + 300


async def test_a_request_that_would_end_within_a_delay_is_not_made(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob, rules=(NONE, Rule(approval="none", delay_ms=60_000)))
        with pytest.raises(Refused, match="slot 1 signs nothing before"):
            await mine.request(messages=[MESSAGE], expires_in_ms=60_000)


async def test_two_enclaves_sign_together(home: House) -> None:
    second = await home.enclave("second")
    async with home.person("alice") as alice, home.person("bob", trust=Trust(frozenset({second.key}))) as bob:
        mine, _ = await gather(alice, bob, rules=(NONE, NONE))
        assert len({seat.join.enclave for seat in mine.state.seats if seat is not None}) == 2
        signing = await mine.request(messages=[MESSAGE, MESSAGE])
        assert len(await signing.signatures()) == 2


async def test_a_real_transaction_is_shown_approved_and_finished(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob)
        coins = [(70_000, mine.roster.script()), (50_000, mine.roster.script())]
        signing = await mine.request(transactions=[payment(coins, 100_000)], memo="rent")
        seen = await heard(bob, signing)
        told = "\n".join(seen.summary())
        assert mine.address in told and "(100,000 sat)" in told and "(20,000 sat)" in told and "rent" in told
        assert "BLIND" not in told
        await seen.approve(until_ms=60_000)
        (finished,) = await signing.transactions()
        assert all(bytes(signature) in bytes(finished) for signature in await signing.signatures())
        assert await seen.transactions() == (finished,)


async def pubnonces(signing: Signing) -> list[bytes]:
    """Every nonce that the log of a signing holds."""
    group, items = signing.client.group(signing.keygen.id), len(signing.plan.items)
    found: list[bytes] = []
    for record in signing.heard.records:
        if isinstance(record.statement.payload, SigningContribute):
            entries = open_values(record, "values", items, group, ())
            found += [entry.pubnonce for entry in entries if isinstance(entry, Nonce | Both)]
    return found


async def test_attack_32_a_psbt_of_three_inputs_has_six_different_nonces_and_comes_back_signed(home: House) -> None:
    second = await home.enclave("second")
    async with home.person("alice") as alice, home.person("bob", trust=Trust(frozenset({second.key}))) as bob:
        mine, theirs = await gather(alice, bob, rules=(NONE, NONE))
        asked = psbt([(50_000, mine.roster.script())] * 3, 100_000)
        signing = await mine.request(psbts=[asked])
        (signed,) = await signing.psbts([asked])
        nonces = await pubnonces(signing)
        assert len(nonces) == len(set(nonces)) == 6
        assert len({nonce[:33] for nonce in nonces} | {nonce[33:] for nonce in nonces}) == 12
        assert signed.final == (await signing.transactions())[0]
        seen = await heard(bob, signing)
        assert await seen.psbts() == (signed,)
        assert [s.id for s in theirs.signings()] == [signing.id]


async def test_a_psbt_with_somebody_elses_input_comes_back_unfinished(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob, rules=(NONE, NONE))
        signing = await mine.request(psbts=[psbt([(50_000, mine.roster.script()), (5_000, FOREIGN)], 50_000)])
        (signed,) = await signing.psbts()
        assert signed.final is None
        with pytest.raises(BadInput, match="is signed already"):
            Psbt(signed.psbt).inputs({mine.roster.script()})
        with pytest.raises(BadInput, match="transaction is none of this signing"):
            await signing.psbts([psbt([(50_000, mine.roster.script())], 1)])
        with pytest.raises(BadInput, match="says otherwise"):
            await signing.psbts([psbt([(50_000, mine.roster.script()), (5_001, FOREIGN)], 50_000)])


async def test_an_item_that_fails_leaves_its_own_psbt_open_and_no_other(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob, rules=(NONE, NONE))
        given = [psbt([(each, mine.roster.script())], 1_000) for each in (5_000, 6_000)]
        asked = make_body(mine.roster, [], [], "", None, given)
        bad = structs.replace(asked.items[0], tweaks=(Scalar(scalar=Hash(bytes(32))),))
        signing = await mine.request(body=structs.replace(asked, items=(bad, asked.items[1])))
        opened, signed = await signing.psbts()
        assert opened.final is None and signed.final is not None
        with pytest.raises(Blamed, match="item 0 was not signed"):
            await signing.transactions()


async def test_what_is_approved_is_read_first(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob)
        signing = await mine.request(messages=[MESSAGE], memo="rent \x1b[31m")
        lines = (await heard(bob, signing)).summary()
        assert MESSAGE.hex() in "".join(lines) and any("BLIND" in line for line in lines)
        assert "\x1b" not in "".join(lines)


async def test_a_rejected_request_ends_naming_who_said_no(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob)
        signing = await mine.request(messages=[MESSAGE])
        await (await heard(bob, signing)).reject()
        with pytest.raises(SigningEnded) as ended:
            await signing.signatures()
        assert (ended.value.phase, ended.value.slots, ended.value.may_be_signed) == ("rejected", (1,), False)


async def test_a_cancelled_request_ends(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob)
        signing = await mine.request(messages=[MESSAGE])
        with pytest.raises(Refused, match="only the requester"):
            await (await heard(bob, signing)).cancel()
        await signing.cancel()
        with pytest.raises(SigningEnded, match="was cancelled"):
            await signing.signatures()


async def test_who_approved_already_is_told_so(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob)
        signing = await mine.request(messages=[MESSAGE])
        with pytest.raises(Refused, match="has had its say"):
            await signing.approve()


async def test_a_yes_that_has_lapsed_is_said_anew(home: House) -> None:
    ahead = 0
    bobs = home.person("bob", now=lambda: now_ms() + ahead)
    async with home.person("alice") as alice, bobs as bob, home.person("carol") as carol:
        mine, *_ = await gather(alice, bob, carol, rules=(NONE, SELF, SELF))
        signing = await mine.request(messages=[MESSAGE])
        seen = await heard(bob, signing)
        await seen.approve(until_ms=60_000)
        ahead = 61_000
        await seen.approve()
        assert seen.state.consent.approvals[1] == seen.state.request.expires_at


@pytest.mark.parametrize("asked", [{"messages": [b"short"]}, {}, {"memo": "x" * 600, "messages": [MESSAGE]}])
async def test_a_request_that_cannot_be_is_refused_before_it_is_said(home: House, asked: dict[str, object]) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob)
        before = mine.heard.chain.offset
        with pytest.raises(BadInput):
            await mine.request(**asked)  # type: ignore[arg-type]
        assert mine.signings() == () and mine.heard.chain.offset >= before


async def test_items_may_be_built_by_hand(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob, rules=(NONE, NONE))
        item = SignMessage(message=Message(MESSAGE))
        signing = await mine.request(body=Body(v=1, transactions=(), items=(item,), memo=""))
        assert len(await signing.signatures()) == 1


# Away and back


async def test_streams_resume_where_they_stood(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob)
        signing = await mine.request(messages=[MESSAGE])
        followed = aiter(signing)
        assert (await anext(followed)).statement.payload.kind == "signing.request"
        await home.restart()
        await (await heard(bob, signing)).approve()
        kinds = [record.statement.payload.kind async for record in followed]
        assert kinds == ["signing.approve", "signing.contribute"]
        assert await signing.signatures()


async def test_a_client_without_a_coordinator_shows_what_it_has_verified(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob, rules=(NONE, NONE))
        signing = await mine.request(messages=[MESSAGE])
        signatures, address = await signing.signatures(), mine.address
    await home.stop()
    with Wallet.open(home.folder / "alice") as wallet:
        async with connect(home.url, wallet) as alice:
            (keygen,), (again,) = alice.keygens(), alice.signings()
            assert keygen.address == address
            assert await again.signatures() == signatures
    await home.start()


async def test_a_head_tells_its_age(home: House) -> None:
    async with home.person("alice") as alice:
        keygen = await alice.create_keygen(1, network="regtest")
        assert keygen.head_age_ms is not None


async def test_closing_wakes_whoever_waits(home: House) -> None:
    async with home.person("alice") as alice:
        keygen = await alice.create_keygen(2, network="regtest")
        waiting = asyncio.create_task(keygen.completed())
        await asyncio.sleep(0)
    with pytest.raises(Exception, match="was closed"):
        await waiting
