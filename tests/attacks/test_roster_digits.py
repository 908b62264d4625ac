"""Attacks on what people compare: two rosters that read alike (§6.4).

Mallory grinds a free field of her join ─▶ two rosters that begin alike ─▶ digits that are as different as any others

She has the coordinator's help: Bob is shown one of her joins, Alice the other.  Within a second she finds 24 bits here:
the first six digits of what people would read aloud if that were the first bits of the roster.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from keymeld_protocol.machines.keygen_state import roster_hash
from keymeld_protocol.member import roster_digits as module
from keymeld_protocol.member.roster_digits import roster_digits
from keymeld_protocol.values import Hash, Id, XOnlyKey
from keymeld_protocol.wire.payloads import KeygenJoin
from keymeld_protocol.wire.statements import Statement, make, statement_id
from tests.support.coordinator import secret_of
from tests.support.machines import Keygen

GROUND = 3
"""Bytes of the roster that are made alike."""


class Grinder:
    """Mallory, who sits in slot 1: her key and her rule may be this or that, and ``reader`` may be anything."""

    def __init__(self) -> None:
        """Alice has joined."""
        self.group = Keygen(2)
        alice = self.group.join(0)
        self.group.hear(alice)
        self.alice = alice.id

    def join(self, policy: str, reader: XOnlyKey) -> Statement:
        """One of her joins, properly signed."""
        said = self.group.join(1, policy=Hash(secret_of(policy))).payload
        assert isinstance(said, KeygenJoin)
        auth, invite = self.group.auth(1), self.group.cast.invite(1)
        return make(replace(said, reader=reader), auth.sign, invite.sign, blobs=[b"sealed card", b"envelope of slot 1"])

    def roster(self, join: Id) -> Hash:
        """The roster with that join of hers."""
        return roster_hash(self.group.stream, (self.alice, join))

    def guesses(self, policy: str, count: int) -> dict[bytes, XOnlyKey]:
        """The reader by how the roster begins; nothing has to be signed to try."""
        none = XOnlyKey(bytes(31) + b"\xff")
        before, after = self.join(policy, none).text.split(none.hex())
        readers = (XOnlyKey(number.to_bytes(32, "big")) for number in range(1, count))
        return {self.roster(statement_id(before + each.hex() + after))[:GROUND]: each for each in readers}

    def collision(self) -> tuple[Hash, Hash]:
        """Two rosters that begin alike, each of a join that everybody takes."""
        shown, real = (self.guesses(policy, 1 << 14) for policy in ("what Alice is shown", "what Bob is shown"))
        start = next(iter(shown.keys() & real.keys()))
        one = self.join("what Alice is shown", shown[start])
        other = self.join("what Bob is shown", real[start])
        return self.roster(one.id), self.roster(other.id)


def groups_alike(one: Hash, other: Hash) -> int:
    """How many groups of the digits agree, of five."""
    pairs = zip(roster_digits(one).split(), roster_digits(other).split(), strict=True)
    return sum(left == right for left, right in pairs)


# 58: grinds free fields until two rosters read alike -----------------------------------------------------------------


def test_attack_58_rosters_that_were_ground_to_begin_alike_do_not_read_alike() -> None:
    """58: grinds free fields until two rosters read alike."""
    one, other = Grinder().collision()
    assert one != other and one[:GROUND] == other[:GROUND], "the first bits are ground within a second"
    assert groups_alike(one, other) == 0


@pytest.mark.parametrize("bit", [0, 99, 128, 255])
def test_attack_58_one_bit_of_the_roster_is_enough_for_other_digits(bit: int) -> None:
    """58: grinds free fields until two rosters read alike."""
    roster = Hash(secret_of("a roster"))
    altered = (int.from_bytes(roster, "big") ^ 1 << bit).to_bytes(32, "big")
    assert groups_alike(roster, Hash(altered)) == 0


def test_attack_58_a_collision_costs_two_to_the_fifty_evaluations_of_32_mebibytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """58: grinds free fields until two rosters read alike."""
    asked: list[dict[str, int]] = []

    def counted(roster: bytes, *, salt: bytes, n: int, r: int, p: int, maxmem: int, dklen: int) -> bytes:
        asked.append({"memory": 128 * n * r * p, "bits": 8 * dklen})
        return b"\xff" * dklen

    monkeypatch.setattr(module, "scrypt", counted)
    roster_digits.cache_clear()
    characters = roster_digits(Hash(secret_of("any roster"))).replace(" ", "")
    roster_digits.cache_clear()
    assert characters == "z" * 20, "each character stands for five bits, and none is always the same"
    assert asked == [{"memory": 32 * 1024 * 1024, "bits": 128}] and 5 * len(characters) // 2 == 50
