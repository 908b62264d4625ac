"""app.py: what a command tells beside what it is about."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from keymeld_client.command.app import App
from keymeld_protocol.errors import Reason, Refused


def test_what_went_wrong_beside_a_command_is_told_once_it_is_online(capsys: pytest.CaptureFixture[str]) -> None:
    client = cast(Any, SimpleNamespace(problems=(Refused(Reason.OVER_LIMIT, "it lists sessions without an end"),)))
    App()._tell_problems(client)
    assert "it lists sessions without an end" in capsys.readouterr().err
    App(quiet=True)._tell_problems(client)
    assert capsys.readouterr() == ("", "")
