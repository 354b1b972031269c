"""What nodes take of every limit of a problem, as arrays: for rivals that fill a budget node by node.

Decides whether a set of nodes can be rented; the exact judge of a finished fleet is `certify`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from hetops.solver.matrix import Floats, Row
from hetops.solver.problem import Column, PricedOffer, Problem

Counts = NDArray[np.int64]

_ROUNDING = 1e-9
"""Part of a limit by which a sum of floats may miss it; prices and quotas have far fewer digits."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Room:
    """Limits and what a node of each column takes of them; entry j belongs to `columns[j]`."""

    columns: tuple[Column, ...]
    usd_per_hour: Floats
    taken: Floats
    """Row j: what one node of column j takes of each limit."""
    limits: Floats
    slack: Floats
    """What rounding may add to a sum that is within a limit."""

    @classmethod
    def of(cls, problem: Problem, columns: Sequence[Column]) -> Room:
        """The room that the problem's stock, quotas and budgets leave for `columns`. The number of pools is no part."""
        offers = {offer.id: offer for offer in problem.offers}
        of = [[(offers[one], float(nodes)) for one, nodes in column.takes.items()] for column in columns]
        rows = list(_limits(problem, of))
        limits = np.array([limit for _, limit in rows], dtype=np.float64)
        taken = np.array([row for row, _ in rows], dtype=np.float64).reshape(len(rows), len(columns))
        return cls(
            columns=tuple(columns),
            usd_per_hour=np.array([_sum(takes, lambda o: float(o.usd_per_hour)) for takes in of]),
            taken=np.ascontiguousarray(taken.T),
            limits=limits,
            slack=_ROUNDING * (1 + limits),
        )

    def fits(self, counts: Counts) -> bool:
        """Whether so many nodes of each column can be rented together."""
        return bool((counts @ self.taken <= self.limits + self.slack).all())

    def more(self, counts: Counts) -> NDArray[np.bool_]:
        """Of which columns one node more can be rented."""
        left = self.limits + self.slack - counts @ self.taken
        return np.asarray((self.taken <= left).all(axis=1))

    @property
    def most_nodes(self) -> Floats:
        """Nodes of each column that can be rented when nothing else is."""
        with np.errstate(divide="ignore"):
            each = np.where(self.taken > 0, (self.limits + self.slack) / self.taken, np.inf)
        most: Floats = np.floor(each.min(axis=1))
        return most

    def rows(self) -> Iterator[Row]:
        """The limits over variables that count the nodes of each column, in order."""
        for limit, taken in zip(self.limits, self.taken.T, strict=True):
            terms = [(int(j), float(taken[j])) for j in np.flatnonzero(taken)]
            yield Row(subject="limit", terms=terms, upper=float(limit))


Takes = Sequence[tuple[PricedOffer, float]]
"""Offers that a node of a column stands on, and how much of a node of each."""


def _sum(takes: Takes, each: Callable[[PricedOffer], float]) -> float:
    """What a node of a column takes of something, by what a node of each offer does."""
    return sum(each(offer) * nodes for offer, nodes in takes)


def _limits(problem: Problem, of: Sequence[Takes]) -> Iterator[tuple[list[float], float]]:
    """Each limit with what a node of each column takes of it."""

    def taken(each: Callable[[PricedOffer], float]) -> list[float]:
        return [_sum(takes, each) for takes in of]

    for one in dict.fromkeys(offer.id for takes in of for offer, _ in takes):
        yield taken(lambda o, one=one: float(o.id == one)), float(problem.max_nodes(problem.offer(one)))  # type: ignore[misc]
    for group in problem.quota_groups:
        yield (
            taken(lambda o, group=group: float(o.quota_per_node.get(group.id, Decimal(0)))),  # type: ignore[misc]
            float(group.limit),
        )
    if problem.budget_usd_per_hour is not None:
        yield taken(lambda o: float(o.usd_per_hour)), float(problem.budget_usd_per_hour)
    for provider, usd in problem.provider_budgets_usd_per_hour.items():
        yield taken(lambda o, to=provider: float(o.usd_per_hour) * (o.provider == to)), float(usd)  # type: ignore[misc]
