"""The signings of machines.json: every row of the signing machine's rules (§7.2), once refused and once taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from keymeld_protocol.values import Hash
from keymeld_protocol.wire.payloads import SigningApprove, SigningReject
from keymeld_protocol.wire.shapes import MAX_ATTEMPTS, MAX_WORDS, Rule, Signer
from keymeld_protocol.wire.statements import Statement
from tests.support.machines import (
    GRACE,
    HOUR,
    NONE,
    NOON,
    STRANGER,
    TOWER,
    VAULT,
    Keygen,
    Signing,
    completed,
    key_of,
    xonly,
)
from tests.support.phases import DELAY, DELAYED, SELF, asked, nonces, psigs, quorum, sixteenth, three, waiting

from .traces import Trace, log_of

END = NOON + HOUR


def signing_traces() -> list[dict[str, Any]]:
    """All of them, each with its keygen's log."""
    made: list[Callable[[], Trace]] = [
        _consent, _taken_back, _until, _quorum, _delay, _window, _attempt, _contributions, _three, _alone,
        _gives_up, _last_attempt, _refuses, _cancelled, _cancelled_late, _expires, _many_words,
    ]  # fmt: skip
    return [_told(trace) for trace in [*(make() for make in made), *_ends()]]


def _told(trace: Trace) -> dict[str, Any]:
    assert isinstance(trace.stream, Signing)
    return trace.vector(keygen=log_of(trace.stream.keygen))


def _consent() -> Trace:
    stream = asked(NONE, SELF)
    trace = Trace("yes and no, before an attempt", stream)
    trace.refuses("a stranger approves", stream.said(STRANGER, SigningApprove))
    trace.refuses("an enclave rejects", stream.said(VAULT, SigningReject))
    trace.refuses("no attempt is opened before Bob's yes", stream.opening())
    trace.takes("Carol rejects, whom no rule asks", stream.reject(2))
    trace.refuses("twice", stream.reject(2))
    trace.refuses("and approves after all", stream.approve(2))
    trace.refuses("Bob cancels what Alice has asked for", stream.cancel(1))
    trace.refuses("an enclave without a delay has nothing to hear", stream.hears(VAULT))
    trace.takes("Bob approves: that is the last rule, and the first attempt is open", stream.approve(1))
    trace.refuses("twice", stream.approve(1))
    trace.refuses("the coordinator has nothing to open", stream.opening())
    trace.takes("Bob takes his yes back: his rule is hopeless", stream.reject(1))
    trace.refuses("an end is an end", stream.approve(0))
    return trace


def _taken_back() -> Trace:
    stream = asked(NONE, SELF, SELF)
    trace = Trace("a yes that is taken back before everybody has said his", stream)
    trace.takes("Bob approves", stream.approve(1))
    trace.takes("and rejects", stream.reject(1))
    trace.refuses("an end is an end", stream.approve(2))
    return trace


def _until() -> Trace:
    stream = asked(NONE, SELF, SELF)
    trace = Trace("a yes that ends", stream)
    trace.refuses("it has ended already", stream.approve(1, until=NOON))
    trace.takes("for a second", stream.approve(1, until=NOON + 1000))
    trace.refuses("the same once more", stream.approve(1, until=NOON + 1000))
    trace.takes("when it ends it counts no longer: Carol's opens nothing", stream.approve(2), at=NOON + 1000)
    trace.refuses("nor may the coordinator", stream.opening(), at=NOON + 1000)
    trace.takes("a longer one; never beyond the request's own end", stream.approve(1, until=END + 1), at=NOON + 1000)
    trace.takes(
        "an attempt is open, in which Bob still says until when", stream.approve(1, until=NOON + 2000), at=NOON + 1000
    )
    trace.takes("the requester's no ends it", stream.reject(0), at=NOON + 1500)
    return trace


def _quorum() -> Trace:
    stream = asked(*[quorum(2, 0, 1, 2)] * 3)
    trace = Trace("two of three: the request is a yes", stream)
    trace.refuses("one yes is not enough", stream.opening())
    trace.takes("Bob's no leaves two", stream.reject(1))
    trace.takes("Carol's yes is the second: an attempt is open", stream.approve(2))
    return trace


def _delay() -> Trace:
    stream = asked(NONE, NONE, DELAYED)
    trace = Trace("a delay of a minute in slot 2, which begins when its enclave says so", stream)
    trace.refuses("another enclave", stream.hears(VAULT))
    trace.takes("Carol's enclave, whose clock is behind: the record's time counts", stream.hears(TOWER, NOON - 5_000))
    trace.refuses("twice", stream.hears(TOWER))
    trace.refuses("a moment too early", stream.opening(), at=NOON + DELAY - 1)
    trace.takes("the minute is over", stream.opening(), at=NOON + DELAY)
    trace.refuses("what was heard is heard before an attempt, not in one", stream.hears(TOWER), at=NOON + DELAY)
    trace.takes("behind none with a delay the slot's own no counts", stream.reject(2), at=NOON + DELAY)
    return trace


def _window() -> Trace:
    stream = asked(NONE, SELF, Rule(approval="none", not_before=NOON + DELAY))
    trace = Trace("a rule that is ripe in a minute", stream)
    trace.takes("Bob approves too early: no attempt is open", stream.approve(1))
    trace.refuses("nor may one be", stream.opening(), at=NOON + DELAY - 1)
    trace.takes("time has passed; a no that no rule asks for opens nothing", stream.reject(2), at=NOON + DELAY)
    trace.takes("the coordinator does", stream.opening(), at=NOON + DELAY)
    return trace


def _attempt() -> Trace:
    stream = asked()
    trace = Trace("opening attempts: the first is open by itself, and the vault goes last", stream)
    stream.now += GRACE
    signers = stream.opening().payload.signers  # type: ignore[union-attr]
    trace.refuses("the next one, before the grace has passed", stream.opening(), at=NOON + GRACE - 1)
    trace.refuses("by somebody else", stream.opening(STRANGER))
    trace.refuses("the one after it", stream.opening(attempt=3))
    trace.refuses("without one of the signers", stream.opening(signers=signers[:1], last=None))
    trace.refuses(
        "with another order of slots", stream.opening(signers=(Signer(key=xonly(VAULT), slots=(0,)), signers[1]))
    )
    trace.refuses("nobody goes last", stream.opening(last=None))
    trace.takes("the grace has passed; the tower may go last, too", stream.opening(last=xonly(TOWER)))
    trace.refuses("the same once more", stream.opening(attempt=2))
    trace.refuses("its own grace has not passed", stream.opening(), at=stream.now + GRACE - 1)
    return trace


def _contributions() -> Trace:
    stream = asked()
    trace = Trace("nonces, both, signatures: the vault goes last", stream)
    trace.refuses("about another attempt", stream.contribute(TOWER, "nonces", attempt=2))
    trace.refuses("by no signer", stream.contribute(STRANGER, "nonces"))
    trace.refuses("the last one before the others", stream.contribute(VAULT, "both"))
    trace.refuses("psigs before nonces", stream.contribute(TOWER, "psigs"))
    trace.refuses("for slots that are not its own", stream.contribute(TOWER, "nonces", slots=(0, 2)))
    trace.takes("the tower's nonces", stream.contribute(TOWER, "nonces"))
    trace.refuses("once more", stream.contribute(TOWER, "nonces"))
    trace.refuses("over other nonces", stream.contribute(VAULT, "both", over=Hash(bytes(32))))
    trace.takes("the vault's nonces and psigs", stream.contribute(VAULT, "both"))
    trace.refuses("signatures over other nonces", stream.contribute(TOWER, "signatures", over=Hash(bytes(32))))
    trace.refuses("over none", stream.contribute(TOWER, "signatures", over=None))
    trace.refuses("psigs of its own: it finishes", stream.contribute(TOWER, "psigs"))
    trace.takes("the tower has added up", stream.contribute(TOWER, "signatures"))
    trace.refuses("nobody rejects what is complete", stream.reject(1))
    trace.refuses("nor asks for another attempt", stream.retry(TOWER))
    trace.refuses("nor refuses", stream.refuse(VAULT, 0))
    return trace


def _three() -> Trace:
    stream = three()
    castle = key_of("castle")
    trace = Trace("three enclaves: each step waits for all who owe it", stream)
    trace.takes("one of the nonces", stream.contribute(TOWER, "nonces"))
    trace.refuses("the last one does not go before the second", stream.contribute(VAULT, "both"))
    trace.takes("the other nonces", stream.contribute(castle, "nonces"))
    trace.takes("the last one's", stream.contribute(VAULT, "both"))
    trace.refuses("the tower finishes, and not yet", stream.contribute(TOWER, "signatures"))
    trace.refuses("the castle does not", stream.contribute(castle, "signatures"))
    trace.takes("the castle's psigs", stream.contribute(castle, "psigs"))
    trace.refuses("once more", stream.contribute(castle, "psigs"))
    trace.takes("a signer may still ask for another attempt", stream.retry(TOWER))
    return trace


def _alone() -> Trace:
    stream = asked(slots=2)
    trace = Trace("one enclave for all slots", stream)
    trace.refuses("nobody is last of one", stream.opening(last=xonly(VAULT)), at=NOON + GRACE)
    trace.refuses("it owes no nonces", stream.contribute(VAULT, "nonces"))
    trace.refuses("it answers none", stream.contribute(VAULT, "signatures", over=Hash(bytes(32))))
    trace.takes("it signs", stream.contribute(VAULT, "signatures"))
    return trace


def _gives_up() -> Trace:
    stream = psigs()
    trace = Trace("a signer whose nonces are gone", stream)
    trace.refuses("about another attempt", stream.retry(TOWER, attempt=2))
    trace.refuses("a stranger", stream.retry(STRANGER))
    trace.takes("the tower asks for another attempt", stream.retry(TOWER))
    trace.refuses("the vault does, too", stream.retry(VAULT))
    trace.takes("which is opened at once, and forgets what was said", stream.opening())
    trace.takes("the tower's nonces are the tower's to say again", stream.contribute(TOWER, "nonces"))
    return trace


def _last_attempt() -> Trace:
    stream = asked()
    trace = Trace("sixteen attempts", stream)
    for _ in range(MAX_ATTEMPTS - 1):
        stream.now += GRACE
        trace.takes("each after the grace of the one before", stream.opening())
    stream.now += GRACE
    trace.refuses("before the last grace has passed", stream.expired(), at=stream.now - 1)
    trace.takes("the last grace has passed", stream.expired(), at=stream.now)
    return trace


def _refuses() -> Trace:
    stream = asked()
    trace = Trace("enclaves refuse", stream)
    trace.refuses("about an attempt that is not open", stream.refuse(VAULT, 0, attempt=2))
    trace.refuses("for a slot that it does not hold", stream.refuse(VAULT, 2))
    trace.refuses("a member", stream.refuse(stream.keygen.auth(0), 0))
    trace.takes("for one of its slots", stream.refuse(VAULT, 1))
    trace.takes("members may still say notes", stream.note(stream.keygen.auth(1)))
    trace.refuses("strangers never", stream.note(STRANGER))
    return trace


def _cancelled() -> Trace:
    stream = asked()
    trace = Trace("the requester takes it back", stream)
    trace.refuses("Bob does not", stream.cancel(1))
    trace.takes("the tower sends nonces", stream.contribute(TOWER, "nonces"))
    trace.takes("Alice cancels: nobody has sent a psig, though the vault owed one", stream.cancel())
    return trace


def _cancelled_late() -> Trace:
    stream = psigs()
    trace = Trace("the requester takes it back when somebody may hold a signature", stream)
    trace.refuses("there are psigs", stream.cancel())
    trace.takes("the tower asks for another attempt", stream.retry(TOWER))
    trace.takes("which is opened", stream.opening())
    trace.refuses("there were psigs", stream.cancel())
    return trace


def _expires() -> Trace:
    stream = asked()
    trace = Trace("the end of a request", stream)
    trace.refuses("before its time", stream.expired(), at=END - 1)
    trace.refuses("by somebody else", stream.expired(STRANGER), at=END)
    trace.refuses("from then on nothing is taken", stream.approve(1), at=END)
    trace.refuses("no attempt either", stream.opening(), at=END)
    trace.takes("but notes", stream.note(stream.keygen.auth(1)), at=END)
    trace.takes("and the coordinator's notice", stream.expired(), at=END)
    return trace


def _ends() -> Iterator[Trace]:
    """What ends a signing in each of its phases, and what of the same kinds does not."""
    yield _one("while a yes is awaited the requester takes it back", (early := waiting()), early.cancel())
    yield _one("while a yes is awaited an enclave refuses", (early := waiting()), early.refuse(VAULT, 0))
    for stream, where in ((nonces(), "while nonces are awaited"), (psigs(), "while psigs are awaited")):
        yield _one(f"{where} a member's yes and no that no rule asks for", stream, stream.approve(1), stream.reject(1))
    yield _one("while nonces are awaited a signer asks for another attempt", (early := nonces()), early.retry(VAULT))
    for stream in (nonces(), psigs()):
        yield _one(f"in {stream.state.phase} an enclave refuses", stream, stream.refuse(VAULT, 0))
    yield _one("in psigs the requester says no", (late := psigs()), late.reject(0))
    for stream in (waiting(), nonces(), psigs()):
        trace = Trace(f"in {stream.state.phase} the request ends", stream)
        trace.takes("the coordinator's notice", stream.expired(), at=END)
        yield trace
    late = asked(NONE, SELF, Rule(approval="none", not_after=NOON + 1))
    trace = Trace("a yes that comes when another's key may no longer be used", late)
    trace.takes("Bob approves", late.approve(1), at=NOON + 2)
    yield trace
    hopeless = asked(NONE, NONE, Rule(approval="none", delay_ms=DELAY, not_after=NOON + 1))
    yield _one("a delay that ends when its key may no longer be used", hopeless, hopeless.hears(TOWER))
    for steps in ([], [(TOWER, "nonces"), (VAULT, "both")]):
        stream = sixteenth().steps(*steps)
        yield _one("a retry in the sixteenth attempt", stream, stream.retry(TOWER))
    stream = sixteenth().steps((TOWER, "nonces"), (VAULT, "both"))
    trace = Trace("the grace of the sixteenth attempt passes while psigs are awaited", stream)
    trace.takes("the coordinator's notice", stream.expired(), at=stream.now + GRACE)
    yield trace


def _one(comment: str, stream: Signing, *said: Statement) -> Trace:
    trace = Trace(comment, stream)
    for one in said:
        trace.takes("it is said", one)
    return trace


def _many_words() -> Trace:
    stream = asked()
    trace = Trace("as many approvals and notes as one slot says, and one more", stream)
    trace.takes("an approval", stream.approve(1))
    trace.takes("notes", stream.note(stream.keygen.auth(1)), times=MAX_WORDS - 1)
    trace.refuses("another end of the yes", stream.approve(1, until=END - 1))
    trace.refuses("another note", stream.note(stream.keygen.auth(1), "once_more"))
    trace.takes("Carol has her own number", stream.note(stream.keygen.auth(2)))
    return trace


# Requests -------------------------------------------------------------------------------------------------------


def openings() -> list[tuple[str, Keygen | None, Any, int]]:
    """What opens a stream, and when: a comment, the keygen of a request, the statement, the time (ms)."""
    keygen, half, device = completed(3), Keygen(3).fill(0, 1), Keygen(2)
    device.hear(device.join(0), device.device(1))
    device.hear(device.accept(0))
    left, before = completed(2), completed(2).chain.hash
    early, ready = keygen.records[-2].hash, keygen.chain.hash
    keygen.hear(keygen.confirm(keygen.auth(0)))
    left.hear(left.leave(1))
    hopeless = completed(3, quorum(1, 2))
    create = Keygen(1).records[0].statement
    return [
        ("a keygen", None, create, NOON),
        ("a keygen whose time for joining has passed already", None, create, END),
        ("a request of everybody", keygen, _request(keygen), NOON),
        ("of two", keygen, _request(keygen, slots=(0, 1)), NOON),
        ("of a keygen that is not completed", half, _request(half, roster=Hash(bytes(32))), NOON),
        ("of one that was not yet where its 'after' stands", keygen, _request(keygen, after=early), NOON),
        ("after the record that completed it", keygen, _request(keygen, after=ready), NOON),
        ("of another roster", keygen, _request(keygen, roster=Hash(bytes(32))), NOON),
        ("of a slot that is not there", keygen, _request(keygen, slots=(0, 3)), NOON),
        ("of a slot that signs on its device", device, _request(device), NOON),
        ("by a member whose slot is not needed", keygen, _request(keygen, slots=(1, 2)), NOON),
        ("that has expired", keygen, _request(keygen), END),
        ("that lives too long", keygen, _request(keygen, expires_at=NOON + 604_800_001), NOON),
        ("of a slot that has left, by who had heard it", left, _request(left), NOON),
        ("of the same slot, by who had not", left, _request(left, after=before), NOON),
        ("whose rules are hopeless from the start", hopeless, _request(hopeless, slots=(0, 1)), NOON),
    ]  # fmt: skip


def _request(keygen: Keygen, **fields: Any) -> Any:
    return keygen.cast.request(
        fields.pop("after", keygen.chain.hash), fields.pop("roster", keygen.state.roster), NOON, **fields
    )
