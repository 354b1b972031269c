"""What a plan's network adds to what was measured: round trips to times to the first token, egress to the cost. Pure.

Routers and simulations stand beside the fleet; those who ask stand at origins. Nothing of the ways is measured here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from hetops.domain.network import gb_per_hour
from hetops.domain.observation import Observation
from hetops.domain.plan import Plan
from hetops.observations.merge import Summary


def at_origins(plan: Plan, observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """Observations of a router with TTFT as it was seen where the requests came from, by the plan's round trips."""
    if plan.network is None:
        return tuple(observations)
    trips = {
        (c.name, name): plan.round_trip_seconds(c, name)
        for c in plan.workload.classes
        for name in plan.destinations
    }
    return tuple(_later(one, trips.get((one.workload_class, one.pool), 0.0)) for one in observations)


def _later(one: Observation, seconds: float) -> Observation:
    return one if one.ttft_seconds is None else replace(one, ttft_seconds=one.ttft_seconds + seconds)


def egress_usd_per_hour(plan: Plan, summary: Summary) -> Decimal:
    """What the answers that were measured cost on their way, each class's tokens in proportion to its requests in each pool."""
    origins = {c.name: c.origin for c in plan.workload.classes}
    paid = Decimal(0)
    for share in summary.shares if plan.network else ():
        tally = summary.workload_class(share.workload_class)
        if plan.network and tally:
            tokens = tally.output_tokens_per_second * share.share
            way = plan.network.way(origins.get(share.workload_class, ""), share.pool)
            paid += way.usd_per_gb * Decimal(gb_per_hour(tokens, plan.network.bytes_per_output_token))
    return paid
