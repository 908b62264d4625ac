"""The types of arguments and options, made once."""

from __future__ import annotations

from typing import Final

from keymeld_protocol.plaintext.contents import MAX_LABEL, MAX_TEXT

from . import encoded, short_forms, times, tweaking
from .short_form import ShortForm

ADAPTOR: Final = ShortForm("[and:|or:]POINT,…", encoded.adaptor)
KEY: Final = ShortForm("KEY", encoded.key)
SECRET: Final = ShortForm("FILE", encoded.secret)
TYPED_RULE: Final = ShortForm("RULE", short_forms.rule)
SPAN: Final = ShortForm("DURATION", times.span)
DELAY: Final = ShortForm("DURATION", times.delay)
WHEN: Final = ShortForm("TIME", times.when)
SUBSET: Final = ShortForm("SLOTS", short_forms.subset)
SPENT: Final = ShortForm("AMOUNT[:SCRIPT]", encoded.spent)
MESSAGE: Final = ShortForm("HEX", encoded.message)
OUTPUT_KEY: Final = ShortForm("KEY", encoded.hexed(32, "an output key"))
POINT: Final = ShortForm("POINT", encoded.point)
TYPED_PRESIGNATURE: Final = ShortForm("HEX", encoded.hexed(65, "a pre-signature"))
PSBT: Final = ShortForm("FILE_OR_BASE64", encoded.psbt)
TICKET: Final = ShortForm("TICKET", encoded.ticket)
TYPED_SIGNATURE: Final = ShortForm("HEX", encoded.hexed(64, "a signature"))
TRANSACTION: Final = ShortForm("FILE_OR_HEX", encoded.transaction)
PATH: Final = ShortForm("PATH", tweaking.path)
PATHS: Final = ShortForm("PATH", tweaking.paths)
STEPS: Final = ShortForm("TWEAK", tweaking.steps)
LEAF: Final = ShortForm("[DEPTH:]SCRIPT", tweaking.leaf)
TREE: Final = ShortForm("FILE", tweaking.tree_file)
ROOT: Final = ShortForm("HEX", tweaking.root)
LABEL: Final = ShortForm("TEXT", short_forms.within(MAX_LABEL))
MEMO: Final = ShortForm("TEXT", short_forms.within(MAX_TEXT))
