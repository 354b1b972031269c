"""A diff's text says what changes and what it costs; its JSON reads back and holds the shares that change."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hetops.domain import codec
from hetops.domain.plan import Plan
from hetops.domain.workload import LatencyTarget
from hetops.reports import diff as report
from hetops.stack.changes import Changes, Drift, DriftKind, Step, StepKind
from hetops.stack.diff import FleetDiff, fleet_diff
from hetops.stack.render import ROUTER
from tests.doubles import plans

NOTHING = Changes(steps=())


def step(kind: StepKind, pool: str) -> Step:
    """What happens to one node."""
    return Step(kind=kind, resource_type="hetops:index:Node", name=f"{pool}-0", pool=pool)


def with_shares(plan: Plan, l4: float) -> Plan:
    """`chat` is shared out in another way."""
    first, second, *rest = plan.shares
    return replace(plan, shares=(replace(first, share=l4), replace(second, share=1 - l4), *rest))


def lines_of(before: Plan | None, after: Plan | None, changes: Changes = NOTHING, *drift: Drift) -> list[str]:
    """The text of a diff."""
    return report.as_text(fleet_diff(before, after, changes, drift)).splitlines()


def test_the_first_line_says_it_all() -> None:
    first = lines_of(plans.plan(l4_nodes=3), plans.plan(l4_nodes=2))[0]
    assert first == (
        "chat: 0 pools to add, 1 to change, 0 to remove · $4.30 → $3.50 /h ($3,139 → $2,555 /month, -19 %)"
    )


@pytest.mark.parametrize(
    ("before", "after", "changes", "line"),
    [
        (None, plans.plan(), NOTHING, "+ l4-fp8 L4 (emulated) 0 → 2 $0.00 → $1.60 $0 → $1,168"),
        (plans.plan(), None, NOTHING, "- l4-fp8 L4 (emulated) 2 → 0 $1.60 → $0.00 $1,168 → $0"),
        (plans.plan(l4_nodes=3), plans.plan(), NOTHING, "~ l4-fp8 L4 (emulated) 3 → 2"),
        (
            plans.plan(),
            plans.plan(),
            Changes(steps=(step(StepKind.REPLACE, "l40s-fp8"),)),
            "-/+ l40s-fp8 L40S (emulated) 1 $1.90 $1,387",
        ),
    ],
    ids=["added", "removed", "changed", "replaced"],
)
def test_each_pool_has_its_sign_its_nodes_and_its_money(
    before: Plan | None, after: Plan | None, changes: Changes, line: str
) -> None:
    assert any(" ".join(shown.split()).startswith(line) for shown in lines_of(before, after, changes))


def test_without_changes_one_line_is_all() -> None:
    assert lines_of(plans.plan(), plans.plan()) == ["chat: no changes · $3.50 /h ($2,555 /month)"]


def test_targets_are_shown_before_and_after_where_they_differ() -> None:
    after = plans.plan()
    chat, code = after.workload.classes
    tighter = replace(chat, target=LatencyTarget(ttft_seconds=0.5, tpot_seconds=0.05))
    after = replace(after, workload=replace(after.workload, classes=(tighter, code)))
    lines = lines_of(plans.plan(), after)
    assert "chat     TTFT  p90 1.00 s  p90 0.50 s" in lines
    assert not any("TPOT" in line for line in lines)


def test_routing_that_changes_is_shown_by_class_and_pool() -> None:
    lines = lines_of(plans.plan(), with_shares(plans.plan(), 0.5))
    assert lines[0].startswith("chat: routing to change · $3.50 /h")
    assert "chat     l4-fp8    60 % → 50 %" in lines
    assert "chat     l40s-fp8  40 % → 50 %" in lines


def test_drift_is_told_apart_with_its_first_line_of_reason() -> None:
    gone = Drift(
        kind=DriftKind.FAILED, node="chat-l4-fp8-0-ab12cd", pool="l4-fp8", message="its engine has died\nlog"
    )
    lines = lines_of(plans.plan(), plans.plan(), NOTHING, gone)
    assert lines[0].endswith("1 node has drifted")
    assert "  chat-l4-fp8-0-ab12cd  l4-fp8  failed  its engine has died" in lines
    assert "log" not in lines


def test_json_reads_back_as_the_same_diff_and_names_the_shares_that_change() -> None:
    before, after = plans.plan(), with_shares(plans.plan(), 0.5)
    diff = fleet_diff(before, after, NOTHING)
    raw = json.loads(json.dumps(report.as_json(diff)))
    assert codec.from_builtins(FleetDiff, raw, source="test") == diff
    assert raw["shares"][0] == {"workload_class": "chat", "pool": "l4-fp8", "before": 0.6, "after": 0.5}


def test_a_router_that_goes_has_a_line_of_its_own() -> None:
    lines = lines_of(plans.plan(), None, Changes(steps=(step(StepKind.DELETE, ROUTER),)))
    assert "  -  router" in lines
