"""The types of arguments and options, made once."""

from __future__ import annotations

from typing import Final

from keymeld_protocol.plaintext.contents import MAX_LABEL, MAX_TEXT

from . import given, times, tweaking, words
from .words import Words

ADAPTOR: Final = Words("[and:|or:]POINT,…", given.adaptor)
KEY: Final = Words("KEY", given.key)
SECRET: Final = Words("FILE", given.secret)
RULE: Final = Words("RULE", words.rule)
SPAN: Final = Words("DURATION", times.span)
DELAY: Final = Words("DURATION", times.delay)
WHEN: Final = Words("TIME", times.when)
SUBSET: Final = Words("SLOTS", words.subset)
SPENT: Final = Words("AMOUNT[:SCRIPT]", given.spent)
MESSAGE: Final = Words("HEX", given.message)
OUTPUT_KEY: Final = Words("KEY", given.hexed(32, "an output key"))
POINT: Final = Words("POINT", given.point)
PRESIGNATURE: Final = Words("HEX", given.hexed(65, "a pre-signature"))
PSBT: Final = Words("FILE_OR_BASE64", given.psbt)
SIGNATURE: Final = Words("HEX", given.hexed(64, "a signature"))
TRANSACTION: Final = Words("FILE_OR_HEX", given.transaction)
PATH: Final = Words("PATH", tweaking.path)
PATHS: Final = Words("PATH", tweaking.paths)
STEPS: Final = Words("TWEAK", tweaking.steps)
LEAF: Final = Words("[DEPTH:]SCRIPT", tweaking.leaf)
TREE: Final = Words("FILE", tweaking.tree_file)
ROOT: Final = Words("HEX", tweaking.root)
LABEL: Final = Words("TEXT", words.within(MAX_LABEL))
MEMO: Final = Words("TEXT", words.within(MAX_TEXT))
