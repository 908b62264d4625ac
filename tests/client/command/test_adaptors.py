"""command/adaptors.py: a secret's point, a pre-signature that it completes, and the secret taken out again."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from keymeld_client.command.keymeld import main
from keymeld_protocol.curve.schnorr import Keypair, tagged_hash
from keymeld_protocol.curve.secp256k1 import Secret, seckey_negate, seckey_tweak_add

MESSAGE = tagged_hash("test/message", b"")
SECRET, OTHER = (tagged_hash("test/secret", bytes([i])) for i in range(2))
KEY = Keypair.of(tagged_hash("test/key", b""))
SIGNATURE = KEY.sign(MESSAGE)
ITEM = ("--message", MESSAGE.hex(), "--key", KEY.key.hex())


def keymeld(*arguments: str, input: str = "") -> Result:
    """Run `keymeld adaptor` in this process."""
    return CliRunner().invoke(main, ("adaptor", *arguments), input=input, catch_exceptions=False)


def point_of(secret: bytes) -> str:
    with Secret(secret) as held:
        return held.point.hex()


def presignature(secret: bytes = SECRET, *, odd: bool) -> str:
    """What SIGNATURE was before this secret completed it: s − t, or behind a nonce of odd y s + t."""
    scalar = bytearray(secret)
    if not odd:
        seckey_negate(scalar)
    seckey_tweak_add(scalar, SIGNATURE[32:])
    return (bytes([3 if odd else 2]) + SIGNATURE[:32] + scalar).hex()


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.touch(0o600)
    path.write_text(f"{SECRET.hex()}\n")
    return str(path)


# point ----------------------------------------------------------------------------------------------------------


def test_a_secret_in_a_file_or_on_standard_input_has_its_point(file: str) -> None:
    for told in (keymeld("point", "--secret", file), keymeld("point", "--secret", "-", input=SECRET.hex().upper())):
        assert (told.exit_code, told.stdout) == (0, f"{point_of(SECRET)}\n")


def test_a_new_secret_is_kept_in_a_private_file_and_its_point_shown(tmp_path: Path) -> None:
    path = tmp_path / "new"
    told = keymeld("point", "--new", str(path))
    assert told.stdout.strip() == point_of(bytes.fromhex(path.read_text()))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_secret_replaces_nothing(file: str) -> None:
    told = keymeld("point", "--new", file)
    assert (told.exit_code, "name a new file" in told.stderr) == (2, True)
    assert Path(file).read_text() == f"{SECRET.hex()}\n"


def test_several_points_come_to_one_whatever_their_order() -> None:
    first, second = point_of(SECRET), point_of(OTHER)
    there, back = keymeld("point", first, second).stdout, keymeld("point", second, first).stdout
    assert there == back and len(there.strip()) == 66 and there.strip() not in (first, second)


@pytest.mark.parametrize("arguments", [[], [point_of(SECRET)], [point_of(SECRET), "--new", "x"]])
def test_exactly_one_thing_has_a_point(arguments: list[str]) -> None:
    told = keymeld("point", *arguments)
    assert (told.exit_code, "at least two points" in told.stderr) == (2, True)


# verify, adapt, extract -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", [False, True], ids=["even", "odd"])
def test_a_presignature_holds_for_its_point_and_for_no_other(odd: bool) -> None:
    made = presignature(odd=odd)
    assert json.loads(keymeld("verify", made, "--point", point_of(SECRET), *ITEM, "--json").stdout) == {"ok": True}
    told = keymeld("verify", made, "--point", point_of(OTHER), *ITEM)
    assert (told.exit_code, "does not hold" in told.stderr) == (4, True)


@pytest.mark.parametrize("odd", [False, True], ids=["even", "odd"])
def test_its_secret_completes_a_presignature_and_comes_out_of_it_again(odd: bool, file: str) -> None:
    made = presignature(odd=odd)
    assert keymeld("adapt", made, "--secret", file, *ITEM).stdout == f"{SIGNATURE.hex()}\n"
    told = keymeld("extract", made, SIGNATURE.hex(), "--point", point_of(SECRET))
    assert told.stdout == f"{SECRET.hex()}\n"


def test_another_secret_completes_nothing() -> None:
    told = keymeld("adapt", presignature(odd=False), "--secret", "-", *ITEM, input=OTHER.hex())
    assert (told.exit_code, told.stdout, "it is no signature" in told.stderr) == (4, "", True)


def test_another_signature_gives_no_secret_away() -> None:
    told = keymeld("extract", presignature(odd=False), KEY.sign(MESSAGE).hex(), "--point", point_of(SECRET))
    assert (told.exit_code, told.stdout) == (4, "")


# What a person may type -----------------------------------------------------------------------------------------


def test_a_secret_on_the_command_line_is_refused_and_not_repeated() -> None:
    told = keymeld("point", "--secret", SECRET.hex())
    assert told.exit_code == 2 and "never typed as an argument" in told.stderr
    assert SECRET.hex() not in told.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["point", "--secret", "/nowhere"], "no such file"),
        (["point", "02ab", point_of(SECRET)], "a point is 66 hex digits"),
        (["point", "02" + "ff" * 32, point_of(SECRET)], "no point of the curve"),
        (["verify", "02ab", "--point", point_of(SECRET), *ITEM], "a pre-signature is 130 hex digits"),
        (["extract", presignature(odd=True), "ab", "--point", point_of(SECRET)], "a signature is 128 hex digits"),
        (["verify", presignature(odd=True), "--point", point_of(SECRET), *ITEM[:3], "ab"], "an output key is 64 hex"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_would_be_right(arguments: list[str], complaint: str) -> None:
    told = keymeld(*arguments)
    assert told.exit_code == 2
    assert complaint in " ".join(told.stderr.split())
