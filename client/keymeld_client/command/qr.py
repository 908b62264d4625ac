"""A ticket as a picture in the terminal, for a phone to read.

Two rows of modules share one line of text, drawn with half blocks, so that a ticket fits into 27 lines.
"""

from __future__ import annotations

from io import StringIO

import segno


def terminal_qr(text: str) -> str:
    """Draw ``text`` as a QR code: lines of half blocks, light on dark as terminals are.

    Error correction L: a screen is clean, and fewer modules are easier to read from it.
    """
    drawn = StringIO()
    segno.make_qr(text, error="l", boost_error=False).terminal(drawn, border=2, compact=True)
    return drawn.getvalue().rstrip("\n")
