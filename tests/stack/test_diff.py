"""What an `up` would change, from plans, a preview and a survey: pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from hetops.domain.plan import Plan
from hetops.stack.changes import Changes, Drift, DriftKind, Step, StepKind
from hetops.stack.diff import FleetDiff, PoolChange, fleet_diff, settled
from hetops.stack.render import ROUTER
from tests.doubles.plans import plan, pool, with_service

NOTHING = Changes(steps=())


def changes(**kinds: str) -> Changes:
    """Steps as `l4="create same"`: one word a node."""
    pools = {"l4": "l4-fp8", "l40s": "l40s-fp8", "router": ROUTER}
    return Changes(
        steps=tuple(
            Step(
                kind=StepKind(kind), resource_type="hetops:index:Node", name=f"{short}-{i}", pool=pools[short]
            )
            for short, words in kinds.items()
            for i, kind in enumerate(words.split())
        )
    )


def by_pool(diff: FleetDiff) -> dict[str, PoolChange]:
    return {p.name: p.change for p in diff.pools}


def only(of: Plan, *names: str) -> Plan:
    return replace(
        of,
        pools=tuple(p for p in of.pools if p.name in names),
        shares=tuple(s for s in of.shares if s.pool in names),
    )


def test_a_first_up_adds_every_pool_and_the_router() -> None:
    diff = fleet_diff(None, plan(), changes(l4="create create", l40s="create", router="create create"))
    assert by_pool(diff) == {"l4-fp8": PoolChange.ADDED, "l40s-fp8": PoolChange.ADDED}
    assert diff.router is PoolChange.ADDED
    assert (diff.usd_per_hour_before, diff.usd_per_hour_after) == (Decimal(0), Decimal("3.50"))
    assert diff.usd_per_month_after == Decimal("2555")
    assert diff.summary == "2 pools to add, 0 to change, 0 to remove · $0.00 → $3.50 /h ($0 → $2,555 /month)"
    assert [t.workload_class for t in diff.targets] == ["chat", "code"]
    assert all(t.before is None for t in diff.targets)


def test_a_down_removes_every_pool() -> None:
    diff = fleet_diff(plan(), None, changes(l4="delete delete", l40s="delete", router="delete delete"))
    assert set(by_pool(diff).values()) == {PoolChange.REMOVED}
    assert diff.router is PoolChange.REMOVED
    assert [(p.nodes_before, p.nodes_after) for p in diff.pools] == [(2, 0), (1, 0)]
    assert diff.usd_per_hour_after == 0


def test_the_same_plan_and_an_unchanged_stack_are_no_change() -> None:
    diff = fleet_diff(plan(), plan(), changes(l4="same same", l40s="same", router="same same"))
    assert not diff.has_changes
    assert diff.summary == "no changes · $3.50 /h ($2,555 /month)"
    assert set(by_pool(diff).values()) == {PoolChange.UNCHANGED}


def test_more_nodes_change_a_pool_and_leave_the_others() -> None:
    diff = fleet_diff(plan(l4_nodes=2), plan(l4_nodes=3), changes(l4="same same create", l40s="same"))
    assert by_pool(diff) == {"l4-fp8": PoolChange.CHANGED, "l40s-fp8": PoolChange.UNCHANGED}
    assert "$3.50 → $4.30 /h" in diff.summary
    assert "+23 %" in diff.summary


def test_a_pool_is_replaced_where_none_of_its_nodes_stays() -> None:
    assert by_pool(fleet_diff(plan(), plan(), changes(l4="replace replace", l40s="same")))["l4-fp8"] is (
        PoolChange.REPLACED
    )
    assert by_pool(fleet_diff(plan(), plan(), changes(l4="replace same", l40s="same")))["l4-fp8"] is (
        PoolChange.CHANGED
    )


def test_a_pool_that_shrinks_and_changes_is_replaced() -> None:
    diff = fleet_diff(plan(l4_nodes=3), plan(l4_nodes=1), changes(l4="replace delete delete"))
    assert by_pool(diff)["l4-fp8"] is PoolChange.REPLACED


def test_one_pool_for_another_is_one_added_and_one_removed() -> None:
    diff = fleet_diff(
        only(plan(), "l4-fp8"), only(plan(), "l40s-fp8"), changes(l4="delete delete", l40s="create")
    )
    assert by_pool(diff) == {"l40s-fp8": PoolChange.ADDED, "l4-fp8": PoolChange.REMOVED}
    assert diff.summary.startswith("1 pool to add, 0 to change, 1 to remove")


def test_another_router_is_told_apart_from_pools() -> None:
    assert fleet_diff(plan(), plan(), changes(router="replace same")).router is PoolChange.REPLACED
    assert fleet_diff(plan(), plan(), changes(router="same update")).router is PoolChange.UNCHANGED


def test_other_shares_change_the_routing_and_no_pool() -> None:
    shares = tuple(replace(s, share=0.5) if s.workload_class == "chat" else s for s in plan().shares)
    diff = fleet_diff(plan(), replace(plan(), shares=shares), changes(l4="same same", router="update same"))
    assert diff.routing_changed
    assert diff.has_changes
    assert set(by_pool(diff).values()) == {PoolChange.UNCHANGED}
    assert diff.summary.startswith("routing to change")


def test_shares_that_differ_by_rounding_route_the_same() -> None:
    shares = tuple(replace(s, share=s.share + 1e-12) for s in plan().shares)
    assert not fleet_diff(plan(), replace(plan(), shares=shares), NOTHING).routing_changed


def test_another_target_is_a_change_of_its_own() -> None:
    chat, code = plan().workload.classes
    stricter = replace(chat, target=replace(chat.target, ttft_seconds=0.5))
    after = replace(plan(), workload=replace(plan().workload, classes=(stricter, code)))
    (target,) = fleet_diff(plan(), after, NOTHING).targets
    assert (target.workload_class, target.before, target.after) == ("chat", chat.target, stricter.target)


def test_drift_is_a_change_and_stands_apart() -> None:
    gone = Drift(kind=DriftKind.GONE, node="l4-fp8-0", pool="l4-fp8")
    diff = fleet_diff(plan(), plan(), NOTHING, (gone,))
    assert diff.has_changes
    assert diff.drift == (gone,)
    assert diff.summary.endswith("1 node has drifted")
    assert fleet_diff(plan(), plan(), NOTHING, (gone, gone)).summary.endswith("2 nodes have drifted")


def test_a_step_that_belongs_to_no_pool_is_a_change() -> None:
    step = Step(kind=StepKind.UPDATE, resource_type="aws:s3:Bucket", name="weights")
    assert fleet_diff(plan(), plan(), Changes(steps=(step,))).has_changes


def test_a_diff_of_nothing_with_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="one side"):
        fleet_diff(None, None, NOTHING)


def test_a_plan_made_again_settles_on_the_one_that_is_up() -> None:
    later = replace(plan(), created_at=plan().created_at + timedelta(hours=1), warnings=("another",))
    assert settled(plan(), later) == plan()
    assert settled(None, later) is later


@pytest.mark.parametrize(
    "after",
    [
        plan(l4_nodes=3),
        replace(plan(), shares=plan().shares[:1]),
        replace(plan(), model="another"),
        replace(plan(), pools=(pool(usd_per_hour="0.90"), *plan().pools[1:])),
    ],
    ids=["nodes", "shares", "model", "price"],
)
def test_a_plan_that_means_another_fleet_does_not_settle(after: Plan) -> None:
    assert settled(plan(), after) is after


def test_a_service_is_a_pool_without_nodes() -> None:
    base, of = plan(), with_service(plan())
    added = fleet_diff(base, of, changes(l4="same same", l40s="same"))
    assert by_pool(added)["paygo"] is PoolChange.ADDED
    assert added.usd_per_hour_after - added.usd_per_hour_before == of.services[0].usd_per_hour
    assert added.routing_changed
    assert "1 pool to add" in added.summary
    assert by_pool(fleet_diff(of, base, changes(l4="same same", l40s="same")))["paygo"] is PoolChange.REMOVED
    (service,) = of.services
    other = replace(service, service=replace(service.service, requests_per_minute=60))
    changed = fleet_diff(of, replace(of, services=(other,)), changes(l4="same same", l40s="same"))
    assert by_pool(changed)["paygo"] is PoolChange.CHANGED
    assert changed.routing_changed
    assert not fleet_diff(of, of, changes(l4="same same", l40s="same")).has_changes
    assert settled(of, replace(of, created_at=of.created_at + timedelta(hours=1))) is of
