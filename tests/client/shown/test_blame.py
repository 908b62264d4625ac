"""Whom people are told to be at fault: the log's own proof, never the word of who refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from keymeld_client import Signing, SigningEnded
from keymeld_client.command.app import App
from keymeld_client.command.failures import hint_of
from keymeld_client.command.screen import Screen
from keymeld_client.command.signings import tell_signing
from keymeld_client.command.watching import Watch
from keymeld_client.errors import SIGNED_ALL_THE_SAME
from keymeld_client.shown.log import export_log, verify_log
from keymeld_protocol.errors import Blamed
from keymeld_protocol.machines.signing_state import nonces_hash
from keymeld_protocol.plaintext.contributions import Both, Entry, Finished
from keymeld_protocol.values import XOnlyKey, digest
from keymeld_protocol.wire.payloads import Note
from keymeld_protocol.wire.statements import make
from tests.attacks.mischief import contribution, seal_values
from tests.client.paper import GROUP_SECRET, Reader, Tale
from tests.promises.desk import at_desk
from tests.support.liar import Liar
from tests.support.world import HOUR, MESSAGE, World

BAD = (
    'the enclave of slot 0 "alice" sent a bad partial signature (item 0); the enclave of slot 1 "bob" refused because '
    "of it"
)
FALSE = (
    'the enclave of slot 1 "bob" refused with bad_psig, but everything that was sent verifies: it is at fault itself'
)


class Quarrel(Tale):
    """Alice at a vault that goes last, Bob at a tower that finishes; ``lie`` prepares both before Alice asks."""

    def __init__(self, lie: Callable[[Liar, Liar], None]) -> None:
        self.world = World()
        self.vault, self.tower = Liar(self.world, "vault"), Liar(self.world, "tower")
        self.alice, self.bob = self.world.member("alice"), self.world.member("bob")
        self.vault.reader = self.tower.reader = self.alice
        self.keygen = self.world.gather([self.alice, self.bob], at=[self.vault, self.tower])
        lie(self.vault, self.tower)
        self.signing = self.alice.request(self.keygen, MESSAGE)
        self.world.run()
        self.world.wait(2_000)

    def finish(self, *made: Entry) -> None:
        """The tower says that this is what came of it."""
        sealed, over = (
            seal_values(self.alice, self.signing, self.tower, *made),
            nonces_hash(self.alice.signing(self.signing)),
        )
        said = contribution(self.world, self.tower, self.signing, sealed, slots=(1,), step="signatures", over=over)
        self.world.submit(said)

    def read(self) -> Signing:
        """The signing at somebody's desk, who has heard all of it."""
        self.reader = Reader(self)
        for stream in (self.keygen, self.signing):
            self.reader.subscribed(stream)
            self.reader.hear(stream)
        return at_desk(self.reader).signing(self.signing)


def bad_psig(vault: Liar, tower: Liar) -> None:
    """The vault's psig is none."""

    def spoil(step: str, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        return tuple(replace(each, psig=bytes(32)) if isinstance(each, Both) else each for each in entries)

    vault.spoil = spoil


def false_alarm(vault: Liar, tower: Liar) -> None:
    """The tower accuses the vault, which has done nothing."""
    tower.accuses, tower.at = "bad_psig", "signatures"


def nobody_says(vault: Liar, tower: Liar) -> None:
    """The vault's psig is none, and the tower, which finds out, keeps it to itself."""
    bad_psig(vault, tower)
    tower.keeps = frozenset({"signing.refuse"})


def false_end(vault: Liar, tower: Liar) -> None:
    """The tower, which finishes, says another signature than it has made."""
    tower.spoil = lambda step, entries: (Finished(bytes(64)),) if step == "signatures" else entries


async def why(signing: Signing) -> SigningEnded:
    with pytest.raises(SigningEnded) as ended:
        await signing.signatures()
    return ended.value


@pytest.mark.asyncio
async def test_who_sent_a_bad_value_is_at_fault_and_who_refused_is_not() -> None:
    ended = await why(Quarrel(bad_psig).read())
    assert (ended.phase, ended.code, ended.slots, ended.at_fault) == ("failed", "bad_psig", (1,), (0,))
    assert f"the signing failed (bad_psig): {BAD}; it may be signed all the same" in str(ended)
    assert "the same enclaves" in hint_of(ended)


@pytest.mark.asyncio
async def test_who_accuses_without_cause_is_at_fault_and_is_not_quoted() -> None:
    ended = await why(Quarrel(false_alarm).read())
    assert (ended.code, ended.slots, ended.at_fault) == ("bad_psig", (1,), (1,))
    assert FALSE in str(ended) and ended.detail == "slot 1 sent rubbish" and ended.detail not in str(ended)


@pytest.mark.asyncio
async def test_a_refusal_that_accuses_nobody_is_told_in_its_own_words() -> None:
    def policy(vault: Liar, tower: Liar) -> None:
        tower.accuses = "rule_not_met"

    tale = Quarrel(policy)
    auth, after = tale.alice.auth(tale.keygen), tale.alice.heard(tale.signing).chain.hash
    pity = Note(kind="note.pity", v=1, by=XOnlyKey(auth.key), stream=tale.signing, after=after)
    tale.alice.submit(make(pity, auth.sign))
    ended = await why(tale.read())
    assert ended.at_fault == () and str(ended) == 'the signing failed: rule_not_met, slot 1 ("slot 1 sent rubbish")'


@pytest.mark.asyncio
async def test_a_signing_that_expired_says_who_spoilt_it() -> None:
    tale = Quarrel(nobody_says)
    tale.world.wait(2 * HOUR)
    ended = await why(tale.read())
    assert (ended.phase, ended.at_fault) == ("expired", (0,)) and "has expired: the enclave of slot 0" in str(ended)


@pytest.mark.asyncio
async def test_a_last_word_that_lies_about_a_bad_set_is_the_fault_of_its_speaker_too() -> None:
    tale = Quarrel(nobody_says)
    tale.finish(Finished(bytes(64)))
    with pytest.raises(Blamed, match=r'"alice" sent a bad partial signature .*"bob" sent no signature') as blamed:
        await tale.read().signatures()
    assert blamed.value.slots == (0, 1)


def asking_for(plain: bytes) -> Quarrel:
    """Alice asks with this for a body."""

    def nothing(vault: Liar, tower: Liar) -> None:
        pass

    tale = Quarrel(nothing)
    honest, group = tale.alice.requesting(tale.keygen, MESSAGE), tale.alice.groups[tale.keygen]
    sealed = group.seal("signing.request", "body", tale.keygen, honest.payload.by, plain)
    payload = msgspec.structs.replace(honest.payload, body=digest(sealed))
    tale.signing = tale.alice.submit(make(payload, tale.alice.auth(tale.keygen).sign, blobs=[sealed])).id
    tale.world.run()
    return tale


@pytest.mark.asyncio
async def test_a_request_that_does_not_hold_is_its_requesters_fault() -> None:
    ended = await why(asking_for(b"rubbish").read())
    assert (ended.code, ended.slots, ended.at_fault) == ("bad_body", (0,), (0,))
    assert 'slot 0 "alice" asked for what does not hold (bad_body)' in str(ended)


@pytest.mark.asyncio
async def test_a_request_of_a_later_version_is_nobodys_fault() -> None:
    ended = await why(asking_for(b'{"v":2,"paths":[]}').read())
    assert (ended.code, ended.slots, ended.at_fault) == ("newer_version", (0,), ())


# On the terminal -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lie", "told"), [(bad_psig, BAD), (false_alarm, FALSE)], ids=["bad psig", "false alarm"])
def test_an_exported_log_proves_it_to_everybody(lie: Callable[[Liar, Liar], None], told: str) -> None:
    tale = Quarrel(lie)
    tale.read()
    report = verify_log(export_log(tale.reader.wallet, tale.signing), GROUP_SECRET)
    assert report.ok, report.failures
    assert "; ".join(f.text for f in report.findings if f.verdict == "proves") == told


def test_who_has_no_ticket_is_told_who_refused_and_no_more() -> None:
    tale = Quarrel(bad_psig)
    tale.read()
    report = verify_log(export_log(tale.reader.wallet, tale.signing))
    assert not [f for f in report.findings if f.verdict == "proves"]
    assert any("code bad_psig, refused by slot 1" in f.text for f in report.findings)


def test_show_names_who_refused_and_who_is_at_fault() -> None:
    lines, data = tell_signing(App(), Quarrel(bad_psig).read())
    assert any(str(line).startswith(f"The signing failed (bad_psig): {BAD}") for line in lines)
    assert (data["code"], data["refused"], data["at_fault"]) == ("bad_psig", [1], [0])
    assert "; ".join(data["judgement"]) == BAD


def test_show_names_who_is_at_fault_while_others_still_wait() -> None:
    lines, data = tell_signing(App(), Quarrel(nobody_says).read())
    assert 'The enclave of slot 0 "alice" sent a bad partial signature (item 0).' in map(str, lines)
    assert (data["phase"], data["at_fault"]) == ("psigs", [0])


@pytest.mark.asyncio
async def test_a_completed_signing_that_does_not_verify_is_told_with_who_is_at_fault(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tale = Quarrel(false_end)
    signing = tale.read()
    lies = 'the enclave of slot 1 "bob" sent no signature that verifies (item 0)'
    with pytest.raises(Blamed, match=re.escape(lies)) as blamed:
        await signing.results()
    assert (signing.phase, blamed.value.slots) == ("completed", (1,))
    lines, data = tell_signing(App(), signing)
    assert f"{lies.capitalize()}." in map(str, lines) and data["judgement"] == [lies, SIGNED_ALL_THE_SAME]
    watch = Watch(signing.client, Screen())
    watch.follow(signing)
    await watch.until_ended()
    assert [line.strip(" !") for line in capsys.readouterr().out.splitlines()[-2:]] == [lies, SIGNED_ALL_THE_SAME]
    report = verify_log(export_log(tale.reader.wallet, tale.signing), GROUP_SECRET)
    assert not report.ok and any(lies in told for told in report.lines())


@pytest.mark.asyncio
async def test_watching_tells_it_below_the_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    signing = Quarrel(bad_psig).read()
    watch = Watch(signing.client, Screen())
    watch.follow(signing)
    await watch.until_ended()
    said = capsys.readouterr().out.splitlines()
    assert "refuses to sign for slot 1 (bad_psig)" in said[-3]
    assert [line.strip(" !") for line in said[-2:]] == BAD.split("; ")
