"""The requests that a simulation plays: of traces, or drawn of a plan's classes; as they came or at a rate, with bursts. Plays nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hetops.app.candidates import Asked, load_spec
from hetops.app.requests import trace_of
from hetops.domain.configuration import Role
from hetops.domain.plan import Plan
from hetops.errors import HetopsError, TraceError, UnknownNameError, UsageError
from hetops.reports import quantities as q
from hetops.simulate import arrivals as coming
from hetops.simulate.arrivals import Arrivals
from hetops.simulate.faults import Burst, Fault
from hetops.simulate.fleet import VirtualFleet
from hetops.simulate.origins import drawn_by_model
from hetops.spec.fields import Spec
from hetops.workloads.reader import read_trace
from hetops.workloads.trace import Trace, scale, together, window

MOST_REQUESTS = 5_000_000
"""Of one run: about 2 GB of memory and some five minutes."""

UNTRACED = "the plan's classes"
"""What is played where no trace is named: requests drawn from the classes, each by itself."""
UNTRACED_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Which part of the requests is played, and how fast."""

    start_seconds: float = 0.0
    duration_seconds: float | None = None
    """Of the trace as `speed` scales it; None is to its end."""
    speed: float = 1.0
    """How many times as fast as recorded they come."""
    requests_per_second: float | None = None
    """None sends them as recorded; else they come independently at this mean rate."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recorded:
    """Requests as the first run plays them, and what they are of."""

    name: str
    arrivals: Arrivals
    models: tuple[str, ...] = ()
    """Names of the models that they ask for, by the arrivals' indices; none where there is one."""


def of_classes(plan: Plan, stretch: Stretch, seed: int) -> Recorded:
    """Requests of the plan's own classes, where there is no trace of them.

    Raises:
        HetopsError: too many, or none.
    """
    seconds = UNTRACED_SECONDS if stretch.duration_seconds is None else stretch.duration_seconds
    shed = {one.workload_class: one.requests_per_second for one in plan.shed}
    _demand_patience((plan.workload.requests_per_second + sum(shed.values())) * stretch.speed * seconds)
    classes = [
        replace(c, requests_per_second=(c.requests_per_second + shed.get(c.name, 0.0)) * stretch.speed)
        for c in plan.workload.classes
    ]
    try:
        arrivals = coming.of_classes(classes, seconds, np.random.default_rng(seed))
    except ValueError as fault:
        raise _nothing_comes() from fault
    models = plan.workload.models
    if models and arrivals.drawn_of is not None:
        of_class = np.array([models.index(c.model) for c in classes])
        arrivals = replace(arrivals, asked=of_class[arrivals.drawn_of])
    return Recorded(name=UNTRACED, arrivals=arrivals, models=models)


def of_files(traces: Sequence[str], plan: Plan, stretch: Stretch) -> Recorded:
    """Requests of the traces that a command names: one of all models, or `MODEL=FILE` for each.

    Raises:
        HetopsError: one cannot be read, nothing of it is left, or they are not those of the plan's models.
    """
    return _recorded(_read(traces, plan.models), plan, stretch)


def of_spec(asked: Asked, plan: Plan, stretch: Stretch) -> Recorded | None:
    """Requests of the spec's own trace; None where it names none. Errors as `of_files`."""
    loaded = load_spec(asked)
    workload = loaded.spec.workload
    if not workload.trace and not workload.traces:
        return None
    return _recorded(trace_of(loaded), plan, stretch)


def has_spec(asked: Asked) -> bool:
    """Whether there is a spec where it is looked for."""
    return asked.file is not None or (asked.folder / Spec.FILE_NAME).is_file()


def _read(traces: Sequence[str], models: Sequence[str]) -> Trace:
    files = _by_model(traces, models)
    if not files:
        return read_trace(Path(traces[0]), models)
    if missing := [name for name in models if name not in files]:
        raise UsageError(
            f"--trace: no file has requests for {missing[0]}", hint=f"give it too: --trace {missing[0]}=FILE"
        )
    read = {name: read_trace(Path(files[name])) for name in models}
    return together(read) if len(models) > 1 else read[models[0]]


def _by_model(traces: Sequence[str], models: Sequence[str]) -> Mapping[str, str]:
    """The files by the model that is named before each; none where one file is for all."""
    if len(traces) == 1 and ("=" not in traces[0] or Path(traces[0]).exists()):
        return {}
    files: dict[str, str] = {}
    for text in traces:
        name, told, file = text.partition("=")
        if not told or name in files:
            raise UsageError(
                f"--trace {text}: several traces are one for each model, {', '.join(models)}",
                hint="say whose requests each has: --trace MODEL=FILE",
            )
        if name not in models:
            raise UnknownNameError("model of the plan", name, models, where=f"--trace {text}")
        files[name] = file
    return files


def _recorded(trace: Trace, plan: Plan, stretch: Stretch) -> Recorded:
    """The trace as it is sent: scaled by the speed, then cut."""
    if set(trace.models) != set(plan.workload.models):
        served, asked = (", ".join(of) or "one that it does not name" for of in (plan.models, trace.models))
        raise HetopsError(
            f"{trace.name} has requests for {asked}, the plan serves {served}",
            hint="name the plan's own spec with -f, or its requests: --trace FILE, or MODEL=FILE for each model",
        )
    if stretch.speed != 1.0:
        trace = scale(trace, rate=stretch.speed)
    if stretch.start_seconds or stretch.duration_seconds is not None:
        try:
            trace = window(trace, stretch.start_seconds, stretch.duration_seconds)
        except TraceError as fault:
            hint = f"the trace runs for {trace.seconds:,.0f} s: change --start or --duration"
            raise TraceError(fault.message, hint=hint) from fault
    arrivals = Arrivals(
        at_seconds=trace.at_seconds,
        input_tokens=np.maximum(1, np.rint(trace.input_tokens)).astype(np.int64),
        output_tokens=np.maximum(1, np.rint(trace.output_tokens)).astype(np.int64),
        seconds=max(trace.seconds, float(trace.at_seconds[-1])),
        asked=trace.asked,
    )
    return Recorded(name=trace.name, arrivals=arrivals, models=trace.models)


def as_recorded(of: Recorded, stretch: Stretch, chance: np.random.Generator) -> Arrivals:
    """What comes in the first run: as recorded, or at a rate.

    Raises:
        HetopsError: none does, or too many.
    """
    rate = stretch.requests_per_second
    if rate is None:
        return of.arrivals
    _demand_patience(rate * of.arrivals.seconds)
    try:
        return coming.poisson(of.arrivals, rate, chance)
    except ValueError as fault:
        raise _nothing_comes() from fault


def as_redrawn(of: Recorded, stretch: Stretch, chance: np.random.Generator) -> Arrivals:
    """What comes in any other run: drawn anew of the record, or at a rate. Errors as `as_recorded`."""
    if stretch.requests_per_second is not None:
        return as_recorded(of, stretch, chance)
    try:
        return coming.redrawn(of.arrivals, chance)
    except ValueError as fault:
        raise _nothing_comes() from fault


def with_bursts(arrivals: Arrivals, faults: Iterable[Fault], chance: np.random.Generator) -> Arrivals:
    """The requests with those of the bursts among the faults.

    Raises:
        HetopsError: too many.
    """
    for burst in (f for f in faults if isinstance(f, Burst)):
        _demand_patience(coming.with_burst(arrivals, burst))
        arrivals = coming.burst(arrivals, burst, chance)
    return arrivals


def models_of(of: Recorded, arrivals: Arrivals) -> tuple[str, ...]:
    """The model that each request asks for; none where there is one."""
    return () if arrivals.asked is None else tuple(of.models[index] for index in arrivals.asked.tolist())


def origins_of(plan: Plan, of: Recorded, arrivals: Arrivals, chance: np.random.Generator) -> tuple[str, ...]:
    """Where each request comes from, in a plan with a network: that of its class, or of one that its lengths are near to."""
    classes = plan.workload.classes
    if plan.network is None:
        return ()
    if of.models and arrivals.drawn_of is not None:
        return tuple(classes[index].origin for index in arrivals.drawn_of.tolist())
    lengths = arrivals.input_tokens, arrivals.output_tokens
    return drawn_by_model(classes, lengths, models_of(of, arrivals), chance)


def demand_room(of: Recorded, arrivals: Arrivals, fleet: VirtualFleet) -> None:
    """Every request fits in some pool of its model: what no fleet serves says nothing of this one.

    Raises:
        HetopsError: one does not.
    """
    for index, model in enumerate(of.models or ("",)):
        own = arrivals.tokens if arrivals.asked is None else arrivals.tokens[arrivals.asked == index]
        answering = (p for p in fleet.pools if model in ("", p.model) and p.role is not Role.PREFILL)
        most = max((p.longest for p in answering), default=None)
        if most is None:  # all of it is turned away
            continue
        if count := int((own > most).sum()):
            whose = f" for {model}" if model else ""
            raise HetopsError(
                f"{q.many(count, 'request')} of {len(own):,}{whose} need{'s' * (count == 1)} more than the {most:,} tokens that"
                f" the plan's largest context holds, the longest {int(own.max()):,}",
                hint="plan for this trace (workload.trace), or leave these requests out of it",
            )


def _nothing_comes() -> HetopsError:
    return HetopsError("no request comes in this time", hint="raise --rate, or play longer: --duration")


def _demand_patience(requests: float) -> None:
    if requests > MOST_REQUESTS:
        raise HetopsError(
            f"{requests:,.0f} requests are too many for one simulation, at most {MOST_REQUESTS:,}",
            hint="lower the rate or the burst's factor, or play less of the trace: --duration",
        )
