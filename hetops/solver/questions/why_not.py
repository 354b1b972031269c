"""Why not something else: the best fleet with at least one node of it, what that costs, and which limit pays.

Decides in which order reasons are given: it is in, it serves nothing, a limit keeps it out, its price does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from hetops.solver.problem import Problem
from hetops.solver.questions.exact import ROUNDING, Found, best, better, found, no_worse, unchanged, without
from hetops.solver.questions.explanation import Statement, Topic, amount, capital, dollars
from hetops.solver.questions.limits import Liftable, barring, met
from hetops.solver.questions.rules import listed, rules, together, without_all
from hetops.solver.questions.why import Case
from hetops.solver.side_by_side import side_by_side
from hetops.solver.solution import Solution, SolvedPool, nodes_of


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
    rented = _nodes(case.problem, case.solution, offers)
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
    asked = [name for name, rate in problem.mean_rates.items() if rate > 0]
    columns = (column for column in problem.columns if not column.offers.isdisjoint(offers))
    return any(column.rate(name) > 0 for column in columns for name in asked)


def _already_in(case: Case, name: str, offers: frozenset[str], rented: int) -> Iterator[Statement]:
    after = case.ask(partial(without, offers), about=offers)
    begin = f"{name} is in the fleet already with {rented} node{'s' * (rented != 1)}: to do without"
    yield case.changed(Topic.OFFER, begin, after, name)


def _kept_out(case: Case, name: str, offers: frozenset[str], forced: Found) -> Iterator[Statement]:
    """What alone keeps it out altogether, each lifted by itself; where nothing does, what keeps it out together."""
    yield case.changed(Topic.OFFER, f"At least one node of {name}", forced, name)
    held, blamed = tuple(_held_to(case.problem, offers, case.solution)), False
    freed = side_by_side(lambda one: case.ask(one.lifted, about=one.offers, must_rent=offers), held)
    for one, after in zip(held, freed, strict=True):
        if after.objective is not None:
            blamed = True
            begin = f"{one.name} keeps it out: without that a node of {name}"
            yield case.changed(one.topic, capital(begin), after, one.subject)
    if not blamed and forced.exact:
        yield _kept_out_together(case, name, offers, held)


def _kept_out_together(
    case: Case, name: str, offers: frozenset[str], held: tuple[Liftable, ...]
) -> Statement:
    """A set of limits of which none may stay, found by taking each back that need not go."""

    def lifting(these: tuple[Liftable, ...]) -> Found:
        about = frozenset().union(*(one.offers for one in these))
        return case.ask(partial(without_all, lifted=these), about=about, must_rent=offers)

    lifted, after = together(held, lifting, lambda found: found.solution is not None)
    if after.solution is None:
        text = "No limit keeps it out that could be lifted, nor all of them together."
        return replace(case.changed(Topic.LIMITS, "", after), text=text)
    all_of_them = "both" if len(lifted) == 2 else "all of them"
    begin = f"{listed(lifted)} keep it out together: without {all_of_them} a node of {name}"
    return case.changed(Topic.LIMITS, capital(begin), after)


def _who_pays(case: Case, name: str, offers: frozenset[str], forced: Solution) -> Iterator[Statement]:
    """What makes the node dearer than it would be without: each limit alone, or some that do together; or its price."""
    held = tuple(_held_to(case.problem, offers, forced))

    def lifting(these: tuple[Liftable, ...]) -> _Lifted | None:
        return _lifted(case, name, offers, forced, these)

    blamed = tuple(told for told in side_by_side(lambda one: lifting((one,)), held) if told)
    if not blamed and len(held) > 1:
        _, told = together(held, lifting, lambda seen: seen is not None)
        blamed = (told,) if told else ()
    yield from (told.statement() for told in blamed)
    if not blamed:
        yield _its_price(case, name, offers, forced)


def _lifted(
    case: Case, name: str, offers: frozenset[str], forced: Solution, limits: tuple[Liftable, ...]
) -> _Lifted | None:
    """The fleets without these limits; None where the node is no less dear then."""
    mode, about = case.problem.mode, frozenset().union(*(one.offers for one in limits))
    change = partial(without_all, lifted=limits)
    after = no_worse(case.ask(change, about=about, must_rent=offers), found(forced))
    if not better(mode, after, found(forced)):
        return None
    free = no_worse(case.ask(change, about=about | offers), best(mode, after, case.answer))
    told = _Lifted(case=case, name=name, limits=limits, forced=forced, after=after, free=free)
    return told if told.dearer_by < told.was_dearer_by else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lifted:
    """The fleet with a node of something, with limits and without, and the best fleet of all without them."""

    case: Case
    name: str
    limits: tuple[Liftable, ...]
    forced: Solution
    after: Found
    free: Found

    @property
    def was_dearer_by(self) -> float:
        """What the node costs, or takes of the rate, while the limits hold; less what is rounding."""
        return abs(self.forced.objective - self.case.solution.objective) - ROUNDING * abs(
            self.forced.objective
        )

    @property
    def dearer_by(self) -> float:
        """The same without the limits."""
        return abs((self.after.objective or 0.0) - (self.free.objective or 0.0))

    def statement(self) -> Statement:
        """That the limits are to blame, with all three."""
        unit, free, single = self.case.unit, self.free.objective or 0.0, len(self.limits) == 1
        after = amount(self.after.objective or 0.0, unit)
        best_of_all = f"the best of all is at {amount(free, unit)}"
        if self.dearer_by <= ROUNDING * abs(free):
            best_of_all = "no fleet is better"
        exact = self.after.exact and self.free.exact
        text = (
            f"{capital(listed(self.limits))} {'is' if single else 'together are'} to blame:"
            f" without {'that' if single else 'them'} a fleet with a node of {self.name} is at {after}"
            f" instead of {amount(self.forced.objective, unit)}, and {best_of_all}{'' if exact else ' (not proven in time)'}."
        )
        topic, subject = (self.limits[0].topic, self.limits[0].subject) if single else (Topic.LIMITS, "")
        told = replace(self.case, solution=self.forced).changed(topic, "", self.after, subject)
        return replace(told, text=text, exact=told.exact and exact)


def _held_to(problem: Problem, offers: frozenset[str], fleet: Solution) -> Iterator[Liftable]:
    """Limits that the fleet meets or that the offers share, and rules, each once."""
    seen = set()
    about = offers | {offer for pool in fleet.pools for offer in pool.rented}
    for one in (*met(problem, fleet), *barring(problem, offers), *rules(problem, about)):
        if (one.topic, one.subject) not in seen:
            seen.add((one.topic, one.subject))
            yield one


def _its_price(case: Case, name: str, offers: frozenset[str], forced: Solution) -> Statement:
    own = _usd(case.problem, forced, offers)
    saved = case.solution.counted_usd_per_hour - (forced.counted_usd_per_hour - own)
    nodes = _nodes(case.problem, forced, offers)
    before, after = (amount(s.objective, case.unit) for s in (case.solution, forced))
    others = f"{dollars(abs(saved))} {'less' if saved > 0 else 'more'}" if saved else "nothing less"
    text = (
        f"No limit is to blame, its price is: {nodes} node{'s' * (nodes != 1)} of {name} for {dollars(own)} per hour"
        f" and {others} for all else ({after} instead of {before})."
    )
    return replace(case.told(Topic.PRICE, text, name), before=case.solution.objective, after=forced.objective)


def _nodes(problem: Problem, solution: Solution, offers: frozenset[str]) -> int:
    """Nodes of the offers, of whatever pools."""
    return sum(n for offer, n in nodes_of(problem, solution.pools).items() if offer in offers)


def _usd(problem: Problem, solution: Solution, offers: frozenset[str]) -> Decimal:
    """What the offers' nodes cost; of those that are paid for as a whole, what nobody pays anyway."""
    prices = {o.id: o.usd_per_hour for o in problem.offers}
    anyway = {o.id: o.usd_per_hour * o.committed_nodes for o in problem.offers}
    rented = (r for r in solution.rentals if r.offer in offers)
    whole = sum((r.usd_per_hour - anyway[r.offer] for r in rented), Decimal(0))
    apart = {rental.offer for rental in solution.rentals}
    return sum((_of_pool(pool, offers, prices, apart) for pool in solution.pools), whole)


def _of_pool(
    pool: SolvedPool, offers: frozenset[str], prices: Mapping[str, Decimal], apart: Collection[str]
) -> Decimal:
    """What of a pool's price is that of the offers; nothing of those that are paid for apart from it."""
    each = {offer: prices[offer] * n for offer, n in pool.rented.items() if offer not in apart}
    own = sum((usd for offer, usd in each.items() if offer in offers), Decimal(0))
    return pool.usd_per_hour * own / sum(each.values()) if each else Decimal(0)
