"""A plan from the fleet that runs: what it keeps, what changes count for, how many may change."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.app.plan import make_plan
from hetops.domain.plan import Plan
from hetops.errors import InfeasibleError
from hetops.reports import plan as report
from hetops.solver.recheck.plan import recheck
from tests.doubles import specs

DEAR = "[policy.migration]\nusd_per_added_node = 100\nusd_per_removed_node = 50\nhorizon_hours = 10\n"


@pytest.fixture(name="first", scope="module")
def _first(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The fleet that runs."""
    return make_plan(specs.asked(tmp_path_factory.mktemp("first")))


@pytest.fixture(name="busy", scope="module")
def _busy(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A fleet that runs and is several times too large."""
    return make_plan(specs.asked(tmp_path_factory.mktemp("busy"), specs.LISTED, "workload.rate_scale=6"))


def replanned(folder: Path, running: Plan, more: str = "", *overrides: str) -> Plan:
    """The plan from the running fleet, which passes as its file would."""
    asked = specs.asked(folder, specs.LISTED + more, *overrides)
    plan = make_plan(replace(asked, running=running))
    assert recheck(plan) == ()
    return plan


def test_where_nothing_changes_the_fleet_stays(first: Plan, tmp_path: Path) -> None:
    plan = replanned(tmp_path, first, DEAR)
    assert plan.nodes == first.nodes
    assert plan.migration is not None
    assert plan.migration.usd_per_hour == 0
    assert "adds 0, removes 0" in report.as_text(plan)


def test_dear_changes_keep_nodes_that_a_plan_from_nothing_would_not(
    first: Plan, busy: Plan, tmp_path: Path
) -> None:
    free = first
    plan = replanned(tmp_path, busy, DEAR)
    assert plan.migration is not None
    assert plan.migration.usd_per_hour_from_nothing == free.usd_per_hour
    assert plan.nodes != free.nodes
    changes = plan.migration.added(plan.nodes), plan.migration.removed(plan.nodes)
    due = Decimal(int(changes[0] * 100 + changes[1] * 50)) / 10
    assert abs(plan.migration.usd_per_hour - due) < Decimal("0.00001")
    assert plan.certificate.objective == float(plan.usd_per_hour + plan.migration.usd_per_hour)
    assert "A fleet from nothing would cost" in report.as_text(plan)


def test_no_more_nodes_change_than_may(first: Plan, busy: Plan, tmp_path: Path) -> None:
    free = replanned(tmp_path, busy)
    assert free.migration is not None
    changed = free.migration.added(free.nodes) + free.migration.removed(free.nodes)
    assert changed > 1
    plan = replanned(tmp_path, busy, f"[policy.migration]\nmax_changed_nodes = {changed - 1}\n")
    assert plan.migration is not None
    assert plan.migration.added(plan.nodes) + plan.migration.removed(plan.nodes) < changed
    assert float(plan.usd_per_hour) >= float(free.usd_per_hour) * 0.999, "but for the gap"
    with pytest.raises(InfeasibleError) as none:
        replanned(tmp_path, first, "[policy.migration]\nmax_changed_nodes = 0\n", "workload.rate_scale=30")
    assert "change" in " ".join((*none.value.details, none.value.hint))


def test_what_runs_of_an_offer_that_sold_out_may_stay(first: Plan, tmp_path: Path) -> None:
    pool = first.pools[0]
    asked = specs.asked(tmp_path, stock={pool.offer.id: pool.nodes})
    plan = make_plan(replace(asked, running=first))
    assert plan.nodes[pool.name] == pool.nodes


def test_what_may_not_be_chosen_any_more_goes_and_is_named(first: Plan, tmp_path: Path) -> None:
    pool = first.pools[0]
    plan = replanned(tmp_path, first, f'[offers]\nexclude = ["{pool.offer.id}"]\n')
    assert pool.name not in plan.nodes
    assert f"{pool.name} runs and cannot stay" in " ".join(plan.warnings)
    assert plan.migration is not None
    assert plan.migration.removed(plan.nodes) >= pool.nodes
