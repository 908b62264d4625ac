"""What the operating system can do to keep a secret in this process: no core dumps, no debugger, no swap.

    RLIMIT_CORE 0 · PR_SET_DUMPABLE 0 (no ptrace by the same user, no /proc/PID/mem) · mlockall · umask 077

What cannot be had is said, so that an operator knows it; only core dumps must be off (§8.1), or it does not start.
"""

from __future__ import annotations

import ctypes
import os
import resource
from typing import Final

from keymeld_protocol.errors import KeymeldError

_PR_SET_DUMPABLE: Final = 4
_MCL_CURRENT, _MCL_FUTURE = 1, 2


class Unprotected(KeymeldError):
    """This system would write the memory of a crashed enclave to its disk."""


def harden() -> tuple[str, ...]:
    """Protect this process; gives, in words, what is not possible here.

    Raises:
        Unprotected: core dumps cannot be turned off.
    """
    os.umask(0o077)
    _no_core_dumps()
    return tuple(said for said in (_not_dumpable(), _locked()) if said)


def _no_core_dumps() -> None:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        raise Unprotected(f"core dumps cannot be turned off: {error}") from None


def _not_dumpable() -> str:
    """Also refuses debuggers of the same user."""
    if _libc("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0):
        return ""
    return "other processes of this user may attach to the enclave: PR_SET_DUMPABLE is not available"


def _locked() -> str:
    """Keep every page out of the swap, if the limit on locked memory is none: a lower one would break us later."""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY and _libc("mlockall", _MCL_CURRENT | _MCL_FUTURE):
        return ""
    return "memory may be swapped to disk: set the limit on locked memory to unlimited, or turn swap off"


def _libc(name: str, *arguments: int) -> bool:
    """Call a function of the C library; whether it returned 0."""
    try:
        function = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (OSError, AttributeError):
        return False
    return bool(function(*map(ctypes.c_ulong, arguments)) == 0)
