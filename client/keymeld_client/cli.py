"""Where ``keymeld`` begins: it needs a terminal's libraries, which the SDK does without.

pip install keymeld-client          import keymeld_client          websockets, and nothing to type or draw with
pip install keymeld-client[cli]     the ``keymeld`` command        click, rich, segno beside it
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

EXTRA: Final = ("click", "rich", "segno")
"""What the extra ``cli`` brings."""

MISSING: Final = """\
error: the keymeld command needs the extra "cli" of keymeld-client: {} is not installed
       Install it with: {} -m pip install 'keymeld-client[cli]'
"""


def main() -> None:
    """Run the command; without its libraries say what to install."""
    missing = next((name for name in EXTRA if not _is_there(name)), None)
    if missing is not None:
        sys.stderr.write(MISSING.format(missing, sys.executable or "python"))
        sys.exit(2)  # as for whatever else is wrong with how it was called
    from .command.keymeld import main as command

    command()


def _is_there(name: str) -> bool:
    """Whether a library can be found; nothing of it is imported yet."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    main()
