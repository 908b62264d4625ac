"""Everything a participant keeps on disk, in one folder that one process uses at a time.

    FOLDER/                       mode 0700, every file 0600
      lock                        held while the wallet is open
      identity                    32 secret bytes, hex: the root of every key (§8.1); back it up, with a ticket (§8.5)
      trusted-enclaves            the enclave identities that its owner believes, hex, one a line
      keygens/KEYGEN.json         the secrets of one keygen, and the joins said in it
      brought-keys                hashes of the keys that its owner brought along and sealed; the keys are not kept
      outbox.jsonl                statements that were said and not answered yet, in order, byte for byte
      streams/STREAM.jsonl        the verified records of one stream, one a line, signed heads, and our own checkpoints;
                                  the last record is the position from which the stream is resumed
      lost/STREAM.jsonl           records that were verified and that a coordinator, restored from a backup, has not got
                                  any more; and those statements that the owner does without (§4.3)
      joins/STATEMENT.json        the joins that were said, whole: of an envelope no log gives its owner anything back
      evidence/STREAM.json        the record or head that broke a stream's log

A statement is in the outbox before it is submitted and leaves it once it is refused or its record was verified, so that
after a crash, here or at the coordinator, the same bytes are submitted again.  Small files are replaced atomically; a
torn last line of a stream is dropped.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from keymeld_host.files import FileLock
from keymeld_protocol.curve.secp256k1 import wipe
from keymeld_protocol.errors import BadInput
from keymeld_protocol.keys.derivation import Identity
from keymeld_protocol.values import Id
from keymeld_protocol.wire.payloads import KeygenJoin
from keymeld_protocol.wire.statements import Statement, WireStatement, parse

from ..errors import Damaged, WalletError
from .brought import BroughtKeys
from .entries import KeygenEntry, dump_entry, load_entry
from .files import folder_lock, named_by_id, own_key, private_folder, read_private, replace_file
from .journal import Journal, Pending
from .lost import LostTails
from .streams import StreamFiles

_FOLDERS: Final = ("keygens", "streams", "lost", "joins", "evidence")


class Wallet(StreamFiles):
    """One participant's folder, open in this process."""

    def __init__(self, folder: Path, lock: FileLock, identity: Identity, *, passing: bool = False) -> None:
        """Use `Wallet.open` or `Wallet.in_memory`."""
        self.folder = folder
        self.identity = identity
        self._lock = lock
        self._passing = passing
        self._journal = Journal(folder / "outbox.jsonl")
        self._brought = BroughtKeys(folder / "brought-keys")
        super().__init__(folder / "streams", LostTails(folder / "lost"))
        self._keygens = {entry.id: entry for entry in self._load_keygens()}

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, create: bool = True) -> Self:
        """Open the wallet in the folder ``path``; with ``create``, make one with a fresh identity if there is none.

        Raises:
            WalletError: in use by another process, damaged, readable by others, or (without ``create``) not there;
                or its sessions are there and its identity is not: a fresh one would be somebody else.
        """
        folder = Path(path)
        if not create and not (folder / "identity").exists():
            raise WalletError(f"{folder} holds no wallet")
        private_folder(folder)
        lock = folder_lock(folder)
        try:
            if not (folder / "identity").exists() and any((folder / "keygens").glob("[!.]*.json")):
                raise WalletError(f"{folder} holds sessions and no identity: put your copy of the file `identity` back")
            for name in _FOLDERS:
                private_folder(folder / name)
            return cls(folder, lock, _identity(folder / "identity"))
        except BaseException:
            lock.release()
            raise

    @classmethod
    def in_memory(cls) -> Self:
        """A wallet for tests and trials, in a temporary folder that ``close`` removes."""
        wallet = cls.open(tempfile.mkdtemp(prefix="keymeld-"))
        wallet._passing = True
        return wallet

    def close(self) -> None:
        """Wipe the identity and let other processes have the folder; closing twice is fine."""
        self.identity.wipe()
        self._journal.close()
        self.close_files()
        self._lock.release()
        if self._passing:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        """Where it is; nothing of what it holds."""
        return f"Wallet({str(self.folder)!r})"

    # Keygens ----------------------------------------------------------------------------------------------------

    def keygens(self, url: str | None = None) -> tuple[KeygenEntry, ...]:
        """The keygens remembered, or those that live at the coordinator ``url``."""
        return tuple(entry for entry in self._keygens.values() if url is None or entry.url == url)

    def keygen(self, ident: Id) -> KeygenEntry | None:
        """What is remembered of one keygen."""
        return self._keygens.get(ident)

    def remember(self, entry: KeygenEntry) -> None:
        """Put ``entry`` on disk as it is now.

        Raises:
            WalletError: a file of this session is damaged, the disk is full, or the folder cannot be written.
        """
        if entry.id in self.damaged:
            raise WalletError(self.damaged[entry.id])
        replace_file(self._keygen_path(entry.id), dump_entry(entry))
        self._keygens[entry.id] = entry

    def note_join(self, ident: Id, slot: int, join: Id) -> None:
        """Remember, on disk, a join that is about to be said: a log that does not show it is told from one that does.

        Raises:
            WalletError: the keygen is unknown, or the disk failed.
        """
        entry = self._known(ident)
        if join not in (said := entry.joins.setdefault(slot, [])):
            said.append(join)
            self.remember(entry)

    def turn_away(self, statement: Statement) -> None:
        """Remember of a join that the coordinator refused to take it: it was never in a log, and nobody lost a seat.

        Raises:
            WalletError: the disk failed.
        """
        said = statement.payload
        if isinstance(said, KeygenJoin) and (entry := self._keygens.get(said.stream)) is not None:
            entry.turned_away.setdefault(said.slot, []).append(statement.id)
            self.remember(entry)

    def give_up(self, ident: Id, joins: Mapping[int, Iterable[Id]]) -> None:
        """Remember that the owner does without these joins, by slot.

        Raises:
            WalletError: the keygen is unknown, or the disk failed.
        """
        entry = self._known(ident)
        entry.given_up.update({slot: list(given) for slot, given in joins.items()})
        self.remember(entry)

    def _known(self, ident: Id) -> KeygenEntry:
        """What is remembered of a keygen; raises `WalletError` if that is nothing."""
        entry = self._keygens.get(ident)
        if entry is None:
            raise WalletError("this wallet holds no ticket for that keygen")
        return entry

    def bring(self, point: bytes, again: bool = False) -> None:
        """Remember, on disk, that the key of ``point`` (33 bytes) is sealed now; ``again``: a second time, wittingly.

        Raises:
            WalletError: it was sealed before, or the disk failed.
        """
        self._brought.note(point, again)

    def forget(self, ident: Id) -> None:
        """Drop what is remembered of a keygen that never came to be."""
        self._keygen_path(ident).unlink(missing_ok=True)
        self._keygens.pop(ident, None)

    def _keygen_path(self, ident: Id) -> Path:
        return self.folder / "keygens" / f"{ident.hex()}.json"

    def _load_keygens(self) -> Iterator[KeygenEntry]:
        for ident, path in named_by_id(self.folder / "keygens", "json"):
            try:
                raw = read_private(path)
                yield load_entry(raw, f"keygens/{path.name}")
                wipe(raw)
            except Damaged as error:
                self.damaged[ident] = str(error)

    # The outbox -------------------------------------------------------------------------------------------------

    def outbox(self, url: str | None = None) -> tuple[Pending, ...]:
        """The statements that are not answered yet, in the order in which they were said."""
        return tuple(pending for pending in self._journal.waiting() if url is None or pending.url == url)

    def own(self, payload: str) -> Statement | None:
        """What was said from here and is not answered yet, with this payload."""
        return self._journal.own(payload)

    def post(self, url: str, statement: Statement) -> Pending:
        """Put a statement on disk, to be submitted until it is answered; the same one twice is one.

        Raises:
            WalletError: the disk is full, or the folder cannot be written.
        """
        if isinstance(statement.payload, KeygenJoin):
            replace_file(self._join_path(statement.id), msgspec.json.encode(statement.wire))
        return self._journal.post(url, statement)

    def join(self, ident: Id) -> Statement | None:
        """A join that was said from here, with its envelope; None if another copy of this wallet said it.

        Raises:
            WalletError: what is stored of it is damaged.
        """
        try:
            raw = read_private(self._join_path(ident))
            return parse(msgspec.json.decode(raw, type=WireStatement))
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, BadInput):
            raise WalletError(f"joins/{ident.hex()}.json is damaged, so that join cannot be said again") from None

    def _join_path(self, ident: Id) -> Path:
        return self.folder / "joins" / f"{ident.hex()}.json"

    def answered(self, pending: Pending) -> None:
        """The coordinator has answered, and what it answered was heard: it is not submitted again."""
        self._journal.answered(pending.statement.id)

    def placed(self, statement: Id) -> None:
        """A verified record holds this statement: if it is one of the outbox, it is not submitted again."""
        self._journal.answered(statement)

    # Evidence ---------------------------------------------------------------------------------------------------

    def accuse(self, stream: Id, evidence: dict[str, object]) -> None:
        """Keep what broke a stream's log first; a fork stays read-only until its owner removes the file.

        A fork takes the place of anything less: a record that merely does not follow must not hide it.

        Raises:
            WalletError: the disk is full, or the folder cannot be written.
        """
        path, kept = self.folder / "evidence" / f"{stream.hex()}.json", self.evidence(stream)
        if kept is None or (evidence.get("fork") and not kept.get("fork")):
            replace_file(path, msgspec.json.format(msgspec.json.encode(evidence)))

    def evidence(self, stream: Id) -> dict[str, object] | None:
        """What broke this stream's log, if anything did; what cannot be read any more counts as a fork."""
        with suppress(FileNotFoundError):
            raw = read_private(self.folder / "evidence" / f"{stream.hex()}.json")
            try:
                return msgspec.json.decode(raw, type=dict[str, object])
            except msgspec.DecodeError:
                return {"fork": True, "why": "what was kept as evidence is damaged"}
        return None


def _identity(path: Path) -> Identity:
    """Read the identity, or draw one and store it before it is used.

    Raises:
        WalletError: damaged, or readable by others.
    """
    secret = own_key(path)
    try:
        return Identity(secret)
    finally:
        wipe(secret)
