"""A diff's text says what changes and what it costs; its JSON reads back and holds the shares that change."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hetops.domain import codec
from hetops.domain.model import Precision
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


@pytest.mark.parametrize(
    ("share", "line"),
    [
        (0.57, "chat     l4-fp8    60 % → 57 %"),
        (0.602, "chat     l4-fp8    60.0 % → 60.2 %"),
        (0.60002, "Routing: shares move by less than a tenth of a per cent"),
    ],
)
def test_a_share_is_shown_with_the_digits_in_which_it_moves(share: float, line: str) -> None:
    lines = lines_of(plans.plan(), with_shares(plans.plan(), share))
    assert line in lines
    assert not any("60 % → 60 %" in shown or "60.0 % → 60.0 %" in shown for shown in lines)


def served(plan: Plan, model: str, **fields: Any) -> Plan:
    """The plan with another model in all its pools, and other fields of their configurations."""
    pools = tuple(
        replace(p, configuration=replace(p.configuration, model=model, **fields)) for p in plan.pools
    )
    return replace(plan, model=model, pools=pools)


def test_another_model_is_named_in_the_first_line_and_beside_the_pools() -> None:
    after = served(plans.plan(), "qwen3-8b", checkpoint="Qwen/Qwen3-8B-FP8")
    replaced = Changes(steps=(step(StepKind.REPLACE, "l4-fp8"), step(StepKind.REPLACE, "l4-fp8")))
    lines = lines_of(plans.plan(), after, replaced)
    assert " · model llama-3.1-8b → qwen3-8b · " in lines[0]
    assert "model llama-3.1-8b → qwen3-8b" in lines
    assert "checkpoint RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8 → Qwen/Qwen3-8B-FP8" in lines
    assert not any("started in another way" in line for line in lines)


def test_another_engine_precision_and_context_are_named() -> None:
    after = served(
        plans.plan(), "llama-3.1-8b", engine="sglang", weights=Precision.INT8, max_context_tokens=4096
    )
    lines = lines_of(plans.plan(), after)
    for line in ("engine vllm → sglang", "weights fp8 → int8", "context 8192 → 4096"):
        assert line in lines


def test_a_pool_that_is_replaced_for_how_its_engine_is_started_says_so() -> None:
    replaced = Changes(steps=(step(StepKind.REPLACE, "l40s-fp8"),))
    lines = lines_of(plans.plan(), plans.plan(), replaced)
    assert "engine started in another way: l40s-fp8" in lines


def test_a_new_fleet_and_one_that_goes_compare_nothing_that_they_serve() -> None:
    assert fleet_diff(None, plans.plan(), NOTHING).served == ()
    assert fleet_diff(plans.plan(), None, NOTHING).served == ()


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
