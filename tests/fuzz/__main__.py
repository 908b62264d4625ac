"""Look longer: ``python -m tests.fuzz 10`` repeats the long profile, with other luck each time, for ten minutes.

It ends with the first fault, which hypothesis has made small, and keeps in ``.hypothesis`` to begin with it next time.
"""

import os
import sys
from time import monotonic

import pytest

from tests.support.vectors import ROOT

MINUTES = 5.0
"""How long, unless it is said."""


def main(minutes: float = MINUTES) -> int:
    """Rounds until the time is over; gives pytest's exit code."""
    os.environ["HYPOTHESIS_PROFILE"] = "long"
    end, code, rounds = monotonic() + 60 * minutes, 0, 0
    while not code and monotonic() < end:
        code, rounds = int(pytest.main(["-q", "-x", str(ROOT / "tests" / "fuzz")])), rounds + 1
    print(f"{rounds} rounds", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:])))
