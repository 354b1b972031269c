"""A spec whose pools cost something besides their nodes: the plan, its check and its text, a day, a simulation, a frontier."""

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
from hetops.domain.plan import Plan
from hetops.errors import SpecError
from hetops.reports import day as day_report
from hetops.reports.plan import as_text
from hetops.solver.recheck.day import recheck_day, seal_day
from hetops.solver.recheck.plan import recheck, seal
from tests.doubles import specs
from tests.doubles.days import planned

QUARTER = "policy.usd_per_pool_hour=0.25"


@pytest.fixture(scope="module", name="free")
def _free(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return make_plan(specs.asked(tmp_path_factory.mktemp("free"), specs.TRACED))


@pytest.fixture(scope="module", name="plan")
def _plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return make_plan(specs.asked(tmp_path_factory.mktemp("priced"), specs.TRACED, QUARTER))


@pytest.fixture(scope="module", name="day")
def _day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return planned(tmp_path_factory.mktemp("day"), QUARTER)


def test_a_plan_tells_what_its_pools_cost_and_counts_it(plan: Plan, free: Plan) -> None:
    assert plan.pools_usd_per_hour == Decimal("0.25") * len(plan.pools) > 0
    least, most = (free.usd_per_hour + Decimal("0.25") * pools for pools in (1, len(free.pools)))
    assert least <= plan.usd_per_hour <= most
    assert plan.certificate.objective == float(plan.usd_per_hour)
    assert recheck(plan) == ()
    text = as_text(plan)
    (line,) = (line for line in text.splitlines() if line.startswith("pools themselves"))
    assert line.split()[-3] == f"${plan.pools_usd_per_hour:.2f}"
    assert "pools themselves" not in as_text(free)


def test_pools_dear_enough_leave_one(plan: Plan, tmp_path: Path) -> None:
    assert len(plan.pools) > 1
    dear = make_plan(specs.asked(tmp_path, specs.TRACED, "policy.usd_per_pool_hour=100"))
    assert len(dear.pools) == 1


def test_a_file_of_a_plan_that_says_less_is_found_out(plan: Plan) -> None:
    assert recheck(codec.decode(Plan, codec.encode(plan), source="test")) == ()
    cheaper = seal(replace(plan, usd_per_pool_hour=Decimal(0)))
    assert [violation.rule for violation in recheck(cheaper)] == ["cost"]


def test_a_simulation_pays_for_pools_as_long_as_it_lasts(plan: Plan, tmp_path: Path) -> None:
    bills = []
    for name, told in (("priced", plan), ("unpriced", seal(_unpriced(plan)))):
        path = tmp_path / f"{name}.json"
        path.write_bytes(codec.encode(told))
        asked = SimulationAsked(
            spec=specs.asked(tmp_path, specs.TRACED), plan_file=path, stretch=Stretch(duration_seconds=60.0)
        )
        bills.append(simulate(asked, lambda _: None))
    priced, unpriced = bills
    hours = priced.answered_seconds / 3600
    assert priced.usd - unpriced.usd == pytest.approx(float(plan.pools_usd_per_hour) * hours)
    assert priced.usd_per_hour - unpriced.usd_per_hour == plan.pools_usd_per_hour


def _unpriced(plan: Plan) -> Plan:
    """The same fleet for nodes alone, certified so."""
    bare = replace(plan, usd_per_pool_hour=Decimal(0))
    objective = float(bare.usd_per_hour)
    certificate = replace(plan.certificate, objective=objective, bound=objective, gap=0.0)
    return replace(bare, certificate=certificate)


def test_a_day_pays_for_a_pool_of_any_period_and_its_plans_do_not(day: Day) -> None:
    assert day.pools_usd_per_hour == Decimal("0.25") * len(day.pools) > 0
    assert day.usd_per_hour == day.fleets_usd_per_hour + day.starts_usd_per_hour + day.pools_usd_per_hour
    assert all(period.plan.pools_usd_per_hour == 0 for period in day.periods)
    assert f"besides {'its' if len(day.pools) == 1 else 'their'} nodes" in day_report.as_text(day)
    cheaper = seal_day(replace(day, usd_per_pool_hour=Decimal("0.1")))
    assert [violation.rule for violation in recheck_day(cheaper)] == ["cost"]


def test_a_budget_that_a_period_keeps_without_its_pools_alone_is_found_out(day: Day) -> None:
    dearest = max(period.plan.usd_per_hour for period in day.periods)
    assert "budget" in [v.rule for v in recheck_day(seal_day(_with_budget(day, dearest)))]
    assert recheck_day(seal_day(_with_budget(day, dearest + day.pools_usd_per_hour))) == ()


def _with_budget(day: Day, usd: Decimal) -> Day:
    """With that budget in every plan."""

    def having(plan: Plan) -> Plan:
        assert plan.certificate.limits is not None
        limits = replace(plan.certificate.limits, budget_usd_per_hour=usd)
        return seal(replace(plan, certificate=replace(plan.certificate, limits=limits)))

    return replace(day, periods=tuple(replace(one, plan=having(one.plan)) for one in day.periods))


def test_a_frontier_counts_them(tmp_path: Path) -> None:
    least = []
    for more in ((), (QUARTER,)):
        asked = specs.asked(tmp_path, specs.LISTED, *more)
        (point,) = frontier(FrontierAsked(spec=asked, target_factors=(1.0,)), lambda _: None).points
        least.append(point.usd_per_hour or Decimal(0))
    assert least[1] - least[0] >= Decimal("0.25")


@pytest.mark.parametrize("usd", ["-0.01", "1000001"])
def test_a_pool_that_costs_nothing_that_is_meant_is_refused(usd: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="usd_per_pool_hour must be at least 0"):
        make_plan(specs.asked(tmp_path, specs.LISTED, f"policy.usd_per_pool_hour={usd}"))
