"""What nodes take of every limit of a problem, as arrays: for rivals that fill a budget node by node.

Decides whether a set of nodes can be rented; the exact judge of a finished fleet is `certify`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
        of = [offers[column.offer] for column in columns]
        rows = list(_limits(problem, of))
        limits = np.array([limit for _, limit in rows], dtype=np.float64)
        taken = np.array([row for row, _ in rows], dtype=np.float64).reshape(len(rows), len(columns))
        return cls(
            columns=tuple(columns),
            usd_per_hour=np.array([float(offer.usd_per_hour) for offer in of]),
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


def _limits(problem: Problem, offers: Sequence[PricedOffer]) -> Iterator[tuple[list[float], float]]:
    """Each limit with what a node of each column takes of it."""
    for one in dict.fromkeys(offer.id for offer in offers):
        offer = problem.offer(one)
        yield [float(o.id == one) for o in offers], float(problem.max_nodes(offer))
    for group in problem.quota_groups:
        taken = [float(o.quota_per_node.get(group.id, Decimal(0))) for o in offers]
        yield taken, float(group.limit)
    if problem.budget_usd_per_hour is not None:
        yield [float(o.usd_per_hour) for o in offers], float(problem.budget_usd_per_hour)
    for provider, usd in problem.provider_budgets_usd_per_hour.items():
        yield [float(o.usd_per_hour) * (o.provider == provider) for o in offers], float(usd)
