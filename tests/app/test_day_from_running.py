"""A day from the fleet that runs: which period begins now, what its fleet keeps, what the changes count for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.app.day import find_day
from hetops.app.plan import make_plan
from hetops.app.pose import pose
from hetops.domain import codec
from hetops.domain.day import Day
from hetops.domain.plan import Plan
from hetops.errors import UsageError
from hetops.reports import day as report
from hetops.solver.recheck.day import recheck_day, seal_day
from hetops.solver.recheck.plan import recheck, seal
from hetops.solver.solution import Infeasible
from hetops.solver.solve import Effort, solve
from tests.doubles import specs
from tests.doubles.days import PERIODS

TERMS = "[policy.migration]\nusd_per_added_node = 20\nusd_per_removed_node = 5\nhorizon_hours = 24\n"
EVENING = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
CLOCK = 'policy.day.begins="06:00"'


@pytest.fixture(name="running", scope="module")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Two nodes that the night does not need."""
    return make_plan(specs.asked(tmp_path_factory.mktemp("running")))


def planned(folder: Path, running: Plan, *overrides: str, period: str = "") -> Day:
    """The day from the running fleet, which passes as its file would."""
    asked = specs.asked(folder, specs.LISTED + PERIODS + TERMS, *overrides)
    posed = pose(replace(asked, running=running, period=period, now=EVENING))
    day = find_day(posed, Effort(limit_seconds=20)).document
    assert isinstance(day, Day)
    assert recheck_day(day) == ()
    return day


def test_the_period_that_is_now_comes_first_and_keeps_what_is_worth_keeping(
    running: Plan, tmp_path: Path
) -> None:
    day = planned(tmp_path, running, CLOCK)
    assert (day.names, day.begins) == (("night", "day"), "22:00")
    night, later = (period.plan for period in day.periods)
    assert recheck(night) == ()
    assert night.migration is not None
    assert later.migration is None
    (name,) = running.nodes
    assert night.nodes == {name: 1}, "from nothing it would be another kind of node"
    assert (night.migration.added(night.nodes), night.migration.removed(night.nodes)) == (0, 1)
    assert float(night.migration.usd_per_hour) == pytest.approx(5 / 24, abs=1e-6)
    counted = float(day.usd_per_hour + night.migration.usd_per_hour)
    assert day.certificate.objective == pytest.approx(counted, abs=4e-6)
    text = report.as_text(day)
    assert "night: From the fleet that runs: keeps 1 of 2 nodes, adds 0, removes 1" in text
    assert "Changing from the fleet that runs costs $" in text
    assert codec.decode(Day, codec.encode(day), source="day.json") == day


def test_a_period_that_is_asked_for_is_the_one_that_begins_now(running: Plan, tmp_path: Path) -> None:
    day = planned(tmp_path, running, period="day")
    assert (day.names, day.begins) == (("day", "night"), "")
    first = day.periods[0].plan
    assert first.nodes == running.nodes
    assert first.migration is not None
    assert first.migration.usd_per_hour == 0
    with pytest.raises(UsageError, match="say which"):
        planned(tmp_path, running)


def test_the_mean_budget_pays_for_changes_too(running: Plan, tmp_path: Path) -> None:
    day = planned(tmp_path, running, CLOCK)
    asked = specs.asked(
        tmp_path,
        specs.LISTED + PERIODS + TERMS,
        CLOCK,
        f"budget.mean_usd_per_hour={day.usd_per_hour + Decimal('0.1')}",
    )
    posed = pose(replace(asked, running=running, now=EVENING))
    assert isinstance(solve(posed.problem), Infeasible)


def test_a_day_whose_changes_were_touched_does_not_check(running: Plan, tmp_path: Path) -> None:
    day = planned(tmp_path, running, CLOCK)
    night, later = day.periods
    terms = night.plan.migration
    assert terms is not None
    free = seal(replace(night.plan, migration=replace(terms, usd_per_hour=Decimal(0))))
    twice = seal(
        replace(later.plan, migration=replace(terms, running=later.plan.nodes, usd_per_hour=Decimal(0)))
    )
    for periods, rule in (
        ((replace(night, plan=free), later), "changes"),
        ((replace(night, plan=replace(free, migration=None)), later), "cost"),
        ((night, replace(later, plan=twice)), "changes"),
    ):
        broken = recheck_day(seal_day(replace(day, periods=periods)))
        assert rule in {one.rule for one in broken}
    dear = replace(day.certificate, mean_budget_usd_per_hour=day.usd_per_hour + Decimal("0.1"))
    broken = recheck_day(seal_day(replace(day, certificate=dear)))
    assert "mean budget" in {one.rule for one in broken}
