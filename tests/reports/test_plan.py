"""A plan's text says what was chosen, what lost, what it costs and what it rests on; its JSON reads back."""

from __future__ import annotations

import json
from dataclasses import replace

from hetops.domain import codec
from hetops.domain.plan import PeakUse, Plan, PoolForecast
from hetops.reports import plan as report
from hetops.reports import quantities as q
from tests.doubles import plans


def test_text_shows_the_fleet_its_cost_per_hour_and_per_month_of_730_hours() -> None:
    text = report.as_text(plans.plan())
    assert "Total $3.50 /h · $2,555 /month (730 h)" in text
    assert "local gcp/l4-fp8 local on_demand (emulated)" in text


def test_text_shows_each_class_with_its_shares_targets_and_forecasts() -> None:
    text = report.as_text(plans.plan())
    line = next(line for line in text.splitlines() if line.startswith("chat "))
    assert "l4-fp8 60 %, l40s-fp8 40 %" in line
    assert "p90 0.41 s (0.30 s to 0.80 s)" in line
    assert "1.00 s" in line
    assert "p90 22 ms (18 ms to 26 ms)" in line
    assert "50 ms" in line


def test_text_shows_the_losers_and_by_how_much() -> None:
    text = report.as_text(plans.plan())
    assert "only L40S" in text
    assert "+8.6 %" in text
    assert "No fleet exists with: " in text


def test_text_names_evidence_gap_and_warnings() -> None:
    text = report.as_text(plans.plan())
    assert "calibrated (closed form), planned with 10 % taken off" in text
    assert "gap 0.29 %" in text
    assert "warning: 8 offers have no known stock" in text


def test_text_says_how_near_the_fleet_comes_to_the_arithmetic_of_its_gpus() -> None:
    uses = (
        PeakUse(pool="l4-fp8", gpu="L4", compute=0.61, bandwidth=0.042),
        PeakUse(pool="l40s-fp8", gpu="L40S", compute=0.3, bandwidth=0.5),
    )
    assert (
        "Arithmetic: at most 61 % of a pool's peak compute (l4-fp8) and 50 % of its peak bandwidth (l40s-fp8) is needed"
        in report.as_text(replace(plans.plan(), peak_uses=uses)).splitlines()
    )


def test_a_pool_shows_what_it_sustains_with_its_interval_where_the_plan_says_so() -> None:
    plan = plans.plan()
    told = PoolForecast(
        pool="l4-fp8", requests_per_second=2.6, requests_per_second_low=2.1, requests_per_second_high=3.2
    )
    lines = report.fleet(replace(plan, pool_forecasts=(told,))).splitlines()
    assert "SUSTAINS (80 %)" in lines[0]
    assert lines[1].endswith("2.6 /s (2.1 /s to 3.2 /s)")
    assert lines[2].endswith("-")


def test_the_rates_of_a_traces_periods_stand_by_class_with_the_busiest() -> None:
    plan = plans.plan()
    chat, code = plan.workload.classes
    few = replace(chat, requests_per_second_by_period=(1.0, 3.0, 2.5))
    many = replace(code, requests_per_second_by_period=(0.0, 0.25, 0.5, 0.75, 1.0, 0.5, 0.5, 0.5, 0.5))
    lines = report.as_text(replace(plan, workload=replace(plan.workload, classes=(few, many)))).splitlines()
    assert "CLASS  BUSIEST  REQUESTS BY PERIOD" in lines
    assert "chat   2 of 3   1 /s, 3 /s, 2.5 /s" in lines
    assert "code   5 of 9   ▁▃▅▆█▅▅▅▅  0 /s to 1 /s" in lines
    assert "BY PERIOD" not in report.as_text(plan)


def test_json_reads_back_as_the_same_plan() -> None:
    plan = plans.plan()
    raw = report.as_json(plan)
    assert raw["usd_per_month"] == "2555.00"
    assert codec.decode(Plan, json.dumps(raw), source="test") == plan


def test_a_table_aligns_and_leaves_no_trailing_blanks() -> None:
    text = q.table(("a", "number"), [("x", "1"), ("longer", "22")], right=(1,))
    assert text == "A       NUMBER\nx            1\nlonger      22"


def test_quantities_round_for_reading() -> None:
    assert [q.seconds(v) for v in (0.41, 0.0221, 320.4, None, float("inf"))] == [
        "0.41 s",
        "22.1 ms",
        "320 s",
        "-",
        "never",
    ]
    assert [q.share(v) for v in (1.0, 0.333, 0.051, 0.0)] == ["100 %", "33 %", "5.1 %", "0 %"]
    assert [q.change(v) for v in (0.22, -0.015)] == ["+22 %", "-1.5 %"]
    assert [q.many(n, "class") for n in (1, 2)] == ["1 class", "2 classes"]
