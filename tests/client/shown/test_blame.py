"""Whom people are told to be at fault: the log's own proof, never the word of who refused."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from keymeld_client import Signing, SigningEnded
from keymeld_client.command.app import App
from keymeld_client.command.failures import hint_of
from keymeld_client.command.screen import Screen
from keymeld_client.command.signings import tell_signing
from keymeld_client.command.watching import Watch
from keymeld_client.shown.log import export_log, verify_log
from keymeld_protocol.errors import Blamed
from keymeld_protocol.plaintext import contributions
from keymeld_protocol.plaintext.contributions import Entry, Finished, Psig
from keymeld_protocol.values import XOnlyKey, digest
from keymeld_protocol.wire.payloads import Note, SigningConfirm
from keymeld_protocol.wire.statements import make
from tests.attacks.mischief import say_as
from tests.client.paper import GROUP_SECRET, Reader, Tale
from tests.promises.desk import at_desk
from tests.support.liar import Liar
from tests.support.world import HOUR, MESSAGE, World

BAD = (
    'the enclave of slot 1 "bob" sent a bad partial signature (item 0); the enclave of slot 0 "alice" refused because '
    "of it"
)
FALSE = (
    'the enclave of slot 1 "bob" refused with bad_psig, but everything that was sent verifies: it is at fault itself'
)


class Quarrel(Tale):
    """Alice at the vault, Bob at a tower that lies; ``lie`` prepares both before Alice asks."""

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

    def confirm(self, *made: Entry) -> None:
        """The tower confirms this."""
        group = self.alice.groups[self.keygen]
        plain = contributions.encode(made)
        sealed = group.seal("signing.confirm", "signatures", self.signing, self.tower.key, plain)
        said = {"attempt": 1, "signatures": digest(sealed)}
        self.world.submit(say_as(self.world, self.tower, self.signing, SigningConfirm, sealed, **said))

    def read(self) -> Signing:
        """The signing at somebody's desk, who has heard all of it."""
        self.reader = Reader(self)
        for stream in (self.keygen, self.signing):
            self.reader.subscribed(stream)
            self.reader.hear(stream)
        return at_desk(self.reader).signing(self.signing)


def bad_psig(vault: Liar, tower: Liar) -> None:
    """The tower's psig is none, and it does not say so."""
    tower.spoil = lambda step, entries: (Psig(bytes(32)),) if step == "psigs" else entries
    tower.keeps = frozenset({"signing.confirm", "signing.refuse"})


def false_alarm(vault: Liar, tower: Liar) -> None:
    """The tower accuses the vault, which has done nothing."""
    tower.accuses, tower.at = "bad_psig", "psigs"


def nobody_says(vault: Liar, tower: Liar) -> None:
    """The tower's psig is none, and nobody gets to say so."""
    bad_psig(vault, tower)
    vault.keeps = tower.keeps


async def why(signing: Signing) -> SigningEnded:
    with pytest.raises(SigningEnded) as ended:
        await signing.signatures()
    return ended.value


@pytest.mark.asyncio
async def test_who_sent_a_bad_value_is_at_fault_and_who_refused_is_not() -> None:
    ended = await why(Quarrel(bad_psig).read())
    assert (ended.phase, ended.code, ended.slots, ended.at_fault) == ("failed", "bad_psig", (0,), (1,))
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
async def test_a_set_that_does_not_add_up_is_not_waited_for() -> None:
    ended = await why(Quarrel(nobody_says).read())
    assert (ended.phase, ended.code, ended.slots, ended.at_fault) == ("confirming", "bad_psig", (), (1,))
    assert str(ended).startswith('the signing cannot be completed (bad_psig): the enclave of slot 1 "bob" sent a bad')
    assert ended.may_be_signed


@pytest.mark.asyncio
async def test_a_signing_that_expired_says_who_spoilt_it() -> None:
    tale = Quarrel(nobody_says)
    tale.world.wait(2 * HOUR)
    ended = await why(tale.read())
    assert (ended.phase, ended.at_fault) == ("expired", (1,)) and "has expired: the enclave of slot 1" in str(ended)


@pytest.mark.asyncio
async def test_a_confirm_that_lies_about_a_bad_set_is_the_fault_of_its_speaker_too() -> None:
    tale = Quarrel(nobody_says)
    tale.confirm(Finished(bytes(64)))
    with pytest.raises(Blamed, match=r'the enclave of slot 1 "bob" sent a bad partial signature') as blamed:
        await tale.read().signatures()
    assert blamed.value.slots == (1,)


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
    assert any("code bad_psig, refused by slot 0" in f.text for f in report.findings)


def test_show_names_who_refused_and_who_is_at_fault() -> None:
    lines, data = tell_signing(App(), Quarrel(bad_psig).read())
    assert any(str(line).startswith(f"The signing failed (bad_psig): {BAD}") for line in lines)
    assert (data["code"], data["refused"], data["at_fault"]) == ("bad_psig", [0], [1])
    assert "; ".join(data["judgement"]) == BAD


def test_show_does_not_leave_people_waiting_for_a_confirm_that_cannot_come() -> None:
    lines, data = tell_signing(App(), Quarrel(nobody_says).read())
    assert 'The enclave of slot 1 "bob" sent a bad partial signature (item 0).' in map(str, lines)
    assert (data["phase"], data["at_fault"]) == ("confirming", [1])


@pytest.mark.asyncio
async def test_watching_tells_it_below_the_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    signing = Quarrel(bad_psig).read()
    watch = Watch(signing.client, Screen())
    watch.follow(signing)
    await watch.until_ended()
    said = capsys.readouterr().out.splitlines()
    assert "refuses to sign for slot 0 (bad_psig)" in said[-3]
    assert [line.strip(" !") for line in said[-2:]] == BAD.split("; ")
