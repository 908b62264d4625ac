"""sdk.py: every name that the SDK exports, found where it lives, and read when it is asked for."""

import subprocess
import sys

import pytest

import keymeld_client
from keymeld_client import sdk

QUIET = """
import sys, keymeld_client
assert not [name for name in sys.modules if name.startswith(("keymeld_client.", "keymeld_protocol"))]
from keymeld_client import *
print(connect.__module__, Trust.__module__)
"""


@pytest.mark.parametrize("name", sdk.__all__)
def test_every_name_is_that_of_its_home(name: str) -> None:
    assert getattr(keymeld_client, name) is getattr(sdk, name)
    assert name in dir(keymeld_client)


def test_a_name_that_is_not_exported_is_none() -> None:
    with pytest.raises(AttributeError, match=r"'keymeld_client' has no attribute 'Nonsense'"):
        _ = keymeld_client.Nonsense  # type: ignore[attr-defined]
    assert not hasattr(keymeld_client, "__wrapped__")


def test_nothing_is_read_before_a_name_is_asked_for() -> None:
    run = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["keymeld_client.client", "keymeld_client.wallet.trust"]
