"""A solution's text says what was chosen, what it costs and how it is proven; its JSON reads back."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

from hetops.domain import codec
from hetops.reports import solution as report
from hetops.solver.certify import CHECKS, CHECKS_OF_TERMS
from hetops.solver.solution import Ended, Solution
from hetops.solver.solve import solve
from hetops.solver.terms import Service
from hetops.solver.weak_duality import BEYOND_ANY
from tests.solver.binding import BINDING
from tests.solver.problems import TOY, offer, small


def solved() -> Solution:
    """One `cheap`, one `fast`."""
    outcome = solve(small())
    assert isinstance(outcome, Solution)
    return outcome


def test_text_shows_fleet_shares_cost_bound_and_checks() -> None:
    text = report.as_text(small(), solved())
    assert "6 /s requests of 2 classes, at least cost; 2 offers, 1 configuration, 2 columns" in text
    assert "Total $5.00 /h · $3,650 /month (730 h)" in text
    assert "tp1 on fast 100 %" in text
    assert "Proof: 5 usd_per_hour, bound 5, gap 0.000 % (exact arithmetic alone proves 5)" in text
    assert all(check in text for check in CHECKS)
    assert "warning" not in text


def test_text_of_a_maximum_speaks_of_requests() -> None:
    outcome = solve(TOY)
    assert isinstance(outcome, Solution)
    text = report.as_text(TOY, outcome)
    assert "3.52 /s requests of 2 classes, as many requests as the limits allow" in text
    assert "Proof: 3.51724 requests per second" in text


def test_a_largest_rate_that_nothing_bounds_is_told_in_words() -> None:
    outcome = solve(TOY)
    assert isinstance(outcome, Solution)
    anything = TOY.requests_per_second * BEYOND_ANY
    exactly = replace(outcome, certified_bound=anything)
    assert "gap 0.000 % (exact arithmetic alone proves nothing)" in report.as_text(TOY, exactly)
    stopped = replace(exactly, bound=anything, gap=anything / outcome.objective, within_gap=False)
    text = report.as_text(TOY, replace(stopped, ended=Ended.INTERRUPTED))
    assert "requests per second, and nothing is proven of how many more there could be\n" in text
    assert "warning: the search was stopped before anything was proven\n" in text
    assert "e+" not in text


def test_text_warns_of_assumed_stock_and_of_a_gap_not_reached() -> None:
    problem = small(offers=(offer("cheap", "1", None), offer("fast", "4", 3)))
    unsure = replace(solved(), assumed_offers=("cheap",), within_gap=False)
    text = report.as_text(problem, unsure)
    assert "warning: stock unknown, 16 nodes assumed: cheap" in text
    assert "warning: the time ran out" in text


def test_text_says_how_many_classes_were_told_apart_and_that_merging_may_cost_the_gap() -> None:
    merged = replace(solved(), searched_classes=1, gap=0.02, within_gap=False)
    text = report.as_text(small(), merged)
    assert "; searched as 1 class; problem" in text
    assert "warning: classes were merged and the search ended at a gap of 2.000 %" in text


def test_json_reads_back_as_the_same_solution() -> None:
    raw = report.as_json(small(), solved())
    assert raw["usd_per_month"] == "3650"
    assert codec.decode(Solution, json.dumps(raw), source="test") == solved_with_seconds(raw)


def solved_with_seconds(raw: dict[str, object]) -> Solution:
    """The solution with the search time of `raw`, the one field that differs from run to run."""
    return replace(solved(), solve_seconds=float(str(raw["solve_seconds"])))


def test_what_is_paid_beside_nodes_is_told_and_every_period_has_its_line() -> None:
    problem = replace(
        BINDING["what is committed is paid for"].problem,
        services=(Service(id="api", usd_per_request={"chat": Decimal("0.0001")}),),
    )
    solution = solve(problem)
    assert isinstance(solution, Solution)
    text = report.as_text(problem, solution)
    assert "reserved: 3 nodes paid for as a whole, $1.80 /h" in text
    assert "chat on api: requests for $0.18 /h" in text
    assert "1-3" in text
    assert "night       1 /s   $1.80  1 tp1 on reserved" in text


def test_what_goes_over_links_is_told_and_all_rules_that_were_checked() -> None:
    problem = BINDING["decode serves what prefill hands over"].problem
    priced = replace(problem, links=tuple(replace(one, usd_per_gb=Decimal("0.001")) for one in problem.links))
    solution = solve(priced)
    assert isinstance(solution, Solution)
    text = report.as_text(priced, solution)
    links = {(one.source, one.target) for one in solution.handovers}
    assert links
    for source, target in links:
        usd = sum(
            one.usd_per_hour for one in solution.handovers if (one.source, one.target) == (source, target)
        )
        assert f"KV caches from {source} to {target}: ${usd:.2f} /h" in text
    assert report.as_json(priced, solution)["checks"] == [*CHECKS, *CHECKS_OF_TERMS]
