"""The policy that is sealed with a key: under which rule an enclave may use it, and what else its owner allows.

It travels inside the envelope; the join commits to it.  `policy` and `item_policy` evaluate it.
"""

from __future__ import annotations

from .contents import Content
from .errors import bad_field
from .schnorr import tagged_hash
from .shapes import Rule
from .values import Hash, Salt


class Policy(Content, frozen=True, kw_only=True):
    """Under which rule an enclave may use the key it came with; ``salt`` hides it behind its public commitment.

    ``alone``: also for a subset of it alone; ``alone_blind``: also blind; ``accept_opaque_tweak``: also opaque tweaks.
    """

    salt: Salt
    rule: Rule
    alone: bool = False
    alone_blind: bool = False
    accept_opaque_tweak: bool = False

    def check(self) -> None:
        """The rule does not contradict itself; blind messages alone need the yes to be alone."""
        self.rule.check()
        if self.alone_blind and not self.alone:
            raise bad_field("alone_blind", "needs alone")


def policy_commitment(raw: bytes) -> Hash:
    """The commitment in ``keygen.join``: over the policy's bytes as they lie in the envelope."""
    return Hash(tagged_hash("keymeld/policy/v1", raw))
