"""sizes.py: the longest thing that belongs into a field fits it, and what is longer is refused where it is read."""

from __future__ import annotations

import pytest

from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import BadInput, Reason
from keymeld_protocol.keys import aead, envelope
from keymeld_protocol.plaintext import contents, contributions
from keymeld_protocol.plaintext.contents import Card, Detail, Leaf, Script, Terms
from keymeld_protocol.plaintext.contributions import Both
from keymeld_protocol.values import PlainKey, Signature
from keymeld_protocol.wire import sizes
from keymeld_protocol.wire.shapes import MAX_ITEMS

WIDEST = "\x01"
"""A character that takes six bytes in JSON, more than any other."""


def test_sealing_adds_what_the_sizes_say() -> None:
    assert sizes.SEALING == aead.OVERHEAD


def test_the_longest_card_fits_its_field() -> None:
    point = PlainKey(Secret.generate().point)
    raw = contents.encode(Card(v=1, pubkey=point, label=WIDEST * 64, possession=Signature(bytes(64))))
    assert len(raw) + sizes.SEALING == 664 <= sizes.MAX_CARD


def test_the_longest_detail_fits_its_field() -> None:
    raw = contents.encode(Detail(v=1, message=WIDEST * 512))
    assert len(raw) + sizes.SEALING == 3132 <= sizes.MAX_DETAIL


def test_the_longest_entries_fill_their_field_to_the_byte() -> None:
    entry = Both(bytes(66), bytes(32), bytes(64))
    assert len(contributions.encode([entry] * MAX_ITEMS)) + sizes.SEALING == sizes.MAX_VALUES


def test_terms_with_128_leaves_of_1000_bytes_fit_and_a_longer_tree_is_refused_before_it_is_sealed() -> None:
    assert len(contents.encode(tree(128, 1000))) + sizes.SEALING <= sizes.MAX_TERMS
    with pytest.raises(BadInput) as refused:
        contents.encode(tree(128, 1024))
    assert (refused.value.reason, refused.value.limit) == (Reason.TOO_BIG, sizes.MAX_TERMS - sizes.SEALING)


def test_an_envelope_leaves_a_policy_what_its_own_rule_says() -> None:
    assert (envelope.MAX_POLICY, sizes.MAX_ENVELOPE) == (16_246, 16_384)


def tree(leaves: int, size: int) -> Terms:
    """Terms with so many leaves, a power of two, each with a script of so many bytes."""
    depth = leaves.bit_length() - 1
    leaf = Leaf(depth=depth, version=0xC0, script=Script(bytes(size)))
    return Terms(v=1, label="", network="regtest", tweak="tree", tree=(leaf,) * leaves)
