"""Planned against measured."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from hetops.domain.observation import Observation, Outcome
from hetops.observations.merge import summarize
from hetops.reports import ledger as report
from tests.doubles.plans import plan, with_service
from tests.observations.records import observation

CHAT = {"workload_class": "chat", "input_tokens": 1000, "output_tokens": 200}


def seen() -> list[Observation]:
    """Ten requests of `chat` in ten seconds: four, not six of ten, to the pool of L4s; one fails, one is refused."""
    given = [
        observation(float(i), pool="l4-fp8" if i < 4 else "l40s-fp8", ttft_seconds=0.1 * (i + 1), **CHAT)
        for i in range(9)
    ]
    failed = observation(
        9.0, pool="l40s-fp8", outcome=Outcome.ENGINE_ERROR, ttft_seconds=None, tpot_seconds=None, **CHAT
    )
    refused = observation(
        9.5, workload_class="", pool="", outcome=Outcome.REFUSED, ttft_seconds=None, tpot_seconds=None
    )
    return [*given, failed, refused]


LEDGER = report.ledger(plan(), summarize(seen(), since=0.0, until=10.0))


def test_planned_and_measured_stand_side_by_side() -> None:
    chat = LEDGER.classes[0]
    assert (chat.requests_per_second.planned, chat.requests_per_second.measured) == (3.0, 1.0)
    assert chat.ttft_seconds.planned == 0.41
    assert chat.ttft_seconds.measured == pytest.approx(0.82)  # the 90th percentile of 0.1 ... 0.9
    assert {pool: (s.planned, s.measured) for pool, s in chat.shares.items()} == {
        "l4-fp8": (0.6, 0.4),
        "l40s-fp8": (0.4, 0.6),
    }
    assert chat.output_tokens.measured == pytest.approx(200)


def test_measured_latencies_are_counted_by_whether_they_lie_within_what_the_plan_said() -> None:
    """TTFT of 0.82 s where 0.3 to 0.8 s was said, TPOT of 20 ms where 18 to 26 were; of `code` nothing was measured."""
    steady = [replace(one, tpot_seconds=one.tpot_seconds and 0.02) for one in seen()]
    found = report.ledger(plan(), summarize(steady, since=0.0, until=10.0))
    chat = found.classes[0]
    assert (chat.ttft_seconds.inside, chat.tpot_seconds.inside) == (False, True)
    assert (found.latencies_compared, found.latencies_inside) == (2, 1)
    text = report.as_text(found)
    ttft = next(line for line in text.splitlines() if "TTFT p90" in line)
    assert re.split(r"  +", ttft.strip()) == [
        "TTFT p90",
        "0.41 s",
        "0.30 s to 0.80 s",
        "0.82 s",
        "too few",
        "1.00 s",
    ]
    assert "1 of 2 latencies lie within their 80 % intervals; of 1 outside too few requests were" in text


def test_a_latency_lies_outside_only_where_enough_requests_say_so() -> None:
    """p90 of 0.1 ... 0.9 s, where 0.3 to 0.8 s was said: nine requests bound it below at some 0.7 s, ninety at 0.78 s and more."""

    def verdict(times: int, seconds: float) -> tuple[bool | None, bool]:
        one = [replace(o, ttft_seconds=o.ttft_seconds and o.ttft_seconds * seconds) for o in seen()]
        held = report.ledger(plan(), summarize(one * times, since=0.0, until=10.0)).classes[0].ttft_seconds
        return held.inside, held.undecided

    assert verdict(1, 1.0) == (False, True)
    assert verdict(100, 1.0) == (False, False)
    assert verdict(1, 1.5) == (False, False)
    assert verdict(1, 0.3) == (False, True), "nine requests tell no upper end of a p90"
    assert verdict(100, 0.3) == (False, False)
    assert verdict(1, 0.9) == (True, False)


def test_a_plan_without_intervals_counts_no_latency() -> None:
    bare = tuple(
        replace(
            f, ttft_seconds_low=None, ttft_seconds_high=None, tpot_seconds_low=None, tpot_seconds_high=None
        )
        for f in plan().forecasts
    )
    old = report.ledger(replace(plan(), forecasts=bare), summarize(seen(), since=0.0, until=10.0))
    assert (old.latencies_compared, old.classes[0].ttft_seconds.inside) == (0, None)
    assert "lie within" not in report.as_text(old)


def test_a_million_tokens_cost_what_the_fleet_costs_over_what_was_answered() -> None:
    measured = 9 * 1200 / 10
    assert LEDGER.tokens_per_second.measured == pytest.approx(measured)
    assert LEDGER.usd_per_million_tokens.measured == pytest.approx(
        float(plan().usd_per_hour) / (measured * 3600) * 1e6
    )
    assert LEDGER.usd_per_million_tokens.planned == pytest.approx(
        float(plan().usd_per_hour) / ((3 * 1200 + 2030) * 3600) * 1e6
    )


def test_a_class_without_requests_measures_nothing() -> None:
    code = LEDGER.classes[1]
    assert (code.requests, code.requests_per_second.measured) == (0, 0.0)
    assert (code.ttft_seconds.measured, code.shares["l40s-fp8"].measured) == (None, None)


def test_nothing_answered_costs_no_known_price_a_token() -> None:
    empty = report.ledger(plan(), summarize([], since=0.0, until=1.0))
    assert empty.usd_per_million_tokens.measured is None
    json.dumps(report.as_json(empty), allow_nan=False)


def test_the_text_says_what_it_is_and_what_failed() -> None:
    text = report.as_text(LEDGER)
    assert "11 requests in 10.00 s of emulated engines (1 engine_error, 9 ok, 1 refused)" in text
    assert "TTFT p90" in text
    assert report.as_json(LEDGER)["format"] == "hetops.ledger"


def test_a_service_counts_for_what_it_was_measured_to_give_not_for_what_was_planned() -> None:
    of = with_service(plan())
    told = report.ledger(of, summarize([observation(1.0, pool="paygo", **CHAT)], since=0.0, until=10.0))
    paid = float(plan().usd_per_hour) + 360 * (1000 * 0.10 + 200 * 0.30) / 1e6
    assert told.usd_per_million_tokens.measured == pytest.approx(paid / (1200 / 10 * 3600) * 1e6)
    assert told.usd_per_hour == of.usd_per_hour
