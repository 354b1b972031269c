"""The price at which an offer enters the fleet or leaves it, all else as it is.

Decides which offers are asked about. At least cost the price is walked to: the fleet's least cost is a concave function
of one price, and where the line through a fleet's cost meets the cost without the offer lies a better guess, until none is.
At most throughput it is halved to. Both are then confirmed by a search on either side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial

from hetops.domain.units import SECONDS_PER_HOUR
from hetops.solver.exact import Found, better, without
from hetops.solver.explanation import Statement, Topic, dollars
from hetops.solver.matrix import INFINITY
from hetops.solver.problem import Mode, PricedOffer, Problem
from hetops.solver.solution import Solution
from hetops.solver.why import Case

TOLERANCE = Decimal("0.001")
"""The offer is in at a price lower than the stated one by this share, and out at one higher by it."""

STEP = Decimal("0.000001")
"""Prices are looked for in steps of this."""

MOST_OFFERS = 12
"""Asked about at once: unasked, what is in the fleet, then the most promising offer of each other GPU type."""

MOST_STEPS = 40


def asked_about(case: Case) -> tuple[PricedOffer, ...]:
    """Offers of the fleet, and of each GPU type that is not in it the offer that comes nearest to being worth it."""
    rented = {pool.offer for pool in case.solution.pools}
    used = [o for o in case.problem.offers if o.id in rented]
    price = _price_of_all(case.problem)
    nearest: dict[str, PricedOffer] = {}
    for offer in _nearest_first(case.problem.offers, price):
        if offer.id in price and offer.gpu not in {o.gpu for o in used}:
            nearest.setdefault(offer.gpu, offer)
    return (*used, *nearest.values())[:MOST_OFFERS]


def breakeven_of(case: Case, name: str, offers: frozenset[str]) -> tuple[Statement, ...]:
    """Of all offers that a name means: those of the fleet, then those that come nearest to being worth it."""
    rented = {pool.offer for pool in case.solution.pools}
    meant = [o for o in case.problem.offers if o.id in offers]
    nearest = sorted(_nearest_first(meant, _price_of_all(case.problem)), key=lambda o: o.id not in rented)
    told = breakeven(case, tuple(nearest[:MOST_OFFERS]))
    if len(nearest) <= MOST_OFFERS:
        return told
    text = f"{len(nearest) - MOST_OFFERS} more offers of {name} are farther from being worth their price: ask about one by its name."
    return (*told, case.told(Topic.PRICE, text, name))


def _nearest_first(offers: Iterable[PricedOffer], price: Mapping[str, float]) -> list[PricedOffer]:
    return sorted(offers, key=lambda o: (price.get(o.id, INFINITY), o.id))


def _price_of_all(problem: Problem) -> dict[str, float]:
    """By offer what the classes that it can serve cost on it, were its nodes divisible; without those that serve none."""
    asked = problem.mean_rates
    best: dict[str, dict[str, float]] = {}
    for column in problem.columns:
        rates = best.setdefault(column.offer, {})
        for name, rate in column.requests_per_second.items():
            if rate > 0 and asked[name] > 0:
                rates[name] = max(rates.get(name, 0.0), rate)
    return {
        o.id: sum(asked[name] / rate for name, rate in best[o.id].items())
        * float(o.usd_per_hour)
        / sum(asked[name] for name in best[o.id])
        for o in problem.offers
        if best.get(o.id)
    }


def breakeven(case: Case, offers: tuple[PricedOffer, ...]) -> tuple[Statement, ...]:
    """Of each offer the price at which it enters or leaves, with the answers on either side of it."""
    return tuple(_statement(case, offer) for offer in offers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Priced:
    """One offer at any price, and the best answer without it."""

    case: Case
    offer: PricedOffer
    without: Found
    seen: dict[Decimal, Found]
    """By price: the answers that are known, to which each search adds."""

    @classmethod
    def of(cls, case: Case, offer: PricedOffer) -> _Priced:
        """The answer is one at today's price, and one without the offer where it is not rented."""
        without_it = case.answer
        if _nodes(case.solution, offer):
            without_it = case.ask(partial(without, (offer.id,)), about=(offer.id,))
        return cls(case=case, offer=offer, without=without_it, seen={offer.usd_per_hour: case.answer})

    def at(self, usd_per_hour: Decimal) -> Found:
        if usd_per_hour not in self.seen:
            change = partial(_at_price, offer=self.offer.id, usd_per_hour=usd_per_hour)
            self.seen[usd_per_hour] = self.case.ask(change, about=(self.offer.id,))
        return self.seen[usd_per_hour]

    def is_worth(self, usd_per_hour: Decimal) -> bool:
        """Whether the offer makes the answer better at that price."""
        return better(self.case.problem.mode, self.at(usd_per_hour), self.without)


def _at_price(problem: Problem, *, offer: str, usd_per_hour: Decimal) -> Problem:
    offers = (replace(o, usd_per_hour=usd_per_hour) if o.id == offer else o for o in problem.offers)
    return replace(problem, offers=tuple(offers))


def _statement(case: Case, offer: PricedOffer) -> Statement:
    rented, priced = _nodes(case.solution, offer) > 0, _Priced.of(case, offer)
    if priced.without.objective is None:
        text = f"{offer.id} is in the fleet at any price: {'no' if priced.without.exact else 'in time no'} fleet was found without it"
        return replace(case.changed(Topic.PRICE, "", priced.without, offer.id), text=f"{text}.")
    if not rented and not priced.is_worth(STEP):
        at_nothing = priced.at(STEP)
        text = f"{offer.id} would not make the fleet better even at ${STEP} per hour"
        return replace(
            case.changed(Topic.PRICE, "", at_nothing, offer.id), text=f"{text}.", usd_per_hour=STEP
        )
    start = offer.usd_per_hour if rented and priced.is_worth(offer.usd_per_hour) else STEP
    walk = _walked if case.problem.mode is Mode.MIN_COST else _halved
    price = walk(priced, start)
    if price is None:
        text = f"{offer.id} makes the fleet better at any price: no budget limits what is spent"
        return replace(case.changed(Topic.PRICE, "", priced.without, offer.id), text=f"{text}.")
    return _confirmed(priced, price)


def _walked(priced: _Priced, start: Decimal) -> Decimal | None:
    """The price at which the least cost with the offer is the least cost without it."""
    price = start
    for _ in range(MOST_STEPS):
        at = priced.at(price)
        if at.solution is None or not better(Mode.MIN_COST, at, priced.without):
            break
        solution, without = at.solution, priced.without.solution
        paid = _paid_nodes(priced.case.problem, solution, priced.offer)
        if without is None or not paid:
            break
        others = solution.usd_per_hour - price * paid
        meets = ((without.usd_per_hour - others) / paid).quantize(STEP, rounding=ROUND_HALF_EVEN)
        if meets <= price:
            break
        price = meets
    return price


def _paid_nodes(problem: Problem, solution: Solution, offer: PricedOffer) -> Decimal:
    """Nodes of the offer that are paid for, in the mean over all periods; starts count as the nodes that boot meanwhile."""
    boots = {c.key: Decimal(repr(float(c.boot_seconds))) / c.parts_per_node for c in problem.columns}
    hours = sum((Decimal(repr(s.hours)) for s in problem.stretches), Decimal(0))
    paid, before = Decimal(0), solution.stretches[-1]
    for period, stretch in zip(solution.stretches, problem.stretches, strict=True):
        own = [pool for pool in period.pools if pool.offer == offer.id]
        whole = [rental.nodes for rental in period.rentals if rental.offer == offer.id]
        nodes = Decimal(sum(whole) if whole else sum(pool.nodes for pool in own))
        paid += nodes * stretch.part.numerator / stretch.part.denominator
        ran = {pool.key: pool.nodes for pool in before.pools}
        for pool in own if problem.periods else ():
            started = max(pool.nodes - ran.get(pool.key, 0), 0)
            paid += started * boots[pool.key] / int(SECONDS_PER_HOUR) / hours
        before = period
    return paid


def _nodes(solution: Solution, offer: PricedOffer) -> int:
    return sum(pool.nodes for pool in solution.pools if pool.offer == offer.id)


def _halved(priced: _Priced, start: Decimal) -> Decimal | None:
    """Where a node at the budget's whole price is of no use and one at `start` is, between the two."""
    budget = priced.case.problem.budget_usd_per_hour
    if budget is None:
        return None
    low, high = start, budget + STEP
    while high > low * (1 + TOLERANCE) and high - low > STEP:
        middle = ((low * high).sqrt()).quantize(STEP, rounding=ROUND_HALF_EVEN)
        if not low < middle < high:
            break
        low, high = (middle, high) if priced.is_worth(middle) else (low, middle)
    return low


def _confirmed(priced: _Priced, price: Decimal) -> Statement:
    """The break-even price with a search just below it and one just above it."""
    case, offer = priced.case, priced.offer
    below, above = ((price * (1 + sign * TOLERANCE)).quantize(STEP) for sign in (-1, 1))
    inside, outside = priced.at(max(below, STEP)), priced.at(above)
    holds = better(case.problem.mode, inside, priced.without) and not better(
        case.problem.mode, outside, priced.without
    )
    now = offer.usd_per_hour
    change = f"{float(price / now) - 1:+.1%} of its price now, {dollars(now)}"
    verb = "leaves the fleet above" if _nodes(case.solution, offer) else "enters the fleet below"
    sure = f"within {float(TOLERANCE):.1%}" if holds else "not confirmed in time"
    return Statement(
        topic=Topic.PRICE,
        subject=offer.id,
        text=f"{offer.id} {verb} {dollars(price)} per hour ({change}; {sure}).",
        before=inside.objective,
        after=outside.objective,
        unit=case.unit,
        usd_per_hour=price,
        exact=holds and inside.exact and outside.exact,
    )
