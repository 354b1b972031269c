"""A file of a day that was touched is found out: in any of its plans, and in what ties them together."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hetops.domain import codec
from hetops.domain.day import Day
from hetops.errors import DocumentError
from hetops.solver.recheck.day import recheck_day, seal_day
from tests.doubles.days import WAITING, planned

Raw = dict[str, Any]

SHARES = """
[offers]
markets = ["on_demand", "spot"]
[[policy.shares]]
of = "market"
names = ["spot"]
at_most = 0.5
"""


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A day with starts, waits, a share of spot and a mean budget, as its file holds it."""
    folder = tmp_path_factory.mktemp("day")
    day = planned(folder, "budget.mean_usd_per_hour=20", more=SHARES, text=WAITING)
    assert day.starts
    assert any(w.arrived != w.served for w in day.waits)
    return codec.encode(day)


@pytest.fixture(name="raw")
def _raw(text: bytes) -> Raw:
    """The day's JSON, to be tampered with."""
    raw: Raw = json.loads(text)
    return raw


def read(raw: Raw) -> Day:
    """The day of the JSON."""
    return codec.from_builtins(Day, raw, source="test")


def rules(raw: Raw) -> list[str]:
    """Rules that are broken by one who knows how to seal, in the order told."""
    return [violation.rule for violation in recheck_day(seal_day(read(raw)))]


def test_a_day_that_nobody_touched_passes_through_its_file(raw: Raw) -> None:
    assert recheck_day(read(raw)) == ()


def _slower_ramps(raw: Raw) -> None:
    raw["certificate"]["max_added_nodes"] = 0


def _more_nodes(raw: Raw) -> None:
    raw["periods"][0]["plan"]["pools"][0]["nodes"] += 1


def _another_class(raw: Raw) -> None:
    raw["periods"][1]["plan"]["workload"]["classes"][0]["target"]["ttft_seconds"] = 9.0


def _another_limit(raw: Raw) -> None:
    raw["periods"][1]["plan"]["certificate"]["limits"]["headroom"] = 0.0


def _another_deployment(raw: Raw) -> None:
    raw["deployment"] = "other"


def _longer_period(raw: Raw) -> None:
    raw["periods"][1]["hours"] = 80.0


def _wider_bounds(raw: Raw) -> None:
    raw["pools"][0]["most_nodes"] += 1


def _no_bounds(raw: Raw) -> None:
    del raw["pools"][0]


def _quicker_boot(raw: Raw) -> None:
    for pool in raw["pools"]:
        pool["boot_seconds"] = 1.0


def _fewer_starts(raw: Raw) -> None:
    del raw["starts"][0]


def _cheaper_start(raw: Raw) -> None:
    raw["starts"][0]["usd"] = "0.000001"


def _start_of_nothing(raw: Raw) -> None:
    raw["starts"][0]["pool"] = "nobody"


def _more_arrivals(raw: Raw) -> None:
    raw["periods"][0]["arrivals"]["short"] *= 2


def _other_wait(raw: Raw) -> None:
    raw["waits"][0]["share"] = 0.5


def _no_waits(raw: Raw) -> None:
    raw["waits"] = []


def _shorter_deadline(raw: Raw) -> None:
    raw["deadlines"]["long"] = 2.0


def _less_spot(raw: Raw) -> None:
    raw["certificate"]["shares"][0]["at_most"] = 0.01


def _smaller_budget(raw: Raw) -> None:
    raw["certificate"]["mean_budget_usd_per_hour"] = "0.5"


def _cheaper(raw: Raw) -> None:
    raw["certificate"]["objective"] *= 0.9


def _better_bound(raw: Raw) -> None:
    raw["certificate"]["bound"] *= 1.1


def _smaller_gap(raw: Raw) -> None:
    raw["certificate"]["gap"] = 0.5


@pytest.mark.parametrize(
    ("touch", "rule"),
    [
        (_more_nodes, "capacity"),
        (_another_class, "periods"),
        (_another_limit, "periods"),
        (_another_deployment, "periods"),
        (_longer_period, "deadlines"),
        (_wider_bounds, "pools"),
        (_no_bounds, "pools"),
        (_quicker_boot, "starts"),
        (_fewer_starts, "starts"),
        (_cheaper_start, "starts"),
        (_slower_ramps, "ramps"),
        (_start_of_nothing, "starts"),
        (_more_arrivals, "deadlines"),
        (_other_wait, "deadlines"),
        (_no_waits, "deadlines"),
        (_shorter_deadline, "deadlines"),
        (_less_spot, "share limits"),
        (_smaller_budget, "mean budget"),
        (_cheaper, "cost"),
        (_better_bound, "bounds"),
        (_smaller_gap, "bounds"),
    ],
)
def test_what_was_touched_breaks_its_rule_even_where_the_seal_was_made_anew(
    touch: Callable[[Raw], None], rule: str, raw: Raw
) -> None:
    touch(raw)
    assert rule in rules(raw)


@pytest.mark.parametrize("field", ["busiest_usd_per_hour", "steady_usd_per_hour"])
def test_what_no_rule_speaks_of_is_in_the_seal(field: str, raw: Raw) -> None:
    raw[field] = "99"
    assert [v.rule for v in recheck_day(read(raw))] == ["contents"]


def test_a_day_of_two_periods_of_one_name_is_none(raw: Raw) -> None:
    raw["periods"][1]["name"] = raw["periods"][0]["name"]
    with pytest.raises(DocumentError, match="names must differ"):
        read(raw)
