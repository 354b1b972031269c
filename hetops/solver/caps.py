"""How many nodes of each column are of use, and how many any limit leaves room for. Enforces no limit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from hetops.solver.frame import Takes
from hetops.solver.limit import Limit, LimitKind
from hetops.solver.problem import Column, Mode, PricedOffer, Problem, running


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """How many nodes of each offer the limits leave room for; but for the one that is minimised."""

    problem: Problem
    nodes: Mapping[str, int]
    """Of an offer alone, by its id."""
    ramping: frozenset[str]
    """Offers whose nodes may change only by so many from one stretch to the next."""

    @classmethod
    def of(cls, problem: Problem, minimise: Limit | None) -> Allowed:
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
