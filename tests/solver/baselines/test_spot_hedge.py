"""The hedging policy, and what is left of fleets when a zone goes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.solver_risk import ZONES, risk_problem, served_share
from hetops.solver.baselines.spot_hedge import spot_hedge
from hetops.solver.certify import certify
from hetops.solver.problem import Problem
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve
from hetops.solver.terms import Loss, Trait

PROBLEM = risk_problem(8)


def hedged(problem: Problem, extra: int) -> Solution:
    """The policy's fleet, which must be there and within the limits."""
    found = spot_hedge(problem, extra)
    assert isinstance(found, Solution)
    assert certify(problem, found) == ()
    return found


def by_zone(found: Solution) -> Counter[str]:
    """Nodes in each zone."""
    return Counter({zone: sum(n for (o, _), n in found.nodes.items() if f" {zone} " in o) for zone in ZONES})


def in_zone(problem: Problem, zone: str) -> set[str]:
    """Ids of a zone's offers."""
    return {offer.id for offer in problem.offers if offer.zone == zone}


@pytest.mark.parametrize("extra", [0, 1, 3])
def test_spot_nodes_are_spread_over_zones_and_so_many_too_many(extra: int) -> None:
    alone = replace(PROBLEM, columns=tuple(c for c in PROBLEM.columns if c.offer.startswith("A10G")))
    found, exact = hedged(alone, extra), hedged(alone, 0)
    assert sum(found.nodes.values()) == sum(exact.nodes.values()) + extra
    assert max(by_zone(found).values()) - min(by_zone(found).values()) <= 1
    assert all(offer.endswith("spot") for offer, _ in found.nodes)


def test_what_spot_cannot_give_is_rented_on_demand() -> None:
    scarce = replace(
        PROBLEM, offers=tuple(replace(o, max_nodes=0 if o.market == "spot" else 8) for o in PROBLEM.offers)
    )
    found = hedged(scarce, 2)
    assert all(offer.endswith("on_demand") for offer, _ in found.nodes)


def test_without_stock_the_policy_has_no_fleet() -> None:
    empty = replace(PROBLEM, offers=tuple(replace(o, max_nodes=0) for o in PROBLEM.offers))
    assert isinstance(spot_hedge(empty), Infeasible)


def test_a_fleet_made_for_the_loss_of_a_zone_serves_what_it_says_for_less_than_the_policy_does() -> None:
    loss = Loss(id="any zone", trait=Trait.ZONE, kept_share=1.0)
    ours = solve(replace(PROBLEM, losses=(loss,)))
    assert isinstance(ours, Solution)
    assert min(served_share(PROBLEM, ours, in_zone(PROBLEM, zone)) for zone in ZONES) >= 1 - 1e-6
    policies = (hedged(PROBLEM, extra) for extra in range(4))
    safe = [
        p for p in policies if min(served_share(PROBLEM, p, in_zone(PROBLEM, z)) for z in ZONES) >= 1 - 1e-6
    ]
    assert safe, "some number of nodes too many is enough"
    assert ours.usd_per_hour <= min(p.usd_per_hour for p in safe)
