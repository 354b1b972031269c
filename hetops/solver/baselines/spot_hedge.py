"""SpotHedge-like (Mao et al., SkyServe, arXiv:2411.01438): spot nodes spread over zones, some too many, the rest on demand.

A policy, not an optimiser: one kind of replica, as many as the average request needs; spot nodes go to the zone that has
fewest of them, a few more than are needed stand by for those that are taken away, and what spot cannot give is rented
on demand. The original launches on-demand replicas while spot ones are missing; a plan can only say what it rents, so
here they fill what stock leaves open. Requests go to replicas in proportion to their capacity.

Decides nodes and shares of least cost under that policy; knows nothing of which zone is likely to go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from hetops.solver.baselines.answer import answer
from hetops.solver.baselines.blind import blocks, proportional
from hetops.solver.baselines.homogeneous import best
from hetops.solver.baselines.room import Counts, Room
from hetops.solver.problem import Column, PricedOffer, Problem
from hetops.solver.solution import Infeasible, Solution

SPOT = "spot"
EXTRA = 2
"""Spot nodes beyond those that are needed."""


def spot_hedge(problem: Problem, extra: int = EXTRA) -> Solution | Infeasible:
    """The cheapest kind of replica under the policy, for a problem of least cost and one model."""
    found = blocks(problem)
    if len(found) != 1:
        return Infeasible()
    columns = {column.key: column for column in problem.columns}
    usable = float(problem.usable_share)
    kinds: dict[tuple[str, str], list[Column]] = {}
    gpu_of = {offer.id: offer.gpu for offer in problem.offers}
    for key in found[0].speeds:
        kinds.setdefault((gpu_of[key[0]], key[1]), []).append(columns[key])
    hedges = (_Hedge(problem=problem, room=Room.of(problem, kind), extra=extra) for kind in kinds.values())
    speeds = found[0].speeds
    return best(_fleet(hedge, [speeds[c.key] * usable for c in hedge.room.columns]) for hedge in hedges)


def _fleet(hedge: _Hedge, speeds: list[float]) -> Solution | Infeasible:
    """The fleet of one kind; what its nodes sustain together, without the extra ones, is the demand at least."""
    counts = hedge.hedged(np.array(speeds))
    if counts is None:
        return Infeasible()
    nodes = {c.key: int(n) for c, n in zip(hedge.room.columns, counts, strict=True) if n}
    return answer(hedge.problem, nodes, proportional(hedge.problem, nodes), "spot hedge")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Hedge:
    """One kind of replica on all offers that have it."""

    problem: Problem
    room: Room
    extra: int

    def hedged(self, speeds: np.ndarray) -> Counts | None:
        """Nodes by column; None where spot and on demand together do not suffice."""
        counts = np.zeros(len(self.room.columns), dtype=np.int64)
        spare = self.extra
        while float(speeds @ counts) < 1.0 or spare > 0:
            enough = float(speeds @ counts) >= 1.0
            chosen = next(self._choices(counts, SPOT), None)
            if chosen is None and not enough:
                chosen = next(self._choices(counts, ""), None)
            if chosen is None:
                return counts if enough else None
            counts[chosen] += 1
            spare -= enough
        return counts

    def _choices(self, counts: Counts, market: str) -> Iterator[int]:
        """Columns of the market that have room, those in the zone with fewest nodes first, then the cheapest."""
        offers = self._offers()
        in_zone = {
            zone: sum(int(n) for o, n in zip(offers, counts, strict=True) if o.zone == zone)
            for zone in _zones(offers)
        }
        open_to = np.flatnonzero(self.room.more(counts)).tolist()
        able = [j for j in open_to if (offers[j].market == SPOT) == (market == SPOT)]
        yield from sorted(able, key=lambda j: (in_zone[offers[j].zone], offers[j].usd_per_hour, offers[j].id))

    def _offers(self) -> list[PricedOffer]:
        of = {offer.id: offer for offer in self.problem.offers}
        return [of[column.offer] for column in self.room.columns]


def _zones(offers: Iterable[PricedOffer]) -> set[str]:
    return {offer.zone for offer in offers}
