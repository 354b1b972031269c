"""What a plan promises: latencies of each class, and what each pool sustains of its mix, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from hetops.app.pose import Posed
from hetops.app.quality import asked_quality, mean_quality
from hetops.app.shedding import served_of
from hetops.app.speeds import handed_seconds, part_for
from hetops.domain.configuration import Configuration, Role
from hetops.domain.plan import ClassForecast, Plan, PoolForecast
from hetops.domain.workload import WorkloadClass
from hetops.performance.intervals import Forecast, Range, Served, around, forecast, slowest, stated
from hetops.performance.margins import widths_of
from hetops.performance.queueing import Mixture
from hetops.solver.solution import Solution, SolvedPool, SolvedShare


def class_forecasts(posed: Posed, solution: Solution) -> Iterator[ClassForecast]:
    """What each class gets in the slowest pool that it goes to, at that pool's load of all classes, or service."""
    pools = {p.key: (p.utilisation, _mixture(p, posed, solution)) for p in solution.pools}
    services = {
        (s.name, ""): Forecast(ttft=stated(s.ttft_seconds), tpot=stated(s.tpot_seconds))
        for s in (one.service for one in posed.overflow)
    }
    for one in served_of(posed.candidates.workload, solution).classes:
        parts: dict[Role, list[tuple[float, Forecast]]] = {role: [] for role in Role}
        for share in (s for s in solution.shares if s.workload_class == one.name and s.share > 0):
            near = services.get(share.key) or _in_pool(posed, share, one, pools[share.key])
            role = _role(posed, share)
            if role is not Role.DECODE:  # what goes on elsewhere has come its way already
                near = near.from_afar(posed.ways.round_trip_seconds(one, share.offer))
            parts[role].append((share.share, near))
        found = [*parts[Role.MIXED], *_apart(posed, one, parts)]
        if found:
            ttft = slowest([(part, f.ttft) for part, f in found], one.target.ttft_percentile)
            tpot = slowest([(part, f.tpot) for part, f in found], one.target.tpot_percentile)
            yield ClassForecast(
                workload_class=one.name,
                ttft_seconds=ttft.value,
                ttft_seconds_low=ttft.low,
                ttft_seconds_high=ttft.high,
                tpot_seconds=tpot.value,
                tpot_seconds_low=tpot.low,
                tpot_seconds_high=tpot.high,
                tokens_per_second=one.requests_per_second * one.output_tokens.mean,
                mean_quality=mean_quality(posed.problem, solution, one.name),
                least_mean_quality=asked_quality(posed.problem, one.name),
            )


def _role(posed: Posed, share: SolvedShare) -> Role:
    return posed.configurations[share.configuration].role if share.configuration else Role.MIXED


def _apart(
    posed: Posed, of: WorkloadClass, parts: Mapping[Role, Sequence[tuple[float, Forecast]]]
) -> Iterator[tuple[float, Forecast]]:
    """What is prefilled in one pool and decoded in another: to the first token by the slowest of each, and the way between them.

    Which pool feeds which is no matter then.
    """
    prefills, decodes = parts[Role.PREFILL], parts[Role.DECODE]
    if not prefills or not decodes:
        return
    percentile, way = of.target.ttft_percentile, handed_seconds(posed.candidates, of)
    each = (
        slowest([(share, f.ttft) for share, f in prefills], percentile),
        slowest([(share, f.tpot) for share, f in decodes], percentile),  # the step that is on when it comes
        slowest([(share, f.ttft) for share, f in decodes], percentile),
    )
    value, low, high = (
        way + math.fsum(getattr(one, end) for one in each) for end in ("value", "low", "high")
    )
    ttft = Range(value=value, low=low, high=high)
    for share, decode in decodes:
        yield share, Forecast(ttft=ttft, tpot=decode.tpot)


def _in_pool(
    posed: Posed, share: SolvedShare, one: WorkloadClass, pool: tuple[float, Mixture | None]
) -> Forecast:
    used, mixture = pool
    row = posed.row(share.key, one)
    rate = row.planned_requests_per_second * used
    part = part_for(posed.candidates, posed.configurations[share.configuration], one)
    served = Served(of=part, requests_per_second=rate, mixture=mixture)
    return forecast(posed.step_times(share.configuration), served, row.evidence)


def _mixture(pool: SolvedPool, posed: Posed, solution: Solution) -> Mixture | None:
    """What the classes of a pool are together in each of its replicas; None where there is one."""
    configuration = posed.configurations[pool.configuration]
    classes = {c.name: part_for(posed.candidates, configuration, c) for c in _asking(posed, configuration)}
    replicas = pool.nodes * pool.replicas_per_node
    given = [s for s in solution.shares if s.key == pool.key and s.requests_per_second > 0]
    if len(given) < 2:
        return None
    return Mixture.of([(classes[s.workload_class], s.requests_per_second / replicas) for s in given])


def _asking(posed: Posed, configuration: Configuration) -> tuple[WorkloadClass, ...]:
    return posed.candidates.served(configuration).of_own(posed.candidates.workload.classes)


def pool_forecasts(plan: Plan) -> Iterator[PoolForecast]:
    """What each pool would sustain of its mix: what is planned for it, over the part of the pool that this takes."""
    evidence = {row.configuration: row.evidence for row in plan.performance}
    for pool in (p for p in plan.pools if plan.certificate.utilisation[p.name] > 0):
        given = math.fsum(s.requests_per_second for s in plan.loads if s.pool == pool.name)
        counted_on = given / plan.certificate.utilisation[pool.name]
        known = evidence[pool.configuration.id]
        found = around(counted_on / (1.0 - known.margin), widths_of(known).throughput)
        yield PoolForecast(
            pool=pool.name,
            requests_per_second=found.value,
            requests_per_second_low=found.low,
            requests_per_second_high=found.high,
        )
