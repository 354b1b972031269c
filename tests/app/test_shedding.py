"""Requests that a spec lets be turned away: the plan, its check, a day, the router, a simulation."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.app.frontier import FrontierAsked, frontier
from hetops.app.plan import make_plan
from hetops.app.played_requests import Stretch
from hetops.app.simulate import SimulationAsked, simulate
from hetops.domain import codec
from hetops.domain.day import Day
from hetops.domain.plan import Plan, Shed, usd_of_shed
from hetops.errors import HetopsError, InfeasibleError, SpecError
from hetops.reports import day as day_report
from hetops.reports import what_if
from hetops.reports.plan import as_text
from hetops.reports.simulation_text import as_text as simulation_text
from hetops.reports.what_if import WhatIf
from hetops.router.config import from_plan
from hetops.router.decide import Choice, Dispatcher, Unroutable
from hetops.solver.recheck.day import recheck_day, seal_day
from hetops.solver.recheck.plan import recheck, seal
from tests.doubles import specs
from tests.doubles.days import WAITING, planned

CLASS = 'name = "short"'


def shedding(text: str, lines: str) -> str:
    """The spec whose first class has these lines."""
    assert CLASS in text
    return text.replace(CLASS, f"{CLASS}\n{lines}", 1)


@pytest.fixture(scope="module", name="free")
def _free(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return make_plan(specs.asked(tmp_path_factory.mktemp("free"), specs.LISTED))


@pytest.fixture(scope="module", name="plan")
def _plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    text = shedding(specs.LISTED, "shed_usd_per_request = 0.000001\nmax_shed_share = 0.9")
    return make_plan(specs.asked(tmp_path_factory.mktemp("shed"), text))


def test_a_node_is_saved_where_what_it_would_serve_costs_less(plan: Plan, free: Plan) -> None:
    (shed,) = plan.shed
    assert (shed.workload_class, shed.usd_per_request, shed.max_share) == ("short", Decimal("0.000001"), 0.9)
    assert plan.usd_per_hour < free.usd_per_hour
    assert free.usd_per_hour > plan.counted_usd_per_hour > plan.usd_per_hour
    assert plan.certificate.objective == float(plan.counted_usd_per_hour)
    rates = {c.name: c.requests_per_second for c in plan.workload.classes}
    assert rates["short"] == pytest.approx(8.0 * (1 - shed.share))
    assert rates["short"] + shed.requests_per_second == pytest.approx(8.0)
    assert rates["long"] == 1.0
    assert recheck(plan) == ()


def test_the_plan_says_what_is_turned_away_what_becomes_of_it_and_what_serving_it_would_cost(
    plan: Plan, free: Plan
) -> None:
    text = as_text(plan)
    assert "of short" in text
    assert "at 0.000001 a request, which nobody is paid" in text
    assert any("answers all others 429 with Retry-After" in w for w in plan.warnings)
    (cost,) = (c for c in plan.term_costs if c.text == "turning requests away")
    assert (cost.usd_per_hour, cost.usd_per_hour_without) == (plan.counted_usd_per_hour, free.usd_per_hour)


def test_where_money_pays_for_no_more_there_is_no_fleet_without_it(tmp_path: Path, free: Plan) -> None:
    asked = specs.asked(
        tmp_path,
        shedding(specs.LISTED, "shed_usd_per_request = 0.01"),
        f"budget.usd_per_hour={free.usd_per_hour * Decimal('0.97'):.2f}",
    )
    poor = make_plan(asked)
    text = as_text(poor)
    assert "Turning requests away: without it there is no fleet" in text
    assert f"With that it counts for ${poor.counted_usd_per_hour:.2f} /h" in text
    beside = what_if.as_text(WhatIf(restrictions=("--set budget",), plan=poor, instead_of=free))
    assert f"count for ${poor.counted_usd_per_hour:.2f} /h instead of ${free.usd_per_hour:.2f} /h" in beside
    (point,) = frontier(FrontierAsked(spec=asked, target_factors=(1.0,)), lambda _: None).points
    assert point.usd_per_hour == poor.counted_usd_per_hour
    assert point.shed_usd_per_hour == usd_of_shed(poor.shed) > 0


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"share": 0.3}, "shedding"),
        ({"max_share": 0.1}, "shedding"),
        ({"usd_per_hour": Decimal("0.01")}, "shedding"),
        ({"usd_per_request": Decimal("0.0002")}, "shedding"),
        ({"requests_per_second": 0.5}, "shedding"),
        ({"workload_class": "other"}, "shedding"),
    ],
)
def test_what_somebody_changes_of_it_is_found_out(plan: Plan, change: dict[str, object], rule: str) -> None:
    wrong = seal(replace(plan, shed=(replace(plan.shed[0], **change),)))  # type: ignore[arg-type]
    assert rule in {v.rule for v in recheck(wrong)}
    assert recheck(seal(replace(plan, shed=())))


def test_the_router_gives_pools_what_they_are_planned_to_serve_in_any_minute(plan: Plan) -> None:
    urls = {p.name: tuple(f"http://{p.name}-{i}:80" for i in range(p.replicas)) for p in plan.pools}
    config = from_plan(plan, urls)
    most = {c.name: c.requests_per_minute for c in config.classes}
    rate = next(c.requests_per_second for c in plan.workload.classes if c.name == "short")
    assert most["long"] is None
    assert rate * 60 <= (most["short"] or 0) < rate * 60 + 1
    dispatcher = Dispatcher(config)
    dispatcher.passed(0.0)
    choices = [dispatcher.choose("short", 450) for _ in range(8 * 60)]
    assert sum(isinstance(c, Choice) for c in choices) == most["short"]
    assert {c for c in choices if not isinstance(c, Choice)} == {Unroutable.SHED}
    assert isinstance(dispatcher.choose("long", 6300), Choice)
    dispatcher.reconfigure(config)
    assert dispatcher.choose("short", 450) is Unroutable.SHED
    dispatcher.passed(60.0)
    assert isinstance(dispatcher.choose("short", 450), Choice)


def test_a_class_of_which_all_is_turned_away_is_still_known_by_its_lengths(tmp_path: Path) -> None:
    """No GPU of the catalogue is as fast as is asked for."""
    text = specs.LISTED.replace("ttft_seconds = 4.0", "ttft_seconds = 0.0001\nshed_usd_per_request = 0.01")
    plan = make_plan(specs.asked(tmp_path, text))
    assert [(one.workload_class, one.share) for one in plan.shed] == [("long", 1.0)]
    assert recheck(plan) == ()
    dispatcher = Dispatcher(from_plan(plan, {p.name: (f"http://{p.name}:80",) for p in plan.pools}))
    assert dispatcher.choose("long", 6300) is Unroutable.SHED
    assert isinstance(dispatcher.choose("short", 450), Choice)


def test_a_simulation_turns_away_as_many_as_the_plan_says(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(codec.encode(plan))
    asked = specs.asked(tmp_path, specs.LISTED)
    found = simulate(
        SimulationAsked(spec=asked, plan_file=path, stretch=Stretch(duration_seconds=900.0)), lambda _: None
    )
    short = next(c for c in found.classes if c.name == "short")
    assert 1 - short.answered / short.requests == pytest.approx(plan.shed[0].share, abs=0.03)
    assert any("turned away by plan" in note for note in found.notes)
    assert (short.shed_share, short.late) == (plan.shed[0].share, ())
    assert replace(short, shed_share=0.0).late
    assert "Targets kept for every class; " in simulation_text(found)


def test_each_period_of_a_day_turns_away_its_own_and_work_that_waits_what_arrives(tmp_path: Path) -> None:
    lines = "shed_usd_per_request = 0.000001\nmax_shed_share = 0.9"
    day = planned(tmp_path, text=shedding(specs.LISTED, lines))
    counted = [usd_of_shed(p.plan.shed) * Decimal(p.hours) for p in day.periods]
    assert day.shed_usd_per_hour == pytest.approx(sum(counted) / 24, abs=Decimal("0.000001"))
    assert day.periods[0].plan.shed
    assert day.certificate.objective == pytest.approx(float(day.usd_per_hour + day.shed_usd_per_hour))
    assert "What is turned away counts for" in day_report.as_text(day)
    first = day.periods[0].name
    assert any(w.startswith(f"{first}: ") and "short is turned away" in w for w in day.warnings)
    assert changed(day, share=0.1) & {"shedding", "deadlines"}
    told = day_report.as_text(day)
    assert day.steady_usd_per_hour is not None
    assert f"with it the day is at ${day.counted_usd_per_hour:.2f} /h" in told
    assert f"the day saves ${day.steady_usd_per_hour - day.counted_usd_per_hour:.2f} /h" in told
    late = WAITING.replace('priority = "batch"', 'priority = "batch"\nshed_usd_per_request = 0.00001', 1)
    waiting = planned(tmp_path, text=late)
    batch = next(iter(waiting.deadlines))
    assert {one.workload_class for p in waiting.periods for one in p.shed} == {batch}
    assert all(one.workload_class != batch for p in waiting.periods for one in p.plan.shed)
    (waits,) = (c for c in waiting.term_costs if c.text.startswith("letting "))
    assert waits.usd_per_hour == pytest.approx(waiting.counted_usd_per_hour, abs=Decimal("0.00001"))
    assert any("whoever sends it does so before it waits" in w for w in waiting.warnings)


def changed(day: Day, **change: object) -> set[str]:
    """Rules that a day breaks of which somebody changed what the first period turns away."""
    first, *others = day.periods
    shed: tuple[Shed, ...] = (replace(first.plan.shed[0], **change),)  # type: ignore[arg-type]
    plan = seal(replace(first.plan, shed=shed))
    return {v.rule for v in recheck_day(seal_day(replace(day, periods=(replace(first, plan=plan), *others))))}


def test_where_it_is_cheapest_to_serve_nothing_there_is_no_plan(tmp_path: Path) -> None:
    text = specs.LISTED.replace("output_tokens", "shed_usd_per_request = 0.0000001\noutput_tokens")
    with pytest.raises(InfeasibleError, match="cheapest to turn every request away"):
        make_plan(specs.asked(tmp_path, text))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("max_shed_share = 0.5", "max_shed_share needs shed_usd_per_request"),
        ("shed_usd_per_request = 0", "shed_usd_per_request must be above zero"),
        ("shed_usd_per_request = 1\nmax_shed_share = 1.5", "max_shed_share"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_its_place(lines: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as fault:
        make_plan(specs.asked(tmp_path, shedding(specs.LISTED, lines)))
    assert message in str(fault.value)
    assert isinstance(fault.value, HetopsError)
