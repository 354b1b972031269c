"""Records of runs to the document of a simulation, held against the plan. Pure.

Whatever was not planned, or did not come, is told as such, never filled in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetops.domain import codec
from hetops.domain.observation import Outcome
from hetops.domain.plan import Plan
from hetops.domain.service import Service
from hetops.domain.units import SECONDS_PER_MINUTE, usd_per_million_tokens
from hetops.domain.workload import WorkloadClass
from hetops.reports import quantities as q
from hetops.reports.simulation import (
    Ended,
    Moment,
    PlayedFault,
    SimulatedClass,
    SimulatedModel,
    SimulatedPool,
    Simulation,
    Spread,
)
from hetops.reports.simulation_run import Bill, Played, egress
from hetops.reports.status import Measured, tpot, ttft
from hetops.simulate.fleet import VirtualService
from hetops.simulate.outcome import ClassOutcome, Percentiles, class_outcomes

MOST_MOMENTS = 120
"""How finely time is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What was played, in words."""

    trace: str
    faults: tuple[PlayedFault, ...] = ()
    runs_asked: int = 1
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """What the spread needs of a run: next to nothing, however many requests it had."""

    seed: int
    classes: tuple[WorkloadClass, ...]
    outcomes: tuple[ClassOutcome, ...]
    attainment: float | None
    usd_per_million_tokens: float | None


def figures(run: Played) -> RunFigures:
    """The run's."""
    bill = Bill.of(run)
    return RunFigures(
        seed=run.seed,
        classes=run.classes,
        outcomes=class_outcomes(run.served, run.classes, run.seconds),
        attainment=_attainment(run),
        usd_per_million_tokens=bill.of_a_million(bill.tokens),
    )


def simulation(plan: Plan, scene: Scene, run: Played, runs: Sequence[RunFigures]) -> Simulation:
    """The plan and what came of it in a run, side by side; `runs` are the figures of all, that one's first."""
    bill = Bill.of(run)
    planned = sum(
        c.requests_per_second * (c.input_tokens.mean + c.output_tokens.mean) for c in plan.workload.classes
    )
    classes = tuple(_classes(plan, run))
    return Simulation(
        deployment=plan.deployment,
        model=plan.model,
        plan_digest=codec.digest(plan),
        trace=scene.trace,
        faults=scene.faults,
        seeds=tuple(r.seed for r in runs),
        ended=Ended.STOPPED if len(runs) < scene.runs_asked else run.ended,
        seconds=run.seconds,
        answered_seconds=bill.seconds,
        requests=int(run.served.over.sum()) + _unfinished(run),
        outcomes={o: n for o in Outcome if (n := run.record.outcomes.count(o))},
        unfinished=_unfinished(run),
        retries=run.record.retries,
        spilled=run.spilled,
        attainment=_attainment(run),
        classes=classes,
        models=tuple(_models(plan, run, bill)),
        pools=tuple(_pools(plan, run, bill)),
        usd_per_hour=plan.usd_per_hour,
        usd=bill.usd,
        tokens_per_second=Measured(planned=planned, measured=bill.tokens / bill.seconds),
        usd_per_million_tokens=Measured(
            planned=usd_per_million_tokens(plan.usd_per_hour, planned) if planned else None,
            measured=bill.of_a_million(bill.tokens),
        ),
        usd_per_million_tokens_within_targets=bill.of_a_million(bill.good_tokens),
        moments=tuple(_moments(run)),
        spread=tuple(_spread(runs)) if len(runs) > 1 else (),
        notes=(*scene.notes, *_notes(plan, classes), *_bursts(run, classes), *_of_network(run)),
    )


def _unfinished(run: Played) -> int:
    come = run.arrivals.at_seconds <= run.record.now
    return int((come & ~run.served.over).sum())


def _attainment(run: Played) -> float | None:
    over = run.served.over
    return float(run.served.kept[over].mean()) if over.any() else None


def _classes(plan: Plan, run: Played) -> Iterator[SimulatedClass]:
    found = class_outcomes(run.served, run.classes, run.seconds)
    forecasts = {f.workload_class: f for f in plan.forecasts}
    shed = {one.workload_class: one.share for one in plan.shed}
    for index, (c, outcome) in enumerate(zip(run.classes, found, strict=True)):
        forecast = forecasts.get(c.name)
        yield SimulatedClass(
            name=c.name,
            target=c.target,
            requests=outcome.requests,
            answered=outcome.answered,
            requests_per_second=Measured(planned=c.requests_per_second, measured=outcome.requests_per_second),
            ttft_seconds=ttft(forecast, outcome.ttft_seconds),
            tpot_seconds=tpot(forecast, outcome.tpot_seconds),
            ttft_percentiles=outcome.ttft,
            tpot_percentiles=outcome.tpot,
            ttft_attainment=outcome.ttft_attainment,
            tpot_attainment=outcome.tpot_attainment,
            attainment=outcome.attainment,
            shares=_shares(plan, run, index),
            shed_share=shed.get(c.name, 0.0),
            model=c.model,
        )


def _models(plan: Plan, run: Played, bill: Bill) -> Iterator[SimulatedModel]:
    """Where there are several: each as if the others were not, and paid what its own pools and answers were."""
    served, tokens = run.served, run.arrivals.tokens
    for name in plan.workload.models:
        own = run.asking_for(name)
        over, answered = served.over & own, served.answered & own
        pools = zip(run.fleet.pools, bill.by_pool, strict=True)
        usd, done = sum(paid for pool, paid in pools if pool.model == name), int(tokens[answered].sum())
        usd += egress(run, own)
        yield SimulatedModel(
            name=name,
            requests=int(over.sum()),
            answered=int(answered.sum()),
            attainment=float(served.kept[over].mean()) if over.any() else None,
            ttft_percentiles=Percentiles.of(served.ttft[answered]),
            tpot_percentiles=Percentiles.of(served.tpot[answered & ~np.isnan(served.tpot)]),
            tokens_per_second=done / bill.seconds,
            usd=usd,
            usd_per_million_tokens=usd / done * 1e6 if done else None,
        )


def _shares(plan: Plan, run: Played, label: int) -> Mapping[str, Measured]:
    """By pool, those that were not planned too."""
    name = run.classes[label].name
    planned: dict[str, float] = {}
    for one in (s for s in plan.loads if s.workload_class == name and s.share > 0):
        planned[one.pool] = planned.get(one.pool, 0.0) + one.share
    counts = _counts(run)[label]
    total = int(((run.served.label == label) & (np.array(run.record.pools) >= 0)).sum())
    pools = {p.name: int(n) for p, n in zip(run.fleet.pools, counts, strict=True)}
    return {
        pool: Measured(planned=planned.get(pool, 0.0), measured=count / total if total else None)
        for pool, count in pools.items()
        if count or planned.get(pool)
    }


def _counts(run: Played) -> NDArray[np.int64]:
    """Requests by class (rows) and pool (columns) that had them last; what was handed over counts at both ends."""
    pools, label = np.array(run.record.pools), run.served.label
    sent = pools >= 0
    counts = np.zeros((len(run.classes), len(run.fleet.pools)), dtype=np.int64)
    np.add.at(counts, (label[sent], pools[sent]), 1)
    for request, pool in run.record.handed.items():
        counts[label[request], pool] += pool != pools[request]
    return counts


def _pools(plan: Plan, run: Played, bill: Bill) -> Iterator[SimulatedPool]:
    record, seconds, counts = run.record, run.seconds, _counts(run)
    planned = dict.fromkeys(plan.destinations, 0.0)
    for share in plan.loads:
        planned[share.pool] += share.requests_per_second
    for index, pool in enumerate(run.fleet.pools):
        there = max(record.now * pool.replicas - record.gone_seconds[index], 1e-9)
        requests = int(counts[:, index].sum())
        yield SimulatedPool(
            name=pool.name,
            gpu=pool.gpu,
            replicas=0 if isinstance(pool, VirtualService) else pool.replicas,
            requests=requests,
            requests_per_second=Measured(planned=planned[pool.name], measured=requests / seconds),
            utilisation=_used(plan, run, index, counts[:, index] / seconds),
            busy=record.busy_seconds[index] / there,
            in_flight=record.in_flight_seconds[index] / there,
            most_waiting=max((s.waiting[index] for s in record.samples), default=0),
            preemptions=record.preemptions[index],
            gone_seconds=record.gone_seconds[index],
            usd=bill.by_pool[index],
            model=pool.model if plan.workload.models else "",
        )


def _used(plan: Plan, run: Played, index: int, rates: NDArray[np.float64]) -> Measured:
    """How much of what a pool or service sustains was planned to be used, and how much was; `rates` are by class."""
    name = run.fleet.pools[index].name
    services = {one.name: one.service for one in plan.services}
    if name not in services:
        planned = plan.certificate.utilisation.get(name)
        return Measured(planned=planned, measured=_utilisation(plan, run, index, rates))
    shares = [s for s in plan.shares if s.pool == name]
    means = {c.name: c.input_tokens.mean + c.output_tokens.mean for c in plan.workload.classes}
    tokens = sum(s.requests_per_second * means[s.workload_class] for s in shares)
    came = run.arrivals.tokens[np.array(run.record.pools) == index].sum() / run.seconds
    return Measured(
        planned=_of_limits(services[name], sum(s.requests_per_second for s in shares), tokens),
        measured=_of_limits(services[name], float(rates.sum()), float(came)),
    )


def _of_limits(service: Service, requests_per_second: float, tokens_per_second: float) -> float:
    """Of the limits by the minute, the larger part that is used."""
    used = (
        (requests_per_second, service.requests_per_minute),
        (tokens_per_second, service.tokens_per_minute),
    )
    return max(each * SECONDS_PER_MINUTE / most for each, most in used if most is not None)


def _utilisation(plan: Plan, run: Played, pool: int, rates: NDArray[np.float64]) -> float | None:
    """The certificate's own sum, at the rates that came."""
    virtual = run.fleet.pools[pool]
    configuration = plan.pool(virtual.name).configuration.id
    far = {c.name: plan.round_trip_seconds(c, virtual.name) for c in run.classes}
    sustained = {
        row.workload_class: row.planned_requests_per_second
        for row in plan.performance
        if row.configuration == configuration and row.round_trip_seconds == far.get(row.workload_class)
    }
    used = 0.0
    for c, rate in zip(run.classes, rates.tolist(), strict=True):
        replica = sustained.get(c.name, 0.0)
        if rate and not replica:
            return None
        used += rate / replica if rate else 0.0
    return used / virtual.replicas


def _moments(run: Played) -> Iterator[Moment]:
    """Requests by when they came, queues as they were sampled."""
    samples = [s for s in run.record.samples if s.at_seconds < run.arrivals.seconds]
    samples = samples[:: max(1, -(-len(samples) // MOST_MOMENTS))]
    starts = [s.at_seconds for s in samples]
    ends = [*starts[1:], run.seconds]
    names = [p.name for p in run.fleet.pools]
    for sample, start, end in zip(samples, starts, ends, strict=True):
        first, last = (int(n) for n in np.searchsorted(run.arrivals.at_seconds, (start, end)))
        part = slice(first, last)
        over = run.served.over[part]
        yield Moment(
            at_seconds=start,
            requests_per_second=(last - first) / (end - start) if end > start else 0.0,
            within_targets=float(run.served.kept[part][over].mean()) if over.any() else None,
            ttft_seconds=dict(_ttft(run, part)),
            in_flight=dict(zip(names, sample.in_flight, strict=True)),
            waiting=dict(zip(names, sample.waiting, strict=True)),
            replicas=dict(zip(names, sample.replicas, strict=True)),
        )


def _ttft(run: Played, part: slice) -> Iterator[tuple[str, float | None]]:
    label, answered, ttft = run.served.label[part], run.served.answered[part], run.served.ttft[part]
    for index, c in enumerate(run.classes):
        own = ttft[answered & (label == index)]
        yield c.name, float(np.percentile(own, c.target.ttft_percentile)) if len(own) else None


def _spread(runs: Sequence[RunFigures]) -> Iterator[Spread]:
    for index, c in enumerate(runs[0].classes):
        own = [r.outcomes[index] for r in runs]
        yield from _over(f"{c.name} TTFT p{c.target.ttft_percentile:g}", "s", [o.ttft_seconds for o in own])
        yield from _over(f"{c.name} TPOT p{c.target.tpot_percentile:g}", "s", [o.tpot_seconds for o in own])
        yield from _over(f"{c.name} within targets", "share", [o.attainment for o in own])
    yield from _over("all within targets", "share", [r.attainment for r in runs])
    yield from _over("USD per million tokens", "usd", [r.usd_per_million_tokens for r in runs])


def _over(name: str, unit: str, values: Sequence[float | None]) -> Iterator[Spread]:
    known = [v for v in values if v is not None]
    if known:
        yield Spread(name=name, unit=unit, low=min(known), median=float(np.median(known)), high=max(known))


def _of_network(run: Played) -> Iterator[str]:
    if run.away is not None:
        paid = (
            f"; answers cost {q.usd(egress(run, run.served.answered))} on their way"
            if run.away.usd_per_token.any()
            else ""
        )
        yield f"TTFT is as seen where requests come from, by the plan's round trips{paid}"


def _notes(plan: Plan, classes: Sequence[SimulatedClass]) -> Iterator[str]:
    for c in classes:
        planned, came = c.requests_per_second.planned, c.requests_per_second.measured
        if planned and came and came > planned * 1.1:
            yield f"{c.name}: {came:.3g} requests a second came, {planned:.3g} are planned for"
    if margin := max((e.margin for e in plan.evidence), default=0.0):
        yield f"steps take as long as estimated; the plan counts on {q.share(margin)} less throughput than that"


_BURST = 1.5
"""The busiest minute's rate over the planned one from which on late classes are told of it."""


def _bursts(run: Played, classes: Sequence[SimulatedClass]) -> Iterator[str]:
    """Where targets are not kept: that requests came in bursts beyond what is planned for."""
    planned = sum(c.requests_per_second.planned or 0.0 for c in classes)
    if run.seconds < 60.0 or not any(c.late for c in classes):
        return
    busiest = float(np.bincount((run.arrivals.at_seconds // 60.0).astype(np.int64)).max()) / 60.0
    if busiest > _BURST * planned:
        yield (
            f"{busiest:.3g} requests a second came in the busiest minute, {planned:.3g} are planned for: workload.periods plans"
            " for the busiest of more stretches, policy.headroom leaves more room"
        )
