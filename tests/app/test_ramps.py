"""How many nodes of an offer may come and go from one period of a day to the next, as a spec says it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hetops.app.pose import pose
from hetops.domain.day import Day, DayPeriod
from hetops.errors import SpecError
from hetops.solver.recheck.day import recheck_day
from hetops.solver.terms import Billing
from tests.doubles import specs
from tests.doubles.days import PERIODS, planned


def nodes(period: DayPeriod) -> Counter[str]:
    """By offer, in all its pools."""
    found: Counter[str] = Counter()
    for pool in period.plan.pools:
        found[pool.offer.id] += pool.nodes
    return found


def most_added(day: Day) -> int:
    """Of any offer, from the night to the day."""
    by_day, by_night = map(nodes, day.periods)
    return max(count - by_night[offer] for offer, count in by_day.items())


def test_no_more_nodes_of_an_offer_come_in_the_morning_than_may(tmp_path: Path) -> None:
    free, held = planned(tmp_path), planned(tmp_path, "policy.day.max_added_nodes=1")
    assert most_added(free) == 2
    assert most_added(held) == 1
    assert free.usd_per_hour < held.usd_per_hour
    assert held.certificate.max_added_nodes == 1
    assert held.certificate.max_removed_nodes is None
    assert free.certificate.max_added_nodes is None
    (cost,) = held.term_costs
    assert cost.text == "keeping to at most 1 added nodes of an offer from one period to the next"
    assert (cost.usd_per_hour, cost.usd_per_hour_without) == (held.usd_per_hour, free.usd_per_hour)
    assert free.term_costs == ()


def test_where_none_may_go_the_day_is_one_fleet(tmp_path: Path) -> None:
    day = planned(tmp_path, "policy.day.max_removed_nodes=0")
    assert nodes(day.periods[0]) == nodes(day.periods[1])
    assert day.usd_per_hour == day.steady_usd_per_hour
    assert recheck_day(day) == ()


def test_every_offer_is_held_to_it_but_those_that_are_paid_for_anyway(tmp_path: Path) -> None:
    problem = pose(specs.asked(tmp_path, specs.LISTED + PERIODS, "policy.day.max_added_nodes=3")).problem
    running = [o for o in problem.offers if o.billing is Billing.RUNNING]
    assert {(o.max_added_nodes, o.max_removed_nodes) for o in running} == {(3, None)}


def test_a_number_below_none_is_refused_with_its_field(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="max_added_nodes"):
        pose(specs.asked(tmp_path, specs.LISTED + PERIODS, "policy.day.max_added_nodes=-1"))
