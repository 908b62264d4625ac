"""faults.json: signings that went wrong, with what was sealed, and who is at fault (§11.5)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from keymeld_client.shown.blame import Judgement, judge_signing
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.plaintext.contributions import Both, Failed, Finished, Nothing
from keymeld_protocol.values import Id
from keymeld_protocol.wire.frames import record_json
from keymeld_protocol.wire.records import Record
from tests.attacks.test_blame import (
    GARBAGE,
    ITEMS,
    LOCKED,
    OTHER,
    OWN,
    PLAIN,
    SILENT,
    Table,
    finishes,
    nonce,
    only_nonce,
    own,
    psig,
    rubbish,
    spoilt,
)
from tests.support.liar import Spoil
from tests.support.world import secret_of

from .cast import commented
from .chance import Chance

LIES: list[tuple[str, int, Spoil]] = [
    ("values that are no entries", 1, rubbish("nonces")),
    ("a second nonce with the psigs", 1, spoilt("psigs", PLAIN, lambda e: Both(OTHER * 2, bytes(32)))),
    ("an item is failed after its nonce was given", 1, spoilt("psigs", LOCKED, lambda e: Failed("no"))),
    ("no signature of who is alone on a place", 2, spoilt("signatures", OWN, lambda e: Finished(bytes(64)))),
    ("no nonce", 2, spoilt("nonces", PLAIN, lambda e: Nothing())),
    ("a nonce that is no point", 1, spoilt("nonces", PLAIN, lambda e: nonce(e, GARBAGE * 2))),
    ("a nonce that does not prove itself", 1, spoilt("nonces", LOCKED, lambda e: nonce(e, own(e), bytes(64)))),
    ("another nonce than was proven", 1, spoilt("nonces", LOCKED, lambda e: nonce(e, OTHER + own(e)[33:]))),
    ("no psig of the last signer", 0, spoilt("both", LOCKED, only_nonce)),
    ("no psig", 1, spoilt("psigs", PLAIN, lambda e: Nothing())),
    ("a psig that does not verify", 1, spoilt("psigs", LOCKED, psig)),
    ("a psig of the last signer that does not verify", 0, spoilt("both", PLAIN, psig)),
]  # fmt: skip
"""What is wrong, of which slot's enclave."""


def faults_json() -> Any:
    """One keygen of three enclaves, and many signings of it."""
    with Chance("faults"):
        table = Table()
        cases = [case for make in (_lies, _accusations, _last_words, _requests, _hidden) for case in make(table)]
        home = table.world.logs[table.group]
        return commented(
            "Signings of one keygen, of which each slot is at an enclave of its own; S opens every sealed field. Item "
            "0 is a message of all, item 1 the same for an adaptor point, item 2 of slot 2 alone. 'faults' are in the "
            "order of the log, of one signer the first of each attempt; where the request does not hold, nothing else "
            "is judged, and its fault has 'attempt' 0. "
            "'unread' is the offset from which on nothing is judged. 'has_cause' says whether a refusal "
            "accuses and somebody else is at fault in its attempt.",
            coordinator=table.world.key, S=secret_of("alice S 1"), keygen=table.group, records=_records(home.records),
            signings=cases,
        )  # fmt: skip


def _records(records: list[Record]) -> list[Any]:
    """As a member is sent them."""
    seen = [record.without_blobs(("envelope",)) for record in records]
    return [json.loads(record_json(record)) for record in seen]


def judged(judgement: Judgement) -> dict[str, Any]:
    """What a log proves."""
    by = judgement.refusal
    return {
        "faults": [{"code": f.code, "slots": list(f.slots), "attempt": f.attempt} for f in judgement.faults],
        "refusal": by and {"code": by.code, "slots": list(by.slots), "attempt": by.attempt, "accuses": by.accuses},
        "has_cause": judgement.has_cause, "unread": judgement.unread,
    }  # fmt: skip


def _case(comment: str, table: Table, heard: Replay | None = None) -> dict[str, Any]:
    """The latest signing."""
    log = heard or table.heard
    roster, group = table.alice.roster(table.group), table.alice.groups[table.group]
    found = judged(judge_signing(log, roster, group))
    for enclave in table.enclaves:
        enclave.spoil, enclave.accuses, enclave.keeps, enclave.at = None, None, frozenset(), "nonces"
    return commented(comment, signing=log.stream, records=_records(log.records), **found)


def _lies(table: Table) -> list[dict[str, Any]]:
    cases = []
    for comment, liar, lie in LIES:
        table.enclaves[liar].spoil, table.enclaves[liar].keeps = lie, SILENT
        table.ask()
        cases.append(_case(comment, table))
    return cases


def _accusations(table: Table) -> list[dict[str, Any]]:
    """Refusals without cause, one that accuses nobody, and one that has its cause in an earlier attempt alone."""
    cases = []
    for comment, code, step in (
        ("an accusation without cause", "bad_psig", "psigs"),
        ("of foreign signers, which is no fault of the table and accuses all the same", "foreign_signer", "nonces"),
        ("a refusal that accuses nobody", "rule_not_met", "nonces"),
    ):
        table.enclaves[1].accuses, table.enclaves[1].at = code, step
        table.ask()
        cases.append(_case(comment, table))
    table.enclaves[1].spoil = spoilt("nonces", PLAIN, lambda e: nonce(e, GARBAGE * 2))
    table.second_attempt()
    table.enclaves[2].accuses = "bad_nonce"
    table.go_on()
    return [*cases, _case("the fault of an earlier attempt is no cause", table)]


def _last_words(table: Table) -> list[dict[str, Any]]:
    cases = []
    for comment, made in (
        ("a last word whose signature does not verify", (Finished(bytes(64)), None, None)),
        ("a last word that calls failed what has not", (Failed("no"),) * 3),
        ("a last word that leaves out what it added up", (None, Nothing(), None)),
    ):
        table.enclaves[2].spoil = finishes(*made)
        table.ask()
        cases.append(_case(comment, table))
    table.ask()
    honest = _case("nobody is at fault", table)
    table.enclaves[1].spoil = spoilt("nonces", PLAIN, lambda e: Failed("cannot"))
    table.ask()
    return [*cases, honest, _case("an item that fails in time is nobody's fault", table)]


def _requests(table: Table) -> list[dict[str, Any]]:
    """A Body that does not hold."""
    said = table.carol.requesting(table.group, *ITEMS, items=2)
    table.signing = Id(said.id)
    table.carol.submit(said)
    table.world.run()
    return [_case("a request whose Body has another number of items", table)]


def _hidden(table: Table) -> list[dict[str, Any]]:
    """Sealed values that are not here."""
    table.enclaves[1].spoil = spoilt("nonces", PLAIN, lambda e: Nothing())
    table.ask()
    heard, first = table.heard, _first(table.heard, lambda record: record.statement.payload.by == table.enclaves[1].key)
    heard.records = [r.without_blobs(("values",)) if r.offset == first else r for r in heard.records]
    return [_case("what was sent after something that is not here is not judged", table, heard)]


def _first(heard: Replay, which: Callable[[Record], bool]) -> int:
    return next(record.offset for record in heard.records if which(record))
