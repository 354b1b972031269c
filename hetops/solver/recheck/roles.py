"""Checks what a plan says of prefill and decode apart, out of nothing but the plan: all that is prefilled is decoded, where it can be.

Shares no code with how roles become rows, nor with how a plan is made of an answer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from fractions import Fraction

from hetops.domain.configuration import Role
from hetops.domain.plan import Handover, Plan, PlannedPool
from hetops.solver.certify import TOLERANCE, Violation
from hetops.solver.terms import exact


def broken_handovers(plan: Plan) -> Iterator[Violation]:
    """What a pool prefills goes in full to pools that decode it, of its KV format and in its place; those get nothing else."""
    pools = {pool.name: pool for pool in plan.pools}
    rates = {one.name: Fraction(one.requests_per_second) for one in plan.workload.classes}
    told = Counter((one.workload_class, one.source, one.target) for one in plan.handovers)
    handed: defaultdict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for one in plan.handovers:
        handed[one.workload_class, one.source] += exact(one.share)
        due = rates.get(one.workload_class, Fraction(0)) * exact(one.share)
        if message := _fault(pools.get(one.source), pools.get(one.target)):
            yield _violation(one, message)
        if one.share <= 0 or abs(exact(one.requests_per_second) - due) > due * TOLERANCE:
            yield _violation(
                one, f"{one.requests_per_second} requests per second are not a share of {one.share}"
            )
        if told[one.workload_class, one.source, one.target] > 1:
            yield _violation(one, "appears twice")
    for share in plan.shares:
        pool = pools.get(share.pool)
        where = f"{share.workload_class} on {share.pool}"
        if pool is not None and pool.configuration.role is Role.DECODE:
            yield Violation(rule="handovers", subject=where, message="goes first to what only decodes")
        left = exact(share.share) - handed.pop((share.workload_class, share.pool), Fraction(0))
        if pool is not None and pool.configuration.role is Role.PREFILL and left:
            message = f"{float(left):g} of it more is prefilled than is handed over"
            yield Violation(rule="handovers", subject=where, message=message)
    for name, pool_name in handed:
        message = "is handed over and has no share there"
        yield Violation(rule="handovers", subject=f"{name} on {pool_name}", message=message)


def _fault(source: PlannedPool | None, target: PlannedPool | None) -> str:
    """Why one pool cannot hand over to the other; empty where it can."""
    if source is None or target is None:
        return "names a pool that there is not"
    if (source.configuration.role, target.configuration.role) != (Role.PREFILL, Role.DECODE):
        return "does not go from what prefills alone to what decodes alone"
    if source.configuration.kv_format != target.configuration.kv_format:
        return f"{target.configuration.kv_format} cannot go on with {source.configuration.kv_format}"
    if source.offer.place != target.offer.place:
        return f"goes from {source.offer.place} to {target.offer.place}, which no network is known to join"
    return ""


def _violation(one: Handover, message: str) -> Violation:
    subject = f"{one.workload_class} from {one.source} to {one.target}"
    return Violation(rule="handovers", subject=subject, message=message)
