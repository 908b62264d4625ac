"""Files that hold secrets: made private, refused when others may read them, never quoted in a complaint."""

import os
import stat
from pathlib import Path

import pytest

from keymeld_host.settings import BadSetting
from keymeld_server.secretfiles import AccessTokens, access_tokens, coordinator_key

TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the secret lies."""
    return tmp_path / "secret"


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write a file with a mode."""
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_key_is_made_once_and_read_afterwards(path: Path) -> None:
    made = coordinator_key(path)
    assert len(made) == 32
    assert coordinator_key(path) == made
    assert path.read_text() == made.hex() + "\n"


def test_two_keys_differ(path: Path) -> None:
    assert coordinator_key(path) != coordinator_key(path.with_name("other"))


def test_a_made_key_is_readable_by_its_owner_alone_and_leaves_nothing_beside_it(path: Path) -> None:
    coordinator_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_key_comes_in_a_buffer_that_can_be_wiped(path: Path) -> None:
    assert isinstance(coordinator_key(path), bytearray)


def test_an_absent_key_is_refused_where_none_may_be_made(path: Path) -> None:
    with pytest.raises(BadSetting, match=r"key_file: .*No such file"):
        coordinator_key(path, create=False)
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_key_that_others_may_use_is_refused(path: Path, mode: int) -> None:
    write(path, "11" * 32, mode)
    with pytest.raises(BadSetting, match=rf"has mode {mode:04o}.*chmod 600"):
        coordinator_key(path)


@pytest.mark.parametrize("text", ["", "11" * 31, "11" * 33, "11" * 31 + "1g", "AA" * 32, "11" * 32 + "\n\n"])
def test_a_key_file_with_anything_else_is_refused_without_quoting_it(path: Path, text: str) -> None:
    write(path, text)
    with pytest.raises(BadSetting) as caught:
        coordinator_key(path)
    assert "64 lower-case hex digits" in str(caught.value)
    assert not text or text.strip() not in str(caught.value)


def test_a_key_that_is_no_file_is_refused_at_once(path: Path) -> None:
    os.mkfifo(path, 0o600)
    with pytest.raises(BadSetting, match="must be a regular file"):
        coordinator_key(path)


def test_a_folder_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(BadSetting, match=r"key_file: .*No such file"):
        coordinator_key(path / "deeper")


def test_tokens_are_accepted_line_by_line(path: Path) -> None:
    tokens = access_tokens(write(path, f"# for the back end\n{TOKEN}\n\n  {TOKEN}-2  \n"))
    assert tokens.accepts(TOKEN) and tokens.accepts(TOKEN + "-2")
    assert not any(map(tokens.accepts, ("", "# for the back end", TOKEN + "-3", TOKEN.upper(), "\ud800")))


def test_tokens_do_not_show_themselves(path: Path) -> None:
    tokens = access_tokens(write(path, TOKEN))
    assert repr(tokens) == "AccessTokens(1)"
    assert TOKEN not in str(vars(tokens))


def test_no_tokens_accept_nothing() -> None:
    assert not AccessTokens([]).accepts("")


def test_a_short_token_is_refused_by_its_line(path: Path) -> None:
    with pytest.raises(BadSetting, match="line 2: must be at least 16 characters") as caught:
        access_tokens(write(path, f"{TOKEN}\nshort\n"))
    assert "short\n" not in str(caught.value)


def test_tokens_that_others_may_read_are_refused(path: Path) -> None:
    with pytest.raises(BadSetting, match=r"access_tokens_file: .* has mode 0644"):
        access_tokens(write(path, TOKEN, 0o644))
