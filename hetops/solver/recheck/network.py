"""Checks what a plan says of the ways to where its requests come from, out of nothing but the plan: none is missing, egress is right.

Shares no code with how ways become prices and rates, nor with how a plan is made of an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from hetops.domain.network import Network, Way
from hetops.domain.plan import Plan
from hetops.solver.certify import TOLERANCE, Violation
from hetops.solver.terms import exact

_STEP = Fraction(1, 10**6)
"""What requests cost is stated in millionths of a dollar, by class and pool."""


def broken_network(plan: Plan) -> Iterator[Violation]:
    """Where classes have origins, the way from each to every pool and service is told, and costs what its answers weigh."""
    if plan.network is None:
        for one in (c for c in plan.workload.classes if c.origin):
            yield Violation(rule="network", subject=one.name, message="has an origin, and no way is told")
        return
    told = {(way.origin, way.destination) for way in plan.network.ways}
    for origin in sorted({one.origin for one in plan.workload.classes}):
        for name in plan.destinations:
            if (origin, name) not in told:
                message = f"nothing says how far it is from {name}"
                yield Violation(rule="network", subject=origin or "no origin", message=message)
    for way in plan.network.ways:
        yield from _wrong_egress(way, plan.network, plan)


def _wrong_egress(way: Way, network: Network, plan: Plan) -> Iterator[Violation]:
    pools = {pool.name for pool in plan.pools}
    tokens = {
        c.name: exact(c.requests_per_second) * exact(c.output_tokens.mean)
        for c in plan.workload.classes
        if c.origin == way.origin
    }
    taken = [s for s in plan.answers if s.pool == way.destination and s.workload_class in tokens]
    second = sum((tokens[s.workload_class] * exact(s.share) for s in taken), Fraction(0))
    hour = second * exact(network.bytes_per_output_token) * 3600
    due = hour / 10**9 * Fraction(way.usd_per_gb) * (way.destination in pools)
    if abs(Fraction(way.usd_per_hour) - due) > _STEP * len(taken) + due * TOLERANCE:
        message = f"says {way.usd_per_hour} usd_per_hour of egress, costs {float(due):.10g}"
        yield Violation(rule="egress", subject=f"{way.origin} on {way.destination}", message=message)


def egress_to(plan: Plan, provider: str) -> Decimal:
    """What a provider bills for answers on their way."""
    pools = {pool.name for pool in plan.pools if pool.offer.provider == provider}
    ways = plan.network.ways if plan.network else ()
    return sum((way.usd_per_hour for way in ways if way.destination in pools), Decimal(0))


def round_trip(plan: Plan, workload_class: str, destination: str) -> float:
    """Seconds between a class and a pool or service, by the plan's own word."""
    origins = {one.name: one.origin for one in plan.workload.classes}
    ways = plan.network.ways if plan.network else ()
    ends = (origins.get(workload_class, ""), destination)
    return next((w.round_trip_seconds for w in ways if (w.origin, w.destination) == ends), 0.0)
