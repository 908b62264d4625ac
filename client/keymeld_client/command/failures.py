"""From what went wrong to an exit code and to a sentence about what to do.

0  done                                        3  the coordinator cannot be reached
1  refused, failed, or answered with no        4  something that was shown does not verify: believe none of it
2  the command line, a ticket or a file is wrong     130  interrupted with Ctrl-C
"""

from __future__ import annotations

from typing import Final

from keymeld_protocol.errors import NEWER, BadInput, Blamed, BrokenLog, InvalidCrypto, KeymeldError, Reason, WireError

from ..errors import (
    NEEDS_NEWER,
    JoinRefused,
    KeygenEnded,
    NeedsSecret,
    NotConnected,
    NotSigned,
    NotTrusted,
    PushedOut,
    ReadOnly,
    SigningEnded,
    WaitsForLost,
    WalletError,
)

OK, FAILED, USAGE, UNREACHABLE, UNVERIFIED, INTERRUPTED = 0, 1, 2, 3, 4, 130

CODES_TOLD: Final = """\
exit codes: 0 done · 1 refused or failed · 2 the command line, a ticket or a file is wrong · 3 the coordinator cannot
be reached · 4 something that was shown does not verify · 130 interrupted; nothing is lost"""

_HINTS: Final[dict[type[Exception], str]] = {
    NotConnected: "Is it running, is the address right (--server URL)? Nothing is lost: run the same command again.",
    ReadOnly: "Stop using this session, keep the wallet's folder `evidence`, and talk to the other members.",
    WaitsForLost: "It goes on by itself when the others' clients have been here. To go on without: "
    "`keymeld go-on SESSION`, after talking to them.",
    NotSigned: "The other items may be signed: `keymeld result` prints what came of each.",
    Blamed: "Do not fund or sign anything here; talk to the members that it names.",
    BrokenLog: "The log was altered or does not come from this session; ask another member for theirs.",
    PushedOut: "If that was meant: `keymeld confirm SESSION --without SLOT`. Else fund nothing, and open a new keygen.",
    JoinRefused: "Run the same `keymeld join` again: it makes a fresh key. Another enclave: --enclave KEY.",
    KeygenEnded: "Whoever invited you can open a new one (keymeld create), with a longer --expires.",
    NeedsSecret: "`keymeld result SIGNING` prints the pre-signature and its point.",
}
_REASONS: Final[dict[Reason, str]] = {
    Reason.SLOT_TAKEN: "If it was you, name that wallet (--wallet) or put its `identity` back (keymeld restore); "
    "else ask whoever invited you for another ticket, or to release the slot (keymeld release).",
    Reason.BAD_SIGNATURE: "Was the coordinator dialled by an address that its operator gave it (--origins there)?",
    Reason.UNKNOWN_STREAM: "The coordinator does not know this session, or does not let this wallet hear it.",
    Reason.GONE: "That was replaced meanwhile; look again with `keymeld sessions`.",
    Reason.OVER_LIMIT: "The coordinator's operator sets this limit.",
    Reason.TOO_MANY_REQUESTS: "Wait a moment, then run the same command again.",
    Reason.UNAVAILABLE: "Run the same command again later; nothing was stored.",
    Reason.EXPIRED: "Its time is over; ask for a new one.",
}
_SEALED: Final = {"requester_not_allowed", "own_input_missing", "output_not_allowed", "amount_not_allowed",
                  "fee_not_allowed"}  # fmt: skip


def code_of(error: Exception) -> int:
    """The exit code of an error."""
    if isinstance(error, NotConnected):
        return UNREACHABLE
    if isinstance(error, NotSigned) or _is_newer(error):
        return FAILED
    if isinstance(error, Blamed | BrokenLog | InvalidCrypto | ReadOnly):
        return UNVERIFIED
    return USAGE if isinstance(error, BadInput) else FAILED


def text_of(error: Exception) -> str:
    """The error in a sentence; not yet printable."""
    if isinstance(error, WireError):
        return error.message
    return str(error) or type(error).__name__


def hint_of(error: Exception) -> str:
    """What a person can do about it, or an empty text."""
    if _is_newer(error):
        return "Update Keymeld, then run the same command again: somebody here uses a newer version. Nothing is lost."
    if isinstance(error, WireError) and error.field == "expires_at":
        return "Give it more time: --expires."
    if isinstance(error, WireError) and error.field == "rule.approval":
        return "--requester names who may ask; --accept-strangers accepts whoever comes to sit there."
    if isinstance(error, WireError):
        return _REASONS.get(error.reason, "")
    if isinstance(error, WalletError):
        return _about_wallet(str(error))
    if isinstance(error, NotTrusted):
        return _about_trust(str(error))
    if isinstance(error, SigningEnded):
        return _about_end(error)
    return next((hint for kind, hint in _HINTS.items() if isinstance(error, kind)), "")


def _is_newer(error: Exception) -> bool:
    """Whether a newer version of Keymeld may read what this one cannot."""
    if isinstance(error, Blamed):
        return error.code == NEWER
    return isinstance(error, ReadOnly) and NEEDS_NEWER in str(error)


def _about_trust(text: str) -> str:
    """Hints for an enclave that is not there, or that nobody said to trust."""
    if "connected" in text:
        return "Nothing was sealed. Run the same command again once it is there (keymeld-enclave starts one)."
    return "Read the enclave's key where it runs (keymeld-enclave identity) and name it: --trust-enclave KEY."


def _about_end(error: SigningEnded) -> str:
    """Hints for a signing that has ended; where the log proves whose fault it is, that is evidence to keep."""
    from keymeld_protocol.member.item_policy import WHY

    if error.code in _SEALED or error.code in WHY:
        return "That rule is sealed with a key, and stays: ask for what it allows, or of a subset without that key."
    if error.at_fault:
        return "Asking again meets the same enclaves. The log is proof: `keymeld export` writes it down."
    return "Ask again with `keymeld request` once the reason is gone."


def _about_wallet(text: str) -> str:
    """Hints for what a wallet lacks."""
    if "sealed before" in text:
        return "Seal a key once and move the coins to a new one; if you know what you do: --seal-again."
    if "in use" in text:
        return "Another keymeld command uses this wallet, perhaps a `keymeld watch`: end it first."
    if "holds no wallet" in text:
        return (
            "`keymeld create` and `keymeld join` make one; --wallet DIR (KEYMELD_WALLET) names another folder. "
            "To get a lost one back, put your copy of the file `identity` there: keymeld restore --help."
        )
    if "found nothing" in text:
        return "Is the file `identity` in the wallet's folder the right one? `keymeld join` takes a free slot."
    return ""


__all__ = ["CODES_TOLD", "KeymeldError", "code_of", "hint_of", "text_of"]
