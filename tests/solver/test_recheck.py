"""A plan file that was touched is found out: by the rule it breaks, and whatever the field."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from hetops.app.plan import make_plan
from hetops.domain import codec
from hetops.domain.offer import QuotaShare
from hetops.domain.plan import Plan
from hetops.errors import DocumentError
from hetops.solver.recheck.plan import recheck, seal
from tests.doubles import specs

Raw = dict[str, Any]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A plan of two pools under a budget, a quota and a headroom, as its file holds it."""
    folder = tmp_path_factory.mktemp("plan")
    asked = specs.asked(folder, specs.TRACED, "budget.usd_per_hour=20", "policy.headroom=0.1")
    plan = make_plan(asked)
    assert len(plan.pools) == 2, "the tests want shares to shift"
    return codec.encode(plan)


@pytest.fixture(name="raw")
def _raw(text: bytes) -> Raw:
    """The plan's JSON, to be tampered with."""
    raw: Raw = json.loads(text)
    return raw


def read(raw: Raw) -> Plan:
    """The plan of the JSON."""
    return codec.from_builtins(Plan, raw, source="test")


def rules(plan: Plan) -> list[str]:
    """Rules that are broken, in the order told."""
    return [violation.rule for violation in recheck(plan)]


def test_a_plan_that_nobody_touched_passes_through_its_file(raw: Raw) -> None:
    assert recheck(read(raw)) == ()


def _more_nodes(raw: Raw) -> None:
    raw["pools"][0]["nodes"] += 1


def _cheaper(raw: Raw) -> None:
    raw["pools"][0]["offer"]["usd_per_hour"] = "0.01"


def _faster(raw: Raw) -> None:
    for row in raw["performance"]:
        row["requests_per_second"] *= 2
        row["requests_per_second_high"] *= 2


def _surer(raw: Raw) -> None:
    for row in raw["performance"]:
        row["evidence"]["margin"] = 0.0


def _shifted(raw: Raw) -> None:
    raw["shares"][0]["share"] /= 2


def _moved(raw: Raw) -> None:
    names = [pool["name"] for pool in raw["pools"]]
    for share in raw["shares"]:
        share["pool"] = names[1]


def _more_replicas(raw: Raw) -> None:
    raw["pools"][0]["replicas_per_node"] = 9


def _less_stock(raw: Raw) -> None:
    raw["pools"][0]["offer"]["limits"]["max_count"] = 0


def _less_budget(raw: Raw) -> None:
    raw["certificate"]["limits"]["budget_usd_per_hour"] = "1"


def _better_bound(raw: Raw) -> None:
    raw["certificate"]["bound"] *= 2


def _smaller_gap(raw: Raw) -> None:
    raw["certificate"]["gap"] = 0.5


def _more_demand(raw: Raw) -> None:
    raw["workload"]["classes"][0]["requests_per_second"] *= 1.5


def _fewer_pools(raw: Raw) -> None:
    raw["certificate"]["limits"]["max_pools"] = 1


def _no_rows(raw: Raw) -> None:
    raw["performance"] = []


def _no_limits(raw: Raw) -> None:
    del raw["certificate"]["limits"]


def _other_sku(raw: Raw) -> None:
    raw["pools"][0]["offer"]["sku"] = "gpu_8x_h100"


@pytest.mark.parametrize(
    ("tamper", "rule"),
    [
        (_more_nodes, "capacity"),
        (_cheaper, "cost"),
        (_faster, "capacity"),
        (_surer, "capacity"),
        (_shifted, "demand"),
        (_moved, "demand"),
        (_more_replicas, "pools"),
        (_less_stock, "stock"),
        (_less_budget, "budget"),
        (_better_bound, "bounds"),
        (_smaller_gap, "bounds"),
        (_more_demand, "demand"),
        (_fewer_pools, "number of pools"),
        (_no_rows, "performance"),
        (_no_limits, "certificate"),
        (_other_sku, "contents"),
    ],
)
def test_a_change_is_named_by_the_rule_that_it_breaks(
    tamper: Callable[[Raw], None], rule: str, raw: Raw
) -> None:
    tamper(raw)
    assert rules(read(raw))[0] == rule


def test_a_provider_s_budget_and_a_quota_are_checked_too(text: bytes) -> None:
    plan = codec.decode(Plan, text, source="test")
    pool = plan.pools[0]
    own = replace(pool.offer.limits, quotas=(QuotaShare(group="gpus", left=0.0, per_node=8.0),))
    limits = plan.certificate.limits
    assert limits is not None
    narrower = replace(
        limits,
        quotas={"gpus": Decimal(1)},
        provider_budgets_usd_per_hour={pool.offer.provider: Decimal("0.5")},
    )
    changed = replace(
        plan,
        pools=(replace(pool, offer=replace(pool.offer, limits=own)), *plan.pools[1:]),
        certificate=replace(plan.certificate, limits=narrower),
    )
    assert rules(seal(changed)) == ["quota", "provider budgets"]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of every number, text and truth value."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from leaves(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from leaves(below, (*path, index))
    elif value is not None:
        yield path


def tampered(text: bytes, path: tuple[Any, ...]) -> Raw:
    """The plan with one value changed."""
    raw: Raw = json.loads(text)
    at: Any = raw
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = _other(at[path[-1]])
    return raw


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if value.endswith("Z"):
        return value.replace("20", "21", 1)
    return f"1{value}" if value[:1].isdigit() else f"{value}0"


def sound(raw: Raw) -> bool:
    """Whether the document is taken for a certified plan."""
    try:
        return not recheck(read(raw))
    except DocumentError:
        return False


def test_no_value_of_the_whole_file_can_be_changed_unnoticed(text: bytes) -> None:
    paths = [p for p in leaves(json.loads(text)) if p[0] not in ("format", "format_version")]
    assert len(paths) > 200
    assert [p for p in paths if sound(tampered(text, p))] == []
