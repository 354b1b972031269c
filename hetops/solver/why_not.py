"""Why not something else: the best fleet with at least one node of it, what that costs, and which limit pays.

Decides in which order reasons are given: it is in, it serves nothing, a limit keeps it out, its price does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from hetops.solver.exact import Found, better, unchanged, without
from hetops.solver.explanation import Statement, Topic, amount, dollars
from hetops.solver.limits import Met, barring, met
from hetops.solver.problem import Problem
from hetops.solver.solution import Solution
from hetops.solver.why import Case


def meant(problem: Problem, name: str) -> frozenset[str]:
    """Offers that a name means: an offer's id, a GPU type or its family, a provider; none where nothing is called so."""
    wanted = name.casefold()

    def called(*names: str) -> bool:
        return any(n.casefold() == wanted for n in names if n)

    return frozenset(
        o.id
        for o in problem.offers
        if called(o.id, o.gpu, o.provider) or o.gpu.casefold().startswith(f"{wanted}-")
    )


def names(problem: Problem) -> tuple[str, ...]:
    """Everything that `meant` knows, and services."""
    each = (
        *(n for o in problem.offers for n in (o.gpu, o.provider, o.id)),
        *(s.id for s in problem.services),
    )
    return tuple(dict.fromkeys(name for name in each if name))


def why_not(case: Case, name: str, offers: frozenset[str]) -> tuple[Statement, ...]:
    """What at least one node of the offers costs, and which limit pays; `name` is what they are called together."""
    rented = sum(pool.nodes for pool in case.solution.pools if pool.offer in offers)
    if rented:
        return tuple(_already_in(case, name, offers, rented))
    if not _serves(case.problem, offers):
        nothing = Found(solution=None, exact=True)
        text = f"Nothing on {name} serves any class within the targets"
        return (replace(case.changed(Topic.OFFER, "", nothing, name), text=f"{text}."),)
    forced = case.ask(unchanged, must_rent=offers)
    if forced.solution is None:
        return tuple(_kept_out(case, name, offers, forced))
    return (
        case.changed(Topic.OFFER, f"At least one node of {name}", forced, name),
        *_who_pays(case, name, offers, forced.solution),
    )


def _serves(problem: Problem, offers: frozenset[str]) -> bool:
    """Whether any of the offers can serve a class that is asked for."""
    asked = [c.name for c in problem.classes if c.requests_per_second > 0]
    columns = (column for column in problem.columns if column.offer in offers)
    return any(column.rate(name) > 0 for column in columns for name in asked)


def _already_in(case: Case, name: str, offers: frozenset[str], rented: int) -> Iterator[Statement]:
    after = case.ask(partial(without, offers), about=offers)
    begin = f"{name} is in the fleet already with {rented} node{'s' * (rented != 1)}: to do without"
    yield case.changed(Topic.OFFER, begin, after, name)


def _kept_out(case: Case, name: str, offers: frozenset[str], forced: Found) -> Iterator[Statement]:
    """Which single limit keeps it out altogether, each lifted alone."""
    yield case.changed(Topic.OFFER, f"At least one node of {name}", forced, name)
    blamed = False
    for limit in barring(case.problem, offers):
        after = case.ask(limit.lifted, about=limit.offers, must_rent=offers)
        if after.objective is not None:
            blamed = True
            begin = f"{limit.name} keeps it out: without that limit a node of {name}"
            yield case.changed(limit.topic, begin[:1].upper() + begin[1:], after, limit.subject)
    if not blamed and forced.exact:
        text = "No single limit keeps it out: it takes several lifted together."
        yield replace(case.changed(Topic.LIMITS, "", forced), text=text)


def _who_pays(case: Case, name: str, offers: frozenset[str], forced: Solution) -> Iterator[Statement]:
    """The limits whose lifting makes the node cheaper; where there is none, its price against what it replaces."""
    blamed = False
    at_forced = replace(case, solution=forced)
    for limit in _met_for(case.problem, offers, forced):
        after = case.ask(limit.lifted, about=limit.offers, must_rent=offers)
        if better(case.problem.mode, after, at_forced.answer):
            blamed = True
            begin = f"{limit.name} pays: with a node of {name} but without that limit the fleet"
            yield at_forced.changed(limit.topic, begin[:1].upper() + begin[1:], after, limit.subject)
    if not blamed:
        yield _its_price(case, name, offers, forced)


def _met_for(problem: Problem, offers: frozenset[str], forced: Solution) -> Iterator[Met]:
    """Limits that the fleet meets or that the offers share, each once."""
    seen = set()
    for limit in (*met(problem, forced), *barring(problem, offers)):
        if (limit.topic, limit.subject) not in seen:
            seen.add((limit.topic, limit.subject))
            yield limit


def _its_price(case: Case, name: str, offers: frozenset[str], forced: Solution) -> Statement:
    own = sum(pool.usd_per_hour for pool in forced.pools if pool.offer in offers)
    saved = case.solution.usd_per_hour - (forced.usd_per_hour - own)
    nodes = sum(pool.nodes for pool in forced.pools if pool.offer in offers)
    before, after = (amount(s.objective, case.unit) for s in (case.solution, forced))
    others = f"{dollars(abs(saved))} {'less' if saved > 0 else 'more'}" if saved else "nothing less"
    text = (
        f"No limit pays, its price does: {nodes} node{'s' * (nodes != 1)} of {name} for {dollars(own)} per hour"
        f" and {others} on others ({after} instead of {before})."
    )
    return replace(case.told(Topic.PRICE, text, name), before=case.solution.objective, after=forced.objective)
