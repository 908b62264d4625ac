"""A fork that was seen once is remembered, whatever the coordinator sent before it.

a record that does not follow ─▶ read-only, and good again in the next process ─▶ a fork ─▶ read-only for good
"""

from __future__ import annotations

from msgspec import structs

from tests.client.paper import Reader, Tale


def test_a_fork_is_remembered_although_a_lesser_fault_came_first() -> None:
    tale = Tale()
    reader = Reader(tale)
    reader.wallet._passing = False
    reader.subscribed(tale.keygen)
    wires = tale.wires(tale.keygen)
    reader.hear(tale.keygen, wires[:3])
    reader.hear(tale.keygen, [structs.replace(wires[3], at=0)])
    assert "goes back" in str(reader.ledger.trouble(tale.keygen))

    again = reader.again()
    assert again.ledger.trouble(tale.keygen) is None, "a single bad record says nothing about the history"
    again.subscribed(tale.keygen, top=1, reason="fork")
    assert "history" in str(again.ledger.trouble(tale.keygen))

    last = again.again()
    assert "history" in str(last.ledger.trouble(tale.keygen)), "whoever has seen two histories believes neither"
    last.wallet._passing = True
    last.wallet.close()
