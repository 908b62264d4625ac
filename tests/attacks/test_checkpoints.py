"""Attacks with what a wallet has stored: somebody else writes its disk, and hands back what the owner never verified.

forged signatures, and a checkpoint of another stream, history or wallet, or a forged one
       └──▶ it is nothing: everything is verified, and the log breaks
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keymeld_client.errors import ReadOnly
from keymeld_client.shown.log import export_log
from keymeld_client.wallet.entries import KeygenEntry
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.errors import BadInput, BrokenLog
from keymeld_protocol.values import Hash, Id
from keymeld_protocol.wire.checkpoints import checkpoint_json, sign_checkpoint
from keymeld_protocol.wire.records import Position
from tests.client.paper import GROUP_SECRET, URL, Reader, Tale
from tests.support.coordinator import key_of

FORGED = "11" * 64
"""A signature of nobody."""


class Disk:
    """The folder of a wallet that has heard a keygen and a signing, in somebody else's hands."""

    def __init__(self, folder: Path) -> None:
        self.tale, self.folder = Tale(), folder
        wallet = Wallet.open(folder)
        wallet.remember(KeygenEntry(self.tale.keygen, URL, bytearray(GROUP_SECRET)))
        reader = Reader(self.tale, wallet)
        for stream in (self.tale.keygen, self.tale.signing):
            reader.subscribed(stream)
            reader.hear(stream)
        wallet.close()

    @property
    def path(self) -> Path:
        """The file of the keygen's stream."""
        return self.folder / "streams" / f"{self.tale.keygen.hex()}.jsonl"

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def write(self, *lines: dict[str, Any]) -> None:
        self.path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))

    def forge(self, *, checkpoints: bool = False) -> list[dict[str, Any]]:
        """Its records, one of them signed by nobody; with ``checkpoints``, the owner's own stay."""
        lines = [line for line in self.lines() if checkpoints or "checkpoint" not in line]
        lines[1]["statement"]["signatures"][0] = FORGED
        self.write(*lines)
        return lines

    def start(self) -> Reader:
        """The owner's next start."""
        return Reader(self.tale, Wallet.open(self.folder))


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "wallet")


def owners_word(disk: Disk, stream: Id, position: Position) -> dict[str, Any]:
    """What the owner could have said of something else."""
    with Wallet.open(disk.folder) as wallet, wallet.identity.wallet() as key:
        return checkpoint_json(sign_checkpoint(stream, position, key.sign))


def last(disk: Disk, stream: Id) -> Position:
    return disk.tale.world.logs[stream].records[-1].position


def of_another_stream(disk: Disk) -> dict[str, Any]:
    return owners_word(disk, disk.tale.signing, last(disk, disk.tale.keygen))


def of_another_history(disk: Disk) -> dict[str, Any]:
    here = last(disk, disk.tale.keygen)
    return owners_word(disk, disk.tale.keygen, Position(here.epoch, here.offset, Hash(bytes(32))))


def of_another_place(disk: Disk) -> dict[str, Any]:
    here = last(disk, disk.tale.keygen)
    return owners_word(disk, disk.tale.keygen, Position(here.epoch, here.offset - 1, here.hash))


def of_more_than_is_here(disk: Disk) -> dict[str, Any]:
    here = last(disk, disk.tale.keygen)
    return owners_word(disk, disk.tale.keygen, Position(here.epoch, here.offset + 1, here.hash))


def of_another_wallet(disk: Disk) -> dict[str, Any]:
    return checkpoint_json(sign_checkpoint(disk.tale.keygen, last(disk, disk.tale.keygen), key_of("mallory").sign))


def of_the_coordinator(disk: Disk) -> dict[str, Any]:
    sign = disk.tale.world.coordinator.sign
    return checkpoint_json(sign_checkpoint(disk.tale.keygen, last(disk, disk.tale.keygen), sign))


def that_is_forged(disk: Disk) -> dict[str, Any]:
    return of_another_wallet(disk) | {"sig": FORGED}


def with_the_signature_of_an_earlier_one(disk: Disk) -> dict[str, Any]:
    log = disk.tale.world.logs[disk.tale.keygen]
    earlier = owners_word(disk, disk.tale.keygen, log.records[0].position)
    return of_another_wallet(disk) | {"sig": earlier["sig"]}


WORDS: list[Callable[[Disk], dict[str, Any]]] = [
    of_another_stream, of_another_history, of_another_place, of_more_than_is_here, of_another_wallet,
    of_the_coordinator, that_is_forged, with_the_signature_of_an_earlier_one,
]  # fmt: skip


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.__name__)
def test_attack_65_a_checkpoint_that_is_not_ours_on_this_history_is_nothing(
    disk: Disk, word: Callable[[Disk], dict[str, Any]]
) -> None:
    """65: hands back a checkpoint of another stream, history or wallet, or one that is forged."""
    disk.write(*disk.forge(), {"checkpoint": word(disk)})
    with disk.start().closing() as reader:
        heard = reader.ledger.hearing.streams[disk.tale.keygen]
        assert isinstance(heard.broken, BrokenLog) and "signatures[0]" in str(heard.broken), "it was verified in full"
        assert heard.chain.offset == 1
        assert "is not believed" in reader.ledger.checkpoints.doubts[disk.tale.keygen], "and its owner is told"
        with pytest.raises(ReadOnly):
            reader.ledger.require(disk.tale.keygen)


def test_attack_65_a_history_that_was_swapped_below_our_word_is_verified_in_full(disk: Disk) -> None:
    """65: the records of another history, which nobody signed, under the checkpoint of the true one."""
    lines = disk.lines()
    payload = lines[1]["statement"]["payload"]
    lines[1]["statement"]["payload"] = payload.replace('"approval":"none"', '"approval":"self"')
    assert lines[1]["statement"]["payload"] != payload
    whole = owners_word(disk, disk.tale.keygen, last(disk, disk.tale.keygen))
    disk.write(*lines, {"checkpoint": whole})
    with disk.start().closing() as reader:
        heard = reader.ledger.hearing.streams[disk.tale.keygen]
        assert isinstance(heard.broken, BrokenLog) and heard.chain.offset == 1
        assert disk.tale.keygen in reader.ledger.checkpoints.doubts


def test_attack_65_signatures_that_were_altered_under_our_own_word_are_handed_to_nobody(disk: Disk) -> None:
    """65: a checkpoint covers statements and not their signatures: what is exported or accused with is verified."""
    lines = disk.forge(checkpoints=True)
    whole = owners_word(disk, disk.tale.keygen, last(disk, disk.tale.keygen))
    disk.write(*lines, {"checkpoint": whole})
    with disk.start().closing() as reader:
        heard = reader.ledger.hearing.streams[disk.tale.keygen]
        assert heard.broken is None and heard.chain.offset == len(disk.tale.wires(disk.tale.keygen))
        with pytest.raises(BadInput, match=r"signatures\[0\]"):
            export_log(reader.wallet, disk.tale.keygen)


def test_attack_65_our_latest_record_with_an_altered_signature_is_no_evidence(disk: Disk) -> None:
    """65: evidence holds our latest record only if its signatures hold."""
    lines = [line for line in disk.lines() if "statement" in line]
    lines[-1]["statement"]["signatures"][0] = FORGED
    whole = owners_word(disk, disk.tale.keygen, last(disk, disk.tale.keygen))
    disk.write(*lines, {"checkpoint": whole})
    with disk.start().closing() as reader:
        reader.subscribed(disk.tale.keygen, reason="fork")
        evidence = reader.wallet.evidence(disk.tale.keygen)
        assert evidence is not None and evidence["fork"] and evidence["ours"] is None
