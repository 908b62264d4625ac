"""The types of arguments and options, made once."""

from __future__ import annotations

from typing import Final

from keymeld_protocol.contents import MAX_LABEL, MAX_TEXT

from . import given, words
from .words import Words

KEY: Final = Words("KEY", given.key)
RULE: Final = Words("RULE", words.rule)
SPAN: Final = Words("DURATION", words.span)
SUBSET: Final = Words("SLOTS", words.subset)
SPENT: Final = Words("AMOUNT[:SCRIPT]", given.spent)
MESSAGE: Final = Words("HEX", given.message)
PSBT: Final = Words("FILE_OR_BASE64", given.psbt)
TRANSACTION: Final = Words("FILE_OR_HEX", given.transaction)
LABEL: Final = Words("TEXT", words.within(MAX_LABEL))
MEMO: Final = Words("TEXT", words.within(MAX_TEXT))
