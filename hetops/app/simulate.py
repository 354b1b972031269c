"""Use case: a trace through a plan's pools in virtual time, with faults on a timeline. Wires; decides nothing of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from hetops.app.candidates import Asked, load_spec
from hetops.app.day import fleet_of
from hetops.app.day_file import plan_file
from hetops.app.requests import trace_of
from hetops.app.virtual_fleet import Playing, Trial, endpoints, playing
from hetops.domain.configuration import Role
from hetops.domain.network import Network
from hetops.domain.offer import Market
from hetops.domain.performance import StepTimes
from hetops.domain.plan import Plan, PlannedPool
from hetops.domain.service import Service
from hetops.domain.units import BYTES_PER_GB
from hetops.domain.workload import WorkloadClass
from hetops.errors import HetopsError, TraceError, UsageError
from hetops.files import read_bytes, write_whole
from hetops.reports import quantities as q
from hetops.reports.simulation import Ended, PlayedFault, Simulation
from hetops.reports.simulation_html import as_html
from hetops.reports.simulation_summary import Played, Scene, figures, simulation
from hetops.router.config import RouterConfig, from_plan
from hetops.simulate import arrivals as coming
from hetops.simulate import faults as written
from hetops.simulate.arrivals import Arrivals
from hetops.simulate.faults import Burst, Fault, Reclaim
from hetops.simulate.fleet import VirtualFleet, VirtualPool, VirtualService
from hetops.simulate.origins import Away, drawn
from hetops.simulate.replay import Scenario
from hetops.simulate.timeline import changes
from hetops.spec.fields import Spec
from hetops.workloads.reader import read_trace
from hetops.workloads.trace import Trace, scale, window

MOST_REQUESTS = 5_000_000
"""Of one run: about 2 GB of memory and some five minutes."""

MOST_REPLICAS = 5_000
UNTRACED = "the plan's classes"
"""What is played where no trace is named: requests drawn from the classes, each by itself."""
UNTRACED_SECONDS = 3600.0

Progress = Callable[[float], None]
"""Told now and then how far it is, as a share of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationAsked:
    """`hetops simulate` as it was asked."""

    spec: Asked
    plan_file: Path | None = None
    """None makes the spec's plan."""
    trace_file: Path | None = None
    """None takes the spec's trace, cut and scaled as it says; where it names none, and for a period of a day, the plan's
    classes are drawn from."""
    faults: tuple[str, ...] = ()
    faults_file: Path | None = None
    start_seconds: float = 0.0
    duration_seconds: float | None = None
    """Of the trace as `speed` scales it; None is to its end."""
    speed: float = 1.0
    """How many times as fast as recorded the requests come."""
    requests_per_second: float | None = None
    """None sends the requests as recorded; else they come independently at this mean rate."""
    seed: int = 0
    runs: int = 1
    """How often, each with the next seed; all but the first redraw the trace's minutes where it is sent as recorded."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stage:
    """What all runs of a simulation share."""

    asked: SimulationAsked
    plan: Plan
    fleet: VirtualFleet
    config: RouterConfig
    recorded: Arrivals
    faults: tuple[Fault, ...]


def simulate(asked: SimulationAsked, progress: Progress) -> Simulation:
    """What the plan would do with the trace. Ctrl-C ends it with what was played until then.

    Raises:
        HetopsError: plan, trace or faults are wrong, or do not go together.
        KeyboardInterrupt: Ctrl-C before a request was over.
    """
    if asked.requests_per_second is not None and asked.speed != 1.0:
        raise UsageError("--rate and --speed both say how fast requests come", hint="give one of them")
    faults = _faults(asked)
    planned = _plan(asked)
    plan, notes = planned.plan, planned.notes
    if any(pool.configuration.role is not Role.MIXED for pool in plan.pools):
        raise HetopsError(
            "prefill and decode apart cannot be simulated yet, a virtual engine serves whole requests",
            hint="plan without [engine.disaggregation], or take the plan's own TTFT and TPOT",
        )
    trace = None if planned.of_day and not asked.trace_file else _trace(asked)
    if trace is not None and plan.workload.models:
        raise HetopsError(
            f"{trace.name} does not say which of the plan's {len(plan.models)} models a request asks for",
            hint="play requests drawn from the plan's classes: leave --trace out, and name the plan's own spec with -f",
        )
    recorded = _made(asked, plan) if trace is None else _recorded(trace)
    fleet, config = _wired(plan, str(asked.plan_file or "the spec's plan"))
    stage = _Stage(asked=asked, plan=plan, fleet=fleet, config=config, recorded=recorded, faults=faults)
    scene = Scene(
        trace=UNTRACED if trace is None else trace.name,
        faults=tuple(map(_played_fault, faults)),
        runs_asked=asked.runs,
        notes=(*notes, *_never_reclaimed(plan, faults)),
    )
    shown = _run(stage, 0, progress)
    runs = [figures(shown)]
    with contextlib.suppress(KeyboardInterrupt):  # the runs until then are told
        while shown.ended is Ended.WHOLE and len(runs) < asked.runs:
            run = _run(stage, len(runs), progress)
            if run.ended is Ended.STOPPED:
                break
            runs.append(figures(run))
    return simulation(plan, scene, shown, runs)


def _run(stage: _Stage, number: int, progress: Progress) -> Played:
    """One run to its end, or until Ctrl-C; `number` counts from 0."""
    seed = stage.asked.seed + number
    play = _begun(stage, seed, first=not number)
    ended = _played(play, partial(_tell, progress, number, stage.asked.runs))
    return _told(play, stage.plan, seed, ended)


def write_html(found: Simulation, path: Path) -> None:
    """The simulation as one HTML file that needs nothing else, whole or not at all."""
    write_whole(path, as_html(found).encode())


def _played_fault(fault: Fault) -> PlayedFault:
    return PlayedFault(
        fault=written.in_short(fault), at_seconds=fault.at_seconds, until_seconds=written.until(fault)
    )


def _never_reclaimed(plan: Plan, faults: Iterable[Fault]) -> Iterator[str]:
    """Pools that a reclaim is played on though nobody takes their nodes back."""
    for fault in (f for f in faults if isinstance(f, Reclaim)):
        kind, name = fault.place
        for pool in (p for p in plan.pools if p.offer.market is not Market.SPOT):
            named = {"pool": pool.name, "offer": pool.offer.id}.get(kind) or getattr(pool.offer, kind, "")
            if named == name:
                yield f"{written.in_short(fault)}: {pool.name} is {pool.offer.market}, which no provider takes back"
        if kind in ("pool", "offer", "provider") and name in {one.name for one in plan.services}:
            yield f"{written.in_short(fault)}: {name} is a service, which nobody takes back"


def _tell(progress: Progress, done: int, runs: int, share: float) -> None:
    progress((done + share) / runs)


def _faults(asked: SimulationAsked) -> tuple[Fault, ...]:
    found = [written.from_option(text) for text in asked.faults]
    if asked.faults_file:
        raw = read_bytes(asked.faults_file, what="faults")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as fault:
            raise HetopsError(f"{asked.faults_file}: not text in UTF-8 (byte {fault.start})") from fault
        found += written.from_toml(text, str(asked.faults_file))
    return tuple(sorted(found, key=lambda f: f.at_seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """The plan that is played, what is to be said of it, and whether it is that of a period: the spec's trace is of all."""

    plan: Plan
    notes: tuple[str, ...]
    of_day: bool


def _plan(asked: SimulationAsked) -> _Planned:
    path = asked.plan_file
    if path is None:
        plan = fleet_of(asked.spec)
        of_day = load_spec(asked.spec).spec.policy.day is not None
        return _Planned(plan=plan, notes=tuple(_stated(plan)), of_day=of_day)
    found = plan_file(path, asked.spec)
    plan = found.plan
    if not plan.shares or not plan.destinations:
        raise HetopsError(f"{path}: no class has a share of a pool: there is nothing to route")
    for pool in plan.pools:
        if pool.step_times is None:
            raise HetopsError(
                f"{path}: pools: {pool.name} carries no step_times",
                hint=f"make it anew: hetops plan -o {path}",
            )
    told = (f"the plan's certificate does not check: it breaks {v.rule}" for v in found.broken[:1])
    return _Planned(plan=plan, notes=(*told, *_stated(plan)), of_day=found.of_day)


def _stated(plan: Plan) -> Iterator[str]:
    """What the plan turns away; what nobody here knows of services: how they answer under load."""
    for one in plan.shed:
        yield f"{one.share:.1%} of {one.workload_class} is turned away by plan: those requests count as not answered"
    if names := [one.name for one in plan.services]:
        yield f"{', '.join(names)}: every answer takes what the spec states, however much is asked there"


def _trace(asked: SimulationAsked) -> Trace | None:
    """The trace as it is sent: scaled by the speed, then cut. None where neither the command nor a spec names one.

    Raises:
        HetopsError: it cannot be read, or nothing of it is left.
    """
    trace = read_trace(asked.trace_file) if asked.trace_file else _trace_of_spec(asked)
    if trace is None:
        return None
    if asked.speed != 1.0:
        trace = scale(trace, rate=asked.speed)
    if asked.start_seconds or asked.duration_seconds is not None:
        try:
            trace = window(trace, asked.start_seconds, asked.duration_seconds)
        except TraceError as fault:
            hint = f"the trace runs for {trace.seconds:,.0f} s: change --start or --duration"
            raise TraceError(fault.message, hint=hint) from fault
    return trace


def _trace_of_spec(asked: SimulationAsked) -> Trace | None:
    spec = asked.spec
    if asked.plan_file and spec.file is None and not (spec.folder / Spec.FILE_NAME).is_file():
        return None
    loaded = load_spec(spec)
    return trace_of(loaded) if loaded.spec.workload.trace else None


def _recorded(trace: Trace) -> Arrivals:
    return Arrivals(
        at_seconds=trace.at_seconds,
        input_tokens=np.maximum(1, np.rint(trace.input_tokens)).astype(np.int64),
        output_tokens=np.maximum(1, np.rint(trace.output_tokens)).astype(np.int64),
        seconds=max(trace.seconds, float(trace.at_seconds[-1])),
    )


def _made(asked: SimulationAsked, plan: Plan) -> Arrivals:
    """Requests of the plan's own classes, where there is no trace of them."""
    seconds = UNTRACED_SECONDS if asked.duration_seconds is None else asked.duration_seconds
    shed = {one.workload_class: one.requests_per_second for one in plan.shed}
    _demand_patience((plan.workload.requests_per_second + sum(shed.values())) * asked.speed * seconds)
    classes = [
        replace(c, requests_per_second=(c.requests_per_second + shed.get(c.name, 0.0)) * asked.speed)
        for c in plan.workload.classes
    ]
    try:
        return coming.of_classes(classes, seconds, np.random.default_rng(asked.seed))
    except ValueError as fault:
        raise _nothing_comes() from fault


def _nothing_comes() -> HetopsError:
    return HetopsError("no request comes in this time", hint="raise --rate, or play longer: --duration")


def _wired(plan: Plan, source: str) -> tuple[VirtualFleet, RouterConfig]:
    """The plan's fleet and what its router is told.

    Raises:
        HetopsError: the plan's parts do not go together, or there are too many replicas.
    """
    replicas = sum(p.replicas for p in plan.pools)
    if replicas > MOST_REPLICAS:
        raise HetopsError(f"{source}: {replicas:,} replicas are too many to play, at most {MOST_REPLICAS:,}")
    try:
        pools = [_pool(p, p.step_times) for p in plan.pools if p.step_times]
        fleet = VirtualFleet([*pools, *(_service(one.service) for one in plan.services)])
        return fleet, from_plan(plan, endpoints(fleet))
    except ValueError as fault:
        raise HetopsError(f"{source}: {fault}", hint="make it anew: hetops plan -o FILE") from fault


def _pool(pool: PlannedPool, step_times: StepTimes) -> VirtualPool:
    offer = pool.offer
    return VirtualPool(
        name=pool.name,
        step_times=step_times,
        max_context_tokens=pool.configuration.max_context_tokens,
        nodes=pool.nodes,
        replicas_per_node=pool.replicas_per_node,
        usd_per_hour=float(pool.usd_per_hour),
        provider=offer.provider,
        region=offer.region,
        zone=offer.zone,
        offer=offer.id,
        gpu=offer.gpu,
    )


def _service(one: Service) -> VirtualService:
    return VirtualService(
        name=one.name,
        ttft_seconds=one.ttft_seconds,
        tpot_seconds=one.tpot_seconds,
        max_context_tokens=one.max_context_tokens,
        usd_per_input_token=float(one.usd_for(1, 0)),
        usd_per_output_token=float(one.usd_for(0, 1)),
    )


def _begun(stage: _Stage, seed: int, *, first: bool) -> Playing:
    """A run that has not begun, all that is drawn in it drawn with the seed."""
    chance = np.random.default_rng(seed)
    arrivals = _coming(stage, chance, first=first)
    _demand_room(arrivals, stage.fleet)
    fleet, config = stage.fleet, stage.config
    by_name = {c.name: c for c in stage.plan.workload.classes}
    classes = tuple(by_name[c.name] for c in config.classes)
    timeline = changes(fleet, stage.faults, arrivals.seconds, chance)
    network = stage.plan.network
    return playing(
        Trial(
            scenario=Scenario(fleet=fleet, arrivals=arrivals, changes=timeline),
            config=config,
            classes=classes,
            origins=_origins(stage.plan, classes, arrivals, chance),
            models=tuple(one.model for one in _drawn_of(stage.plan, arrivals)),
            away=_away(network, classes, fleet) if network else None,
        )
    )


def _drawn_of(plan: Plan, arrivals: Arrivals) -> Iterator[WorkloadClass]:
    """The class that each request was drawn of, where the plan serves several models: only it says which is asked for."""
    if plan.workload.models and arrivals.drawn_of is not None:
        yield from (plan.workload.classes[index] for index in arrivals.drawn_of.tolist())


def _origins(
    plan: Plan, classes: Sequence[WorkloadClass], arrivals: Arrivals, chance: np.random.Generator
) -> tuple[str, ...]:
    """Where each request comes from, in a plan with a network."""
    if plan.network is None:
        return ()
    if plan.workload.models:
        return tuple(one.origin for one in _drawn_of(plan, arrivals))
    return drawn(classes, arrivals.input_tokens, arrivals.output_tokens, chance)


def _away(network: Network, classes: Sequence[WorkloadClass], fleet: VirtualFleet) -> Away:
    ways = [[network.way(c.origin, pool.name) for pool in fleet.pools] for c in classes]
    usd = [[float(way.usd_per_gb) for way in of] for of in ways]
    return Away(
        seconds=np.array([[way.round_trip_seconds for way in of] for of in ways]),
        usd_per_token=np.array(usd) * network.bytes_per_output_token / BYTES_PER_GB,
    )


def _coming(stage: _Stage, chance: np.random.Generator, *, first: bool) -> Arrivals:
    """What comes: as recorded in the first run, drawn in all others, or at a rate; bursts are on top."""
    rate, arrivals = stage.asked.requests_per_second, stage.recorded
    try:
        if rate is not None:
            _demand_patience(rate * arrivals.seconds)
            arrivals = coming.poisson(arrivals, rate, chance)
        elif not first:
            arrivals = coming.redrawn(arrivals, chance)
    except ValueError as fault:
        raise _nothing_comes() from fault
    for burst in (f for f in stage.faults if isinstance(f, Burst)):
        _demand_patience(coming.with_burst(arrivals, burst))
        arrivals = coming.burst(arrivals, burst, chance)
    return arrivals


def _demand_patience(requests: float) -> None:
    if requests > MOST_REQUESTS:
        raise HetopsError(
            f"{requests:,.0f} requests are too many for one simulation, at most {MOST_REQUESTS:,}",
            hint="lower the rate or the burst's factor, or play less of the trace: --duration",
        )


def _demand_room(arrivals: Arrivals, fleet: VirtualFleet) -> None:
    """Every request fits in some pool: what no fleet serves says nothing of this one."""
    most = max(p.longest for p in fleet.pools)
    long = arrivals.tokens > most
    if count := int(long.sum()):
        raise HetopsError(
            f"{q.many(count, 'request')} of {len(arrivals):,} need{'s' * (count == 1)} more than the {most:,} tokens that"
            f" the plan's largest context holds, the longest {int(arrivals.tokens.max()):,}",
            hint="plan for this trace (workload.trace), or leave these requests out of it",
        )


def _played(play: Playing, progress: Progress) -> Ended:
    """Plays to the end, or until Ctrl-C if anything is over by then."""
    seconds = play.trial.scenario.arrivals.seconds
    try:
        for at in play.progress():
            progress(min(at / seconds, 1.0))
    except KeyboardInterrupt:
        if not any(play.record.outcomes):
            raise
        play.replay.stop()
        return Ended.STOPPED
    return Ended.WHOLE


def _told(play: Playing, plan: Plan, seed: int, ended: Ended) -> Played:
    return Played(
        seed=seed,
        ended=ended,
        fleet=play.trial.scenario.fleet,
        classes=play.trial.classes,
        arrivals=play.trial.scenario.arrivals,
        record=play.record,
        served=play.served,
        spilled=play.router.spilled,
        idle_usd_per_hour=float(plan.idle_usd_per_hour),
        away=play.trial.away,
    )
