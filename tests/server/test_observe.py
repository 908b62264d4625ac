"""Metrics: counted by our own words, rendered for Prometheus, and no time series for a stranger's inventions."""

import pytest

from keymeld_protocol.errors import Reason
from keymeld_protocol.wire.payloads import KINDS
from keymeld_server.observe import KNOWN, SIDES, STORED, Metrics, known_kind


@pytest.fixture
def metrics() -> Metrics:
    """Metrics of a coordinator that has just started."""
    return Metrics()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """One sample, or None."""
    return metrics.registry.get_sample_value(f"keymeld_{name}", labels)


def test_a_statement_is_counted_by_kind_and_result(metrics: Metrics) -> None:
    for result in (STORED, STORED, KNOWN, str(Reason.SLOT_TAKEN)):
        metrics.submitted("keygen.join", result, 0.002)
    assert value(metrics, "statements_total", kind="keygen.join", result="stored") == 2
    assert value(metrics, "statements_total", kind="keygen.join", result="slot_taken") == 1
    assert value(metrics, "submit_seconds_count") == 4


def test_a_commit_tells_its_size_and_its_time(metrics: Metrics) -> None:
    metrics.committed(3, 0.004)
    assert value(metrics, "commit_size_sum") == 3
    assert value(metrics, "commit_seconds_bucket", le="0.005") == 1


def test_gauges_go_up_and_down(metrics: Metrics) -> None:
    metrics.connections.labels(SIDES[0]).inc(2)
    metrics.connections.labels(SIDES[0]).dec()
    assert value(metrics, "connections", side="participant") == 1


def test_closes_are_counted_by_our_codes_alone(metrics: Metrics) -> None:
    for code in (4101, 1006, 4999):
        metrics.closed(code)
    assert value(metrics, "closes_total", code="4101") == 1
    assert value(metrics, "closes_total", code="other") == 2


def test_a_deadline_is_counted_by_the_notice_it_became(metrics: Metrics) -> None:
    metrics.fired("keygen.expired")
    assert value(metrics, "deadlines_total", kind="keygen.expired") == 1


def test_a_strangers_words_make_no_time_series(metrics: Metrics) -> None:
    for i in range(100):
        metrics.submitted(f"note.n{i}", f"made_up_{i}", 0)
        metrics.submitted(f"made.up{i}", STORED, 0)
    text = metrics.render().decode()
    assert text.count("keymeld_statements_total{") == 2
    assert "made_up" not in text


def test_every_kind_of_ours_is_its_own_label() -> None:
    assert {known_kind(kind) for kind in KINDS} == set(KINDS)


def test_what_is_rendered_is_prometheus_text(metrics: Metrics) -> None:
    text = metrics.render().decode()
    assert "# TYPE keymeld_commit_seconds histogram" in text
    assert "# HELP keymeld_subscriptions Streams followed, over all connections" in text


def test_two_coordinators_in_one_process_count_apart(metrics: Metrics) -> None:
    Metrics().records.inc(5)
    assert value(metrics, "records_total") == 0
