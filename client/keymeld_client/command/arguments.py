"""The types of arguments and options, made once."""

from __future__ import annotations

from typing import Final

from keymeld_protocol.contents import MAX_LABEL, MAX_TEXT

from . import words
from .words import Words

KEY: Final = Words("KEY", words.key)
SECRET: Final = Words("FILE", words.secret)
RULE: Final = Words("RULE", words.rule)
SPAN: Final = Words("DURATION", words.span)
DELAY: Final = Words("DURATION", words.delay)
WHEN: Final = Words("TIME", words.when)
SUBSET: Final = Words("SLOTS", words.subset)
SPENT: Final = Words("AMOUNT[:SCRIPT]", words.spent)
MESSAGE: Final = Words("HEX", words.message)
PSBT: Final = Words("FILE_OR_BASE64", words.psbt)
TRANSACTION: Final = Words("FILE_OR_HEX", words.transaction)
LABEL: Final = Words("TEXT", words.within(MAX_LABEL))
MEMO: Final = Words("TEXT", words.within(MAX_TEXT))
