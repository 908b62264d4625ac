"""log.json: a complete session of three people and two enclaves, as an exported log that anybody can verify."""

from __future__ import annotations

import json
from typing import Any

from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.keygen_state import KeygenState
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing import SigningState
from keymeld_protocol.member.plan import plan_of
from keymeld_protocol.plaintext import contributions
from keymeld_protocol.plaintext.contributions import Finished
from keymeld_protocol.values import Hash
from keymeld_protocol.wire.frames import head_json, record_json
from keymeld_protocol.wire.payloads import SigningContribute
from keymeld_protocol.wire.records import Chain, Record, sign_head
from keymeld_protocol.wire.statements import Statement

from . import cast
from .cast import commented
from .chance import Chance
from .story import Story, bodies, request, tell

LATER = cast.NOON + 3_600_000
"""When the requests are asked that nobody heard (ms)."""


def log_json() -> Any:
    """The keygen, a signing by one enclave, and a signing by two."""
    story = tell()
    with Chance("log"):
        streams = [
            _stream("the keygen: three joins, sealed to two enclaves", story.keygen),
            _stream("one enclave speaks for both slots: one message, step signatures, and the confirm", story.alone),
            _stream("two enclaves: nonces, both, psigs, confirm; the second item needs the first enclave only",
                    story.together),
        ]  # fmt: skip
    return commented(
        "Replay the streams in this order. S opens every sealed field; the enclave secrets open the envelopes, which a "
        "coordinator sends to their enclaves alone.",
        coordinator=cast.COORDINATOR.key, epoch=cast.EPOCH, S=cast.GROUP_SECRET,
        people=dict(cast.IDENTITIES), open_secret=cast.OPEN_SECRET,
        enclaves={name: cast.secret_of(name) for name in cast.ENCLAVES},
        streams=streams, roster=story.roster.hash, address=story.roster.address(),
        signatures=[_signed(story, story.alone), _signed(story, story.together)],
        requests=_requests(story),
    )  # fmt: skip


def _requests(story: Story) -> list[dict[str, Any]]:
    """Requests of Alice's, by where the records that their ``after`` names stand in the keygen's stream (§7.2)."""
    keygen, body = story.keygen, bodies(story.roster)[0]
    assert isinstance(keygen.state, KeygenState) and keygen.state.completed is not None
    last = keygen.state.completed
    cases: list[tuple[str, Hash, str]] = [
        ("after keygen.create", keygen.chain.hashes[0], "broken"),
        ("after the record before the one that completed the keygen", keygen.chain.hashes[last - 2], "broken"),
        ("after the record that completed it", keygen.chain.hashes[last - 1], "taken"),
        ("after a later one", keygen.chain.hashes[last], "taken"),
        ("after a record of no history", Hash(cast.secret_of("no record")), "fork"),
    ]
    with Chance("requests"):
        return [
            commented(why, record=json.loads(record_json(_opening(request(0, keygen, body, (0, 1), LATER, after)))),
                      verdict=verdict)
            for why, after, verdict in cases
        ]  # fmt: skip


def _opening(said: Statement) -> Record:
    """The first record of the stream that a request opens."""
    return Chain(said.id).next(cast.EPOCH, LATER, said)


# export.json ----------------------------------------------------------------------------------------------------


def export_json() -> Any:
    """The same session as an exported log, and what is none, or does not hold."""
    story = tell()
    with Chance("export"):
        both, alone = _exported(story.keygen, story.together), _exported(story.keygen)
    signed = [item["signature"] for item in _signed(story, story.together)["items"]]
    return commented(
        "Files line by line, without their line ends. 'refused' and 'does_not_hold' are the first of 'logs' with "
        "'line' (from 1) put as the lines of 'instead'.",
        logs=[
            commented("a signing, after its keygen", lines=both, S=cast.GROUP_SECRET, address=story.roster.address(),
                      signatures=signed),
            commented("a keygen alone", lines=alone, S=cast.GROUP_SECRET, address=story.roster.address(),
                      signatures=[]),
            commented("without heads nobody vouches for its end; it holds", S=cast.GROUP_SECRET, signatures=signed,
                      lines=[line for line in both if not line.startswith('{"head"')],
                      address=story.roster.address()),
        ],
        refused=[commented(why, line=line, instead=instead) for why, line, instead in _no_files(both)],
        does_not_hold=[commented(why, line=line, instead=instead) for why, line, instead in _untrue(both)],
    )  # fmt: skip


def _exported(*logs: Replay) -> list[str]:
    """The lines of a file with a section for each log."""
    lines = []
    for log in logs:
        kind = "keygen" if log.keygen is None else "signing"
        coordinator = cast.COORDINATOR.key.hex()
        header = {"keymeld": "log/1", "stream": log.stream.hex(), "kind": kind, "coordinator": coordinator}
        head = head_json(sign_head(log.stream, log.records[-1], cast.COORDINATOR.sign))
        lines += [_line(header), *(record_json(record).decode() for record in log.records), _line({"head": head})]
    return lines


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _no_files(lines: list[str]) -> list[tuple[str, int, list[str]]]:
    """What is no exported log: the line that is put otherwise, and as what."""
    header, first = lines[0], lines[1]
    head = next(number for number, line in enumerate(lines, 1) if line.startswith('{"head"'))
    return [
        ("no header", 1, []),
        ("a newer format", 1, [header.replace("log/1", "log/2")]),
        ("another kind", 1, [header.replace("keygen", "wallet")]),
        ("an unknown member in a header", 1, [header[:-1] + ',"extra":1}']),
        ("a header without records", 1, [header, header]),
        ("a head without records", 1, [header, lines[head - 1]]),
        ("a space", 2, [first.replace(":", ": ", 1)]),
        ("a space at the end", 2, [first + " "]),
        ("members in another order", 2, [_line(dict(reversed(json.loads(first).items())))]),
        ("an unknown member in a record", 2, [first[:-1] + ',"extra":1}']),
        ("a member twice", 2, [first.replace('"offset":1', '"offset":1,"offset":1')]),
        ("hex in upper case", 2, [first.replace(cast.EPOCH.hex(), cast.EPOCH.hex().upper())]),
        ("no JSON", 2, ["keymeld"]),
        ("a record behind a head", head, [lines[head - 1], first]),
        ("two heads", head, [lines[head - 1], lines[head - 1]]),
    ]


def _untrue(lines: list[str]) -> list[tuple[str, int, list[str]]]:
    """What reads well and does not hold."""
    header, third = json.loads(lines[0]), json.loads(lines[2])
    head = next(number for number, line in enumerate(lines, 1) if line.startswith('{"head"'))
    signing, coordinator = json.loads(lines[head]), cast.xonly_of("another").hex()
    blobs = third["statement"] | {"blobs": json.loads(lines[1])["statement"]["blobs"] + [None]}
    return [
        ("a record is left out", 3, []),
        ("a record comes twice", 3, [lines[2], lines[2]]),
        ("another time", 3, [_line(third | {"at": third["at"] + 1})]),
        ("a blob of another statement", 3, [_line(third | {"statement": blobs})]),
        ("the header names another coordinator", 1, [_line(header | {"coordinator": coordinator})]),
        ("the header names another stream", 1, [_line(header | {"stream": signing["stream"]})]),
        ("the header names another kind", 1, [_line(header | {"kind": "signing"})]),
        ("records are missing before the head", head - 1, []),
        ("the head of another stream", head, [lines[-1]]),
        ("a section twice", len(lines), [lines[-1], *lines[:head]]),
        ("a signing's section names another stream", head + 1, [_line(signing | {"stream": header["stream"]})]),
    ]


# log.json, its parts --------------------------------------------------------------------------------------------


def _stream(comment: str, log: Replay) -> dict[str, Any]:
    assert log.state is not None
    return commented(
        comment, stream=log.stream, kind=log.records[0].statement.payload.kind,
        records=[json.loads(record_json(record)) for record in log.records],
        head=head_json(sign_head(log.stream, log.records[-1], cast.COORDINATOR.sign)),
        state=str(getattr(log.state, "phase", "open")),
    )  # fmt: skip


def _signed(story: Story, log: Replay) -> dict[str, Any]:
    """What the last record's sealed signatures are, and the transactions that they complete."""
    said, group = log.records[-1].statement, GroupKey(cast.GROUP_SECRET, cast.SALT)
    sealed, state = said.blob("values"), log.state
    assert isinstance(state, SigningState) and isinstance(said.payload, SigningContribute) and sealed is not None
    made = plan_of(state, log.records[0].statement, story.roster, group)
    entries = contributions.decode(group.open_in(said.payload, "values", sealed), len(made.items))
    found = [entry.signature for entry in entries if isinstance(entry, Finished)]
    signed = [spend.finalize({0: found[0]}) for spend in made.spends]
    return commented(
        "one signature for each item; transactions with their witnesses", stream=log.stream,
        items=[{"output": item.keyagg.output.hex(), "message": item.message.hex(), "signature": signature.hex()}
               for item, signature in zip(map(made.item, range(len(found))), found, strict=True)],
        transactions=signed,
    )  # fmt: skip
