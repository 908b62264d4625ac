"""Fixtures that every test may ask for. Helpers that are plain functions live in tests/support."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.vectors import published


@pytest.fixture
def published_vectors() -> Callable[[str], Path]:
    """Find a published vector file by its path below the vectors' folder; the test is skipped where it is absent."""
    return published
