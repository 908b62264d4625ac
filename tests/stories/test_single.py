"""One member, one key: everything that a single key signs, and who else may let it sign alone."""

from collections.abc import Callable

import pytest

from keymeld_protocol.bitcoin.tweaks import child_steps
from keymeld_protocol.curve import ecdsa, schnorr
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import Blamed
from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.plaintext.body import Bip86, SignEcdsa, SignMessage
from keymeld_protocol.plaintext.contributions import Failed, Finished
from keymeld_protocol.values import Message
from tests.support.party import Party
from tests.support.world import MESSAGE, World, secret_of

OTHER = Message(secret_of("another message"))
ECDSA = SignEcdsa(message=OTHER)
ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
HONEST = ecdsa.sign
EVERYTHING = {"alone": True, "alone_blind": True}


def test_a_key_of_one_slot_signs_schnorr_and_ecdsa_in_one_request() -> None:
    world = World()
    alice, vault = world.member("alice"), world.enclave("vault")
    keygen = world.gather([alice], at=vault)
    message, child = Message(MESSAGE), child_steps((0, 3))
    signing = alice.request(
        keygen, SignMessage(message=message, tweaks=()), SignMessage(message=message, tweaks=(Bip86(),)),
        SignMessage(message=message, tweaks=child), ECDSA,
    )  # fmt: skip
    world.run()
    roster, found = alice.roster(keygen), alice.signatures(signing)
    untweaked, bip86, childs, classic = (bytes(result) for result in found if isinstance(result, bytes))
    key = roster.cards[0].pubkey
    assert verify(untweaked, MESSAGE, key[1:])
    assert verify(bip86, MESSAGE, roster.output)
    assert verify(childs, MESSAGE, roster.child((0, 3)).output)
    assert ecdsa.verify(classic, OTHER, key)
    assert alice.told(signing)[3] == Finished(signature=classic)


def test_a_key_list_of_several_fails_its_ecdsa_alone() -> None:
    party = Party("vault", "keep")
    party.gather(at=(0, 1, 0))
    signing = party.alice.request(party.group, SignMessage(message=Message(MESSAGE)), ECDSA)
    party.world.run()
    signed, failed = party.bob.signatures(signing)
    assert isinstance(signed, bytes) and failed == Failed("ecdsa_needs_one_key")


@pytest.mark.parametrize(
    ("allow", "code"),
    [({}, "alone_not_allowed"), ({"alone": True}, "blind_alone_not_allowed"), (EVERYTHING, None)],
)
def test_a_subset_of_one_signs_ecdsa_only_with_its_owners_yes_to_blind_messages(
    allow: dict[str, bool], code: str | None
) -> None:
    party = Party("vault", "keep")
    party.gather(at=(0, 1, 0), subsets=((0,),), allow=(allow, {}, {}))
    signing = party.alice.request(party.group, SignEcdsa(message=OTHER, subset=0))
    party.world.run()
    assert party.code(signing) == code
    if code is None:
        (signature,) = party.carol.signatures(signing)
        key = party.carol.roster(party.group).cards[0].pubkey
        assert isinstance(signature, bytes) and ecdsa.verify(signature, OTHER, key)


def test_a_subset_of_one_signs_ecdsa_beside_what_all_sign() -> None:
    party = Party("vault", "keep")
    party.gather(at=(0, 1, 0), subsets=((1,),), allow=({}, EVERYTHING, {}))
    alone = SignEcdsa(message=OTHER, subset=0)
    signing = party.bob.request(party.group, SignMessage(message=Message(MESSAGE)), alone)
    party.world.run()
    assert party.phase(signing) is SigningPhase.COMPLETED
    together, bobs = party.carol.signatures(signing)
    roster = party.carol.roster(party.group)
    assert isinstance(together, bytes) and verify(together, MESSAGE, roster.output)
    assert isinstance(bobs, bytes) and ecdsa.verify(bobs, OTHER, roster.cards[1].pubkey)


def high_s(message: bytes, secret: Secret) -> bytes:
    """A signature that verifies everywhere but here."""
    made = HONEST(message, secret)
    return made[:32] + (ORDER - int.from_bytes(made[32:], "big")).to_bytes(32, "big")


@pytest.mark.parametrize("sign", [high_s, schnorr.sign])
def test_whoever_hears_another_signature_than_was_asked_for_blames_its_enclave(
    sign: Callable[[bytes, Secret], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    alice, vault = world.member("alice"), world.enclave("vault")
    keygen = world.gather([alice], at=vault)
    monkeypatch.setattr(ecdsa, "sign", sign)
    signing = alice.request(keygen, ECDSA)
    world.run()
    assert world.state(signing).code == "bad_signature"
    with pytest.raises(Blamed, match="bad_signature"):
        alice.signatures(signing)
