"""log.json: a complete session of three people and two enclaves, as an exported log that anybody can verify."""

from __future__ import annotations

import json
from typing import Any

from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing import SigningState
from keymeld_protocol.member.plan import plan_of
from keymeld_protocol.plaintext import contributions
from keymeld_protocol.plaintext.contributions import Finished
from keymeld_protocol.wire.frames import head_json, record_json
from keymeld_protocol.wire.payloads import SigningConfirm
from keymeld_protocol.wire.records import sign_head

from . import cast
from .cast import commented
from .chance import Chance
from .story import Story, tell


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
    )  # fmt: skip


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
