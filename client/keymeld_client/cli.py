"""Where ``keymeld`` begins: it needs a terminal's libraries, which the SDK does without.

pip install keymeld-client          import keymeld_client          websockets, and nothing to type or draw with
pip install keymeld-client[cli]     the ``keymeld`` command        click, rich, segno beside it
"""

from __future__ import annotations

import sys
from typing import Final

EXTRA: Final = ("click", "rich", "segno")
"""What the extra ``cli`` brings."""

MISSING: Final = """\
error: the keymeld command needs the extra "cli" of keymeld-client: {} is not installed
       Install it with: {} -m pip install 'keymeld-client[cli]'
"""


def main() -> None:
    """Run the command; without its libraries say what to install."""
    try:
        from .command.keymeld import main as command
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        sys.stderr.write(MISSING.format(error.name, sys.executable or "python"))
        sys.exit(2)  # as for whatever else is wrong with how it was called
    command()


if __name__ == "__main__":
    main()
