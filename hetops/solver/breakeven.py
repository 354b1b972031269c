"""The price at which an offer enters the fleet or leaves it, all else as it is.

Decides which offers are asked about. At least cost the price is walked to: the fleet's least cost is a concave function
of one price, and where the line through a fleet's cost meets the cost without the offer lies a better guess, until none is.
At most throughput it is halved to. Both are then confirmed by a search on either side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial

from hetops.solver.exact import Found, better, without
from hetops.solver.explanation import Statement, Topic, dollars
from hetops.solver.problem import Mode, PricedOffer, Problem
from hetops.solver.solution import Solution
from hetops.solver.why import Case

TOLERANCE = Decimal("0.001")
"""The offer is in at a price lower than the stated one by this share, and out at one higher by it."""

STEP = Decimal("0.000001")
"""Prices are looked for in steps of this."""

MOST_OFFERS = 12
"""Asked about unasked: what is in the fleet, then the most promising offer of each other GPU type."""

MOST_STEPS = 40


def asked_about(case: Case) -> tuple[PricedOffer, ...]:
    """Offers of the fleet, and of each GPU type that is not in it the offer that comes nearest to being worth it."""
    rented = {pool.offer for pool in case.solution.pools}
    used = [o for o in case.problem.offers if o.id in rented]
    price = {o.id: _price_of_all(case.problem, o) for o in case.problem.offers}
    nearest: dict[str, PricedOffer] = {}
    for offer in sorted(case.problem.offers, key=lambda o: (price[o.id], o.id)):
        if price[offer.id] < float("inf") and offer.gpu not in {o.gpu for o in used}:
            nearest.setdefault(offer.gpu, offer)
    return (*used, *nearest.values())[:MOST_OFFERS]


def _price_of_all(problem: Problem, offer: PricedOffer) -> float:
    """What the classes that it can serve cost on it, were its nodes divisible; infinite where it serves none."""
    served = 0.0
    loads = 0.0
    for demand in problem.classes:
        rate = max((c.rate(demand.name) for c in problem.columns if c.offer == offer.id), default=0.0)
        if rate > 0 and demand.requests_per_second > 0:
            served += demand.requests_per_second
            loads += demand.requests_per_second / rate
    return loads * float(offer.usd_per_hour) / served if served else float("inf")


def breakeven(case: Case, offers: tuple[PricedOffer, ...]) -> tuple[Statement, ...]:
    """Of each offer the price at which it enters or leaves, with the answers on either side of it."""
    return tuple(_statement(case, offer) for offer in offers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Priced:
    """One offer at any price, and the best answer without it."""

    case: Case
    offer: PricedOffer
    without: Found

    def at(self, usd_per_hour: Decimal) -> Found:
        change = partial(_at_price, offer=self.offer.id, usd_per_hour=usd_per_hour)
        return self.case.ask(change, about=(self.offer.id,))

    def is_worth(self, usd_per_hour: Decimal) -> bool:
        """Whether the offer makes the answer better at that price."""
        return better(self.case.problem.mode, self.at(usd_per_hour), self.without)


def _at_price(problem: Problem, *, offer: str, usd_per_hour: Decimal) -> Problem:
    offers = (replace(o, usd_per_hour=usd_per_hour) if o.id == offer else o for o in problem.offers)
    return replace(problem, offers=tuple(offers))


def _statement(case: Case, offer: PricedOffer) -> Statement:
    rented = any(pool.offer == offer.id for pool in case.solution.pools)
    there_is_none = case.ask(partial(without, (offer.id,)), about=(offer.id,))
    priced = _Priced(case=case, offer=offer, without=there_is_none)
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
        nodes = _nodes(solution, priced.offer)
        if without is None or not nodes:
            break
        others = solution.usd_per_hour - price * nodes
        meets = ((without.usd_per_hour - others) / nodes).quantize(STEP, rounding=ROUND_HALF_EVEN)
        if meets <= price:
            break
        price = meets
    return price


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
