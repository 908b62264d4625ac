"""How much of each package the tests reach, lines and branches together, and the floor under which none may fall.

``make coverage`` runs the tests that stay in one process, and then this.  Floors follow what was reached: upwards only.
"""

import io
import sys
from typing import Final

from coverage import Coverage

FLOORS: Final = {"protocol": 99, "host": 99, "enclave": 90, "server": 94, "client": 87}
"""Percent, by package."""


def reached(measured: Coverage, package: str) -> float:
    """What was reached of one package, in percent."""
    return measured.report(include=[f"*/keymeld_{package}/*"], file=io.StringIO())


def main() -> int:
    """Tell each package's share; 1 if one is below its floor."""
    measured = Coverage()
    measured.load()
    shares = {package: reached(measured, package) for package in FLOORS}
    for package, share in shares.items():
        low = "" if share >= FLOORS[package] else "   too low: `coverage html` shows what no test reaches"
        print(f"{package:<10}{share:6.2f} %   floor {FLOORS[package]} %{low}")
    return int(any(share < FLOORS[package] for package, share in shares.items()))


if __name__ == "__main__":
    sys.exit(main())
