"""How long hypothesis looks: quick and always the same, or ``HYPOTHESIS_PROFILE=long`` with other luck each time."""

import os
from typing import Any

from hypothesis import HealthCheck, settings


def profile(examples: int, moves: int = 1) -> settings:
    """The settings for a machine that the quick profile gives so many examples of so many moves."""
    common: dict[str, Any] = {"deadline": None, "print_blob": True, "suppress_health_check": list(HealthCheck)}
    if os.environ.get("HYPOTHESIS_PROFILE") == "long":
        return settings(max_examples=20 * examples, stateful_step_count=2 * moves, **common)
    return settings(max_examples=examples, stateful_step_count=moves, derandomize=True, database=None, **common)
