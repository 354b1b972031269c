"""Where a class goes, what it adds to the fleet, and what it would cost if all of it went elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from hetops.solver.problem import Column, Mode, Problem
from hetops.solver.questions.exact import Found
from hetops.solver.questions.explanation import Statement, Topic, capital, dollars, part
from hetops.solver.questions.why import Case, serving_all
from hetops.solver.side_by_side import side_by_side
from hetops.solver.solution import SolvedShare


def class_cost(case: Case, name: str) -> tuple[Statement, ...]:
    """The class's pools, the fleet without the class, and the best fleet that serves all of it on one GPU type."""
    return (*_goes_to(case, name), *_adds(case, name), *_elsewhere(case, name))


def _goes_to(case: Case, name: str) -> Iterator[Statement]:
    shares = sorted((s for s in case.solution.shares if s.workload_class == name), key=lambda s: -s.share)
    for share in shares:
        rate = f"{share.requests_per_second:.4g} requests per second"
        text = f"{capital(part(share, case.solution))}, {rate}, goes to {_at(share)}."
        yield case.told(Topic.CLASS, text, share.offer)
    for one in (s for s in case.solution.shed if s.workload_class == name):
        text = f"{one.share:.3g} of what arrives of {name} is turned away, at {dollars(one.usd_per_hour)} per hour."
        yield case.told(Topic.CLASS, text, name)
    if not shares and not case.problem.mean_rates[name]:
        yield case.told(Topic.CLASS, f"{name} has no demand: it goes nowhere and costs nothing.", name)


def _at(share: SolvedShare) -> str:
    return f"{share.configuration} on {share.offer}" if share.configuration else f"{share.offer} by the token"


def _adds(case: Case, name: str) -> Iterator[Statement]:
    """The fleet without the class; when maximising the rest of the mix would be another question."""
    problem, rates = case.problem, case.problem.mean_rates
    if problem.mode is Mode.MAX_THROUGHPUT or not rates[name]:
        return
    classes = tuple(replace(c, requests_per_second=0.0) if c.name == name else c for c in problem.classes)
    periods = tuple(
        replace(p, requests_per_second={**p.requests_per_second, name: 0.0}) for p in problem.periods
    )
    if any(rate for other, rate in rates.items() if other != name):
        after = case.ask(partial(replace, classes=classes, periods=periods))
        yield case.changed(Topic.CLASS, f"To serve no {name}", after, name)


def _elsewhere(case: Case, name: str) -> Iterator[Statement]:
    """All of the class on each GPU type, or service, alone, cheapest first, the other classes wherever is best."""
    places = {o.id: o.gpu or o.id for o in case.problem.offers}
    places |= {s.id: s.id for s in case.problem.services if name in s.usd_per_request}
    each = sorted(set(places.values()))
    answers = side_by_side(lambda place: _only_on(case, name, place, places), each)
    found = list(zip(each, answers, strict=True))
    sign = 1 if case.problem.mode is Mode.MIN_COST else -1
    worst = float("inf")
    found.sort(key=lambda pair: (worst if pair[1].objective is None else sign * pair[1].objective, pair[0]))
    for place, after in found:
        yield case.changed(Topic.CLASS, f"All of {name} on {place}", after, place)


def _only_on(case: Case, name: str, place: str, places: dict[str, str]) -> Found:
    there = frozenset(at for at, called in places.items() if called == place)
    return case.ask(partial(_served_on, name=name, there=there), about=there)


def _served_on(problem: Problem, *, name: str, there: frozenset[str]) -> Problem:
    """The problem in which all of a class is served, by some offers and services alone."""
    columns = tuple(c if c.offers <= there else _without_class(c, name) for c in problem.columns)
    services = tuple(
        s
        if s.id in there
        else replace(s, usd_per_request={c: u for c, u in s.usd_per_request.items() if c != name})
        for s in problem.services
    )
    return replace(serving_all(name, problem), services=services, columns=columns)


def _without_class(column: Column, name: str) -> Column:
    rates = {c: rate for c, rate in column.requests_per_second.items() if c != name}
    return replace(column, requests_per_second=rates)
