"""`keymeld-enclave`: protect the process, load the identity, stay connected, wipe.

    settings ─▶ harden ─▶ identity ─▶ Agent ─▶ Link.run … SIGTERM or SIGINT ─▶ wipe ─▶ 0

Exit codes: 0 stopped · 1 the identity, the system or the coordinator refuses · 2 a setting is wrong.

What keeps keys and signs is imported when the settings are read and right: ``--help`` does without.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from keymeld_host.logs import named, setup, tell
from keymeld_host.settings import BadSetting
from keymeld_protocol.errors import KeymeldError

from .config import EnclaveConfig, load
from .door import Door
from .hardening import harden

if TYPE_CHECKING:
    from .keymanagement import EnclaveIdentity


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit code."""
    try:
        action, config = load(argv)
        setup(__package__, config.log_format, config.log_level)
        missing = harden()
        from .keymanagement import KeyFile

        identity = KeyFile(config.key_file, alone=action != "identity").load()
        if action == "identity":
            print(identity.key.hex())
            identity.wipe()
            return 0
        for lack in missing:
            tell(logging.WARNING, "not protected", missing=lack)
        return _run(_serve(config, identity))
    except BadSetting as error:
        return _failed(error, 2)
    except KeymeldError as error:
        return _failed(error, 1)
    except Exception as error:  # a traceback could show what was at hand
        return _failed(error, 1)


async def _serve(config: EnclaveConfig, identity: EnclaveIdentity) -> int:
    """Stay connected until a signal comes; then wipe."""
    import asyncio

    from .agent import Agent
    from .clock import now_ms
    from .link import EnclaveLink

    key = identity.key.hex()
    agent = Agent(identity, now_ms, lambda text: tell(logging.ERROR, text), Door(config.capacity))
    link = EnclaveLink(agent, config.coordinator, _once(lambda: _ready(key, config)))
    running = asyncio.current_task()
    assert running is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, link.stop, running)
    try:
        with suppress(asyncio.CancelledError):
            await link.run()
    finally:
        agent.wipe()
    return 0


def _ready(key: str, config: EnclaveConfig) -> None:
    print(f"keymeld-enclave ready {key} {config.coordinator}", flush=True)


def _once(action: Callable[[], None]) -> Callable[[], None]:
    """``action``, at the first call alone."""
    waiting = [action]
    return lambda: waiting.pop()() if waiting else None


def _run(serving: Coroutine[Any, Any, int]) -> int:
    import asyncio

    try:
        import uvloop
    except ImportError:
        return asyncio.run(serving)
    return uvloop.run(serving)


def _failed(error: Exception, code: int) -> int:
    why = str(error) if isinstance(error, BadSetting) else named(error)
    print(f"keymeld-enclave: {why}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
