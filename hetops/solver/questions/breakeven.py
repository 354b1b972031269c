"""The price at which something enters the fleet or leaves it, all else as it is.

At least cost the price is walked to: the fleet's least cost is a concave function of one price, and where the line through
a fleet's cost meets the cost without what is priced lies a better guess, until none is. At most throughput, and where a
budget makes a dear fleet impossible, it is halved to. Either way the answers at two prices are the proof: a little below it
makes the fleet better, and at the price no more; dearer it can only be worth less. What concavity says between two answers
is not searched for again. Decides which offers are asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial

from hetops.domain.percent import percent
from hetops.solver.certify import relative_gap
from hetops.solver.matrix import INFINITY
from hetops.solver.problem import Mode, PricedOffer, Problem
from hetops.solver.questions.exact import Found, better, found, or_known
from hetops.solver.questions.explanation import Statement, Topic
from hetops.solver.questions.goods import Good, of_offer, of_service
from hetops.solver.questions.why import Case
from hetops.solver.side_by_side import side_by_side
from hetops.solver.solution import Solution

TOLERANCE = Decimal("0.001")
"""It makes the fleet better at a price lower than the stated one by this share, and at one higher by it no more."""

DEAREST = Decimal(10**6)
"""Times today's price: what is worth that is worth any price."""

MOST_OFFERS = 12
"""Asked about at once: unasked, what is in the fleet, then the most promising offer of each other GPU type."""

MOST_STEPS = 40


def asked_about(case: Case) -> tuple[Good, ...]:
    """Services, offers of the fleet, and of each GPU type that is not in it the offer that comes nearest to being worth it."""
    rented = {offer for pool in case.solution.pools for offer in pool.rented}
    used = [o for o in case.problem.offers if o.id in rented]
    price = _price_of_all(case.problem)
    nearest: dict[str, PricedOffer] = {}
    for offer in _nearest_first(case.problem.offers, price):
        if offer.id in price and offer.gpu not in {o.gpu for o in used}:
            nearest.setdefault(offer.gpu, offer)
    services = tuple(of_service(service) for service in case.problem.services)
    return (*services, *(of_offer(o) for o in (*used, *nearest.values())))[:MOST_OFFERS]


def breakeven_of(case: Case, name: str, offers: frozenset[str]) -> tuple[Statement, ...]:
    """Of all offers that a name means: those of the fleet, then those that come nearest to being worth it."""
    rented = {offer for pool in case.solution.pools for offer in pool.rented}
    meant = [o for o in case.problem.offers if o.id in offers]
    nearest = sorted(_nearest_first(meant, _price_of_all(case.problem)), key=lambda o: o.id not in rented)
    told = breakeven(case, tuple(of_offer(o) for o in nearest[:MOST_OFFERS]))
    if len(nearest) <= MOST_OFFERS:
        return told
    text = f"{len(nearest) - MOST_OFFERS} more offers of {name} are farther from being worth their price: ask about one by its name."
    return (*told, case.told(Topic.PRICE, text, name))


def _nearest_first(offers: Iterable[PricedOffer], price: Mapping[str, float]) -> list[PricedOffer]:
    return sorted(offers, key=lambda o: (price.get(o.id, INFINITY), o.id))


def _price_of_all(problem: Problem) -> dict[str, float]:
    """By offer what the classes that it can serve cost on it, were its nodes divisible; without those that serve none."""
    asked, price = problem.mean_rates, {o.id: float(o.usd_per_hour) for o in problem.offers}
    best: dict[str, dict[str, float]] = {}
    for column in problem.columns:
        usd = sum(price[offer] * float(nodes) for offer, nodes in column.takes.items())
        for name, rate in column.requests_per_second.items():
            for offer in column.offers if rate > 0 and asked[name] > 0 else ():
                each = best.setdefault(offer, {})
                each[name] = min(each.get(name, INFINITY), usd / rate)
    return {
        offer: sum(asked[name] * usd for name, usd in each.items()) / sum(asked[name] for name in each)
        for offer, each in best.items()
    }


def breakeven(case: Case, goods: tuple[Good, ...]) -> tuple[Statement, ...]:
    """Of each the price at which it enters or leaves, with the answers on either side of it."""
    return tuple(side_by_side(partial(_statement, case), goods))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Priced:
    """Something at any price, and the best answer without it."""

    case: Case
    good: Good
    without: Found
    seen: dict[Decimal, Found]
    """By price: the answers that are known, to which each search adds."""
    amounts: dict[Decimal, Decimal] = field(default_factory=dict)
    """How much of it each of them pays for, as far as that was asked."""

    @classmethod
    def of(cls, case: Case, good: Good) -> _Priced:
        """The answer is one at today's price, and one without it where it serves nothing, not even after a loss."""
        stands_by = not good.offers and case.problem.losses
        without_it = case.answer
        if good.used(case.solution) or stands_by:
            without_it = case.ask(good.without, about=good.offers)
        return cls(case=case, good=good, without=without_it, seen={good.now: case.answer})

    def at(self, price: Decimal) -> Found:
        """The answer at a price, searched for where those at other prices do not say it."""
        if price not in self.seen:
            known = self._between(price) if self._is_concave else None
            if known is None or not known.exact:
                searched = self.case.ask(lambda problem: self.good.at(problem, price), about=self.good.offers)
                known = or_known(searched, known.solution) if known and known.solution else searched
            self.seen[price] = known
        return self.seen[price]

    @property
    def _is_concave(self) -> bool:
        """Whether any fleet may be rented at any price: then the least cost is a concave function of the price."""
        return self.case.problem.mode is Mode.MIN_COST and not any(_budgets(self.case.problem))

    def _between(self, price: Decimal) -> Found | None:
        """The best at a price of the fleets that are known, if there is one; none costs less than the chord between two answers."""
        known = [self._repriced(one.solution, at, price) for at, one in self.seen.items() if one.solution]
        if not known:
            return None
        cheapest = min(known, key=lambda solution: solution.objective)
        bound = min(self._chord(price), cheapest.objective)
        return found(replace(cheapest, bound=bound, gap=relative_gap(cheapest.objective, bound)))

    def paid(self, fleet: Solution, at: Decimal) -> Decimal:
        """How much of it the fleet pays for that is best at a price."""
        if at not in self.amounts:
            self.amounts[at] = self.good.paid(self.case.problem, fleet)
        return self.amounts[at]

    def _repriced(self, fleet: Solution, at: Decimal, price: Decimal) -> Solution:
        """A fleet that was found at one price, as what it costs at another."""
        dearer = (price - at) * self.paid(fleet, at)
        usd = fleet.usd_per_hour + dearer
        return replace(fleet, usd_per_hour=usd, objective=float(fleet.counted_usd_per_hour + dearer))

    def _chord(self, price: Decimal) -> float:
        """What no fleet costs less than at a price, by what is proven at a lower and at a higher one; nothing, where there are none."""
        proven = [(float(at), one.solution.bound) for at, one in self.seen.items() if one.solution]
        x = float(price)
        lower, higher = ([p for p in proven if (p[0] - x) * side > 0] for side in (-1, 1))
        chords = (low + (high - low) * (x - a) / (b - a) for a, low in lower for b, high in higher)
        return max(chords, default=0.0)

    def is_worth(self, price: Decimal) -> bool:
        """Whether it makes the answer better at that price."""
        return better(self.case.problem.mode, self.at(price), self.without)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Between:
    """A price at which it is worth having, and one at which it is not."""

    inside: Decimal
    outside: Decimal


def _statement(case: Case, good: Good) -> Statement:
    if good.committed:
        text = f"{good.id} has no break-even price: {good.committed} nodes of it are paid for, used or not."
        return case.told(Topic.PRICE, text, good.id)
    used, priced = good.used(case.solution), _Priced.of(case, good)
    if priced.without.objective is None:
        none = "no" if priced.without.exact else "in time no"
        return _at_any_price(
            priced, f"{good.id} is in the fleet at any price: {none} fleet was found without it."
        )
    if not used and not priced.is_worth(good.step):
        text = f"{good.id} would not make the fleet better however low its price."
        return Statement(
            topic=Topic.PRICE,
            subject=good.id,
            text=text,
            before=case.solution.objective,
            after=priced.at(good.step).objective,
            unit=case.unit,
            usd_per_hour=good.step if good.offers else None,
            exact=case.answer.exact and priced.at(good.step).exact,
        )
    start = good.now if used and priced.is_worth(good.now) else good.step
    around = _walked(priced, start) if case.problem.mode is Mode.MIN_COST else None
    if around is None or priced.is_worth(around.outside) or not priced.is_worth(around.inside):
        around = _halved(priced, start)
    if around is None:
        return _at_any_price(priced, f"{good.id} makes the fleet better at any price.")
    return _confirmed(priced, around)


def _at_any_price(priced: _Priced, text: str) -> Statement:
    told = priced.case.changed(Topic.PRICE, "", priced.without, priced.good.id)
    return Statement(
        topic=Topic.PRICE,
        subject=priced.good.id,
        text=text,
        before=told.before,
        after=told.after,
        unit=told.unit,
        exact=told.exact,
    )


def _walked(priced: _Priced, start: Decimal) -> _Between | None:
    """Around the price at which the least cost with it is the least cost without it; None where none is paid for it."""
    price, step = start, priced.good.step
    for _ in range(MOST_STEPS):
        at, without = priced.at(price).solution, priced.without.solution
        if at is None or without is None or not priced.is_worth(price):
            break
        paid = priced.paid(at, price)
        if not paid:
            return None
        others = at.counted_usd_per_hour - price * paid
        meets = ((without.counted_usd_per_hour - others) / paid).quantize(step, rounding=ROUND_HALF_EVEN)
        if meets <= price:
            break
        price = meets
    return _Between(inside=max((price * (1 - TOLERANCE)).quantize(step), step), outside=price)


def _halved(priced: _Priced, start: Decimal) -> _Between | None:
    """Between a price at which it is worth having and one at which it is not; None where it is at any."""
    problem = priced.case.problem
    if problem.mode is Mode.MAX_THROUGHPUT and not any(_budgets(problem)):
        return None
    low, high = start, max(start, priced.good.now) * 2
    while priced.is_worth(high):
        low, high = high, high * 10
        if high > priced.good.now * DEAREST:
            return None
    while high > low * (1 + TOLERANCE) and high - low > priced.good.step:
        middle = ((low * high).sqrt()).quantize(priced.good.step, rounding=ROUND_HALF_EVEN)
        if not low < middle < high:
            break
        low, high = (middle, high) if priced.is_worth(middle) else (low, middle)
    return _Between(inside=low, outside=high)


def _budgets(problem: Problem) -> Iterator[bool]:
    """Of each budget that a price counts against whether the problem has it."""
    yield problem.budget_usd_per_hour is not None
    yield problem.mean_budget_usd_per_hour is not None
    yield bool(problem.provider_budgets_usd_per_hour)


def _confirmed(priced: _Priced, around: _Between) -> Statement:
    """The break-even price with the answers just below it and at it."""
    case, good = priced.case, priced.good
    inside, outside = priced.at(around.inside), priced.at(around.outside)
    exact = inside.exact and outside.exact and priced.without.exact
    share = float(around.outside / good.now) - 1
    change = (
        f"{percent(abs(share), 1)} {'above' if share > 0 else 'below'} its price now, {good.said(good.now)}"
    )
    verb = "leaves the fleet above" if good.used(case.solution) else "enters the fleet below"
    sure = f"within {percent(float(TOLERANCE), 1)}" if exact else "not proven in time"
    return Statement(
        topic=Topic.PRICE,
        subject=good.id,
        text=f"{good.id} {verb} {good.said(around.outside)} ({change}; {sure}).",
        before=inside.objective,
        after=outside.objective,
        unit=case.unit,
        usd_per_hour=around.outside if good.offers else None,
        exact=exact,
    )
