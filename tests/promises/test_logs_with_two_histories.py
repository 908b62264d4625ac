"""A file that tells one session twice holds for neither: which history its address belongs to, nobody could say.

keygen ─▶ as alice heard it ─▶ as it was told to somebody else ─▶ FAILED
"""

from __future__ import annotations

from keymeld_client.shown.log import export_log, verify_log
from tests.client.paper import GROUP_SECRET, Reader, Tale


def test_a_session_that_stands_in_a_file_twice_does_not_hold() -> None:
    tale = Tale()
    reader = Reader(tale)
    reader.subscribed(tale.keygen)
    reader.hear(tale.keygen)
    lines = export_log(reader.wallet, tale.keygen)
    assert verify_log(lines, GROUP_SECRET).ok
    shorter = [line for line in lines if '"offset":1' in line or line.startswith('{"keymeld"')]
    report = verify_log([*lines, *shorter], GROUP_SECRET)
    assert not report.ok and "twice" in report.failures[0]
    reader.wallet.close()
