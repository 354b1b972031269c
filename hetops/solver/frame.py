"""The variables of the model: what each kind stands for, and where each of them lies. Which there are, `variables` decides."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from hetops.solver.limit import Limit, LimitKind
from hetops.solver.problem import Column, Demand, Mode, PricedOffer, Problem
from hetops.solver.terms import Role, Scenario, Service, Stretch
from hetops.solver.waiting import deferrable


class Block(StrEnum):
    """A kind of variable; those of one kind lie together. The first three are whole numbers."""

    NODES = "nodes of a column in a stretch"
    OPENED = "a column is used at all, in any stretch"
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
        return counts_pools(self.problem, self.minimise)

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


def counts_pools(problem: Problem, minimise: Limit | None) -> bool:
    """Whether it matters how many columns are used: there are at most so many, each costs something, or their number is minimised."""
    asked = minimise == Limit(kind=LimitKind.POOLS)
    return asked or problem.max_pools is not None or problem.usd_per_pool_hour > 0


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
