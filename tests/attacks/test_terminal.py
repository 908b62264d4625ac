"""Attack 52: terminal escapes in labels, memos and reasons, on every way by which they come to a screen.

mallory ── a label that clears the screen, a memo that types, a reason that reorders ──▶ tell, watch, verify, complain
                                                                                    shown as \\u{1b}, and as one line
"""

import logging
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from io import StringIO

import pytest

from keymeld_client.command.names import Names
from keymeld_client.command.screen import Screen
from keymeld_client.command.sentences import sentence
from keymeld_client.shown.audit import Audit
from keymeld_client.shown.telling import lines_of_request
from keymeld_host import logs
from keymeld_protocol.foreign import quoted
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.member.plan import plan_of
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Terms
from keymeld_protocol.printable import printable
from keymeld_protocol.values import Id, Salt, XOnlyKey
from keymeld_protocol.wire.frames import WireRecord
from tests.support.world import MESSAGE, NONE, NOON, Member, World, secret_of

from .mischief import create

EVIL = (
    "\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]8;;http://evil\x1b\\link", "a\rb", "a\nSafe to fund", "\x9b31m", "\x00",
    "a\b\b\b", "\u202egnp.exe", "\u2066x\u2069", "\u200b\u200d\ufeff", "\U000e0041", "\u2028", "e" + "\u0301" * 60,
    "\ud7ff\ue000", "\x7f", "[bold red]not markup[/]", "\u3164", "a\u2800b",
)  # fmt: skip
"""Texts that move a cursor, hide, reorder, or look like something else."""


def harmless(lines: Iterable[str]) -> None:
    """Nothing that a terminal obeys, and nothing that reorders without being fenced in."""
    for line in lines:
        for char in line:
            assert unicodedata.category(char) not in ("Cc", "Zl", "Zp", "Cs", "Co", "Cn"), (char, line)
            assert unicodedata.category(char) != "Cf" or char in "\u2068\u2069", (char, line)
        assert line.count("\u2068") == line.count("\u2069")


def asked(evil: str) -> tuple[World, Member, Id, Id]:
    """A group whose terms, cards and request say ``evil``."""
    world = World()
    vault, alice, mallory = world.enclave("vault"), world.member("alice"), world.member("mallory")
    salt, secret = Salt(secret_of("evil salt")), secret_of("evil S")
    with GroupKey(secret, salt) as group:
        by = XOnlyKey(alice.identity.creator(salt).key)
        plain = contents.encode(Terms(v=1, label=evil[:64], network="regtest", tweak="bip86"))
        terms = group.seal("keygen.create", "terms", Id(bytes(32)), by, plain)
    invitation = create(alice, name="evil", terms=terms)
    for slot, member in enumerate((alice, mallory)):
        draft = member.draft(invitation, slot, vault.key, NONE)
        world.submit(replace(draft, label=evil[:64]).statement(), member)
        member.slots[invitation.keygen] = [slot]
    world.run()
    signing = mallory.request(invitation.keygen, MESSAGE, memo=evil)
    world.run()
    return world, alice, invitation.keygen, signing


@pytest.mark.parametrize("evil", EVIL, ids=ascii)
def test_attack_52_a_text_that_is_shown_moves_no_cursor_and_hides_nothing(evil: str) -> None:
    """52: terminal escapes in labels, memos, reasons."""
    harmless([printable(evil), printable(f"before {evil} after"), printable(evil * 5)])
    assert printable(printable(evil)) or not evil


@pytest.mark.parametrize("evil", EVIL, ids=ascii)
def test_attack_52_what_is_told_before_an_approval_is_harmless(evil: str) -> None:
    """52: terminal escapes in labels, memos, reasons."""
    _, alice, group, signing = asked(evil)
    roster, key = alice.roster(group), alice.groups[group]
    made = plan_of(alice.signing(signing), alice.heard(signing).records[0].statement, roster, key)
    lines = list(lines_of_request(alice.signing(signing), made, roster))
    assert made.body.memo == evil and roster.terms.label == evil[:64] and any("Memo" in line for line in lines)
    harmless(lines)


@pytest.mark.parametrize("evil", EVIL, ids=ascii)
def test_attack_52_what_is_watched_and_verified_is_harmless(evil: str) -> None:
    """52: terminal escapes in labels, memos, reasons."""
    world, alice, group, signing = asked(evil)
    roster = alice.roster(group)
    names = Names.of(alice.keygen(group), lambda slot: roster.cards[slot].label)
    told = [str(sentence(r, names)) for s in (group, signing) for r in alice.heard(s).records]
    harmless(told)
    assert any(quoted(evil[:64]) in line for line in told)
    audit = Audit(secret_of("evil S"), lambda: NOON)
    coordinator = XOnlyKey(world.coordinator.key)
    for stream, kind in ((group, "keygen"), (signing, "signing")):
        records = [WireRecord(r.epoch, r.offset, r.at, r.hash, r.statement.wire) for r in alice.heard(stream).records]
        audit.section(stream, kind, coordinator, records, None)
    assert audit.report.ok and len(audit.report.signatures) == 1
    harmless(audit.report.lines())


@pytest.mark.parametrize("evil", EVIL, ids=ascii)
def test_attack_52_an_error_that_quotes_a_stranger_is_harmless(evil: str) -> None:
    """52: terminal escapes in labels, memos, reasons."""
    screen = Screen()
    for console in (screen.out, screen.err):
        console.file = StringIO()
    screen.complain(f"the coordinator says {evil}", hint=evil)
    written = screen.err.file.getvalue()  # type: ignore[attr-defined]
    harmless(written.splitlines())
    assert len(written.splitlines()) == 2


def test_attack_52_a_log_line_of_an_enclave_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """52: terminal escapes in labels, memos, reasons."""
    written = StringIO()
    for name in (__name__, "websockets", "asyncio"):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    logs.setup(__name__, "text", "info", written)
    for evil in EVIL:
        logs.tell(logging.ERROR, evil, reason=evil)
    harmless(written.getvalue().splitlines())
    assert len(written.getvalue().splitlines()) == len(EVIL)
