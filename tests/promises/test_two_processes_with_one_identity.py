"""Two enclaves with one identity: whoever finds another's nonce in its own name signs nothing with its own.

keep ─▶ nonces ──┐                        the log holds one of the two
twin ─▶ nonces ──┴▶ already_contributed ─▶ the twin's nonce is wiped, never spent on a session that it is not part of
"""

from __future__ import annotations

import pytest

from keymeld_enclave.agent import Agent
from keymeld_enclave.keymanagement import EnclaveIdentity
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.member.signer import Nonces, NoncesGone
from tests.protocol.member.test_signer import Bench
from tests.support.coordinator import secret_of
from tests.support.party import Party
from tests.support.world import MESSAGE, Enclave


class Twin(Enclave):
    """A second process with the keep's key file."""

    def _born(self) -> Agent:
        with Secret(secret_of("keep")) as secret:
            identity = EnclaveIdentity(Secret(secret.buffer))
        return Agent(identity, lambda: self.world.now, self.concerns.append)


def test_a_nonce_that_is_not_the_one_in_the_log_is_wiped_and_not_spent() -> None:
    bench = Bench()
    attempt, mine = bench.attempt(), Nonces(1)
    bench.keep.nonces(attempt, mine)
    bench.up_to_psigs(attempt)
    with pytest.raises(NoncesGone):
        bench.keep.psigs(attempt, mine)
    assert "0 unspent" in repr(mine)


def test_a_twin_is_not_blamed_for_a_psig_that_answers_the_others_nonce() -> None:
    party = Party("vault", "keep")
    party.gather(at=(0, 1, 0))
    vault, keep = party.vaults
    twin = Twin(party.world, "twin")
    twin.come_back()
    party.world.run()
    signing = party.alice.request(party.group, MESSAGE)
    while twin.step():
        pass
    party.world.run()
    assert party.code(signing) != "bad_psig"
    assert not [error for enclave in (vault, keep, twin) for error in enclave.concerns]
    steps = [s.payload.step for s in twin.said if s.payload.kind == "signing.contribute"]  # type: ignore[union-attr]
    assert keep.key == twin.key and steps.count("psigs") <= 1
