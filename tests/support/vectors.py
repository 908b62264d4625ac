"""Where vectors are found: our own wire vectors, and the published ones that live beside the repository.

Published vectors (BIP-327, BIP-340, BIP-341, BIP-328, Nitro documents) are read where they are and never copied in.
Their folder is `KEYMELD_VECTORS` if that is set, else `../shared/vectors` as seen from the project's root.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
"""The project's root: the folder that holds the Makefile."""

WIRE = ROOT / "tests" / "vectors" / "wire"
"""Our own vectors, written by tests/vectors/make_wire.py and read by Python and TypeScript alike."""


def published_folder() -> Path:
    """Say where the published vectors would be; the folder need not exist."""
    named = os.environ.get("KEYMELD_VECTORS")
    return Path(named) if named else ROOT.parent / "shared" / "vectors"


def published(path: str) -> Path:
    """Find one published file or folder, such as `bip340/test-vectors.csv`, or skip the test that asks for it.

    Called while a module is collected, it skips the whole module.

    Raises:
        pytest.skip.Exception: the file is not there.
    """
    found = published_folder() / path
    if not found.exists():
        reason = (
            f"published vectors are absent: no {path} in {published_folder()} (KEYMELD_VECTORS names another folder)"
        )
        pytest.skip(reason, allow_module_level=True)
    return found


def published_json(path: str) -> Any:
    """Read one published JSON file, or skip the test that asks for it."""
    return json.loads(published(path).read_bytes())
