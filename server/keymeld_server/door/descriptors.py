"""Whether the system lets this process have as many connections as its settings promise (`nofile`).

    soft limit ─▶ raised as far as it has to be and may be ─▶ still too low ─▶ fewer connections, and a warning

Where it ran out, nobody could come in any more, the enclaves neither.
"""

from __future__ import annotations

import logging
import resource
from dataclasses import replace
from typing import Final

from keymeld_host.logs import tell

from ..config import ServerConfig
from .connection_limits import told_beside

OWN_DESCRIPTORS: Final = 256
"""Descriptors for enclaves, the log, and what libraries open."""


def fitting(config: ServerConfig) -> ServerConfig:
    """The settings with as many connections as there can be descriptors for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = config.connections_max + told_beside(config.connections_max) + OWN_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return config
    room = max(1, (soft - OWN_DESCRIPTORS - told_beside(0)) * 8 // 9)
    tell(logging.WARNING, "nofile is too low for connections_max: there may be so many", count=room)
    return replace(config, connections_max=room)
