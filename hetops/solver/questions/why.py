"""Why this fleet: what it is, which limits it meets, and what a little more of each would change.

Decides which sentences are worth saying; every number in them is a fleet that was searched for.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from hetops.domain.percent import percent
from hetops.solver.problem import Mode, Problem
from hetops.solver.proof import proves_nothing
from hetops.solver.questions.exact import Change, Found, Front, better, found, look, no_worse
from hetops.solver.questions.explanation import (
    Statement,
    Topic,
    Unit,
    amount,
    capital,
    dollars,
    effect,
    part,
)
from hetops.solver.questions.limits import Met, met, shut, unlimited
from hetops.solver.questions.relaxation import Loosen
from hetops.solver.questions.rules import Rule, rules, without_all
from hetops.solver.side_by_side import side_by_side
from hetops.solver.solution import Solution, SolvedPool, SolvedShed, nodes_of
from hetops.solver.terms import Role

LOOSER = 1.1
"""Factor on every latency target of the question what looser targets would save."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A problem with its answer, and how long each further search may take."""

    problem: Problem
    solution: Solution
    front: Front
    seconds: float = 5.0
    loosen: Loosen | None = None
    """The problem with every latency target multiplied by a factor; None where only the problem is known."""

    @classmethod
    def of(
        cls, problem: Problem, solution: Solution, *, seconds: float = 5.0, loosen: Loosen | None = None
    ) -> Case:
        """With the offers in front that the solution rents."""
        front = Front.of(problem, solution)
        return cls(problem=problem, solution=solution, front=front, seconds=seconds, loosen=loosen)

    @property
    def unit(self) -> Unit:
        """What the objective is counted in."""
        return Unit.of(self.problem.mode)

    @property
    def bound(self) -> float | None:
        """What is proven of the answer; None where nothing is."""
        bound = self.solution.bound
        return None if proves_nothing(self.problem, bound) else bound

    @property
    def answer(self) -> Found:
        """The answer as a search found it."""
        return found(self.solution)

    def ask(
        self,
        change: Change,
        *,
        about: Collection[str] = (),
        must_rent: Collection[str] = (),
    ) -> Found:
        """The answer to a changed question; `about` are the offers that it does not treat as their likes."""
        front = self.front.apart(must_rent).apart(about)
        return front.ask(change, self.seconds, must_rent=must_rent)

    def changed(self, topic: Topic, begin: str, after: Found, subject: str = "") -> Statement:
        """A sentence that begins with a change and ends with its effect on the answer."""
        end = effect(self.solution.objective, after.objective, self.unit)
        return Statement(
            topic=topic,
            subject=subject,
            text=f"{begin} {end}{self.left_open(after)}.",
            before=self.solution.objective,
            after=after.objective,
            unit=self.unit,
            exact=self.answer.exact and after.exact,
        )

    def left_open(self, after: Found) -> str:
        """What both searches left open, where one of them ended before its proof; else nothing."""
        if self.answer.exact and after.exact:
            return ""
        if after.solution is None:
            return " (none was found in time)"
        both = (self.solution.bound, after.solution.bound)
        if any(proves_nothing(self.problem, bound) for bound in both):
            return " (not proven)"
        bounds = (amount(bound, self.unit) for bound in both)
        return " (not proven: the best of both could be {} and {})".format(*bounds)

    def told(self, topic: Topic, text: str, subject: str = "") -> Statement:
        """A sentence on the answer itself, between what is proven and what is reached."""
        return Statement(
            topic=topic,
            subject=subject,
            text=text,
            before=self.bound,
            after=self.solution.objective,
            unit=self.unit,
            exact=self.answer.exact,
        )


def why(case: Case) -> tuple[Statement, ...]:
    """The fleet in sentences, the limits that it meets, what it must bear, a dollar more and less, and looser targets."""
    parts: tuple[Iterator[Statement], ...] = (
        _fleet(case),
        _periods(case),
        *_limits(case),
        *_rules(case),
        *_shed(case),
        _a_dollar(case),
        _looser_targets(case),
    )
    told: list[tuple[Statement, ...]] = side_by_side(tuple, parts)
    return tuple(itertools.chain.from_iterable(told))


def _fleet(case: Case) -> Iterator[Statement]:
    solution, unit = case.solution, case.unit
    reached = amount(solution.objective, unit)
    least = (
        "no fleet costs less than"
        if unit is Unit.USD_PER_HOUR
        else "no fleet within the limits serves more than"
    )
    verb = "costs" if unit is Unit.USD_PER_HOUR else "serves"
    beside = {
        "starts" if case.problem.periods else "changes": solution.changes_usd_per_hour,
        "pools besides their nodes": solution.pools_usd_per_hour,
    }
    of_it = " and ".join(f"{dollars(usd)} per hour of it for {what}" for what, usd in beside.items() if usd)
    told = of_it and f", {of_it}"
    if solution.shed:
        paid, reached = dollars(solution.usd_per_hour), f"{reached} with what is turned away"
        verb, least = (
            f"costs {paid} per hour{told and f'{told},'} and counts for",
            "none counts for less than",
        )
        told = ""
    proven = (
        "nothing is proven of how much more another could"
        if case.bound is None
        else f"{least} {amount(case.bound, unit)}"
    )
    yield case.told(Topic.FLEET, f"The fleet {verb} {reached}{told}; {proven}.")
    for pool in solution.pools:
        yield case.told(Topic.FLEET, _pool(case, pool), pool.offer)


_DOES = {Role.WHOLE: "serve", Role.PREFILL: "prefill", Role.DECODE: "decode"}


def _pool(case: Case, pool: SolvedPool) -> str:
    least = pool.nodes if pool.least_nodes is None else pool.least_nodes
    shares = sorted((s for s in case.solution.shares if s.key == pool.key), key=lambda s: -s.share)
    serves = ", ".join(part(s, case.solution) for s in shares)
    column = next(c for c in case.problem.columns if c.key == pool.key)
    one = not pool.also and least == pool.nodes <= column.parts_per_node
    full = pool.utilisation / float(case.problem.usable((column,))[pool.key])
    mean = " on average" if case.problem.periods else ""
    price = (
        f"for {dollars(pool.usd_per_hour)} per hour{mean}" if pool.usd_per_hour else "paid for as a whole,"
    )
    each = ((n * least // pool.nodes, n, offer) for offer, n in pool.rented.items())
    nodes = " and ".join(f"{_nodes(few, n, column.parts_per_node)} of {offer}" for few, n, offer in each)
    return (
        f"{nodes} with {pool.configuration}"
        f" {price} {_DOES[column.role]}{'s' * one} {serves or 'nothing'}"
        f" and {'is' if one else 'are'} at {percent(full)} of what may be used."
    )


def _nodes(least: int, most: int, parts: int) -> str:
    """Nodes in words; those of a pool of parts of nodes are parts."""
    several = "s" * (not least == most <= parts)
    return f"{most if least == most else f'{least} to {most}'}{f'/{parts}' * (parts > 1)} node{several}"


def _periods(case: Case) -> Iterator[Statement]:
    """What each period takes, where there are several; changes between them are not in it."""
    for period in case.solution.periods:
        nodes = sum(nodes_of(case.problem, period.pools).values())
        text = (
            f"In {period.name} {nodes} node{'s' * (nodes != 1)} for {dollars(period.usd_per_hour)} per hour serve"
            f"{'s' * (nodes == 1)} {period.requests_per_second:.4g} requests per second."
        )
        yield case.told(Topic.FLEET, text, period.name)


def _limits(case: Case) -> Iterator[Iterator[Statement]]:
    """Every limit without room, with what a little more of it is worth; and what no limit at all would be worth."""
    for one in (*met(case.problem, case.solution), *shut(case.problem, case.solution)):
        yield _wider(case, one)
    yield _unlimited(case)


def _wider(case: Case, one: Met) -> Iterator[Statement]:
    after = _freed(case, one.wider, one.offers)
    yield case.changed(one.topic, f"{capital(one.state)}: {one.step}", after, one.subject)


def _unlimited(case: Case) -> Iterator[Statement]:
    if case.problem.mode is Mode.MAX_THROUGHPUT and case.problem.budget_usd_per_hour is None:
        return
    free = _freed(case, unlimited)
    if better(case.problem.mode, free, case.answer):
        begin = "Without any limit on stock, quotas, budgets of providers and pools the same demand"
        if case.problem.mode is Mode.MAX_THROUGHPUT:
            begin = "The budget without any other limit"
        yield case.changed(Topic.LIMITS, begin, free)
    else:
        text = "No limit but the demand binds: prices and speeds alone decide."
        if case.problem.services:
            text = "No stock, quota, budget or number of pools binds: prices, speeds and what services take decide."
        asks = any(c.mean_quality is not None for c in case.problem.classes)
        if asks or case.problem.losses or case.problem.share_limits:
            text = "No stock, quota, budget or number of pools binds: what the fleet must bear and prices decide."
        if case.problem.mode is Mode.MAX_THROUGHPUT:
            text = "No limit but the budget binds: prices and speeds alone decide."
        yield replace(case.changed(Topic.LIMITS, "", free), text=f"{text[:-1]}{case.left_open(free)}.")


def _rules(case: Case) -> Iterator[Iterator[Statement]]:
    """What each rule costs, all of them together, and the headroom: the same question without it."""
    problem = case.problem
    asked = tuple(rules(problem, {offer for pool in case.solution.pools for offer in pool.rented}))
    for rule in asked:
        yield _without(case, rule)
    if len(asked) > 1:
        yield _without_these(case, asked)
    if problem.headroom > 0:
        yield _full(case)


def _without(case: Case, rule: Rule) -> Iterator[Statement]:
    yield case.changed(rule.topic, rule.freed, _freed(case, rule.lifted, rule.offers), rule.subject)


def _without_these(case: Case, asked: tuple[Rule, ...]) -> Iterator[Statement]:
    own = frozenset().union(*(rule.offers for rule in asked))
    freed = _freed(case, partial(without_all, lifted=asked), own)
    yield case.changed(Topic.LIMITS, "All of these rules lifted together", freed)


def _full(case: Case) -> Iterator[Statement]:
    freed = _freed(case, partial(replace, headroom=0.0))
    begin = f"No headroom instead of {percent(case.problem.headroom, 1)}"
    yield case.changed(Topic.HEADROOM, begin, freed)


def _shed(case: Case) -> Iterator[Iterator[Statement]]:
    """What of each class is turned away, and what it would cost to serve all of it."""
    for one in case.solution.shed:
        yield _turned_away(case, one)


def _turned_away(case: Case, one: SolvedShed) -> Iterator[Statement]:
    name = one.workload_class
    text = (
        f"{one.share:.3g} of {name}, {one.requests_per_second:.4g} requests per second, is turned away"
        f" at {dollars(one.usd_per_hour)} per hour, which nobody is paid."
    )
    yield case.told(Topic.SHED, text, name)
    yield case.changed(Topic.SHED, f"To serve all of {name}", case.ask(partial(serving_all, name)), name)


def serving_all(name: str, problem: Problem) -> Problem:
    """The problem in which nothing of a class may be turned away."""
    classes = (replace(c, shed_usd_per_request=None) if c.name == name else c for c in problem.classes)
    return replace(problem, classes=tuple(classes))


def _freed(case: Case, change: Change, about: Collection[str] = ()) -> Found:
    """The answer to a question with one limit less, which is never worse."""
    return no_worse(case.ask(change, about=about), case.answer)


def _a_dollar(case: Case) -> Iterator[Statement]:
    """What $1 per hour more or less serves: of the budget when maximising, else of what the fleet costs."""
    problem, maximises = case.problem, case.problem.mode is Mode.MAX_THROUGHPUT
    budget = _budget_in_question(problem)
    if case.solution.shed:  # What is served is not the mix, which the largest rate is of.
        yield from _a_dollar_paid(case, budget)
        return
    spent: Decimal | None = getattr(problem, budget) if maximises else case.solution.usd_per_hour
    if spent is None:
        return

    def having(usd: Decimal) -> Change:
        return partial(replace, mode=Mode.MAX_THROUGHPUT, **{budget: max(usd, Decimal(0))})

    now = case.answer if maximises else _as_rate(case, case.ask(having(spent)))
    more, less = (case.ask(having(spent + d)) for d in (1, -1))
    now = no_worse(now, less)  # what a smaller budget allows, a larger one does
    more = no_worse(more, now)
    if now.solution is None:
        return
    at_budget = replace(case, problem=replace(problem, mode=Mode.MAX_THROUGHPUT), solution=now.solution)
    for words, after in (("more", more), ("less", less)):
        yield at_budget.changed(Topic.BUDGET, f"$1 per hour {words} than {dollars(spent)}", after)


def _a_dollar_paid(case: Case, budget: str) -> Iterator[Statement]:
    """What it makes of the cost, with what is turned away in it, to pay $1 per hour more or less."""
    paid = case.solution.usd_per_hour
    more, less = (case.ask(partial(replace, **{budget: max(paid + d, Decimal(0))})) for d in (1, -1))
    more = no_worse(more, case.answer)
    for words, after in (("more", more), ("less", less)):
        yield case.changed(Topic.BUDGET, f"To pay up to $1 per hour {words} than {dollars(paid)}", after)


def _as_rate(case: Case, asked: Found) -> Found:
    """The largest rate that the fleet's cost buys: no less than its own, which rounding of prices may hide from a search."""
    rate = case.solution.requests_per_second
    served = replace(case.solution, mode=Mode.MAX_THROUGHPUT, objective=rate, bound=rate)
    return no_worse(asked, found(served))


def _budget_in_question(problem: Problem) -> str:
    """The field of the budget that a dollar goes into: the mean one where periods or changes are paid for out of it."""
    if problem.mode is Mode.MAX_THROUGHPUT:
        return (
            "budget_usd_per_hour" if problem.budget_usd_per_hour is not None else "mean_budget_usd_per_hour"
        )
    over_all = problem.periods or problem.migration is not None
    return "mean_budget_usd_per_hour" if over_all else "budget_usd_per_hour"


def _looser_targets(case: Case) -> Iterator[Statement]:
    if case.loosen is None:
        return
    after = no_worse(look(case.loosen(LOOSER), case.seconds), case.answer)
    yield case.changed(Topic.TARGETS, f"Latency targets {percent(LOOSER - 1)} looser", after)
