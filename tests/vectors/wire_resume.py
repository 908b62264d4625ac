"""resume.json: where a subscription goes on, who may hear what, what a log that is told anew comes to (§4.3, §4.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import Refused
from keymeld_protocol.machines.keygen_state import KeygenState
from keymeld_protocol.machines.streams import as_keygen
from keymeld_protocol.values import Digest, Epoch, Hash, Id, XOnlyKey
from keymeld_protocol.wire import payloads
from keymeld_protocol.wire.frames import Since
from keymeld_protocol.wire.payloads import WalletNote, WalletOpen
from keymeld_protocol.wire.records import first_hash
from keymeld_server.hub import resume
from keymeld_server.session import Session
from tests.support.machines import COORDINATOR, EPOCH, STRANGER, TOWER, VAULT, Keygen, Signing, Stream, completed, xonly

from . import traces
from .anew_traces import LATER, LATEST, histories, said
from .cast import commented, key_of

ANYBODY = xonly(key_of("who may hear"))
OTHER = Hash(bytes.fromhex("5a" * 32))
"""A hash that stands nowhere."""


def resume_json() -> Any:
    """Answers, rights, and histories that are told anew."""
    hearing = _hearing()
    return commented(
        "answers: a log as rows, the store's present epoch, and where somebody stood who may hear it: 'recovered', the "
        "'reason' if there is one, and the first offset that is sent. rights: logs of payloads as in machines.json, "
        "and the keys that a connection has proven; 'last' is the only record that it is sent. anew: of a stream that "
        "was verified as 'before', 'anew' is what is told now (null: unknown_stream), with the epoch of hello and the "
        "client's clock (ms). It is a fork at an offset, or so many records are shared, and each lost statement is "
        "back, waited_for, or not_waited_for. 'said' is what a client with the keys of 'speakers' says then, one "
        "after the other, if the coordinator takes each: the same bytes where no payload is given, and its own or "
        "anybody's. It has what it heard, whole but for the envelopes of others. 'keygen' is that of a signing, as it "
        "is now. Signatures and blobs are left out.",
        epoch=EPOCH, answers=_answers(), logs=traces.shared(hearing), rights=hearing, anew=histories(),
    )  # fmt: skip


# Where it goes on -----------------------------------------------------------------------------------------------

Case = tuple[str, Since | None, int | None, str | None]
"""A comment, where somebody stood, and the first offset that is sent to him if he resumes, else the reason."""


def _answers() -> list[dict[str, Any]]:
    """The rows of §4.3, and their edges."""
    log, put_back = Keygen(2).fill(0), Keygen(2).fill(0)
    said(log, log.join(1), log.note(log.auth(0)), epoch=LATER)
    return [
        _log("a log of two epochs, the second of which is the store's", log, _of_two_epochs(log)),
        _log("a log of one epoch, put back into a store of a later one", put_back, _put_back(put_back)),
    ]


def _of_two_epochs(log: Stream) -> list[Case]:
    start, hashes = first_hash(log.stream), log.chain.hashes
    return [
        ("absent", None, None, None),
        ("offset 0 and the hash before the first", at(LATER, 0, start), 1, None),
        ("the same, and whatever epoch", at(EPOCH, 0, start), 1, None),
        ("offset 0 and another hash, in the present epoch", at(LATER, 0, OTHER), None, "fork"),
        ("and in another", at(EPOCH, 0, OTHER), None, "fork"),
        ("a record", at(EPOCH, 2, hashes[1]), 3, None),
        ("the first record of the present epoch", at(LATER, 4, hashes[3]), 5, None),
        ("the top", at(LATER, 5, hashes[4]), 6, None),
        ("a record, and another epoch than its own", at(LATER, 2, hashes[1]), 3, None),
        ("the top, and an epoch that stands nowhere", at(LATEST, 5, hashes[4]), 6, None),
        ("another hash, in the epoch of the record there", at(EPOCH, 2, OTHER), None, "fork"),
        ("another hash, in the present epoch, which is not that of the record there", at(LATER, 2, OTHER), None,
         "epoch"),
        ("another hash at the top, in its epoch", at(LATER, 5, OTHER), None, "fork"),
        ("another hash at the top, in an earlier epoch", at(EPOCH, 5, OTHER), None, "epoch"),
        ("the hash of another offset", at(EPOCH, 2, hashes[2]), None, "fork"),
        ("beyond the top, in the present epoch", at(LATER, 6, OTHER), None, "fork"),
        ("beyond the top, in an earlier epoch", at(EPOCH, 6, OTHER), None, "epoch"),
        ("beyond the top, with the hash that stands there", at(LATER, 6, hashes[4]), None, "fork"),
    ]  # fmt: skip


def _put_back(log: Stream) -> list[Case]:
    hashes = log.chain.hashes
    return [
        ("the top, of an earlier epoch", at(EPOCH, 3, hashes[2]), 4, None),
        ("another hash there, in the epoch of the log", at(EPOCH, 3, OTHER), None, "fork"),
        ("another hash there, in the store's epoch, in which nothing was said", at(LATER, 3, OTHER), None, "epoch"),
        ("beyond the top, in the epoch of the log: a lost tail", at(EPOCH, 4, OTHER), None, "epoch"),
        ("beyond the top, in the store's epoch", at(LATER, 4, OTHER), None, "fork"),
    ]


def _log(comment: str, log: Stream, cases: list[Case]) -> dict[str, Any]:
    places = [{"epoch": r.epoch.hex(), "offset": r.offset, "hash": r.hash.hex()} for r in log.records]
    asked = []
    for why, since, first, reason in cases:
        told = {"recovered": first is not None} | ({} if reason is None else {"reason": reason})
        asked.append(commented(why, since=_place(since), **told, first=first or 1))
    return commented(comment, stream=log.stream, epoch=LATER, rows=places, asked=asked)


def _place(since: Since | None) -> dict[str, Any] | None:
    return None if since is None else {"epoch": since.epoch.hex(), "offset": since.offset, "hash": since.hash.hex()}


def at(epoch: Epoch, offset: int, hash_: Hash) -> Since:
    """Where somebody stood."""
    return Since(epoch=epoch, offset=offset, hash=hash_)


def since_of(told: Mapping[str, Any] | None) -> Since | None:
    """Where somebody stood."""
    if told is None:
        return None
    return at(Epoch.from_hex(told["epoch"]), told["offset"], Hash.from_hex(told["hash"]))


def session_of_rows(log: Mapping[str, Any]) -> Session:
    """The coordinator's session with a log of which the hashes alone are known; `ANYBODY` may hear it."""
    session = Session(Id.from_hex(log["stream"]), Epoch.from_hex(log["epoch"]))
    for row in log["rows"]:
        epoch = Epoch.from_hex(row["epoch"])
        if epoch != session.chain.epoch:
            session.chain.epochs.append((row["offset"], epoch))
        session.chain.epoch = epoch
        session.chain.hashes.append(Hash.from_hex(row["hash"]))
    session.top, session.hearers = session.chain.offset, frozenset({ANYBODY})
    return session


def answered(session: Session, since: Since | None, proven: set[XOnlyKey], epoch: Epoch) -> dict[str, Any]:
    """What the coordinator answers."""
    try:
        found = resume(session, since, proven, epoch)
    except Refused as error:
        return {"refused": traces.answer(error)}
    more = {"reason": found.reason, "last": found.last}
    told = {name: value for name, value in more.items() if value is not None}
    return {"recovered": found.recovered, "first": found.next} | told


# Who may hear ---------------------------------------------------------------------------------------------------

ONE = {"recovered": False, "first": 1, "reason": "first_record_only", "last": 1}
ALL = {"recovered": False, "first": 1}
TAKEN = {"refused": {"reason": "slot_taken", "field": "stream"}}
Right = tuple[str, tuple[Keypair, ...], dict[str, Any]]
"""A comment, the keys that were proven, the answer."""


def _hearing() -> list[dict[str, Any]]:
    """Every key of §4.4, and who has none of them."""
    keygen, reader = Keygen(3), key_of("reader")
    invites = [keygen.cast.invite(slot) for slot in range(3)]
    keygen.hear(keygen.join(0, reader=xonly(reader)))
    keygen.hear(keygen.accept(0), keygen.join_by("mallory", 1, enclave=key_of("castle")))
    keygen.hear(keygen.release(1))
    keygen.hear(keygen.join(1))
    group = completed(3)
    signing = Signing(group, slots=(0, 1))
    owner = key_of("wallet")
    return [
        _stream("a keygen whose slot 0 is ready, slot 1 not, and slot 2 is free", keygen,
            ("no key", (), ONE), ("a key that is nothing here", (STRANGER,), ONE),
            ("the coordinator's own", (COORDINATOR,), ONE), ("the creator", (keygen.cast.creator,), ALL),
            ("the invite key of the slot that is ready", (invites[0],), TAKEN),
            ("of the slot that is not", (invites[1],), ALL), ("of the free slot", (invites[2],), ALL),
            ("the used invite key and a key that is nothing here", (invites[0], STRANGER), TAKEN),
            ("the used invite key and that of a free slot", (invites[0], invites[2]), ALL),
            ("the used invite key and its slot's auth key", (invites[0], keygen.auth(0)), ALL),
            ("an auth key", (keygen.auth(0),), ALL), ("of a join that is not ready", (keygen.auth(1),), ALL),
            ("a reader", (reader,), ALL), ("an enclave", (VAULT,), ALL),
            ("the auth key of a join that was released", (key_of("mallory"),), ONE),
            ("its enclave", (key_of("castle"),), ONE)),
        _stream("a signing of slots 0 and 1, which are at one enclave; slot 2 is at another", signing,
            ("an auth key", (group.auth(0),), ALL), ("of a slot that is not needed", (group.auth(2),), ALL),
            ("the enclave of needed slots", (VAULT,), ALL), ("of a slot that is not needed", (TOWER,), ONE),
            ("the creator of the keygen", (group.cast.creator,), ONE),
            ("an invite key", (group.cast.invite(0),), ONE)),
        _stream("a wallet", _wallet(owner), ("its key", (owner,), ALL), ("another", (STRANGER,), ONE)),
    ]  # fmt: skip


def _wallet(owner: Keypair) -> Stream:
    stream = Stream(traces.unsigned(payloads.encode(WalletOpen(v=1, by=xonly(owner)))))
    note = WalletNote(v=1, by=xonly(owner), stream=stream.stream, after=stream.chain.hash, note=Digest(OTHER))
    stream.hear(traces.unsigned(payloads.encode(note)))
    return stream


def _stream(comment: str, stream: Stream, *asked: Right) -> dict[str, Any]:
    home = {"keygen": traces.log_of(stream.keygen)} if isinstance(stream, Signing) else {}
    place = stream.records[0].position
    stood = {"epoch": place.epoch.hex(), "offset": 1, "hash": place.hash.hex()}
    told = [commented(why, proven=[key.key for key in keys], since=None, **answer) for why, keys, answer in asked]
    again = [
        commented(f"{why}, who stood at offset 1", proven=[key.key for key in keys], since=stood,
                  **({"recovered": True, "first": 2} if answer is ALL else answer))
        for why, keys, answer in asked[:4]
    ]  # fmt: skip
    return commented(comment, **home, log=traces.log_of(stream), asked=told + again)


def session_of_log(log: Iterable[Mapping[str, Any]], keygen: KeygenState | None = None) -> Session:
    """The coordinator's session with a log of payloads."""
    session: Session | None = None
    for one in log:
        statement = traces.unsigned(one["payload"])
        session = session or Session(statement.id, EPOCH)
        session.load(session.chain.next(EPOCH, one["at"], statement), keygen)
    assert session is not None
    session.loaded()
    return session


def keygen_of(log: Iterable[Mapping[str, Any]]) -> KeygenState | None:
    """The state of a keygen, for the signings of it."""
    return as_keygen(session_of_log(log).settled)
