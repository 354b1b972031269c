"""Rates, shares and latencies out of observations."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.domain.observation import Outcome
from hetops.observations.merge import latency, summarize
from tests.observations.records import observation


def test_rates_count_the_window_and_nothing_outside_it() -> None:
    found = summarize([observation(float(at)) for at in range(20)], since=5.0, until=15.0)
    assert found.total.requests == 10
    assert found.total.requests_per_second == pytest.approx(1.0)
    assert found.total.input_tokens_per_second == pytest.approx(100.0)
    assert found.total.tokens_per_second == pytest.approx(110.0)


def test_shares_count_every_forwarded_request_whatever_became_of_it() -> None:
    seen = [
        observation(1.0),
        observation(2.0, pool="large", outcome=Outcome.ENGINE_ERROR, status=502),
        observation(3.0, pool="large"),
        observation(4.0, pool="large", outcome=Outcome.ABORTED),
        observation(5.0, pool="", outcome=Outcome.REFUSED, status=503),
    ]
    found = summarize(seen, since=0.0, until=10.0)
    assert found.share("chat", "large") == pytest.approx(0.75)
    assert found.share("chat", "small") == pytest.approx(0.25)
    assert found.share("code", "small") == 0.0
    assert found.total.requests == 5
    assert found.total.outcomes == {"ok": 2, "engine_error": 1, "aborted": 1, "refused": 1}


def test_failed_requests_count_in_no_latency_and_no_tokens() -> None:
    seen = [observation(1.0), observation(2.0, outcome=Outcome.ENGINE_ERROR, ttft_seconds=99.0)]
    total = summarize(seen, since=0.0, until=10.0).total
    assert total.ttft_seconds is not None
    assert total.ttft_seconds.p99 == pytest.approx(0.2)
    assert total.input_tokens_per_second == pytest.approx(10.0)
    assert (total.requests, total.answered) == (2, 1)


def test_classes_and_pools_are_told_apart() -> None:
    seen = [observation(1.0), observation(2.0, workload_class="code", pool="large", ttft_seconds=1.0)]
    found = summarize(seen, since=0.0, until=4.0)
    code = found.workload_class("code")
    assert code is not None
    assert code.ttft_seconds is not None
    assert code.ttft_seconds.p50 == pytest.approx(1.0)
    assert [p.name for p in found.pools] == ["large", "small"]
    assert found.workload_class("math") is None


def test_nothing_observed_is_a_summary_of_nothing() -> None:
    found = summarize([], since=0.0, until=1.0)
    assert (found.total.requests, found.classes, found.total.ttft_seconds) == (0, (), None)


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing lies between"):
        summarize([], since=1.0, until=1.0)


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 1e3), min_size=2, max_size=50))
def test_percentiles_are_those_of_the_inclusive_method(values: list[float]) -> None:
    found = latency(values)
    assert found is not None
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    assert (found.p50, found.p90, found.p99) == pytest.approx((cuts[49], cuts[89], cuts[98]), abs=1e-6)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=40))
def test_shares_of_a_class_add_up_to_one(pools: list[str]) -> None:
    found = summarize([observation(float(i), pool=p) for i, p in enumerate(pools)], since=0.0, until=1e3)
    assert sum(s.share for s in found.shares) == pytest.approx(1.0)
    assert sum(p.requests for p in found.pools) == found.total.requests
