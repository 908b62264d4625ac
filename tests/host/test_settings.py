"""Settings: the layers and their order, the rules, and complaints that name the setting, the rule and the source."""

# ruff: noqa: RUF009 - `setting` makes a field, as dataclasses.field does

from dataclasses import dataclass
from pathlib import Path

import pytest

from keymeld_host import settings
from keymeld_host.settings import BadSetting, limits_told, many, maybe, one_of, path, setting, text, whole


@dataclass(frozen=True)
class Small:
    """A few settings, one of each kind."""

    turns_max: int = setting(3, whole(1, 10), "game", "turns of one game", told=True)
    colour: str = setting("red", one_of("red", "blue"), "game", "colour of the board")
    words: tuple[str, ...] = setting((), many(text("WORD", "lower case", str.islower)), "game", "words to guess")
    board: Path = setting(Path("board"), path(), "files", "where the board lies")
    saved: Path | None = setting(None, maybe(path()), "files", "where games are kept")


PARSER = settings.parser(Small, "small", "SMALL_", "A small program.", "example: small")


def read(*argv: str, **environment: str) -> Small:
    """The settings of a start with these flags and variables."""
    return settings.read(Small, PARSER.parse_args(argv), "SMALL_", environment)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with one setting."""
    made = tmp_path / "small.toml"
    made.write_text("turns_max = 4\n")
    return made


def test_without_anything_the_defaults_hold() -> None:
    assert read() == Small()


def test_a_later_layer_wins(file: Path) -> None:
    assert read("--config", str(file)).turns_max == 4
    assert read("--config", str(file), SMALL_TURNS_MAX="5").turns_max == 5
    assert read("--config", str(file), "--turns-max", "6", SMALL_TURNS_MAX="5").turns_max == 6


def test_the_environment_may_name_the_file(file: Path) -> None:
    assert read(SMALL_CONFIG=str(file)).turns_max == 4


@pytest.mark.parametrize(
    ("layer", "complaint"),
    [
        ({"SMALL_TURNS_MAX": "0"}, "turns_max: must be 1…10, not 0 (from SMALL_TURNS_MAX)"),
        ({"SMALL_TURNS_MAX": "-1"}, "turns_max: must be 1…10, not -1 (from SMALL_TURNS_MAX)"),
        ({"SMALL_TURNS_MAX": "3.0"}, "turns_max: must be 1…10, not '3.0' (from SMALL_TURNS_MAX)"),
        ({"SMALL_TURNS_MAX": "٣"}, "turns_max: must be 1…10, not '٣' (from SMALL_TURNS_MAX)"),
        ({"SMALL_TURNS_MAX": " 3"}, "turns_max: must be 1…10, not ' 3' (from SMALL_TURNS_MAX)"),
        ({"SMALL_TURNS_MAX": "--3"}, "turns_max: must be 1…10, not '--3' (from SMALL_TURNS_MAX)"),
        ({"SMALL_TURNS_MAX": ""}, "turns_max: must be 1…10, not '' (from SMALL_TURNS_MAX)"),
        ({"SMALL_COLOUR": "Red"}, "colour: must be red or blue, not 'Red' (from SMALL_COLOUR)"),
        ({"SMALL_WORDS": "a,B"}, "words: must be any number of: lower case, not 'a,B' (from SMALL_WORDS)"),
        ({"SMALL_BOARD": "~no such user/x"}, "board: must be a path, not '~no such user/x' (from SMALL_BOARD)"),
        ({"SMALL_BOARD": ""}, "board: must be a path, not '' (from SMALL_BOARD)"),
    ],
)
def test_a_bad_value_is_refused_by_name_with_its_rule_and_source(layer: dict[str, str], complaint: str) -> None:
    with pytest.raises(BadSetting) as caught:
        read(**layer)
    assert str(caught.value) == complaint


def test_a_bad_value_of_a_flag_names_the_flag() -> None:
    with pytest.raises(BadSetting, match=r"not 11 \(from --turns-max\)"):
        read("--turns-max", "11")


def test_a_bad_value_is_refused_even_where_a_later_layer_replaces_it() -> None:
    with pytest.raises(BadSetting, match="SMALL_TURNS_MAX"):
        read("--turns-max", "3", SMALL_TURNS_MAX="many")


@pytest.mark.parametrize("toml", ["turns_max = true", "turns_max = 3.0", "turns_max = [3]", "board = 3", "words = 3"])
def test_a_value_of_another_type_in_the_file_is_refused(file: Path, toml: str) -> None:
    file.write_text(toml)
    with pytest.raises(BadSetting, match=rf"{toml.split()[0]}: must be .* \(from .*small\.toml\)"):
        read("--config", str(file))


def test_an_unknown_key_in_the_file_is_refused_by_name(file: Path) -> None:
    file.write_text("turn_max = 3")
    with pytest.raises(BadSetting, match="turn_max: is not a setting"):
        read("--config", str(file))


def test_a_misspelt_variable_is_refused_by_name() -> None:
    with pytest.raises(BadSetting, match="SMALL_TURN_MAX: is not a setting"):
        read(SMALL_TURN_MAX="3")


def test_variables_of_others_are_left_alone() -> None:
    assert read(SMALLER_TURNS="3", PATH="/bin") == Small()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"config: .*absent\.toml cannot be read: No such file"):
        read("--config", str(tmp_path / "absent.toml"))


def test_a_file_that_is_not_toml_is_refused_with_the_place(file: Path) -> None:
    file.write_text("turns_max : 3")
    with pytest.raises(BadSetting, match="line 1"):
        read("--config", str(file))


def test_a_list_is_an_array_in_the_file_and_commas_elsewhere(file: Path) -> None:
    file.write_text('words = ["one", "two"]')
    assert read("--config", str(file)).words == read("--words", "one, two").words == ("one", "two")


def test_a_relative_path_in_the_file_starts_from_its_folder(file: Path) -> None:
    file.write_text('board = "games/board"\nsaved = "/kept"')
    found = read("--config", str(file))
    assert (found.board, found.saved) == (file.parent / "games/board", Path("/kept"))
    assert read("--board", "games/board").board == Path("games/board")


def test_an_empty_text_is_none_where_none_is_allowed() -> None:
    assert read(SMALL_SAVED="").saved is None


def test_an_unknown_or_shortened_flag_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for argument in ("--turn", "--turns"):
        with pytest.raises(SystemExit):
            read(argument, "3")
        assert argument in capsys.readouterr().err


def test_help_teaches_every_setting() -> None:
    words = " ".join(PARSER.format_help().split())
    for part in (
        "--turns-max N turns of one game; 1…10 (default: 3) [SMALL_TURNS_MAX]",
        "game:",
        "files:",
        "example:",
        "usage: small [--config FILE]",
    ):
        assert part in words


def test_only_marked_limits_are_told() -> None:
    assert limits_told(Small(turns_max=7)) == {"turns_max": 7}
