"""Why this fleet: each sentence against brute force on the problem that it speaks of."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, assume, given, settings

from hetops.domain.offer import Trait
from hetops.solver.problem import Mode, Problem, QuotaGroup
from hetops.solver.questions.exact import look
from hetops.solver.questions.explanation import Statement, Topic, Unit
from hetops.solver.questions.limits import met, shut, unlimited
from hetops.solver.questions.why import Case, why
from hetops.solver.solution import Solution
from hetops.solver.solve import solve
from hetops.solver.terms import Loss, Migration, Period, Running, ShareLimit
from hetops.solver.weak_duality import BEYOND_ANY
from tests.solver import oracle
from tests.solver.problems import TOY, column, demands, hard, offer, small, tiny


def case(problem: Problem) -> Case:
    """The problem with its answer, which must exist."""
    outcome = solve(problem)
    assert isinstance(outcome, Solution)
    return Case.of(problem, outcome)


def feasible(problem: Problem) -> bool:
    """Whether there is a fleet."""
    return isinstance(solve(problem), Solution)


def on(topic: Topic, told: tuple[Statement, ...]) -> list[Statement]:
    """Statements on one topic."""
    return [s for s in told if s.topic is topic]


def test_the_fleet_is_told_in_sentences_between_bound_and_cost() -> None:
    whole, *pools = on(Topic.FLEET, why(case(small())))
    assert whole.text == "The fleet costs $5.00 per hour; no fleet costs less than $5.00 per hour."
    assert [pool.subject for pool in pools] == ["cheap", "fast"]
    assert pools[0].text == (
        "1 node of cheap with tp1 for $1.00 per hour serves all of chat and is at 100 % of what may be used."
    )
    assert {(s.before, s.after, s.unit) for s in (whole, *pools)} == {(5.0, 5.0, Unit.USD_PER_HOUR)}


def test_what_must_be_borne_and_limits_on_shares_are_told_with_what_they_are_worth() -> None:
    twins = Problem(
        offers=(offer("a", "2", provider="one"), offer("b", "3", provider="two")),
        configurations=("tp1",),
        classes=demands(chat=1.0),
        columns=(column("a", chat=1.0), column("b", chat=1.0)),
        losses=(Loss(id="losing any provider", trait=Trait.PROVIDER, kept_share=0.5),),
        share_limits=(ShareLimit(id="provider two", trait=Trait.PROVIDER, values=("two",), at_least=0.5),),
    )
    told = why(case(twins))
    (loss,), (share,) = on(Topic.LOSS, told), on(Topic.SHARE, told)
    assert (loss.before, loss.after) == (5.0, 3.0)
    assert loss.text == "Not to bear losing any provider (50 % still served) would save $2.00 per hour."
    assert (share.before, share.after) == (5.0, 5.0)
    assert share.text == "Any share of a class on provider two instead of at least 50 % would change nothing."
    said, both = on(Topic.LIMITS, told)
    assert said.text.startswith("No stock, quota, budget or number of pools binds")
    assert both.text == "All of these rules lifted together would save $3.00 per hour."
    assert (both.before, both.after) == (5.0, 2.0)


def test_where_no_limit_binds_that_is_said_and_was_searched_for() -> None:
    (said,) = on(Topic.LIMITS, why(case(small())))
    assert said.text == "No limit but the demand binds: prices and speeds alone decide."
    assert (said.before, said.after) == (5.0, 5.0)


def scarce() -> Problem:
    """The offers of `small` with one node each and more demand, so that a dear third one fills up."""
    return small(
        offers=(offer("cheap", "1", 1), offer("fast", "4", 1), offer("dear", "9", 9)),
        columns=(*small().columns, column("dear", chat=1.0, code=1.0)),
        classes=demands(chat=2.0, code=4.5),
    )


def test_one_more_node_of_what_is_sold_out_is_worth_what_a_new_search_says() -> None:
    told = {s.subject: s for s in on(Topic.STOCK, why(case(scarce())))}
    assert set(told) == {"cheap", "fast"}
    assert told["cheap"].text == "1 of 1 nodes of cheap are rented: one more would save $8.00 per hour."
    assert (told["cheap"].before, told["cheap"].after) == (14.0, 6.0)
    assert (told["fast"].before, told["fast"].after) == (14.0, 9.0)


def test_what_is_sold_out_or_beyond_a_quota_is_told_with_what_one_node_would_be_worth() -> None:
    """A third offer would serve all for 3 where there were one; a fourth for 2 where its quota let it."""
    gone = offer("gone", "3", 0)
    barred = offer("barred", "2", 2, q="8")
    problem = small(
        offers=(*small().offers, gone, barred),
        columns=(*small().columns, *(column(o, chat=4.0, code=8.0) for o in ("gone", "barred"))),
        quota_groups=(QuotaGroup(id="q", limit=Decimal(4), unit="GPUs"),),
    )
    told = why(case(problem))
    (stock,), (quota,) = on(Topic.STOCK, told), on(Topic.QUOTA, told)
    assert stock.text == "There is none left of gone: one node would save $2.00 per hour."
    assert (stock.before, stock.after) == (5.0, 3.0)
    assert quota.text == "The quota q leaves no room for a node: room for one would save $3.00 per hour."
    assert (quota.before, quota.after) == (5.0, 2.0)


def test_a_dollar_more_and_less_is_told_in_what_the_fleet_could_serve() -> None:
    more, less = on(Topic.BUDGET, why(case(small())))
    assert more.text == "$1 per hour more than $5.00 would serve 6.667 instead of 6 requests per second."
    assert (less.before, less.after, less.unit) == (6.0, 3.0, Unit.REQUESTS_PER_SECOND)


def test_when_maximising_the_budget_and_the_quota_are_what_binds() -> None:
    told = why(case(TOY))
    quota = on(Topic.QUOTA, told)[0]
    assert quota.text.startswith("2 of 2 GPUs of the quota t2 are taken: 1 more would serve 3.8 instead of")
    assert [s.after for s in on(Topic.BUDGET, told)] == pytest.approx([3.51724, 2.85714], abs=1e-4)


def test_a_largest_rate_of_which_nothing_is_proven_is_told_without_a_bound() -> None:
    known = case(TOY)
    anything = TOY.requests_per_second * BEYOND_ANY
    gap = anything / known.solution.objective
    told = why(replace(known, solution=replace(known.solution, bound=anything, gap=gap)))
    whole, *pools = on(Topic.FLEET, told)
    assert whole.text == (
        "The fleet serves 3.517 requests per second; nothing is proven of how much more another could."
    )
    assert {(s.before, s.exact) for s in (whole, *pools)} == {(None, False)}
    more = on(Topic.QUOTA, told)[0]
    assert more.text.endswith(" requests per second (not proven).")
    assert not any("e+" in s.text for s in told)


def test_a_provider_s_budget_and_a_number_of_pools_that_are_used_up_are_told() -> None:
    problem = small(provider_budgets_usd_per_hour={"other": Decimal(4)}, max_pools=2)
    topics = {s.topic for s in why(case(problem))}
    assert {Topic.PROVIDER_BUDGET, Topic.POOLS} <= topics


def test_looser_targets_are_solved_for_where_they_are_known() -> None:
    def loosen(factor: float) -> Problem:
        faster = tuple(
            replace(c, requests_per_second={n: r * factor**8 for n, r in c.requests_per_second.items()})
            for c in small().columns
        )
        return small(columns=faster)

    (told,) = on(Topic.TARGETS, why(replace(case(small()), loosen=loosen)))
    assert told.text == "Latency targets 10 % looser would save $1.00 per hour."
    assert (told.before, told.after) == (5.0, 4.0)
    assert on(Topic.TARGETS, why(case(small()))) == []


def day() -> Problem:
    """`small` with a night of half the demand, starts of a quarter of an hour, and a quota that day and night share in turn."""
    rates = {"chat": 1.0, "code": 2.0}
    return small(
        offers=(offer("cheap", "1", 3, q="1"), offer("fast", "4", 3, provider="other", q="1")),
        columns=(
            replace(column("cheap", chat=2.0, code=0.5), boot_seconds=900.0),
            replace(column("fast", chat=2.0, code=4.0), boot_seconds=900.0),
        ),
        quota_groups=(QuotaGroup(id="q", limit=Decimal(3)),),
        periods=(
            Period(name="day", hours=8.0),
            Period(name="night", hours=16.0, requests_per_second=rates),
        ),
    )


def test_periods_are_told_each_and_a_dollar_more_is_one_of_the_mean_that_is_spent() -> None:
    asked = case(day())
    told = why(asked)
    periods = [s for s in on(Topic.FLEET, told) if s.subject in ("day", "night")]
    assert [s.subject for s in periods] == ["day", "night"]
    assert periods[0].text.startswith("In day 2 nodes for $5.00 per hour serve 6 requests per second")
    more, less = on(Topic.BUDGET, told)
    spent = asked.solution.usd_per_hour
    assert more.before is not None
    assert more.before >= asked.solution.requests_per_second - 1e-6
    for statement, usd in ((more, spent + 1), (less, spent - 1)):
        again = solve(
            replace(asked.problem, mode=Mode.MAX_THROUGHPUT, mean_budget_usd_per_hour=usd, gap=1e-6)
        )
        assert isinstance(again, Solution)
        assert statement.after == pytest.approx(again.requests_per_second, rel=1e-5)


def test_what_is_taken_of_a_quota_is_what_the_fullest_period_takes() -> None:
    problem = replace(day(), quota_groups=(QuotaGroup(id="q", limit=Decimal(2)),))
    asked = case(problem)
    in_each = [sum(pool.nodes for pool in period.pools) for period in asked.solution.periods]
    (quota,) = on(Topic.QUOTA, why(asked))
    assert quota.text.startswith(f"{max(in_each)} of 2 of the quota q are taken")


def test_a_limit_on_changes_is_told_with_what_it_is_worth() -> None:
    runs = (Running(offer="fast", configuration="tp1", nodes=2),)
    problem = small(migration=Migration(running=runs, max_changed_nodes=1))
    told = why(case(problem))
    (changes,) = on(Topic.CHANGES, told)
    free = solve(replace(problem, migration=Migration(running=runs)))
    assert isinstance(free, Solution)
    assert changes.text.startswith("Any number of nodes added and removed instead of at most 1 would")
    assert (changes.before, changes.after) == (case(problem).solution.objective, free.objective)
    assert changes.after < changes.before


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(tiny())
def test_a_little_more_of_each_limit_is_worth_what_brute_force_says(problem: Problem) -> None:
    assume(feasible(problem))
    asked = case(problem)
    topics = (Topic.STOCK, Topic.QUOTA, Topic.PROVIDER_BUDGET, Topic.POOLS)
    told = [s for s in why(asked) if s.topic in topics and s.subject != "cost"]
    limits = (*met(problem, asked.solution), *shut(problem, asked.solution))
    wider = [limit.wider(problem) for limit in limits]
    assert [s.after for s in told] == pytest.approx([float(oracle.cheapest(w) or 0) for w in wider])
    assert {s.before for s in told} <= {asked.solution.objective}


def test_what_is_asked_of_the_offers_in_front_is_the_answer_for_all_of_them() -> None:
    """Twelve equal nodes, each a little dearer than the one before and with a stock of one; no band has what is needed."""
    line = tuple(offer(f"o{i:02}", f"{1 + i / 100}", 1) for i in range(12))
    problem = Problem(
        offers=line,
        configurations=("tp1",),
        classes=demands(chat=3.0),
        columns=tuple(column(o.id, chat=1.0) for o in line),
        gap=0.0,
    )
    asked = case(problem)
    assert len(asked.front.bands.searched.offers) == 4
    for rate in (2.0, 4.0, 7.0, 13.0):

        def change(of: Problem, rate: float = rate) -> Problem:
            return replace(of, classes=demands(chat=rate))

        assert asked.ask(change).objective == look(change(problem), 9.0).objective


def test_lifting_every_limit_leaves_prices_and_speeds_alone() -> None:
    free = unlimited(small(max_pools=1, quota_groups=(QuotaGroup(id="q", limit=Decimal(0)),)))
    assert (free.max_pools, free.quota_groups, free.budget_usd_per_hour) == (None, (), None)
    assert free.mode is Mode.MIN_COST


def test_a_search_without_time_says_that_it_is_not_exact() -> None:
    problem = hard(offers=20, configurations=6, classes=8)
    outcome = solve(problem, limit_seconds=1.0)
    assert isinstance(outcome, Solution)
    told = why(Case.of(problem, outcome, seconds=0.2))
    assert any(
        not s.exact and "(not proven: the best of both could be" in s.text
        for s in told
        if s.topic is Topic.BUDGET
    )
