"""What a plan promises: latencies of each class, and what each pool sustains of its mix, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hetops.app.pose import Posed
from hetops.app.quality import asked_quality, mean_quality
from hetops.app.shedding import served_of
from hetops.domain.plan import ClassForecast, Plan, PoolForecast
from hetops.domain.workload import WorkloadClass
from hetops.performance.intervals import Forecast, Served, around, forecast, slowest, stated
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
        found = []
        for share in (s for s in solution.shares if s.workload_class == one.name and s.share > 0):
            near = services.get(share.key) or _in_pool(posed, share, one, pools[share.key])
            found.append((share.share, near.from_afar(posed.ways.round_trip_seconds(one, share.offer))))
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


def _in_pool(
    posed: Posed, share: SolvedShare, one: WorkloadClass, pool: tuple[float, Mixture | None]
) -> Forecast:
    used, mixture = pool
    row = posed.row(share.key, one)
    rate = row.planned_requests_per_second * used
    served = Served(of=one, requests_per_second=rate, mixture=mixture)
    return forecast(posed.table.step_times[share.configuration], served, row.evidence)


def _mixture(pool: SolvedPool, posed: Posed, solution: Solution) -> Mixture | None:
    """What the classes of a pool are together in each of its replicas; None where there is one."""
    classes = {c.name: c for c in posed.candidates.workload.classes}
    replicas = pool.nodes * pool.replicas_per_node
    given = [s for s in solution.shares if s.key == pool.key and s.requests_per_second > 0]
    if len(given) < 2:
        return None
    return Mixture.of([(classes[s.workload_class], s.requests_per_second / replicas) for s in given])


def pool_forecasts(plan: Plan) -> Iterator[PoolForecast]:
    """What each pool would sustain of its mix: what is planned for it, over the part of the pool that this takes."""
    evidence = {row.configuration: row.evidence for row in plan.performance}
    for pool in (p for p in plan.pools if plan.certificate.utilisation[p.name] > 0):
        given = math.fsum(s.requests_per_second for s in plan.shares if s.pool == pool.name)
        counted_on = given / plan.certificate.utilisation[pool.name]
        known = evidence[pool.configuration.id]
        found = around(counted_on / (1.0 - known.margin), widths_of(known).throughput)
        yield PoolForecast(
            pool=pool.name,
            requests_per_second=found.value,
            requests_per_second_low=found.low,
            requests_per_second_high=found.high,
        )
