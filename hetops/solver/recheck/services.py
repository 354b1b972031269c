"""Checks what a plan gives to services, out of nothing but the plan: classes and targets, limits, what it costs.

Shares no code with how services become rows, nor with how a plan is made of an answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from fractions import Fraction

from hetops.domain.plan import Plan, PlanLimits
from hetops.domain.service import PlannedService, Service
from hetops.domain.workload import WorkloadClass
from hetops.solver.certify import TOLERANCE, Violation
from hetops.solver.recheck.network import round_trip
from hetops.solver.terms import exact

_STEP = Fraction(1, 10**6)
"""Costs of requests are stated in millionths of a dollar, by class."""


def broken_services(plan: Plan, limits: PlanLimits) -> Iterator[Violation]:
    """Services serve classes whose targets they keep, within their limits, for what it costs."""
    classes = {one.name: one for one in plan.workload.classes}
    for one in plan.services:
        taken = {
            share.workload_class: exact(classes[share.workload_class].requests_per_second)
            * exact(share.share)
            for share in plan.shares
            if share.pool == one.name and share.workload_class in classes
        }
        late = {
            name
            for name, k in classes.items()
            if not _keeps(one.service, k, round_trip(plan, name, one.name))
        }
        for message in (*_misplaced(one, taken, late), *overtaxed(one, taken, plan, limits)):
            yield Violation(rule="services", subject=one.name, message=message)
        yield from _wrong_cost(one, taken, classes)


def overtaxed(
    one: PlannedService, taken: Mapping[str, Fraction], plan: Plan, limits: PlanLimits
) -> Iterator[str]:
    """What of a service's limits requests per second, by class, go beyond; of limits too the headroom stays free."""
    service, free = one.service, 1 - exact(limits.headroom)
    tokens = {k.name: exact(k.input_tokens.mean) + exact(k.output_tokens.mean) for k in plan.workload.classes}
    for most, each, what in (
        (service.requests_per_minute, dict.fromkeys(tokens, Fraction(1)), "requests"),
        (service.tokens_per_minute, tokens, "tokens"),
    ):
        asked = sum((rate * each[name] for name, rate in taken.items()), Fraction(0)) * 60
        if most is not None and asked > exact(most) * free * (1 + TOLERANCE):
            yield f"takes {float(asked):g} {what} a minute, {float(exact(most) * free):g} of {most:g} may be planned"


def _misplaced(one: PlannedService, taken: Iterable[str], late: Collection[str]) -> Iterator[str]:
    for name in taken:
        if name not in one.serves:
            yield f"does not serve {name}"
        elif name in late:
            yield f"does not keep the targets of {name}, or takes too few tokens"


def _keeps(service: Service, k: WorkloadClass, round_trip_seconds: float) -> bool:
    ttft = service.ttft_seconds + round_trip_seconds
    slow = (
        k.target.ttft_seconds is not None and ttft > k.target.ttft_seconds,
        k.target.tpot_seconds is not None and service.tpot_seconds > k.target.tpot_seconds,
    )
    return not any(slow) and k.input_tokens.p99 + k.output_tokens.p99 <= service.max_context_tokens


def _wrong_cost(
    one: PlannedService, taken: Mapping[str, Fraction], classes: Mapping[str, WorkloadClass]
) -> Iterator[Violation]:
    service = one.service
    prices = Fraction(service.usd_per_million_input_tokens), Fraction(service.usd_per_million_output_tokens)
    means = {n: (exact(k.input_tokens.mean), exact(k.output_tokens.mean)) for n, k in classes.items()}
    parts = (rate * means[n][i] * prices[i] for n, rate in taken.items() for i in range(2))
    due = sum(parts, Fraction(0)) * 3600 / 10**6
    if abs(Fraction(one.usd_per_hour) - due) > _STEP * len(taken) + due * TOLERANCE:
        message = f"says {one.usd_per_hour} usd_per_hour, costs {float(due):.10g}"
        yield Violation(rule="cost", subject=one.name, message=message)
