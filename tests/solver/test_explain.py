"""The losers and by how much: each figure is a fleet that somebody could rent, and none is better than the answer."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, assume, given, settings

from hetops.domain import codec
from hetops.domain.offer import Trait
from hetops.domain.plan import Alternative
from hetops.solver.certify import certify
from hetops.solver.problem import Mode, Problem
from hetops.solver.questions.explain import weigh
from hetops.solver.solution import Solution
from hetops.solver.solve import solve
from hetops.solver.terms import ShareLimit
from tests.solver.problems import TOY, column, demands, offer, small, tiny


def solved(problem: Problem) -> Solution:
    """The solution, which must exist."""
    outcome = solve(problem)
    assert isinstance(outcome, Solution)
    return outcome


def told(alternatives: tuple[Alternative, ...]) -> dict[str, Decimal | None]:
    """Cost by description."""
    return {a.description: a.usd_per_hour for a in alternatives}


def test_each_gpu_type_alone_and_each_offer_and_provider_left_out_are_weighed() -> None:
    problem = small()
    assert told(weigh(problem, solved(problem)).alternatives) == {
        "only cheap": None,
        "only fast": Decimal(8),
        "without cheap": Decimal(8),
        "without fast": None,
        "without provider acme": Decimal(8),
        "without provider other": None,
    }


def test_the_losers_come_cheapest_first_and_those_that_no_fleet_exists_for_last() -> None:
    for problem in (small(), TOY):
        shares = [a.difference_share for a in weigh(problem, solved(problem)).alternatives]
        found = [share for share in shares if share is not None]
        assert found == sorted(found)
        assert shares == [*found, *[None] * (len(shares) - len(found))]


def test_the_difference_is_relative_to_the_best() -> None:
    problem = small()
    only_fast = next(a for a in weigh(problem, solved(problem)).alternatives if a.description == "only fast")
    assert only_fast.difference_share == pytest.approx(8 / 5 - 1)


def test_when_maximising_the_difference_is_in_what_is_served_however_little_a_loser_costs() -> None:
    problem = replace(small(), mode=Mode.MAX_THROUGHPUT, budget_usd_per_hour=Decimal(5))
    weighed = weigh(problem, solved(problem))
    only_fast = next(a for a in weighed.alternatives if a.description.startswith("only fast"))
    served = float(only_fast.description.split(", ")[1].split()[0])
    assert only_fast.usd_per_hour == Decimal(4) < weighed.solution.usd_per_hour
    assert only_fast.difference_share == pytest.approx(weighed.solution.objective / served - 1, abs=1e-3)


def test_when_maximising_the_same_requests_take_longer() -> None:
    weighed = weigh(TOY, solved(TOY))
    without = next(a for a in weighed.alternatives if a.description.startswith("without t2-pair"))
    assert without.description == "without t2-pair, 2.897 requests per second"
    assert without.difference_share == pytest.approx(3.51724 / 2.897 - 1, abs=1e-3)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(tiny())
def test_no_alternative_is_better_than_the_answer(problem: Problem) -> None:
    outcome = solve(problem)
    assume(isinstance(outcome, Solution))
    assert isinstance(outcome, Solution)
    weighed = weigh(problem, outcome)
    assert all(a.difference_share is None or a.difference_share >= 0 for a in weighed.alternatives)


def test_a_better_fleet_found_by_a_question_becomes_the_answer() -> None:
    """A search that may stop 60 % above the bound can be beaten by one that was asked about less."""
    problem = small(gap=0.6)
    dear = solved(replace(problem, columns=problem.columns[1:]))
    stopped_early = replace(
        dear, problem_digest=codec.digest(problem), bound=4.0, certified_bound=4.0, gap=0.5, within_gap=True
    )
    assert certify(problem, stopped_early) == ()
    cheaper = replace(problem, offers=tuple(replace(o, max_nodes=9) for o in problem.offers))
    stopped_early = replace(stopped_early, problem_digest=codec.digest(cheaper))
    weighed = weigh(cheaper, stopped_early)
    assert weighed.solution.usd_per_hour <= stopped_early.usd_per_hour
    assert certify(cheaper, weighed.solution) == ()
    assert all(a.difference_share is None or a.difference_share >= 0 for a in weighed.alternatives)


def test_what_a_question_found_is_evened_out_before_it_becomes_the_answer() -> None:
    """Its shares were as the search left them: two equal offers, of which one might as well serve all that it can."""
    twins = (offer("a", "1", 1, gpu="A"), offer("b", "1", 1, gpu="A"), offer("c", "9", 1, gpu="C"))
    problem = Problem(
        offers=twins,
        configurations=("tp1",),
        classes=demands(chat=3.0),
        columns=tuple(column(o.id, chat=2.0 if o.gpu == "A" else 4.0) for o in twins),
        share_limits=(ShareLimit(id="any", trait=Trait.GPU, values=("A", "C"), at_least=0.5),),
        gap=0.9,
    )
    dear = solved(replace(problem, columns=problem.columns[2:]))
    stopped_early = replace(
        dear, problem_digest=codec.digest(problem), bound=1.0, certified_bound=1.0, gap=8 / 9
    )
    best = weigh(problem, stopped_early).solution
    assert best.usd_per_hour == 2
    assert [pool.utilisation for pool in best.pools] == pytest.approx([0.75, 0.75])
    assert certify(problem, best) == ()
