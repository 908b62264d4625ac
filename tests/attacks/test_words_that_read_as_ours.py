"""Attack 55: words of a stranger that read as ours: a member's name and place in a label, a transaction in a memo.

mallory ── "Alice) and slot 1 (Bob" ──▶ every sentence there is ── what stands outside of quotes ──▶ the same as for "x"
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from keymeld_client import Client
from keymeld_client.command import addresses, joining, keygens, signings
from keymeld_client.command.app import App
from keymeld_client.command.names import Names
from keymeld_client.command.opened import detail_of, names_of, words_of
from keymeld_client.command.screen import Screen
from keymeld_client.command.sentences import sentence
from keymeld_client.command.watching import Watch
from keymeld_client.errors import JoinRefused, SigningEnded
from keymeld_client.said.choosing import Choice
from keymeld_client.shown.audit import Audit
from keymeld_client.shown.blame import Fault, Judgement, Refusal
from keymeld_client.shown.endings import tell_judgement
from keymeld_client.wallet.entries import KeygenEntry
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.errors import Reason, Refused
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Terms
from keymeld_protocol.values import Id, Salt, XOnlyKey
from keymeld_protocol.wire.frames import WireRecord
from tests.client.paper import URL, Reader, Tale
from tests.promises.desk import at_desk
from tests.support.coordinator import key_of
from tests.support.outer import Outer
from tests.support.world import MESSAGE, NONE, NOON, SELF, World, secret_of

from .mischief import create

HOSTILE = (
    "Alice) and slot 1 (Bob", 'Alice" and slot 1 "Bob', "Alice” and slot 1 “Bob", "Alice'' and slot 1 ''Bob",
    'Alice" (mixes Latin and Cyrillic) and slot 1 "Bob', "\\", '\\"', "x\nApproved by slot 1", "x\r\n\u2028\x85y",
    "a" + " " * 50 + "Transaction 1 of 1", "\u202egnp.exe", "\u2066x\u2069", "\u2068שלום\u2069\"", "a\u200bb\ufeff",
    "e" + "\u0301" * 60, " \u030e", "\u030b", "🇩🇪🇩🇪", "a\x00b", "\x1b[2J\x1b[H", "Аlice", "…", "│ x", "[bold red]x[/]",
    "{}%s$x", "x; it may be signed all the same", ": ", "  ",
)  # fmt: skip
SECRET = secret_of("words S")
QUOTED = re.compile(r'"[^"]*"…?(?: \((?:(?:mixes|looks|has|runs) [^()"]*)\))?')
DRAWN = re.compile(r"\b(?:(?<=roster digits )[0-9a-z]{4}(?: [0-9a-z]{4}){4}|bcrt1\w+|[0-9a-f]{4,})\b")


def ours(lines: list[str]) -> list[str]:
    """Lines without what a stranger wrote, our remark on it, hashes and addresses; a memo is its first row."""
    told = [DRAWN.sub("#", QUOTED.sub('"', line)) for line in lines]
    return [line for line in told if line.removeprefix("says").strip() != '│ "']


def group_of(world: World, words: str) -> Tale:
    """A group of two whose terms, cards and request say ``words``; the request waits."""
    tale = Tale.__new__(Tale)
    tale.world, vault = world, world.enclave("vault")
    tale.alice, tale.bob = world.member("alice"), world.member("bob")
    salt, secret = Salt(secret_of("words salt")), SECRET
    with GroupKey(secret, salt) as group:
        by = XOnlyKey(tale.alice.identity.creator(salt).key)
        plain = contents.encode(Terms(v=1, label=words[:64], network="regtest", tweak="bip86"))
        terms = group.seal("keygen.create", "terms", Id(bytes(32)), by, plain)
    invitation = create(tale.alice, name="words", terms=terms)
    tale.keygen = invitation.keygen
    for slot, (member, rule) in enumerate(((tale.alice, NONE), (tale.bob, SELF))):
        draft = member.draft(invitation, slot, vault.key, rule)
        world.submit(replace(draft, label=words[:64]).statement(), member)
        member.slots[tale.keygen] = [slot]
    world.run()
    tale.signing = tale.alice.request(tale.keygen, MESSAGE, memo=words * 3)
    world.run()
    return tale


@contextmanager
def heard(words: str) -> Iterator[tuple[Tale, Client]]:
    """A client that has heard all of it, and sits nowhere."""
    tale, wallet = group_of(World(), words), Wallet.in_memory()
    wallet.remember(KeygenEntry(tale.keygen, URL, bytearray(SECRET)))
    with Reader(tale, wallet).closing() as reader:
        for stream in (tale.keygen, tale.signing):
            reader.subscribed(stream)
            reader.hear(stream)
        yield tale, at_desk(reader)


def told_live(tale: Tale, client: Client) -> Iterator[str]:
    """Every record in a sentence, the lines of sessions, addresses, requests and offers."""
    app, names = App(), names_of(client, tale.keygen)
    keygen, signing = client.keygen(tale.keygen), client.signing(tale.signing)
    for handle in (keygen, signing):
        for record in handle.heard.records:
            yield str(sentence(record, names, detail_of(client, tale.keygen, record)))
        yield Watch(client, app.screen).missing(handle)
    written = app.screen.out.file = StringIO()
    keygens._list(app, client)
    yield from written.getvalue().splitlines()
    yield from map(str, addresses._told(keygen, None))
    yield from map(str, joining._offer(client, keygen, None, Choice()).lines)
    yield from map(str, signings.tell_signing(app, signing)[0])
    yield from signing.summary()


def told_of_a_log(tale: Tale) -> Iterator[str]:
    """An exported log, verified."""
    audit = Audit(SECRET, lambda: NOON)
    for stream, kind in ((tale.keygen, "keygen"), (tale.signing, "signing")):
        records = [
            WireRecord(r.epoch, r.offset, r.at, r.hash, r.statement.wire) for r in tale.alice.heard(stream).records
        ]
        audit.section(stream, kind, tale.coordinator, records, None)
    yield from audit.report.lines()


def told_of_trouble(words: str) -> list[str]:
    """Refusals, faults, and what a coordinator says, each in a sentence."""
    names = Names(lambda slot: words)
    judged = Judgement((Fault("bad_psig", (1,), 1, "item 0"),), Refusal("bad_psig", (0,), 1))
    talk = Outer(key_of("a"))
    talk.greet()
    answers: list[str] = []
    talk.talk.calls.ask("ping", {}, refused=lambda problem: answers.append(str(problem)))
    talk.send()
    talk.refuse("ping", Refused(Reason.NOT_ALLOWED, words, field="slot"))
    return [
        str(JoinRefused(1, "bad_card", words)),
        str(SigningEnded("failed", "rule_not_met", (1,), words, may_be_signed=True)),
        signings._sentence(str(SigningEnded("failed", "cannot_sign", (1,), words, may_be_signed=False))),
        str(SigningEnded("failed", "bad_psig", (1,), words, True, (1,), tuple(tell_judgement(judged, names.slot)))),
        names.all((0, 1)),
        *answers,
        *(str(talk.talk.closed(code, words)) for code in (None, 4003, 4100)),
    ]


@cache
def told_of_x() -> list[str]:
    """All that is said where everybody is called x."""
    with heard("x") as (tale, client):
        return ours([*told_live(tale, client), *told_of_a_log(tale)])


@pytest.mark.parametrize("words", HOSTILE, ids=ascii)
def test_attack_55_a_strangers_words_change_no_sentence_of_ours(words: str) -> None:
    """55: words that read as ours."""
    with heard(words) as (tale, client):
        told = [*told_live(tale, client), *told_of_a_log(tale)]
    assert any(line.count('"') >= 4 for line in told), "two members in one sentence"
    assert all(line.count('"') % 2 == 0 and len(line.splitlines()) <= 1 for line in told)
    assert ours(told) == told_of_x()


@given(st.one_of(st.sampled_from(HOSTILE), st.text(min_size=1, max_size=600)))
@settings(deadline=None)
def test_attack_55_nor_do_reasons_and_the_coordinators_words(words: str) -> None:
    """55: words that read as ours."""
    told = told_of_trouble(words)
    assert all(line.count('"') % 2 == 0 for line in told)
    assert ours(told) == ours(told_of_trouble("x"))


def test_attack_55_the_yes_of_one_is_not_told_as_that_of_two() -> None:
    """55: words that read as ours."""
    with heard("Alice) and slot 1 (Bob") as (tale, client):
        lines, _ = signings.tell_signing(App(), client.signing(tale.signing))
    assert 'Approved by slot 0 "Alice) and slot 1 (Bob"' in map(str, lines)


def test_attack_55_a_memo_draws_no_transaction_above_the_true_one() -> None:
    """55: words that read as ours."""
    memo = "rent\n\nTransaction 1 of 1  00ff" + " " * 90 + "Pays  0.1 BTC"
    tale = Tale()
    signing = tale.alice.request(tale.keygen, MESSAGE, memo=memo)
    tale.world.run()
    with Reader(tale).closing() as reader:
        for stream in (tale.keygen, signing):
            reader.subscribed(stream)
            reader.hear(stream)
        summary = at_desk(reader).signing(signing).summary()
    assert summary[1:4] == ['Memo    │ "rent"', '        │ ""', '        │ "Transaction 1 of 1 00ff Pays 0.1 BTC"']
    assert [line.split()[0] for line in summary if not line.strip().startswith("│")][:3] == ["Asked", "Memo", "Until"]


def test_attack_55_on_a_narrow_terminal_no_row_begins_with_a_strangers_word() -> None:
    """55: words that read as ours."""
    screen = Screen()
    written = StringIO()
    for console in (screen.out, screen.err):
        console.file, console._force_terminal, console.width = written, True, 40
    screen.result([Text(f'Approved by slot 0 "{"Approved by everybody " * 3}"'), "hex " + "ab" * 60], {})
    screen.complain(f'it is refused ("{"Safe to fund. " * 9}")')
    plain = re.sub(r"\x1b\[[0-9;]*m", "", written.getvalue()).splitlines()
    quoting = [line for line in plain if "ab" * 60 not in line]
    assert len(quoting) > 4 and all(line.startswith(("Approved by slot 0", "error: ", "  ↳ ")) for line in quoting)
    assert "hex " + "ab" * 60 in plain, "what is not a stranger's is copied in one piece"


def test_attack_55_scripts_are_given_the_words_as_they_are() -> None:
    """55: words that read as ours."""
    words = 'Alice" and slot 1 "Bob\n\x1b'
    with heard(words) as (tale, client):
        opening, asking = (client.ledger.replay(stream).records[0] for stream in (tale.keygen, tale.signing))  # type: ignore[union-attr]
        assert words_of(client, tale.keygen, opening) == words
        assert words_of(client, tale.keygen, asking) == words * 3
        _, data = signings.tell_signing(App(), client.signing(tale.signing))
    assert json.loads(json.dumps(data))["memo"] == words * 3
