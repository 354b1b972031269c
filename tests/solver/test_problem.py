"""A problem that exists is sound, and one that cannot exist says everything that is wrong with it."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest

from hetops.domain import codec
from hetops.errors import DocumentError
from hetops.solver.problem import Problem, QuotaGroup
from tests.solver.problems import TOY, column, demands, offer, small

NAN, INFINITY = float("nan"), float("inf")


def test_it_survives_json() -> None:
    assert codec.decode(Problem, codec.encode(TOY), source="test") == TOY


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"headroom": 1.0}, "headroom: 1.0 must be at least 0 and below 1"),
        ({"headroom": NAN}, "headroom: nan"),
        ({"gap": -0.1}, "gap: -0.1"),
        ({"max_pools": 0}, "max_pools: 0 must be at least 1"),
        ({"assumed_max_nodes": -1}, "assumed_max_nodes: -1"),
        ({"budget_usd_per_hour": Decimal(-1)}, "budget_usd_per_hour: -1"),
        ({"budget_usd_per_hour": Decimal("NaN")}, "budget_usd_per_hour: NaN"),
        ({"budget_usd_per_hour": Decimal("1e16")}, "must be a number from 0 to 1e15"),
        (
            {"provider_budgets_usd_per_hour": {"acne": Decimal(1)}},
            "unknown provider 'acne' (did you mean 'acme'?)",
        ),
        (
            {"quota_groups": (QuotaGroup(id="q", limit=Decimal("Infinity")),)},
            "quota group 'q': limit Infinity",
        ),
        ({"offers": ()}, "offers: at least one is needed"),
        (
            {"offers": (offer("cheap", "0"), offer("fast", "1"))},
            "offer 'cheap': usd_per_hour 0 must be above 0",
        ),
        ({"offers": (offer("cheap", "1", -1), offer("fast", "1"))}, "offer 'cheap': max_nodes -1"),
        (
            {"offers": (offer("cheap", "1", gpus="4"), offer("fast", "1"))},
            "offer 'cheap': unknown quota group 'gpus'",
        ),
        ({"offers": (offer("fast", "1"), offer("fast", "1"))}, "offer 'fast' appears twice"),
        ({"classes": ()}, "classes: at least one needs requests_per_second above 0"),
        ({"classes": demands(chat=NAN, code=1.0)}, "class 'chat': requests_per_second nan"),
        ({"classes": demands(chat=-1.0, code=1.0)}, "class 'chat': requests_per_second -1.0"),
        ({"columns": ()}, "columns: at least one is needed"),
        ({"columns": (column("cheep", chat=1.0),)}, "unknown offer 'cheep' (did you mean 'cheap'?)"),
        ({"columns": (column("cheap", "tp2", chat=1.0),)}, "unknown configuration 'tp2'"),
        ({"columns": (column("cheap", chta=1.0),)}, "unknown class 'chta' (did you mean 'chat'?)"),
        ({"columns": (column("cheap", chat=-1.0),)}, "requests_per_second[chat] -1.0"),
        ({"columns": (column("cheap", chat=INFINITY),)}, "requests_per_second[chat] inf"),
        (
            {"columns": (column("cheap", chat=1.0), column("cheap", chat=2.0))},
            "column 'tp1 on cheap' appears twice",
        ),
    ],
)
def test_an_unsound_problem_says_what_is_wrong(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        small(**changes)


def test_all_faults_of_a_file_are_told_at_once_with_its_name() -> None:
    raw = json.loads(codec.encode(small()))
    raw["headroom"], raw["gap"] = 2, 5
    with pytest.raises(DocumentError) as caught:
        codec.from_builtins(Problem, raw, source="mine.json")
    assert caught.value.message.startswith("mine.json: ")
    assert "headroom" in caught.value.message
    assert "gap" in caught.value.message


def test_prices_are_exact_even_when_written_as_json_numbers() -> None:
    raw = json.loads(codec.encode(small()))
    raw["offers"][0]["usd_per_hour"] = 0.1
    assert codec.from_builtins(Problem, raw, source="test").offers[0].usd_per_hour == Decimal("0.1")
