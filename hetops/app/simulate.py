"""Use case: requests through a plan's pools in virtual time, with faults on a timeline. Wires; decides nothing of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from hetops.app import played_requests as requests
from hetops.app.candidates import Asked
from hetops.app.played_plan import PlayedPlan, plan_of_file, plan_of_file_unchecked, plan_of_spec
from hetops.app.played_requests import Recorded, Stretch
from hetops.app.virtual_fleet import Playing, playing
from hetops.app.virtual_plan import VirtualPlan, virtual
from hetops.app.virtual_router import Trial
from hetops.domain.offer import Market
from hetops.domain.plan import Plan
from hetops.errors import HetopsError, UsageError
from hetops.files import read_bytes, write_whole
from hetops.reports.simulation import Ended, PlayedFault, Simulation
from hetops.reports.simulation_html import as_html
from hetops.reports.simulation_run import Played
from hetops.reports.simulation_summary import Scene, figures, simulation
from hetops.simulate import faults as written
from hetops.simulate.arrivals import Arrivals
from hetops.simulate.faults import Fault, Reclaim
from hetops.simulate.replay import Scenario
from hetops.simulate.timeline import changes

Progress = Callable[[float], None]
"""Told now and then how far it is, as a share of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationAsked:
    """`hetops simulate` as it was asked."""

    spec: Asked
    plan_file: Path | None = None
    """None makes the spec's plan."""
    unchecked: bool = False
    """Whether a plan file is played though its certificate does not check."""
    traces: tuple[str, ...] = ()
    """A file, or `MODEL=FILE` for each model. None takes the spec's, cut and scaled as it says; where it names none, and for a
    period of a day, the plan's classes are drawn from."""
    faults: tuple[str, ...] = ()
    faults_file: Path | None = None
    stretch: Stretch = field(default_factory=Stretch)
    seed: int = 0
    runs: int = 1
    """How often, each with the next seed; all but the first redraw the trace's minutes where it is sent as recorded."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stage:
    """What all runs of a simulation share."""

    asked: SimulationAsked
    of: VirtualPlan
    recorded: Recorded
    faults: tuple[Fault, ...]


def simulate(asked: SimulationAsked, progress: Progress) -> Simulation:
    """What the plan would do with the requests. Ctrl-C ends it with what was played until then.

    Raises:
        HetopsError: plan, trace or faults are wrong, or do not go together.
        KeyboardInterrupt: Ctrl-C before a request was over.
    """
    if asked.stretch.requests_per_second is not None and asked.stretch.speed != 1.0:
        raise UsageError("--rate and --speed both say how fast requests come", hint="give one of them")
    faults = _faults(asked)
    planned = _planned(asked)
    plan = planned.plan
    if any(pool.also or pool.configuration.stages for pool in plan.pools):
        raise HetopsError(
            "replicas over several nodes cannot be simulated yet, a virtual engine is within one",
            hint="plan without [engine.across_nodes], or take the plan's own TTFT and TPOT",
        )
    recorded = _recorded(asked, planned)
    stage = _Stage(asked=asked, of=virtual(plan, planned.source), recorded=recorded, faults=faults)
    scene = Scene(
        trace=recorded.name,
        faults=tuple(map(_played_fault, faults)),
        runs_asked=asked.runs,
        notes=(*planned.notes, *_never_reclaimed(plan, faults)),
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


def write_html(found: Simulation, path: Path) -> None:
    """The simulation as one HTML file that needs nothing else, whole or not at all."""
    write_whole(path, as_html(found).encode())


def _planned(asked: SimulationAsked) -> PlayedPlan:
    if asked.plan_file is None:
        return plan_of_spec(asked.spec)
    read = plan_of_file_unchecked if asked.unchecked else plan_of_file
    return read(asked.plan_file, asked.spec)


def _recorded(asked: SimulationAsked, planned: PlayedPlan) -> Recorded:
    """What is played: the traces that are named, else the spec's, else requests of the plan's classes."""
    plan, stretch = planned.plan, asked.stretch
    if asked.traces:
        return requests.of_files(asked.traces, plan, stretch)
    if not planned.of_day and (asked.plan_file is None or requests.has_spec(asked.spec)):
        found = requests.of_spec(asked.spec, plan, stretch)
        if found is not None:
            return found
    return requests.of_classes(plan, stretch, asked.seed)


def _run(stage: _Stage, number: int, progress: Progress) -> Played:
    """One run to its end, or until Ctrl-C; `number` counts from 0."""
    seed = stage.asked.seed + number
    play = _begun(stage, seed, requests.as_redrawn if number else requests.as_recorded)
    ended = _played(play, partial(_tell, progress, number, stage.asked.runs))
    return _told(play, stage.of.plan, seed, ended)


def _tell(progress: Progress, done: int, runs: int, share: float) -> None:
    progress((done + share) / runs)


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


def _faults(asked: SimulationAsked) -> tuple[Fault, ...]:
    found = [written.from_option(text) for text in asked.faults]
    if asked.faults_file:
        raw = read_bytes(asked.faults_file, what="faults")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as fault:
            raise HetopsError(
                f"{asked.faults_file}: not text in UTF-8 (byte {fault.start})", hint="save it as UTF-8"
            ) from fault
        found += written.from_toml(text, str(asked.faults_file))
    return tuple(sorted(found, key=lambda f: f.at_seconds))


def _begun(
    stage: _Stage, seed: int, come: Callable[[Recorded, Stretch, np.random.Generator], Arrivals]
) -> Playing:
    """A run that has not begun, all that is drawn in it drawn with the seed."""
    chance = np.random.default_rng(seed)
    of, recorded = stage.of, stage.recorded
    arrivals = requests.with_bursts(come(recorded, stage.asked.stretch, chance), stage.faults, chance)
    requests.demand_room(recorded, arrivals, of.fleet)
    timeline = changes(of.fleet, stage.faults, arrivals.seconds, chance)
    return playing(
        Trial(
            scenario=Scenario(fleet=of.fleet, arrivals=arrivals, changes=timeline),
            config=of.config,
            onward=of.onward,
            classes=of.classes,
            origins=requests.origins_of(of.plan, recorded, arrivals, chance),
            models=requests.models_of(recorded, arrivals),
            away=of.away,
        )
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
        anyway_usd_per_hour=float(plan.idle_usd_per_hour + plan.pools_usd_per_hour),
        away=play.trial.away,
    )
