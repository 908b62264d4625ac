"""The contributions to an attempt that were heard and are not read yet (§11.2).

heard ─▶ note ─▶ read         opened, taken into the attempt, and let go of
              └▶ pass_over    another attempt was opened, or nothing of the request is signed here
"""

from __future__ import annotations

from ..errors import BadInput, Blamed, InvalidCrypto
from ..machines.replay import Replay
from ..plaintext import contributions
from ..plaintext.contributions import Entry
from ..wire.payloads import SigningContribute
from ..wire.records import Record
from ..wire.statements import Statement
from .attempt import Attempt
from .holder import KeyHolder
from .judging import Judging


class Unread:
    """Records of contributions, in the order of the log; their sealed values are kept until they are read."""

    def __init__(self, heard: Replay, judging: Judging, holder: KeyHolder) -> None:
        self._heard, self._judging, self._holder = heard, judging, holder
        self._records: list[Record] = []

    def __len__(self) -> int:
        """How many are not read yet."""
        return len(self._records)

    def note(self, record: Record) -> None:
        """One more has come."""
        self._records.append(record)

    def read(self, reading: Attempt) -> Blamed | None:
        """Take all of them into the attempt; gives the first that does not hold, which blames its signer."""
        blamed = None
        while self._records:
            record = self._records.pop(0)
            try:
                self._read(reading, record)
            except Blamed as error:
                blamed = blamed or error
            self._let_go(record)
        return blamed

    def pass_over(self) -> None:
        """None of them is needed any more."""
        for record in self._records:
            self._let_go(record)
        self._records.clear()

    def _read(self, reading: Attempt, record: Record) -> None:
        said = record.statement.payload
        assert isinstance(said, SigningContribute)
        entries = self._open(said, self._heard.record_of(record.statement.id).statement, reading)
        reading.hear(said.by, entries, finished=said.step == "signatures")

    def _open(self, said: SigningContribute, statement: Statement, reading: Attempt) -> tuple[Entry, ...]:
        sealed = statement.blob("values")
        if sealed is None:
            raise Blamed("missing_blob", said.slots, "the sealed values were not delivered")
        try:
            return contributions.decode(self._judging.group.open_in(said, "values", sealed), len(reading.places))
        except (InvalidCrypto, BadInput) as error:
            raise Blamed("bad_values", said.slots, str(error)) from None

    def _let_go(self, record: Record) -> None:
        self._holder.let_go(self._heard, record, "values")
