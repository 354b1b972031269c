"""What has a price that a question can change: the nodes of an offer, the requests of a service. Searches for nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from hetops.domain.units import SECONDS_PER_HOUR
from hetops.solver.problem import PricedOffer, Problem
from hetops.solver.questions.exact import Change, without
from hetops.solver.questions.explanation import dollars
from hetops.solver.rows.supply import SMALLEST_UNIT
from hetops.solver.solution import Solution
from hetops.solver.terms import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """Something with one price: USD per hour of a node, or a factor on all prices of a service."""

    id: str
    now: Decimal
    """Its price today; 1 is a service's."""
    step: Decimal
    """What prices of it are looked for in."""
    offers: frozenset[str] = frozenset()
    """The offer; none of a service."""
    committed: int = 0
    """Nodes that are paid for whatever the answer."""
    at: Callable[[Problem, Decimal], Problem]
    """The problem with it at a price."""
    without: Change
    used: Callable[[Solution], bool]
    paid: Callable[[Problem, Solution], Decimal]
    """How much of it a fleet pays for: what the fleet's cost rises by where the price does by 1."""
    said: Callable[[Decimal], str]
    """A price of it in words."""


def of_offer(offer: PricedOffer) -> Good:
    """The nodes of an offer."""
    return Good(
        id=offer.id,
        now=offer.usd_per_hour,
        step=SMALLEST_UNIT,
        offers=frozenset((offer.id,)),
        committed=offer.committed_nodes,
        at=partial(_offer_at, offer.id),
        without=partial(without, (offer.id,)),
        used=lambda solution: any(offer.id in pool.rented for pool in solution.pools),
        paid=partial(_paid_nodes, offer.id),
        said=lambda usd: f"{_price(usd)} per hour",
    )


def of_service(service: Service, said: Callable[[Decimal], str] | None = None) -> Good:
    """The requests of a service; `said` puts a factor on its prices into words."""
    return Good(
        id=service.id,
        now=Decimal(1),
        step=SMALLEST_UNIT / 1000,
        at=partial(_service_at, service.id),
        without=partial(closed, service=service.id),
        used=lambda solution: any(share.key == (service.id, "") for share in solution.shares),
        paid=partial(_paid_requests, service.id),
        said=said or partial(_by_request, service),
    )


def closed(problem: Problem, *, service: str) -> Problem:
    """The problem in which a service takes nothing."""
    services = (replace(s, max_requests_per_second=0.0) if s.id == service else s for s in problem.services)
    return replace(problem, services=tuple(services))


def _offer_at(offer: str, problem: Problem, usd_per_hour: Decimal) -> Problem:
    offers = (replace(o, usd_per_hour=usd_per_hour) if o.id == offer else o for o in problem.offers)
    return replace(problem, offers=tuple(offers))


def _service_at(service: str, problem: Problem, factor: Decimal) -> Problem:
    services = (_at_factor(s, factor) if s.id == service else s for s in problem.services)
    return replace(problem, services=tuple(services))


def _at_factor(service: Service, factor: Decimal) -> Service:
    return replace(service, usd_per_request={c: usd * factor for c, usd in service.usd_per_request.items()})


def _by_request(service: Service, factor: Decimal) -> str:
    prices = (f"{_price(usd * factor)} a request of {name}" for name, usd in service.usd_per_request.items())
    return ", ".join(prices)


def _price(usd: Decimal) -> str:
    """To four digits where cents say nothing."""
    return dollars(usd) if usd >= Decimal("0.01") or not usd else f"${Decimal(f'{usd:.4g}').normalize():f}"


def _paid_nodes(offer: str, problem: Problem, solution: Solution) -> Decimal:
    """Nodes of the offer that are paid for, in the mean over all periods; starts count as the nodes that boot meanwhile."""
    rented = {pool.key for period in solution.stretches for pool in period.pools if offer in pool.rented}
    columns = [c for c in problem.columns if c.key in rented]
    boots = {c.key: Decimal(repr(float(c.boot_seconds))) / c.parts_per_node for c in columns}
    each = {c.key: int(c.takes.get(offer, 0) * c.parts_per_node) for c in columns}
    hours = sum((Decimal(repr(s.hours)) for s in problem.stretches), Decimal(0))
    paid, before = Decimal(0), solution.stretches[-1]
    for period, stretch in zip(solution.stretches, problem.stretches, strict=True):
        own = [pool for pool in period.pools if offer in pool.rented]
        whole = [rental.nodes for rental in period.rentals if rental.offer == offer]
        nodes = Decimal(sum(whole) if whole else sum(pool.rented[offer] for pool in own))
        paid += nodes * stretch.part.numerator / stretch.part.denominator
        ran = {pool.key: pool.nodes for pool in before.pools}
        for pool in own if problem.periods else ():
            started = max(pool.nodes - ran.get(pool.key, 0), 0)
            paid += started * each[pool.key] * boots[pool.key] / int(SECONDS_PER_HOUR) / hours
        before = period
    return paid


def _paid_requests(service: str, problem: Problem, solution: Solution) -> Decimal:
    """USD per hour at today's prices, in the mean over all periods."""
    prices = {s.id: s.usd_per_request for s in problem.services}[service]
    paid = Decimal(0)
    for period, stretch in zip(solution.stretches, problem.stretches, strict=True):
        own = (share for share in period.shares if share.key == (service, ""))
        usd = sum((prices[s.workload_class] * Decimal(repr(s.requests_per_second)) for s in own), Decimal(0))
        paid += usd * int(SECONDS_PER_HOUR) * stretch.part.numerator / stretch.part.denominator
    return paid
