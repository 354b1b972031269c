"""What a fleet costs: nodes, pools, requests, changes; and the rows that keep it within budgets."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from hetops.domain.units import SECONDS_PER_HOUR
from hetops.solver.frame import Block, Frame
from hetops.solver.limit import Limit, LimitKind
from hetops.solver.matrix import Row
from hetops.solver.rows.supply import in_steps
from hetops.solver.terms import Service

_SECONDS = Decimal(int(SECONDS_PER_HOUR))

Spent = tuple[int, Decimal, str]
"""A variable, the USD per hour that one of it costs, and the provider who is paid."""


def spending(frame: Frame, stretch: int) -> Iterator[Spent]:
    """What every variable costs in a stretch while nothing is lost: nodes, requests, what goes over links."""
    for i, offer, nodes in frame.renting(stretch):
        yield i, offer.usd_per_hour * nodes, offer.provider
    providers, places = {offer.id: offer.provider for offer in frame.problem.offers}, frame.places
    paid = [bool(at.usd_per_request) for at in places]
    own = [layer.scenario is None and layer.stretch == stretch for layer in frame.layers]
    for k, (n, place, w) in enumerate(frame.pairs if any(paid) else ()):
        at = places[place]
        if paid[place] and own[n] and (usd := at.usd_per_request.get(frame.classes[w].name)):
            provider = at.provider if isinstance(at, Service) else providers[at.offer]
            yield frame.share(k), per_hour(usd, frame.rates[n][w]), provider
    for h, one in enumerate(frame.handovers):
        link = frame.problem.links[one.link]
        if link.usd_per_gb and one.layer == stretch:
            demand, rate = frame.classes[one.workload_class], frame.rates[one.layer][one.workload_class]
            usd = link.usd_per_gb * Decimal(repr(demand.kv_gb_per_request))
            yield frame.first[Block.HANDED] + h, per_hour(usd, rate), providers[link.source]


def per_hour(usd_per_request: Decimal, requests_per_second: float) -> Decimal:
    """USD per hour of requests at that rate."""
    return usd_per_request * Decimal(requests_per_second) * _SECONDS


def change_costs(frame: Frame) -> Iterator[Spent]:
    """What additions and removals cost, as USD per hour: boots over the window, migration over its horizon."""
    window_hours = Decimal(sum(s.hours for s in frame.stretches))
    for j, (column, offer) in enumerate(zip(frame.columns, frame.offers, strict=True)):
        if len(frame.stretches) > 1:
            usd = boot_usd(frame, j) / window_hours
            for t in range(len(frame.stretches)):
                yield frame.first[Block.STARTED] + t * len(frame.columns) + j, usd, offer.provider
        migration = frame.problem.migration
        if migration is not None:
            hours = Decimal(repr(migration.horizon_hours))
            added, removed = migration.usd_per_added_node, migration.usd_per_removed_node
            size = Decimal(column.size.numerator) / column.size.denominator
            yield frame.first[Block.ADDED] + j, size * added / hours, offer.provider
            yield frame.first[Block.REMOVED] + j, size * removed / hours, offer.provider


def boot_usd(frame: Frame, column: int) -> Decimal:
    """What one start of a node, with all that goes with it, costs before it serves."""
    seconds = Decimal(repr(float(frame.columns[column].boot_seconds)))
    return frame.usd_per_hour(column) * seconds / _SECONDS


def pool_costs(frame: Frame) -> Iterator[tuple[int, Decimal]]:
    """What every column that is used costs in USD per hour besides its nodes, in each stretch: no provider is paid it."""
    usd = frame.problem.usd_per_pool_hour
    yield from ((frame.first[Block.OPENED] + j, usd) for j in range(len(frame.columns)) if usd)


def mean_spending(frame: Frame) -> Iterator[tuple[int, Decimal]]:
    """What every variable costs over the whole window, changes included; one that costs in several stretches several times."""
    for t, stretch in enumerate(frame.stretches):
        part = Decimal(stretch.part.numerator) / stretch.part.denominator
        yield from ((i, usd * part) for i, usd, _ in spending(frame, t))
    yield from ((i, usd) for i, usd, _ in change_costs(frame))
    yield from pool_costs(frame)


def counted(frame: Frame) -> Iterator[tuple[int, Decimal]]:
    """USD per hour of every variable that is minimised at least cost: what is paid, and what shedding is said to cost."""
    yield from mean_spending(frame)
    for (t, w), k in frame.sheds.items():
        stretch, demand = frame.stretches[t], frame.classes[w]
        part = Decimal(stretch.part.numerator) / stretch.part.denominator
        usd = per_hour(demand.shed_usd_per_request or Decimal(0), stretch.rates[demand.name])
        yield frame.first[Block.SHED] + k, usd * part


def budget_rows(frame: Frame) -> Iterator[Row]:
    """The fleet costs no more than the budget, in every stretch."""
    limit = Limit(kind=LimitKind.BUDGET)
    budget = frame.problem.budget_usd_per_hour
    if budget is not None or frame.minimise == limit:
        for t in range(len(frame.stretches)):
            spent = [*((i, usd) for i, usd, _ in spending(frame, t)), *pool_costs(frame)]
            yield in_steps(limit, spent, budget or Decimal(0), frame.integers)


def provider_budget_rows(frame: Frame) -> Iterator[Row]:
    """What is paid to a provider is within its budget, in every stretch."""
    for provider, budget in sorted(frame.problem.provider_budgets_usd_per_hour.items()):
        for t in range(len(frame.stretches)):
            spent = [(i, usd) for i, usd, paid in spending(frame, t) if paid == provider]
            limit = Limit(kind=LimitKind.PROVIDER_BUDGET, subject=provider)
            yield in_steps(limit, spent, budget, frame.integers)


def mean_budget_rows(frame: Frame) -> Iterator[Row]:
    """Over the whole window the fleet costs no more than the mean budget, changes included."""
    limit = Limit(kind=LimitKind.MEAN_BUDGET)
    budget = frame.problem.mean_budget_usd_per_hour
    if budget is not None or frame.minimise == limit:
        spent = list(mean_spending(frame))
        yield in_steps(limit, spent, budget or Decimal(0), whole=0)  # parts of prices, none in steps
