"""The problem as one exact linear model with integers. Pure; each limit is one function, mirrored in `certify`.

Variables, in this order:
* `nodes[j]`, whole: nodes of column j;
* `opened[j]`, whole, only where pools are counted: column j is used at all;
* `share[j, w]`: part of class w's demand that column j serves;
* `scale`, only when maximising: how many times the (rescaled) demand is served.

With D[w] the demand and h[j, w] the rate of one node, the load of a share is D[w] / h[j, w] nodes. Time shared between
classes adds up, so a node is full when its loads add up to 1 less the headroom. No product of variables appears: the
bilinear makespan of arXiv:2502.00722 (its T times y) becomes linear by working in rates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

import numpy as np

from hetops.solver.matrix import INFINITY, Floats, MatrixModel, Row, assemble
from hetops.solver.problem import Column, Demand, Mode, PricedOffer, Problem

SMALLEST_UNIT = Decimal("0.000001")
"""Prices and quotas enter in steps of this, rounded to the safe side.

Ten times the solver's feasibility tolerance: a sum of whole steps that the solver takes to be within a limit is so.
"""


class LimitKind(StrEnum):
    """A limit that can be lifted."""

    BUDGET = "budget"
    PROVIDER_BUDGET = "provider budget"
    STOCK = "stock"
    QUOTA = "quota"
    POOLS = "pools"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit of a problem; `subject` is the id of its provider, offer or quota group."""

    kind: LimitKind
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Formulation:
    """The model, and which variable means what."""

    model: MatrixModel
    columns: tuple[Column, ...]
    """Those that can be of use; column j's nodes are variable j."""
    scale_index: int | None
    """The variable that says how often the demand is served; None where it is to be served once."""
    unit: float
    """What one unit of the model's objective is worth in the problem's unit."""


def formulate(problem: Problem, *, minimise: Limit | None = None) -> Formulation:
    """The model of `problem`.

    With `minimise`, that limit is not enforced and what it limits (USD per hour, nodes, quota, pools) is minimised
    instead of the cost: the smallest value of the limit that lets the problem be solved.
    """
    frame = _frame(problem, minimise)
    rows = [
        *demand_rows(frame),
        *capacity_rows(frame),
        *whole_class_rows(frame),
        *stock_rows(frame),
        *quota_rows(frame),
        *budget_rows(frame),
        *provider_budget_rows(frame),
        *pool_rows(frame),
    ]
    enforced = [row for row in rows if row.subject != minimise]
    cost, unit = _objective(frame, rows)
    model = assemble(cost=cost, upper=_upper(frame), integers=frame.first_share, rows=enforced)
    return Formulation(model=model, columns=frame.columns, scale_index=frame.scale_index, unit=unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """The problem with its useful columns in a fixed order, and where each variable lies."""

    problem: Problem
    minimise: Limit | None
    columns: tuple[Column, ...]
    offers: tuple[PricedOffer, ...]
    """The offer of each column."""
    caps: tuple[int, ...]
    classes: tuple[Demand, ...]
    demand_unit: float
    pairs: tuple[tuple[int, int], ...]
    """Column and class of each share."""
    counts_pools: bool

    @property
    def first_share(self) -> int:
        return len(self.columns) * (2 if self.counts_pools else 1)

    @property
    def scale_index(self) -> int | None:
        return self.size - 1 if self.problem.mode is Mode.MAX_THROUGHPUT else None

    @property
    def size(self) -> int:
        return self.first_share + len(self.pairs) + (self.problem.mode is Mode.MAX_THROUGHPUT)

    def load(self, column: Column, demand: Demand) -> float:
        """Nodes of the column that all of the class would take."""
        return demand.requests_per_second * self.demand_unit / column.rate(demand.name)


def _frame(problem: Problem, minimise: Limit | None) -> _Frame:
    offers = {offer.id: offer for offer in problem.offers}
    classes = tuple(sorted((c for c in problem.classes if c.requests_per_second > 0), key=lambda c: c.name))
    rivals = undominated(tuple(sorted(problem.columns, key=lambda c: c.key)), classes)
    cap_of = {c.key: _cap(problem, c, offers[c.offer], classes, minimise) for c in rivals}
    columns = tuple(c for c in rivals if cap_of[c.key] > 0)
    return _Frame(
        problem=problem,
        minimise=minimise,
        columns=columns,
        offers=tuple(offers[c.offer] for c in columns),
        caps=tuple(cap_of[c.key] for c in columns),
        classes=classes,
        demand_unit=_demand_unit(problem, columns, classes),
        pairs=tuple(
            (j, w) for j, c in enumerate(columns) for w, of in enumerate(classes) if c.rate(of.name) > 0
        ),
        counts_pools=problem.max_pools is not None or minimise == Limit(kind=LimitKind.POOLS),
    )


def undominated(columns: tuple[Column, ...], classes: tuple[Demand, ...]) -> tuple[Column, ...]:
    """`columns` without those that another on the same offer beats or equals in every class.

    Nodes of the loser can be swapped for nodes of the winner one for one: same price, stock and quota, no less
    capacity, no more pools. Nothing of the kind holds between offers, whose limits differ. Of equals the first stays.
    """
    by_offer: dict[str, list[tuple[Column, Floats]]] = {}
    for column in columns:
        rates = np.array([column.rate(c.name) for c in classes])
        rivals = by_offer.setdefault(column.offer, [])
        if not rates.any() or any((other >= rates).all() for _, other in rivals):
            continue
        rivals[:] = [(c, other) for c, other in rivals if not (rates >= other).all()]
        rivals.append((column, rates))
    kept = {column.key for rivals in by_offer.values() for column, _ in rivals}
    return tuple(column for column in columns if column.key in kept)


def _cap(
    problem: Problem, column: Column, offer: PricedOffer, classes: tuple[Demand, ...], minimise: Limit | None
) -> int:
    """The most nodes of a column that any limit, or any use, leaves room for."""
    caps = [_enough(problem, column, classes)] if problem.mode is Mode.MIN_COST else []
    if minimise != Limit(kind=LimitKind.STOCK, subject=offer.id):
        caps.append(problem.max_nodes(offer))
    for group in problem.quota_groups:
        taken = offer.quota_per_node.get(group.id, Decimal(0))
        if taken > 0 and minimise != Limit(kind=LimitKind.QUOTA, subject=group.id):
            caps.append(int(group.limit // taken))
    budgets = (
        (Limit(kind=LimitKind.BUDGET), problem.budget_usd_per_hour),
        (
            Limit(kind=LimitKind.PROVIDER_BUDGET, subject=offer.provider),
            problem.provider_budgets_usd_per_hour.get(offer.provider),
        ),
    )
    caps.extend(
        int(usd // offer.usd_per_hour) for limit, usd in budgets if usd is not None and limit != minimise
    )
    return min(caps)


def _enough(problem: Problem, column: Column, classes: tuple[Demand, ...]) -> int:
    """Nodes that serve alone all that the column can serve: more are of no use."""
    rates = [(c.requests_per_second, column.rate(c.name)) for c in classes if column.rate(c.name) > 0]
    nodes = math.fsum(demand / rate for demand, rate in rates) / float(problem.usable_share)
    return math.ceil(nodes * (1 + 1e-9))


def _demand_unit(problem: Problem, columns: tuple[Column, ...], classes: tuple[Demand, ...]) -> float:
    """Factor on the demands: when maximising, about what one node serves, so that `scale` is about the nodes."""
    if problem.mode is Mode.MIN_COST:
        return 1.0
    best = [max((column.rate(c.name) for column in columns), default=0.0) for c in classes]
    if not all(best):
        return 1.0
    return 1.0 / math.fsum(c.requests_per_second / rate for c, rate in zip(classes, best, strict=True))


def demand_rows(frame: _Frame) -> Iterator[Row]:
    """Each class is served in full, or `scale` times in full."""
    for w, demand in enumerate(frame.classes):
        terms = [(frame.first_share + k, 1.0) for k, (_, of) in enumerate(frame.pairs) if of == w]
        if frame.scale_index is not None:
            yield Row(subject=demand.name, terms=[*terms, (frame.scale_index, -1.0)], lower=0.0, upper=0.0)
        else:
            yield Row(subject=demand.name, terms=terms, lower=1.0, upper=1.0)


def capacity_rows(frame: _Frame) -> Iterator[Row]:
    """The loads on a column's nodes leave the headroom free."""
    usable = float(frame.problem.usable_share)
    loads: list[list[tuple[int, float]]] = [[] for _ in frame.columns]
    for k, (j, w) in enumerate(frame.pairs):
        loads[j].append((frame.first_share + k, frame.load(frame.columns[j], frame.classes[w])))
    for j, terms in enumerate(loads):
        yield Row(subject=frame.columns[j].key, terms=[*terms, (j, -usable)], upper=0.0)


def whole_class_rows(frame: _Frame) -> Iterator[Row]:
    """A part of a class needs that part of a node, even where one node could serve the class several times over.

    Implied for whole nodes, not for the relaxation, which would rent a sliver of a large node: cut the time to
    optimality by a factor of 3 to 4 on random instances of 700 columns (benchmarks/solver.py).
    """
    if frame.scale_index is not None:
        return
    usable = float(frame.problem.usable_share)
    for k, (j, w) in enumerate(frame.pairs):
        if frame.load(frame.columns[j], frame.classes[w]) < usable:
            yield Row(
                subject=(*frame.columns[j].key, w), terms=[(frame.first_share + k, 1.0), (j, -1.0)], upper=0.0
            )


def stock_rows(frame: _Frame) -> Iterator[Row]:
    """No offer is rented more often than it exists."""
    of: dict[str, list[tuple[int, float]]] = {}
    for j, offer in enumerate(frame.offers):
        of.setdefault(offer.id, []).append((j, 1.0))
    for offer in frame.problem.offers:
        limit = Limit(kind=LimitKind.STOCK, subject=offer.id)
        most = float(frame.problem.max_nodes(offer))
        yield Row(subject=limit, terms=of.get(offer.id, []), upper=most)


def quota_rows(frame: _Frame) -> Iterator[Row]:
    """Offers that share a quota stay within it together."""
    for group in frame.problem.quota_groups:
        taken = [(j, o.quota_per_node.get(group.id, Decimal(0))) for j, o in enumerate(frame.offers)]
        yield _bounded(Limit(kind=LimitKind.QUOTA, subject=group.id), taken, group.limit)


def budget_rows(frame: _Frame) -> Iterator[Row]:
    """The fleet costs no more than the budget."""
    limit = Limit(kind=LimitKind.BUDGET)
    budget = frame.problem.budget_usd_per_hour
    if budget is not None or frame.minimise == limit:
        yield _bounded(limit, list(enumerate(_prices(frame))), budget or Decimal(0))


def provider_budget_rows(frame: _Frame) -> Iterator[Row]:
    """The nodes of a provider cost no more than its budget."""
    prices = _prices(frame)
    for provider, budget in sorted(frame.problem.provider_budgets_usd_per_hour.items()):
        of = [(j, prices[j]) for j, offer in enumerate(frame.offers) if offer.provider == provider]
        yield _bounded(Limit(kind=LimitKind.PROVIDER_BUDGET, subject=provider), of, budget)


def pool_rows(frame: _Frame) -> Iterator[Row]:
    """At most so many columns are used: `opened` is 1 where a column has nodes."""
    if not frame.counts_pools:
        return
    first = len(frame.columns)
    for j, cap in enumerate(frame.caps):
        yield Row(
            subject=("opened", frame.columns[j].key), terms=[(j, 1.0), (first + j, -float(cap))], upper=0.0
        )
    for k, (j, _) in enumerate(frame.pairs):
        if frame.scale_index is None:
            terms = [(frame.first_share + k, 1.0), (first + j, -1.0)]
            yield Row(subject=("opened", frame.columns[j].key, k), terms=terms, upper=0.0)
    most = INFINITY if frame.problem.max_pools is None else float(frame.problem.max_pools)
    opened = [(first + j, 1.0) for j in range(len(frame.columns))]
    yield Row(subject=Limit(kind=LimitKind.POOLS), terms=opened, upper=most)


def _bounded(limit: Limit, amounts: list[tuple[int, Decimal]], most: Decimal) -> Row:
    """A row over nodes in whole steps of `SMALLEST_UNIT`: what is taken is rounded up, what there is down."""
    terms = [
        (j, float(amount.quantize(SMALLEST_UNIT, rounding=ROUND_CEILING)))
        for j, amount in amounts
        if amount > 0
    ]
    return Row(subject=limit, terms=terms, upper=float(most.quantize(SMALLEST_UNIT, rounding=ROUND_FLOOR)))


def _prices(frame: _Frame) -> list[Decimal]:
    return [offer.usd_per_hour for offer in frame.offers]


def _objective(frame: _Frame, rows: list[Row]) -> tuple[Floats, float]:
    """Coefficients near 1, and what one unit of their sum is worth: the solver's tolerances are absolute."""
    cost = np.zeros(frame.size)
    if frame.minimise is not None:
        terms = next((row.terms for row in rows if row.subject == frame.minimise), ())
        for j, value in terms:
            cost[j] = value
    elif frame.scale_index is not None:
        cost[frame.scale_index] = -1.0
        return cost, frame.demand_unit * frame.problem.requests_per_second
    else:
        cost[: len(frame.columns)] = [float(p) for p in _prices(frame)]
    # A power of two keeps the coefficients' digits as they are.
    unit = 2.0 ** math.floor(math.log2(cost[cost > 0].min())) if (cost > 0).any() else 1.0
    return cost / unit, unit


def _upper(frame: _Frame) -> Floats:
    upper = np.full(frame.size, INFINITY)
    upper[: len(frame.columns)] = frame.caps
    if frame.counts_pools:
        upper[len(frame.columns) : frame.first_share] = 1.0
    if frame.scale_index is None:
        upper[frame.first_share :] = 1.0
    return upper


def at_rate(problem: Problem, requests_per_second: float) -> Problem:
    """The same mix at a fixed rate, to be served at least cost."""
    factor = requests_per_second / problem.requests_per_second
    scaled = tuple(replace(c, requests_per_second=c.requests_per_second * factor) for c in problem.classes)
    return replace(problem, mode=Mode.MIN_COST, classes=scaled)
