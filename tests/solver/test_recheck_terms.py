"""A plan file with a policy that was touched, sealed anew so that only the rule itself can find it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from hetops.app.candidates import candidates
from hetops.app.plan import answer, make_plan
from hetops.app.pose import pose_of
from hetops.domain.offer import Limits, Market
from hetops.domain.plan import Plan
from hetops.solver.recheck.plan import recheck, seal
from tests.doubles import specs

POLICY = """
[offers]
markets = ["on_demand", "spot"]

[[policy.survive]]
losing = "provider"
kept_share = 0.5

[[policy.shares]]
of = "market"
names = ["spot"]
at_most = 0.5

[[policy.interruptions]]
per_hour = 0.5
recovery_minutes = 6

[[reserved]]
offer = "g6.xlarge"
nodes = 2
usd_per_hour = 0.5
"""


@pytest.fixture(name="plan", scope="module")
def _plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A plan from itself: it keeps to every kind of rule."""
    folder = tmp_path_factory.mktemp("plan")
    asked = specs.asked(folder, specs.LISTED + POLICY)
    return make_plan(replace(asked, running=make_plan(asked)))


def broken(plan: Plan) -> set[str]:
    """The rules that the plan breaks, whatever its seal said before."""
    return {violation.rule for violation in recheck(seal(plan))}


def test_a_plan_of_every_kind_of_rule_passes(plan: Plan) -> None:
    assert recheck(plan) == ()
    assert plan.covers
    assert plan.rentals
    assert plan.migration is not None


def _no_cover(plan: Plan) -> Plan:
    return replace(plan, covers=plan.covers[1:])


def _thinner_cover(plan: Plan) -> Plan:
    first, *rest = plan.covers
    thin = tuple(replace(s, share=s.share / 2) for s in first.shares)
    return replace(plan, covers=(replace(first, shares=thin), *rest))


def _served_by_the_lost(plan: Plan) -> Plan:
    first, *rest = plan.covers
    (gone, *_) = (p.name for p in plan.pools if p.offer.provider in first.lost)
    moved = tuple(replace(s, pool=gone) for s in first.shares)
    return replace(plan, covers=(replace(first, shares=moved), *rest))


def _kept_whole(plan: Plan) -> Plan:
    limits = plan.certificate.limits
    assert limits is not None
    losses = tuple(replace(rule, kept_share=1.0) for rule in limits.losses)
    return replace(plan, certificate=replace(plan.certificate, limits=replace(limits, losses=losses)))


def _less_spot(plan: Plan) -> Plan:
    limits = plan.certificate.limits
    assert limits is not None
    shares = tuple(replace(rule, at_most=0.01) for rule in limits.shares)
    return replace(plan, certificate=replace(plan.certificate, limits=replace(limits, shares=shares)))


def _interrupted_more(plan: Plan) -> Plan:
    pools = tuple(replace(p, interruptions_per_hour=p.interruptions_per_hour * 16) for p in plan.pools)
    return replace(plan, pools=pools)


def _no_rental(plan: Plan) -> Plan:
    return replace(plan, rentals=())


def _fewer_paid(plan: Plan) -> Plan:
    return replace(plan, rentals=tuple(replace(r, nodes=r.nodes - 1) for r in plan.rentals))


def _in_blocks(plan: Plan) -> Plan:
    return replace(plan, rentals=tuple(replace(r, lot_nodes=3) for r in plan.rentals))


def _changed_more(plan: Plan) -> Plan:
    assert plan.migration is not None
    return replace(plan, migration=replace(plan.migration, running={}, max_changed_nodes=0))


def _counted_wrongly(plan: Plan) -> Plan:
    assert plan.migration is not None
    return replace(plan, migration=replace(plan.migration, usd_per_hour=Decimal("0.5")))


@pytest.mark.parametrize(
    ("touch", "rule"),
    [
        (_no_cover, "losses"),
        (_thinner_cover, "losses"),
        (_served_by_the_lost, "losses"),
        (_kept_whole, "losses"),
        (_less_spot, "share limits"),
        (_interrupted_more, "capacity"),
        (_no_rental, "rentals"),
        (_fewer_paid, "commitments"),
        (_in_blocks, "rentals"),
        (_changed_more, "number of changes"),
        (_counted_wrongly, "changes"),
    ],
)
def test_what_is_touched_is_found_by_its_rule(touch: Callable[[Plan], Plan], rule: str, plan: Plan) -> None:
    assert rule in broken(touch(plan))


def test_a_capacity_block_is_rented_whole_or_not_at_all(tmp_path_factory: pytest.TempPathFactory) -> None:
    found = candidates(specs.asked(tmp_path_factory.mktemp("block")))
    selection = found.gathered.selection
    blocks = tuple(
        replace(
            offer,
            market=Market.CAPACITY_BLOCK,
            usd_per_hour=offer.usd_per_hour / 10,
            limits=Limits(max_count=4),
        )
        for offer in selection.offers
        if offer.gpu == "L4"
    )
    gathered = replace(found.gathered, selection=replace(selection, offers=blocks))
    plan = answer(pose_of(replace(found, gathered=gathered)))
    assert recheck(plan) == ()
    assert plan.rentals
    assert all(rental.nodes == rental.lot_nodes == 4 for rental in plan.rentals)
    idle = sum(plan.idle_nodes(rental) for rental in plan.rentals)
    assert sum(p.nodes for p in plan.pools) + idle == 4 * len(plan.rentals)
