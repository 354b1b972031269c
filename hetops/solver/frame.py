"""The variables of the model: which there are, in which order, and what each of them stands for.

Decides which columns can be of use and how many of their nodes; enforces no limit. Without a use for them, most kinds
of variables are not there: a problem with neither periods nor losses has one layer of shares.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import accumulate

from hetops.solver.problem import Column, Demand, Mode, PricedOffer, Problem
from hetops.solver.prune import able, undominated
from hetops.solver.terms import Billing, Role, Scenario, Service, Stretch


class LimitKind(StrEnum):
    """A limit that can be lifted."""

    BUDGET = "budget"
    MEAN_BUDGET = "mean budget"
    PROVIDER_BUDGET = "provider budget"
    STOCK = "stock"
    QUOTA = "quota"
    POOLS = "pools"
    SHARE = "most share"
    LEAST_SHARE = "least share"
    QUALITY = "mean quality"
    EVERY_QUALITY = "mean quality of every class"
    SHED = "most shed share"
    LOSS = "loss"
    CHANGES = "changes"
    ADDED_NODES = "added nodes"
    REMOVED_NODES = "removed nodes"
    SERVICE_REQUESTS = "requests of a service"
    SERVICE_TOKENS = "tokens of a service"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit of a problem; `subject` names its provider, offer, quota group, share limit, class, loss, service or link; of nodes
    added and removed it is the number that offers are held to."""

    kind: LimitKind
    subject: str = ""


class Block(StrEnum):
    """A kind of variable; those of one kind lie together. The first three are whole numbers."""

    NODES = "nodes of a column in a stretch"
    OPENED = "a column is used at all"
    RENTED = "lots that are paid for of an offer whose nodes are paid for as a whole"
    SHARE = "part of a class's rate that a place serves, in a layer"
    SCALE = "how many times the demand is served; only when maximising"
    STARTED = "nodes that a column gets between one stretch and the next"
    ADDED = "nodes beyond those that run already"
    REMOVED = "nodes that run already and go"
    MISSING = "part of every class that a loss leaves unserved, in a stretch"
    SHED = "part of a class's requests that is turned away, in a stretch"
    DEFERRED = "part of a class's requests of one stretch that is served in another"
    HANDED = "part of a class's rate that goes from prefill to decode over a link"
    WIDEST = "the largest of several rows of the limit that is minimised"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A stretch as it is, or with something lost: each has shares of its own on the same nodes."""

    stretch: int
    scenario: Scenario | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rental:
    """An offer whose nodes are paid for as a whole: in one stretch, or in all where it is reserved."""

    offer: PricedOffer
    stretch: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """A way from prefill to decode: a link, the format of the KV cache, a class."""

    layer: int
    link: int
    kv_format: str
    workload_class: int


Takes = tuple[tuple[PricedOffer, Fraction], ...]
"""Offers, and how much of a node of each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """The problem with its useful columns in a fixed order, and where each variable lies."""

    problem: Problem
    minimise: Limit | None
    stretches: tuple[Stretch, ...]
    layers: tuple[Layer, ...]
    columns: tuple[Column, ...]
    """Column j is place j; the services follow."""
    offers: tuple[PricedOffer, ...]
    """The offer of each column."""
    takes: tuple[Takes, ...]
    """By column, what a node of it takes of offers: of its own first."""
    caps: tuple[tuple[int, ...], ...]
    """By stretch: nodes of each column that any limit, or any use, leaves room for."""
    classes: tuple[Demand, ...]
    rates: tuple[tuple[float, ...], ...]
    """By layer and class, requests per second that a share is a part of: the stretch's; of batch work the mean."""
    usable: tuple[float, ...]
    """The share of a node of each column that may be planned with."""
    demand_unit: float
    pairs: tuple[tuple[int, int, int], ...]
    """Layer, place and class of each share."""
    loads: tuple[float, ...]
    """By pair, nodes of its column that all of the class would take; of a service nothing."""
    rentals: tuple[Rental, ...]
    sheds: Mapping[tuple[int, int], int]
    """By stretch of arrival and class, wherever some may be turned away: which of such variables, in order."""
    waits: tuple[tuple[int, int, int], ...]
    """Class, stretch of arrival and stretch of service of batch work."""
    handovers: tuple[Handover, ...]
    sizes: Mapping[Block, int]
    first: Mapping[Block, int]
    size: int

    @property
    def places(self) -> tuple[Column | Service, ...]:
        """Columns, then services."""
        return (*self.columns, *self.problem.services)

    @property
    def integers(self) -> int:
        """How many variables, the first, are whole numbers."""
        return self.first[Block.SHARE]

    @property
    def scale_index(self) -> int | None:
        """The variable that says how often the demand is served; None where it is to be served once."""
        return self.first[Block.SCALE] if self.problem.mode is Mode.MAX_THROUGHPUT else None

    @property
    def counts_pools(self) -> bool:
        """Whether it matters how many columns are used."""
        return self.problem.max_pools is not None or self.minimise == Limit(kind=LimitKind.POOLS)

    @property
    def as_a_whole(self) -> frozenset[str]:
        """Offers whose nodes are paid for as a whole."""
        return frozenset(rental.offer.id for rental in self.rentals)

    def usd_per_hour(self, column: int) -> Decimal:
        """The price of a node of a column with all that goes with it, whoever pays for it."""
        parts = (o.usd_per_hour * n.numerator / n.denominator for o, n in self.takes[column])
        return sum(parts, Decimal(0))

    def nodes(self, stretch: int, column: int) -> int:
        """The variable of a column's nodes."""
        return stretch * len(self.columns) + column

    def share(self, pair: int) -> int:
        """The variable of a pair's share."""
        return self.first[Block.SHARE] + pair

    def shed(self, layer: int | None, w: int) -> list[tuple[int, float]]:
        """Variables of what is turned away of a class, with what each is of its rate in a layer; None is the whole window."""
        first, name = self.first[Block.SHED], self.classes[w].name
        if layer is not None:
            at = (self.layers[layer].stretch, w)
            return [(first + self.sheds[at], 1.0)] if at in self.sheds else []
        parts = [float(s.part) * s.rates[name] for s in self.stretches]
        return [
            (first + k, parts[t] / math.fsum(parts))
            for (t, of), k in self.sheds.items()
            if of == w and parts[t]
        ]

    def may_wait(self, w: int) -> bool:
        """Whether a class is batch work that other stretches may serve."""
        return deferrable(self.problem, self.classes[w])

    def load(self, pair: int) -> float:
        """Nodes of the pair's column that all of the class would take."""
        return self.loads[pair]

    def role(self, place: int) -> Role:
        """What part of a request the place serves."""
        return self.columns[place].role if place < len(self.columns) else Role.WHOLE

    def renting(self, stretch: int) -> Iterator[tuple[int, PricedOffer, int]]:
        """Every variable that rents nodes in a stretch, with the offer and how many nodes of it one is.

        Once for every offer that a column stands on.
        """
        as_a_whole = self.as_a_whole
        for j, takes in enumerate(self.takes):
            at = self.nodes(stretch, j)
            yield from ((at, offer, int(nodes)) for offer, nodes in takes if offer.id not in as_a_whole)
        for r, rental in enumerate(self.rentals):
            if rental.stretch in (None, stretch):
                yield self.first[Block.RENTED] + r, rental.offer, rental.offer.lot_nodes


def frame_of(problem: Problem, minimise: Limit | None, must_rent: Collection[str] = ()) -> Frame:
    """The variables of `problem`; what `minimise` limits is no reason to leave a column out, nor one with offers in `must_rent`."""
    stretches = problem.stretches
    offers = {offer.id: offer for offer in problem.offers}
    asked = {c.name for c in problem.classes if any(s.rates[c.name] > 0 for s in stretches)}
    classes = tuple(sorted((c for c in problem.classes if c.name in asked), key=lambda c: c.name))
    rates = problem.mean_rates
    means = {c.name: rates[c.name] for c in classes}
    peaks = [{c.name: _peak(problem, stretches, t, c) for c in classes} for t in range(len(stretches))]
    most = {c.name: max(peak[c.name] for peak in peaks) for c in classes}
    rivals = undominated(problem, able(problem, most), classes, must_rent)
    usable = problem.usable(rivals)
    takes = {c.key: tuple((offers[o], nodes) for o, nodes in c.takes.items()) for c in rivals}
    allowed = _Allowed.of(problem, minimise)
    caps_of = {c.key: allowed.caps(c, takes[c.key], float(usable[c.key]), peaks) for c in rivals}
    columns = tuple(c for c in rivals if any(caps_of[c.key]) or c.key in running(problem))
    scenarios = problem.scenarios
    layers = tuple(Layer(stretch=t, scenario=s) for s in (None, *scenarios) for t in range(len(stretches)))
    rentals, unit = tuple(_rentals(problem, columns, len(stretches))), _demand_unit(problem, columns, means)
    pairs = tuple(_pairs(problem, stretches, layers, columns, classes))
    asked_for = tuple(
        tuple(r * unit for r in _rates(problem, layer, stretches, classes, means)) for layer in layers
    )
    waits = tuple(_waits(problem, minimise, stretches, classes))
    sheds = tuple(_sheds(problem, minimise, stretches, classes))
    handovers = tuple(_handovers(problem, layers, columns, classes))
    sizes = {
        **_sizes(problem, minimise, len(columns), len(stretches)),
        Block.RENTED: len(rentals),
        Block.SHARE: len(pairs),
        Block.MISSING: len(scenarios) * len(stretches),
        Block.SHED: len(sheds),
        Block.DEFERRED: len(waits),
        Block.HANDED: len(handovers),
    }
    starts = list(accumulate((sizes[block] for block in Block), initial=0))
    return Frame(
        problem=problem,
        minimise=minimise,
        stretches=stretches,
        layers=layers,
        columns=columns,
        offers=tuple(offers[c.offer] for c in columns),
        takes=tuple(takes[c.key] for c in columns),
        caps=tuple(tuple(caps_of[c.key][t] for c in columns) for t in range(len(stretches))),
        classes=classes,
        rates=asked_for,
        usable=tuple(float(usable[c.key]) for c in columns),
        demand_unit=unit,
        pairs=pairs,
        loads=tuple(_loads(pairs, columns, classes, asked_for)),
        rentals=rentals,
        sheds={at: k for k, at in enumerate(sheds)},
        waits=waits,
        handovers=handovers,
        sizes=sizes,
        first=dict(zip(Block, starts, strict=False)),
        size=starts[-1],
    )


def _rates(
    problem: Problem,
    layer: Layer,
    stretches: tuple[Stretch, ...],
    classes: tuple[Demand, ...],
    means: Mapping[str, float],
) -> Iterator[float]:
    """Requests per second of each class in a layer: of work that may wait, those of the whole window."""
    own = stretches[layer.stretch].rates
    return ((means if deferrable(problem, c) else own)[c.name] for c in classes)


def _sizes(problem: Problem, minimise: Limit | None, columns: int, stretches: int) -> dict[Block, int]:
    """How many variables there are of the kinds that go by column."""
    pools = problem.max_pools is not None or minimise == Limit(kind=LimitKind.POOLS)
    return {
        Block.NODES: stretches * columns,
        Block.OPENED: columns * pools,
        Block.SCALE: int(problem.mode is Mode.MAX_THROUGHPUT),
        Block.STARTED: stretches * columns * (stretches > 1),
        Block.ADDED: columns * (problem.migration is not None),
        Block.REMOVED: columns * (problem.migration is not None),
        Block.WIDEST: int(minimise is not None and (stretches > 1 or minimise.kind in _OF_MANY_ROWS)),
    }


_OF_MANY_ROWS = frozenset(LimitKind) - {
    LimitKind.BUDGET,
    LimitKind.MEAN_BUDGET,
    LimitKind.PROVIDER_BUDGET,
    LimitKind.STOCK,
    LimitKind.QUOTA,
    LimitKind.POOLS,
    LimitKind.CHANGES,
}
"""Limits with several rows even in one stretch."""

OF_WHAT_IS_SERVED = frozenset(
    (
        LimitKind.SHARE,
        LimitKind.LEAST_SHARE,
        LimitKind.QUALITY,
        LimitKind.EVERY_QUALITY,
        LimitKind.LOSS,
    )
)
"""Limits on parts of what is served. While one is minimised, all is served, and what a loss leaves as it comes: the part of a
part that nobody knows yet would be no linear row."""


def deferrable(problem: Problem, demand: Demand) -> bool:
    """Whether a class may wait for another period."""
    return demand.deadline_hours is not None and len(problem.periods) > 1


def window(stretches: tuple[Stretch, ...], arrival: int, deadline_hours: float) -> tuple[int, ...]:
    """The stretches that may serve what arrives in one: that one, and all that end before the earliest of it is late."""
    found, hours = [arrival], stretches[arrival].hours
    for step in range(1, len(stretches)):
        later = (arrival + step) % len(stretches)
        hours += stretches[later].hours
        if hours > deadline_hours * (1 + 1e-9):  # thirteenths of a day add up to a little more than one
            break
        found.append(later)
    return tuple(found)


def _peak(problem: Problem, stretches: tuple[Stretch, ...], t: int, demand: Demand) -> float:
    """The highest rate at which a class may be served in a stretch."""
    if not deferrable(problem, demand):
        return stretches[t].rates[demand.name]
    due = (
        s.rates[demand.name] * s.hours
        for at, s in enumerate(stretches)
        if t in window(stretches, at, demand.deadline_hours or 0.0)
    )
    return math.fsum(due) / stretches[t].hours


@dataclass(frozen=True, slots=True, kw_only=True)
class _Allowed:
    """How many nodes of each offer the limits leave room for; but for the one that is minimised."""

    problem: Problem
    nodes: Mapping[str, int]
    """Of an offer alone, by its id."""
    ramping: frozenset[str]
    """Offers whose nodes may change only by so many from one stretch to the next."""

    @classmethod
    def of(cls, problem: Problem, minimise: Limit | None) -> _Allowed:
        """All offers of a problem; what has no limit has a stock that is minimised."""
        each = {o.id: min(_most_nodes(problem, o, minimise), default=None) for o in problem.offers}
        nodes = {id_: most for id_, most in each.items() if most is not None}
        return cls(problem=problem, nodes=nodes, ramping=frozenset(o.id for o in problem.ramping))

    def caps(
        self, column: Column, takes: Takes, usable: float, peaks: list[dict[str, float]]
    ) -> tuple[int, ...]:
        """By stretch, the most nodes of a column that any limit, or any use, leaves room for.

        Where starts cost something, idle nodes can be worth keeping from one stretch of use to the next; where no more may
        be added or removed at once, of whichever column.
        """
        limits = [int(self.nodes[o.id] // nodes) for o, nodes in takes if o.id in self.nodes]
        ramps = not self.ramping.isdisjoint(o.id for o, _ in takes)
        if (ramps and limits) or self.problem.mode is not Mode.MIN_COST:
            return (min(limits),) * len(peaks)
        enough = [_enough(column, usable, peak) for peak in peaks]
        if ramps or column.boot_seconds > 0:
            enough = [max(enough)] * len(peaks)
        run = running(self.problem).get(column.key, 0)
        return tuple(min((max(use, run), *limits)) for use in enough)


def _most_nodes(problem: Problem, offer: PricedOffer, minimise: Limit | None) -> Iterator[int]:
    """What each limit leaves room for of an offer alone."""
    if minimise != Limit(kind=LimitKind.STOCK, subject=offer.id):
        yield problem.max_nodes(offer)
    for group in problem.quota_groups:
        taken = offer.quota_per_node.get(group.id, Decimal(0))
        if taken > 0 and minimise != Limit(kind=LimitKind.QUOTA, subject=group.id):
            yield int(group.limit // taken)
    budgets = (
        (Limit(kind=LimitKind.BUDGET), problem.budget_usd_per_hour),
        (
            Limit(kind=LimitKind.PROVIDER_BUDGET, subject=offer.provider),
            problem.provider_budgets_usd_per_hour.get(offer.provider),
        ),
    )
    for limit, usd in budgets:
        if usd is not None and limit != minimise:
            yield int(usd // offer.usd_per_hour)


def _enough(column: Column, usable: float, peak: Mapping[str, float]) -> int:
    """Nodes that serve alone all that the column can serve: more are of no use."""
    rates = [(rate, column.rate(name)) for name, rate in peak.items() if column.rate(name) > 0]
    nodes = math.fsum(demand / rate for demand, rate in rates) / usable
    return math.ceil(nodes * (1 + 1e-9))


def kinds(frame: Frame) -> tuple[tuple[int, ...], ...]:
    """Columns whose nodes do the same, the cheapest first: on different offers, within the same limits, handing over to the same ones."""
    found: dict[object, list[int]] = {}
    for j, (column, offer) in enumerate(zip(frame.columns, frame.offers, strict=True)):
        end = "" if column.role is Role.WHOLE else offer.network or offer.id
        limits = _limits_of(frame.problem, offer)
        found.setdefault((_but_for_its_offer(column), end, limits), []).append(j)
    dearer = [(offer.usd_per_hour, offer.id) for offer in frame.offers]
    return tuple(tuple(sorted(kind, key=lambda j: dearer[j])) for kind in found.values())


def _but_for_its_offer(column: Column) -> object:
    values = (getattr(column, f.name) for f in fields(column) if f.name != "offer")
    return tuple(tuple(sorted(v.items())) if isinstance(v, Mapping) else v for v in values)


def _limits_of(problem: Problem, offer: PricedOffer) -> object:
    """What of its nodes fills limits that offers share: nodes whose sum is whole may fill unlike ones with parts of nodes."""
    provider = offer.provider if offer.provider in problem.provider_budgets_usd_per_hour else ""
    return provider, tuple(sorted(offer.quota_per_node.items()))


def running(problem: Problem) -> dict[tuple[str, str], int]:
    """Nodes that run already, by column."""
    return {one.key: one.nodes for one in problem.migration.running} if problem.migration else {}


def _demand_unit(problem: Problem, columns: tuple[Column, ...], means: Mapping[str, float]) -> float:
    """Factor on the demands: when maximising, about what one node serves, so that `scale` is about the nodes."""
    if problem.mode is Mode.MIN_COST:
        return 1.0
    best = {name: max((column.rate(name) for column in columns), default=0.0) for name in means}
    able = [mean / best[name] for name, mean in means.items() if best[name] > 0]
    return 1.0 / math.fsum(able) if len(able) == len(means) else 1.0


def _pairs(
    problem: Problem,
    stretches: tuple[Stretch, ...],
    layers: tuple[Layer, ...],
    columns: tuple[Column, ...],
    classes: tuple[Demand, ...],
) -> Iterator[tuple[int, int, int]]:
    """Layer, place and class, wherever the place is not lost and can serve a class that has a rate."""
    stands, names = [c.offers for c in columns], [(w, of.name) for w, of in enumerate(classes)]
    able = [(j, w, stands[j]) for j, c in enumerate(columns) for w, name in names if c.rate(name) > 0]
    able += [
        (len(columns) + i, w, frozenset((service.id,)))
        for i, service in enumerate(problem.services)
        for w, of in enumerate(classes)
        if of.name in service.usd_per_request
    ]
    for n, layer in enumerate(layers):
        lost = layer.scenario.lost if layer.scenario else frozenset[str]()
        rates = stretches[layer.stretch].rates
        asked = [rates[c.name] > 0 or deferrable(problem, c) for c in classes]
        yield from ((n, place, w) for place, w, at in able if asked[w] and lost.isdisjoint(at))


def _loads(
    pairs: tuple[tuple[int, int, int], ...],
    columns: tuple[Column, ...],
    classes: tuple[Demand, ...],
    rates: tuple[tuple[float, ...], ...],
) -> Iterator[float]:
    """Nodes that all of a class would take, by pair."""
    names = [c.name for c in classes]
    for n, place, w in pairs:
        yield rates[n][w] / columns[place].requests_per_second[names[w]] if place < len(columns) else 0.0


def _rentals(problem: Problem, columns: tuple[Column, ...], stretches: int) -> Iterator[Rental]:
    """Offers whose nodes are not those of their columns: reserved, in lots, or shared by columns."""
    used = {offer for c in columns for offer in c.offers}
    parted = {offer for c in problem.columns if c.parts_per_node > 1 for offer in c.offers}
    for offer in sorted(problem.offers, key=lambda o: o.id):
        if offer.billing is Billing.RESERVED:
            if offer.id in used or offer.committed_nodes:
                yield Rental(offer=offer, stretch=None)
        elif offer.id in used and (offer.id in parted or offer.lot_nodes > 1):
            yield from (Rental(offer=offer, stretch=t) for t in range(stretches))


def _sheds(
    problem: Problem, minimise: Limit | None, stretches: tuple[Stretch, ...], classes: tuple[Demand, ...]
) -> Iterator[tuple[int, int]]:
    """Stretch and class, wherever some of what arrives may be turned away."""
    if minimise is not None and minimise.kind in OF_WHAT_IS_SERVED:
        return
    for t, stretch in enumerate(stretches):
        for w, demand in enumerate(classes):
            asked = minimise == Limit(kind=LimitKind.SHED, subject=demand.name)
            if (problem.sheds(demand) or asked) and stretch.rates[demand.name] > 0:
                yield t, w


def _waits(
    problem: Problem, minimise: Limit | None, stretches: tuple[Stretch, ...], classes: tuple[Demand, ...]
) -> Iterator[tuple[int, int, int]]:
    """Class, stretch of arrival and stretch of service, wherever the deadline allows it; its own while what a loss leaves is asked."""
    at_once = minimise is not None and minimise.kind is LimitKind.LOSS
    for w, demand in enumerate(classes):
        if deferrable(problem, demand):
            hours = 0.0 if at_once else demand.deadline_hours or 0.0
            for t, stretch in enumerate(stretches):
                served = window(stretches, t, hours) if stretch.rates[demand.name] > 0 else ()
                yield from ((w, t, s) for s in served)


def _handovers(
    problem: Problem, layers: tuple[Layer, ...], columns: tuple[Column, ...], classes: tuple[Demand, ...]
) -> Iterator[Handover]:
    """Every way over a link between a prefill and a decode column of one format that both serve a class."""
    if not problem.links:
        return
    ends = {
        (c.role, c.offer, c.kv_format, w)
        for c in columns
        for w, of in enumerate(classes)
        if c.rate(of.name) > 0
    }
    for n, layer in enumerate(layers):
        lost = layer.scenario.lost if layer.scenario else frozenset[str]()
        for k, link in enumerate(problem.links):
            ways = {(f, w) for role, offer, f, w in ends if (role, offer) == (Role.PREFILL, link.source)}
            ways &= {(f, w) for role, offer, f, w in ends if (role, offer) == (Role.DECODE, link.target)}
            if lost.isdisjoint(link.key):
                found = (Handover(layer=n, link=k, kv_format=f, workload_class=w) for f, w in sorted(ways))
                yield from found
