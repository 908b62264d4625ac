"""clock.py: the host's time as the process began, and from then on nobody's."""

import time

from keymeld_enclave import clock
from keymeld_enclave.clock import HostClock, now_ms

NOON_NS = 1_700_000_000_000 * 1_000_000


class Host:
    """A wall clock that can be set, and a counter that cannot."""

    def __init__(self) -> None:
        self.wall, self.steady = NOON_NS, 5
        self.clock = HostClock(lambda: self.wall, lambda: self.steady)

    def pass_by(self, ns: int) -> None:
        self.wall += ns
        self.steady += ns


def test_it_begins_with_the_hosts_clock_and_goes_on_in_milliseconds() -> None:
    host = Host()
    assert host.clock() == NOON_NS // 1_000_000
    host.pass_by(1_999_999)
    assert host.clock() == NOON_NS // 1_000_000 + 1


def test_attack_42_a_clock_that_is_set_while_it_runs_changes_nothing() -> None:
    """42: a back-dated `at`, a clock set back, a restart during a delay."""
    host = Host()
    for seconds in (-3600, 3600 * 24 * 365):
        before = host.clock()
        host.wall += seconds * 10**9
        assert host.clock() == before


def test_this_processs_clock_is_the_hosts_and_counts_sleep() -> None:
    assert abs(now_ms() - time.time_ns() // 1_000_000) < 3_600_000
    assert getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC) == clock._STEADY
