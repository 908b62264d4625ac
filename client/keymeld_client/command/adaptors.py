"""The commands for whoever holds a pre-signature, or what completes it: adaptor point, verify, adapt, extract.

    secret ──point──▶ T        request --adaptor T ──▶ result: pre-signature ──verify──▶ holds
    pre-signature + secret ──adapt──▶ signature        pre-signature + signature ──extract──▶ secret

They need neither wallet nor server.  A secret is read from a file or from standard input, and only a new one and an
extracted one are ever written.
"""

from __future__ import annotations

from pathlib import Path

import click

from keymeld_host.files import BadFile, new_file
from keymeld_host.keyfiles import to_hex, wipe
from keymeld_protocol.curve import adaptor as adaptors
from keymeld_protocol.curve import schnorr
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import InvalidCrypto
from keymeld_protocol.values import Message, PlainKey

from .app import App
from .failures import UNVERIFIED
from .typed.arguments import MESSAGE, OUTPUT_KEY, POINT, SECRET, TYPED_PRESIGNATURE, TYPED_SIGNATURE
from .verbs import Verb, Verbs

_OF_THE_ITEM = "as `keymeld result --json` shows it."


@click.group(cls=Verbs, params=[], epilog="")
def adaptor() -> None:
    """Verify, complete and take apart adaptor signatures.

    A pre-signature is locked to a point; the secret of that point completes it to a signature, and whoever holds the
    pre-signature and sees the signature learns the secret.  No wallet and no server are needed here.
    """


@adaptor.command(
    cls=Verb,
    examples="""
    keymeld adaptor point --new swap.secret      draw a secret, keep it in a new file, show its point
    keymeld adaptor point --secret swap.secret   the point of a secret that is there already (- reads it)
    keymeld adaptor point 02ab… 03cd…            the one point that an item --adaptor and:02ab…,03cd… is locked to
    """,
)
@click.argument("points", nargs=-1, type=POINT, metavar="[POINT...]")
@click.option("--secret", type=SECRET, help="The file that holds the secret: 64 hex digits (- reads it).")
@click.option("--new", type=click.Path(path_type=Path), metavar="FILE", help="Draw a secret into this new file.")
@click.pass_obj
def point(app: App, points: tuple[PlainKey, ...], secret: Secret | None, new: Path | None) -> None:
    """Show the point of a secret, or of several POINTs together."""
    if (bool(points), secret is not None, new is not None).count(True) != 1 or len(points) == 1:
        raise click.UsageError("give --new FILE, or --secret FILE, or at least two points")
    if new is not None:
        secret = _drawn(new)
    shown = adaptors.combined_point(points) if secret is None else secret.point
    app.screen.result([shown.hex()], {"point": shown.hex()})


def _drawn(path: Path) -> Secret:
    """Draw a secret and write it, in hex, to a new file that only its owner can read.

    Raises:
        click.UsageError: the file is there already, or cannot be made.
    """
    secret = Secret.generate()
    line = to_hex(secret.buffer)
    line += b"\n"
    try:
        if not new_file(path, line):
            raise click.UsageError(f"--new {path}: is there already, and may hold a secret; name a new file")
    except BadFile as error:
        raise click.UsageError(f"--new {error}") from None
    finally:
        wipe(line)
    return secret


@adaptor.command(cls=Verb, examples="keymeld adaptor verify 03e1… --point 02ab… --message 5f0c… --key 77d0…")
@click.argument("presignature", type=TYPED_PRESIGNATURE)
@click.option("--point", type=POINT, required=True, help="What it is locked to; see also `keymeld adaptor point`.")
@click.option("--message", type=MESSAGE, required=True, help=f"What it signs (32 bytes), {_OF_THE_ITEM}")
@click.option("--key", type=OUTPUT_KEY, required=True, help=f"Whose signature it becomes (x-only), {_OF_THE_ITEM}")
@click.pass_obj
def verify(app: App, presignature: bytes, point: PlainKey, message: Message, key: bytes) -> None:
    """Check a PRESIGNATURE: that the secret of POINT, and nothing else, completes it.

    Exit code 4 if not.
    """
    if not adaptors.verify(presignature, point, message, key):
        app.screen.complain("it does not hold: the secret of that point would not complete it", code=UNVERIFIED)
        raise click.exceptions.Exit(UNVERIFIED)
    app.screen.result(["holds: the secret of that point completes it"], {"ok": True})


@adaptor.command(
    cls=Verb,
    examples="""
    keymeld adaptor adapt 03e1… --secret swap.secret --message 5f0c… --key 77d0…
    keymeld adaptor adapt 03e1… --secret a.secret --secret b.secret --message 5f0c… --key 77d0…    of an and:
    """,
)
@click.argument("presignature", type=TYPED_PRESIGNATURE)
@click.option("--secret", "secrets", type=SECRET, multiple=True, required=True,
              help="The file that holds the secret: 64 hex digits (- reads it); for an and: every secret.")  # fmt: skip
@click.option("--message", type=MESSAGE, required=True, help=f"What it signs (32 bytes), {_OF_THE_ITEM}")
@click.option("--key", type=OUTPUT_KEY, required=True, help=f"Whose signature it becomes (x-only), {_OF_THE_ITEM}")
@click.pass_obj
def adapt(app: App, presignature: bytes, secrets: tuple[Secret, ...], message: Message, key: bytes) -> None:
    """Complete a PRESIGNATURE with its secret, and print the signature.

    Nothing is printed that does not verify: exit code 4.
    """
    signature = _adapted(presignature, secrets)
    if not schnorr.verify(signature, message, key):
        raise InvalidCrypto("with this secret it is no signature: another secret, message or key belongs to it")
    app.screen.result([signature.hex()], {"signature": signature.hex()})


def _adapted(presignature: bytes, secrets: tuple[Secret, ...]) -> bytes:
    """The pre-signature with the one secret, or with all of an ``and``; each secret is wiped."""
    if len(secrets) == 1:
        with secrets[0] as secret:
            return adaptors.adapt(presignature, secret.buffer)
    points = [secret.point for secret in secrets]
    whole = adaptors.combined_secret(points, [secret.buffer for secret in secrets])
    try:
        return adaptors.adapt(presignature, whole)
    finally:
        wipe(whole)
        for secret in secrets:
            secret.wipe()


@adaptor.command(
    cls=Verb,
    examples="""
    keymeld adaptor extract 03e1… 9ab4… --point 02ab… | keymeld result 77ab12 --secret -      takes the other side
    (umask 077; keymeld adaptor extract 03e1… 9ab4… --point 02ab… > swap.secret)              keeps it in a file
    """,
)
@click.argument("presignature", type=TYPED_PRESIGNATURE)
@click.argument("signature", type=TYPED_SIGNATURE)
@click.option("--point", type=POINT, required=True, help="What the pre-signature is locked to.")
@click.pass_obj
def extract(app: App, presignature: bytes, signature: bytes, point: PlainKey) -> None:
    """Take the secret out of a PRESIGNATURE and the SIGNATURE that it became.

    Whoever published the signature gave it away.  It is checked against POINT: exit code 4 if it is not its secret.
    """
    secret = adaptors.extract(presignature, signature, point).hex()
    app.screen.result([secret], {"secret": secret})
