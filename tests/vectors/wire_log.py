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
from keymeld_protocol.wire.payloads import SigningConfirm
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
    sealed, state = said.blob("signatures"), log.state
    assert isinstance(state, SigningState) and isinstance(said.payload, SigningConfirm) and sealed is not None
    made = plan_of(state, log.records[0].statement, story.roster, group)
    entries = contributions.decode(group.open_in(said.payload, "signatures", sealed), len(made.items))
    found = [entry.signature for entry in entries if isinstance(entry, Finished)]
    signed = [spend.finalize({0: found[0]}) for spend in made.spends]
    return commented(
        "one signature for each item; transactions with their witnesses", stream=log.stream,
        items=[{"output": item.keyagg.output.hex(), "message": item.message.hex(), "signature": signature.hex()}
               for item, signature in zip(map(made.item, range(len(found))), found, strict=True)],
        transactions=signed,
    )  # fmt: skip
