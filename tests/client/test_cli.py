"""The `keymeld` command: its help, its complaints, and one story in real processes."""

import asyncio
import json
import signal
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import click
import pytest
from btclib_wallet.descriptors import multipath_descriptors, parse
from click.testing import CliRunner, Result

from examples.helpers.house import House
from examples.helpers.regtest import COIN, Coin, Regtest, transaction
from keymeld_client.command.keymeld import main
from keymeld_client.shown.telling import BLIND
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.bitcoin.psbt import Psbt
from keymeld_protocol.bitcoin.transaction import Spend, taproot_address, taproot_script
from keymeld_protocol.curve import ecdsa
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.keys.ticket import Ticket, TicketSecret
from keymeld_protocol.values import Id
from tests.client.terminal import Person

KEY = "ab" * 32
OTHER = "cd" * 32


def keymeld(*arguments: str, input: str = "") -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, arguments, input=input, catch_exceptions=False)


def commands(group: click.Group = main) -> list[list[str]]:
    """Every command by its words."""
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found += [[name, *rest] for rest in commands(command)] if isinstance(command, click.Group) else [[name]]
    return found


def ticket(host: str = "127.0.0.1:1") -> str:
    """A ticket for a coordinator where nobody listens."""
    secret = TicketSecret(bytes([7]) * 32)
    return Ticket(
        host=host, secure=False, keygen_id=Id(bytes([5]) * 32), group_secret=secret, slot=0, secret=secret
    ).text()  # fmt: skip


# Help and usage -------------------------------------------------------------------------------------------------


def test_the_help_shows_the_way_and_the_exit_codes() -> None:
    text = keymeld("--help").output
    for word in ("create", "join", "request", "approve", "KEYMELD_WALLET", "exit codes: 0 done"):
        assert word in text


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_teaches_with_an_example(words: list[str]) -> None:
    result = keymeld(*words, "--help")
    assert result.exit_code == 0
    assert f"Examples:\n    keymeld {' '.join(words)}" in result.output


def test_no_line_of_help_is_longer_than_a_terminal_that_wide() -> None:
    assert all(len(line) <= 120 for words in commands() for line in keymeld(*words, "--help").output.splitlines())


def test_an_unknown_command_is_a_usage_error() -> None:
    assert keymeld("sing").exit_code == 2


def test_shared_options_stand_before_or_after_the_command(tmp_path: Path) -> None:
    for arguments in (["--json", "trust", "list"], ["trust", "list", "--json"]):
        assert keymeld("--wallet", str(tmp_path / "none"), *arguments).exit_code == 1
        Wallet.open(tmp_path / "w").close()
        result = keymeld("--wallet", str(tmp_path / "w"), *arguments)
        assert json.loads(result.stdout) == {"enclaves": []}


def test_who_has_no_home_is_asked_for_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    monkeypatch.delenv("KEYMELD_WALLET", raising=False)
    result = keymeld("sessions")
    assert (result.exit_code, "--wallet DIR" in result.stderr) == (2, True)


def test_the_wallet_is_named_by_the_environment_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Wallet.open(tmp_path / "w").close()
    monkeypatch.setenv("KEYMELD_WALLET", str(tmp_path / "w"))
    assert json.loads(keymeld("identity", "--json").stdout)["folder"] == str(tmp_path / "w")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["create", "--slots", "0"], "0 is not in the range"),
        (["create", "--slots", "2", "--network", "dogecoin"], "'dogecoin' is not one of 'bitcoin'"),
        (["create", "--slots", "2", "--expires", "7"], "use a number with a unit"),
        (["create", "--slots", "2", "--label", "x" * 65], "at most 64 characters"),
        (["create", "--slots", "2", "--server", "https://x"], "must begin with wss://"),
        (["create", "--slots", "2", "--tweak", "tree"], "'tree' is not one of 'bip86', 'none'"),
        (["create", "--slots", "2", "--leaf", "5"], "use SCRIPT or DEPTH:SCRIPT"),
        (["create", "--slots", "2", "--leaf", "1:51"], "--leaf: the depths are not those of one tree"),
        (["create", "--slots", "2", "--leaf", "51", "--root", KEY], "exclude one another"),
        (["create", "--slots", "2", "--tree", "/nowhere"], "is no file that can be read"),
        (["create", "--slots", "2", "--root", "ab"], "64 hex digits (32 bytes)"),
        (["address", "ab", "--child", "0'"], "use a path such as 0/5"),
        (["address", "ab", "--child", "0/1", "--xpub"], "leave --child out"),
        (["join", "nonsense"], "must begin with keymeld:"),
        (["join", "keymeld:host#AAAA"], "ticket"),
        (["join", "x", "--approve", "most"], "use none, self, or a quorum"),
        (["join", "x", "--enclave", "ab"], "64 hex digits"),
        (["join", "x", "--delay", "7d"], "at most 6d"),
        (["join", "x", "--not-before", "tomorrow"], "use a day such as 2026-12-01"),
        (
            ["join", ticket(), "--not-before", "2126-12-02", "--not-after", "2126-12-01"],
            "must not lie after --not-after",
        ),
        (["join", ticket(), "--not-after", "2020-12-01"], "has passed"),
        (["request", "ab"], "nothing to sign"),
        (["request", "ab", "--message", "00"], "must be 64 hex digits (32 bytes)"),
        (["request", "ab", "--ecdsa", "00"], "must be 64 hex digits (32 bytes)"),
        (["join", ticket(), "--key", "/nowhere"], "'--key': no such file"),
        (["request", "ab", "--tx", "/nowhere", "--spent", "1"], "neither hex nor a file"),
        (["request", "ab", "--tx", "00", "--spent", "0.5"], "whole number of satoshi"),
        (["request", "ab", "--psbt", "/nowhere"], "neither base64 nor a file"),
        (["request", "ab", "--message", KEY, "--child", "0/1-2"], "name one child"),
        (["request", "ab", "--message", KEY, "--tweak", "tree"], "use none, terms, bip86"),
        (["request", "ab", "--message", KEY, "--tweak", "none", "--tweak", "bip86"], "give it alone"),
        (["request", "ab", "--psbt", "-"], "is no PSBT"),
        (["trust", "add", "zz"], "64 hex digits"),
        (["verify", "/nowhere"], "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_would_be_right(
    arguments: list[str], complaint: str, tmp_path: Path
) -> None:
    result = keymeld("--wallet", str(tmp_path / "w"), *arguments)
    assert result.exit_code == 2
    assert complaint in " ".join(result.stderr.split())
    assert not (tmp_path / "w").exists()


def test_a_damaged_ticket_is_refused_without_repeating_it(tmp_path: Path) -> None:
    good = ticket()
    bad = good[:-1] + ("A" if good[-1] != "A" else "B")
    result = keymeld("--wallet", str(tmp_path), "join", bad)
    assert result.exit_code == 2
    assert "ticket" in result.stderr and bad[30:60] not in result.stderr


def test_a_ticket_is_not_taken_to_another_server(tmp_path: Path) -> None:
    result = keymeld("--wallet", str(tmp_path), "--server", "ws://other:1", "join", ticket())
    assert result.exit_code == 2
    assert "this ticket is for ws://127.0.0.1:1" in result.stderr


def test_a_coordinator_that_cannot_be_reached_is_exit_code_3(tmp_path: Path) -> None:
    result = keymeld("--wallet", str(tmp_path / "w"), "--patience", "50ms", "join", "-", input=ticket() + "\n")
    assert result.exit_code == 3
    assert "ws://127.0.0.1:1" in result.stderr and "Is it running" in result.stderr


def test_a_file_that_is_no_log_does_not_verify(tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("text", b"hello\n"), ("json", b'{"epoch":1}\n')):
        (tmp_path / name).write_bytes(content)
        assert keymeld("verify", str(tmp_path / name)).exit_code == 4
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    assert keymeld("verify", str(tmp_path / "bytes")).exit_code == 2


def test_trust_is_remembered_and_forgotten_when_said_so(tmp_path: Path) -> None:
    at = ("--wallet", str(tmp_path / "w"))
    assert keymeld(*at, "trust", "add", KEY.upper()).exit_code == 0
    assert keymeld(*at, "trust", "list").stdout == f"{KEY}\n"
    assert keymeld(*at, "trust", "remove", KEY).exit_code == 0
    assert keymeld(*at, "trust", "remove", KEY).exit_code == 1
    assert json.loads(keymeld(*at, "trust", "list", "--json").stdout) == {"enclaves": []}


def test_a_name_that_fits_no_session_is_a_usage_error(tmp_path: Path) -> None:
    """`export` asks the coordinator first, who is not there."""
    Wallet.open(tmp_path / "w").close()
    nobody = ("--server", "ws://127.0.0.1:1", "--patience", "50ms")
    for words in (["address", "ab"], ["export", "ab", "-"], ["confirm", ""]):
        result = keymeld("--wallet", str(tmp_path / "w"), *nobody, *words)
        assert (result.exit_code, "keymeld sessions" in result.stderr) == (2, True)


# The story ------------------------------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.asyncio
async def test_three_people_make_a_key_and_spend_from_it_by_typing(tmp_path: Path) -> None:
    async with House(enclaves=2) as house:
        alice, bob, carol = (Person(name, house) for name in ("alice", "bob", "carol"))
        session, tickets = await _create(alice)
        await bob.types("trust", "add", house.enclaves[0].identity)
        await asyncio.gather(
            alice.types("join", tickets[0], "--yes", "--trust-enclave", house.enclaves[0].identity, "--label", "Alice"),
            bob.types("join", "-", "--yes", "--label", "\x1b[2J[red]Bob", input=tickets[1]),
            carol.types(
                "join", tickets[2], "--yes", "--approve", "none", "--trust-enclave", house.enclaves[1].identity
            ),
        )
        again, told = await bob.hears("join", tickets[1], "--yes", "--max-fee", "1sat")
        assert "You sit in slot 1" in again and "the key keeps its rule" in told
        assert "slot 1 is taken" in await Person("mallory", house).types("join", tickets[1], code=1)
        found = await alice.asks("address", session[:8])
        assert found["safe"]
        assert await carol.types("address", session[:8], "-q") == found["address"] + "\n"
        with Regtest() as chain:
            signed = await _spend(alice, bob, session, chain, bytes.fromhex(found["script"]))
            assert chain.mine(signed)
            assert chain.mine(await _spend_psbt(alice, bob, session, chain, found, tmp_path / "spend.psbt"))
        await _export_and_verify(bob, session, tickets[1], tmp_path / "log")
        await house.coordinator.kill()
        assert "what follows was heard before" in await alice.types("sessions", "--patience", "50ms", code=3)


@pytest.mark.processes
@pytest.mark.asyncio
async def test_limits_are_typed_shown_sealed_and_everybody_reads_why_they_refuse() -> None:
    shop, main = (taproot_address(bytes([7]) * 32, network) for network in ("regtest", "bitcoin"))
    async with House(enclaves=1) as house:
        alice, bob = (Person(name, house) for name in ("alice", "bob"))
        session, tickets = await _create(alice, "2")
        trust = ("--trust-enclave", house.enclaves[0].identity, "--approve", "none")
        wrong = await alice.types("join", tickets[0], *trust, "--allow", main, "--yes", code=2)
        assert "none of the network regtest" in wrong
        limits = (*trust, "--allow", f"{shop}:0.5btc", "--max-fee", "20000sat", "--requester", "1")
        asked = await alice.types("join", tickets[0], *limits, input="n\n", code=1)
        assert f"may pay {shop}, at most 0.50000000 BTC" in asked and "may pay nobody else" in asked
        await asyncio.gather(
            alice.types("join", tickets[0], *limits, "--yes"), bob.types("join", tickets[1], *trust, "--yes")
        )
        script = bytes.fromhex((await bob.asks("address", session[:8]))["script"])
        over = transaction(
            [Coin(bytes(32), 0, 10**8, script)], [(60_000_000, taproot_script(bytes([7]) * 32)), (10**7, script)]
        )
        asked = await bob.asks("request", session[:8], "--tx", over.hex(), "--spent", "1btc", "--yes")
        signing = asked["signing"][:10]
        watched = await alice.types("watch", signing, code=1)
        shown = [await bob.types("result", signing, "--wait", code=1), watched, await alice.types("show", signing)]
        shown.append(await alice.types("approve", signing, "--yes", code=1))
        for told in shown:
            assert "output_not_allowed" in told and "slot 0: this request pays" in told and "60,000,000 sat" in told
        assert (await alice.asks("show", signing))["code"] == "output_not_allowed"


@pytest.mark.processes
@pytest.mark.asyncio
async def test_ctrl_c_ends_a_watch_and_says_how_to_go_on() -> None:
    async with House(enclaves=0) as house:
        made = await Person("alice", house).asks("create", "--slots", "2", "--server", house.url)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "keymeld_client.cli", "watch", made["session"][:8],
            "--wallet", str(house.folder / "alice"),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert b"opens a keygen of 2 slots" in await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
        told = f"Interrupted; nothing is lost.\nGo on with: keymeld watch {made['session'][:8]}\n"
        assert (process.returncode, err.decode()) == (130, told)


@pytest.mark.processes
@pytest.mark.asyncio
async def test_a_key_from_before_signs_ecdsa_and_leaves_for_somebody_who_types(tmp_path: Path) -> None:
    key = Secret.generate()
    _write(tmp_path / "key", key.buffer.hex().encode())
    (tmp_path / "key").chmod(0o600)
    async with House() as house:
        alice = Person("alice", house)
        made = await alice.asks("create", "--slots", "1", "--network", "regtest", "--server", house.url)
        ticket = made["tickets"][0]["ticket"]
        joining = ("join", ticket, "--yes", "--trust-enclave", house.enclaves[0].identity, "--key")
        assert "either the TICKET or the --key" in await alice.types("join", "-", "--key", "-", code=2)
        assert "You sit in slot 0" in await alice.types(*joining, "-", input=key.buffer.hex())
        asked = await alice.asks("request", made["session"], "--ecdsa", OTHER, "--yes")
        result = await alice.asks("result", asked["signing"], "--wait")
        assert ecdsa.verify(bytes.fromhex(result["signatures"][0]), bytes.fromhex(OTHER), key.point)
        assert result["der"] == [ecdsa.der(bytes.fromhex(result["signatures"][0])).hex()]
        assert (await alice.asks("show", asked["signing"]))["warnings"] == [BLIND]
        told = await alice.types("result", asked["signing"])
        assert f"in DER    0  {result['der'][0]}" in told
        assert await alice.types("leave", made["session"], input="n\n", code=1)
        assert await alice.asks("leave", made["session"], "--yes") == {"left": [0], "unwiped": []}
        assert "left: 0" in await alice.types("sessions")
        assert "slot 0 left" in await alice.types("address", made["session"])
        assert "slot 0 left" in await alice.types("request", made["session"], "--ecdsa", OTHER, "--yes", code=1)
        again = (await alice.asks("create", "--slots", "1", "--server", house.url))["tickets"][0]["ticket"]
        refused = await alice.types("join", again, *joining[2:], str(tmp_path / "key"), code=1)
        assert "sealed before" in refused and "--seal-again" in refused
        await alice.types("join", again, *joining[2:], str(tmp_path / "key"), "--seal-again")


@pytest.mark.asyncio
async def test_under_open_tickets_a_rule_that_strangers_can_meet_takes_a_word_on_the_command_line() -> None:
    async with House() as house:
        alice = Person("alice", house)
        made = await alice.asks("create", "--slots", "3", "--open", "--network", "regtest", "--server", house.url)
        ticket = made["tickets"][0]["ticket"]
        joining = ("join", ticket, "--approve", "2of3", "--trust-enclave", house.enclaves[0].identity)
        refused = await alice.types(*joining, "--yes", code=1)
        assert "anybody may sit in slots 1 and 2" in refused and "--accept-strangers" in refused
        shown = await alice.types(*joining, "--accept-strangers", input="n\n", code=1)
        assert "Beware: with open tickets anybody may sit in slots 1 and 2" in shown
        assert "You sit in slot 0" in await alice.types(*joining, "--requester", "0", "--yes")


async def _create(alice: Person, slots: str = "3") -> tuple[str, list[str]]:
    """Alice opens a keygen."""
    made = await alice.asks(
        "create", "--slots", slots, "--label", "treasury", "--network", "regtest", "--server", alice.house.url
    )
    again = await alice.types("tickets", made["session"][:6], "--qr")
    assert "▀" in again and made["tickets"][-1]["ticket"] in again
    return made["session"], [each["ticket"] for each in made["tickets"]]


async def _spend(alice: Person, bob: Person, session: str, chain: Regtest, script: bytes) -> bytes:
    """Alice requests, Bob looks, refuses to be hurried, approves; Alice takes the result."""
    coin = chain.fund(script)
    unsigned = transaction([coin], [(COIN, b"\x51\x20" + bytes([2]) * 32), (coin.amount - COIN - 500, script)])
    asked = await alice.asks(
        "request", session[:8], "--tx", unsigned.hex(), "--spent", "50btc", "--memo", "a \x1b[31mroof", "--yes"
    )
    signing = asked["signing"][:10]
    assert "not signed yet" in await alice.types("result", signing, code=1)
    shown = await bob.types("show", signing)
    assert "Fee" in shown and "a \\u{1b}[31mroof" in shown and "waiting for the approval of slot 1" in shown
    assert "You have approved" in await alice.types("approve", signing)
    assert "only who asked for it" in await bob.types("cancel", signing, "--yes", code=1)
    assert "hex digits, not labels" in await bob.types("address", "treasury", code=2)
    await bob.types("approve", signing, input="n\n", code=1)
    await bob.types("approve", signing, code=2)
    _, raw, watched = await asyncio.gather(
        bob.types("approve", signing, "--until", "2h", "--yes"),
        alice.types("result", signing, "--wait", "-q"),
        Person("carol", bob.house).types("watch", signing),
    )
    assert "signing.contribute" in await bob.types("export", signing, "-"), "the log as far as it has come"
    assert 'slot 1 "\\u{1b}[2J[red]Bob" approves until' in watched and "signs for slot" in watched
    assert "nothing can be said" in await bob.types("reject", signing, "--yes", code=1)
    return bytes.fromhex(raw.strip())


async def _spend_psbt(alice: Person, bob: Person, session: str, chain: Regtest, found: Any, file: Path) -> bytes:
    """A watch-only wallet makes a PSBT; it goes out in a file, and comes back signed."""
    assert await bob.types("address", session[:8], "--descriptor", "-q") == found["descriptor"] + "\n"
    followed = (await bob.types("address", session[:8], "--xpub", "--descriptor", "-q")).strip()
    assert followed == found["child_descriptor"] and found["xpub"] in followed
    change = parse(multipath_descriptors(followed, "regtest")[1], "regtest").address(3)
    assert await bob.types("address", session[:8], "--child", "1/3", "-q") == change + "\n"
    script = parse(found["descriptor"]).script_pub_key().script
    coins = [chain.fund(script) for _ in range(2)]
    spent = [(coin.amount, coin.script) for coin in coins]
    asked = Psbt.of(Spend(transaction(coins, [(COIN, b"\x51\x20" + bytes([2]) * 32)]), spent)).sign({}).psbt
    _write(file, asked)
    assert "--psbt" in await alice.types("request", session[:8], "--tx", str(file), "--yes", code=2)
    made = await alice.asks("request", session[:8], "--psbt", "-", "--yes", input=b64encode(asked).decode())
    signing = made["signing"][:10]
    assert "(2 inputs)" in await bob.types("show", signing)
    await bob.types("approve", signing, "--yes")
    result = await alice.asks("result", signing, "--wait", "--psbt", str(file))
    assert result["complete"] == [True]
    assert await alice.types("result", signing, "--psbt", str(file), "-q") == result["psbts"][0] + "\n"
    return bytes.fromhex(result["transactions"][0])


async def _export_and_verify(bob: Person, session: str, ticket: str, file: Path) -> None:
    """The log holds, with a ticket down to the address; one byte less and it does not."""
    await bob.types("export", session[:8], str(file))
    assert "not checked" in await bob.types("verify", str(file))
    assert (await bob.asks("verify", str(file), "--ticket", ticket))["address"].startswith("bcrt1p")
    _replace(file, "keygen.confirm", "keygen.confirn")
    await bob.types("verify", str(file), code=4)


def _write(file: Path, raw: bytes) -> None:
    file.write_bytes(raw)


def _replace(file: Path, old: str, new: str) -> None:
    """Alter one place of a file."""
    file.write_text(file.read_text().replace(old, new, 1))
