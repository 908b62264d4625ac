"""results.py: signatures find their PSBTs again, also where a request names one transaction twice."""

from __future__ import annotations

import pytest

from keymeld_client.shown.results import all_signed, psbts_of, results_of
from keymeld_protocol.bitcoin.psbt import Psbt
from keymeld_protocol.bitcoin.transaction import Spend
from keymeld_protocol.errors import BadInput
from keymeld_protocol.member.plan import plan_of
from keymeld_protocol.plaintext.body import RawTransaction, SignInput, Spent, Transaction
from keymeld_protocol.plaintext.contents import Script
from tests.client.coins import payment
from tests.support.party import Party


def test_one_transaction_with_two_readings_of_what_it_spends_gives_each_its_own_psbt() -> None:
    """Only one of the two amounts is the coin's; whoever asks may not know which."""
    p = Party("vault", "keep")
    p.gather(at=(0, 1, 0))
    roster, key = p.alice.roster(p.group), p.alice.groups[p.group]
    readings = [payment([(amount, roster.script())], 40_000) for amount in (50_000, 60_000)]
    asked = tuple(
        Transaction(
            unsigned=RawTransaction(raw), spent=tuple(Spent(amount=amount, script=Script(s)) for amount, s in spent)
        )
        for raw, spent in readings
    )
    items = [SignInput(transaction=number, input=0) for number in range(2)]
    signing = p.alice.request(p.group, *items, transactions=asked)
    p.world.run()
    heard = p.alice.heard(signing)
    plan = plan_of(p.alice.signing(signing), heard.records[0].statement, roster, key)
    signatures = all_signed(results_of(heard, plan, roster, key))
    given = Psbt.of(Spend(*readings[1])).sign({}).psbt
    fresh, second = psbts_of(signatures, plan, [given])
    assert [Psbt(signed.psbt).spend.inputs[0].amount for signed in (fresh, second)] == [50_000, 60_000]
    assert [Psbt(signed.psbt).spend.unsigned for signed in (fresh, second)] == [readings[0][0]] * 2
    with pytest.raises(BadInput, match="says otherwise"):
        raw, spent = readings[0]
        psbts_of(signatures, plan, [Psbt.of(Spend(raw, [(70_000, spent[0][1])])).sign({}).psbt])
