"""Use case: sends a slice of the spec's trace through a deployment's router, as it was recorded, and holds what the router
measured against the plan."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hetops.app.candidates import Asked, load_spec
from hetops.app.deployment import saved_plan
from hetops.app.preconditions import first_key
from hetops.app.requests import trace_of
from hetops.domain.observation import Observation
from hetops.domain.plan import Plan
from hetops.errors import HetopsError
from hetops.load import drive, schedule
from hetops.load.client import Target
from hetops.load.drive import Loaded
from hetops.load.samples import Sample, failures
from hetops.load.schedule import Arrival
from hetops.observations.fetch import read
from hetops.observations.merge import latency, summarize
from hetops.reports import quantities as q
from hetops.reports.ledger import Ledger, ledger
from hetops.reports.network import at_origins
from hetops.simulate.origins import drawn_by_model
from hetops.spec.fields import LoadedSpec
from hetops.state.home import DeploymentFolder, home
from hetops.workloads.trace import Trace, window

_FLUSH_SECONDS = 5.0
"""How long a router may take to write what it measured."""
_POLL_SECONDS = 0.1
_TELL_SECONDS = 10.0
_SEED = 0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Which part of the trace is sent, in seconds of the scaled trace."""

    start_seconds: float | None = None
    """None takes the slice that is most like the whole trace."""
    seconds: float = 60.0
    requests_per_second: float | None = None
    """None sends the requests when they were recorded; else they come independently at this mean rate."""


def replay(asked: Asked, part: Slice, say: Say) -> Ledger:
    """The ledger of a slice, sent in real time and answered to the last request.

    Raises:
        HetopsError: nothing is up, the spec has no trace, or no request of the slice was answered.
        EngineError: the router does not answer.
    """
    loaded = load_spec(asked)
    folder = home(asked.environment, beside=loaded.folder).deployment(loaded.spec.deployment.name)
    plan = saved_plan(folder)
    if plan is None or not folder.router_config.exists():
        raise HetopsError(f"{folder.name}: nothing is up", hint="hetops up")
    start, arrivals = _arrivals(loaded, part)
    _demand_served(plan, arrivals)
    url, key = _url(loaded), first_key(_keys(loaded, folder))
    targets = [Target(url=url, model=name, api_key=key) for name in plan.models]
    say(
        f"{q.many(len(arrivals), 'request')} of {_named(loaded)}, {part.seconds:g} s from {start:,.0f} s on"
        f" ({q.rate(len(arrivals) / part.seconds)}), to {url}"
    )
    began, sent = asyncio.run(_send(targets, _from_origins(plan, arrivals), say))
    seen = _observed(folder.observations, began, len(sent.samples))
    if not seen:
        raise HetopsError(
            f"the router observed none of {len(sent.samples)} requests",
            details=_failures(sent),
            hint="`hetops status` says whether it serves",
        )
    return ledger(
        plan, summarize(at_origins(plan, seen), since=began, until=began + part.seconds), _notes(sent)
    )


def _named(loaded: LoadedSpec) -> str:
    """The spec's traces, as it names them."""
    workload = loaded.spec.workload
    return workload.trace or ", ".join(workload.traces.values())


def _demand_served(plan: Plan, arrivals: tuple[Arrival, ...]) -> None:
    """What runs serves the models that the spec's requests ask for."""
    asked = dict.fromkeys(a.model for a in arrivals)
    if not set(asked) <= set(plan.workload.models or ("",)):
        raise HetopsError(
            f"{plan.deployment} serves {plan.model}; the spec's requests ask for {', '.join(filter(None, asked)) or 'one model'}",
            hint="hetops up brings it to what the spec says",
        )


def _arrivals(loaded: LoadedSpec, part: Slice) -> tuple[float, tuple[Arrival, ...]]:
    """Where the slice begins, and its requests."""
    trace = trace_of(loaded)
    start = part.start_seconds
    if start is None:
        start = _typical(trace, part.seconds)
    sent = _recorded(window(trace, start, part.seconds))
    if part.requests_per_second is not None:
        sent = schedule.poisson_like(part.requests_per_second, part.seconds, sent)
    if not sent:
        raise HetopsError("no request comes in this time", hint="raise --rate or --seconds")
    return start, sent


def _from_origins(plan: Plan, arrivals: tuple[Arrival, ...]) -> tuple[Arrival, ...]:
    """The requests as the user's edge would send them: each with an origin, drawn by the plan's shares."""
    if plan.network is None:
        return arrivals
    lengths = [(a.lengths.input_tokens, a.lengths.output_tokens) for a in arrivals]
    inputs, outputs = np.array(lengths).T
    asked = tuple(a.model for a in arrivals if a.model)
    chance = np.random.default_rng(_SEED)
    origins = drawn_by_model(plan.workload.classes, (inputs, outputs), asked, chance)
    return tuple(replace(a, origin=origin) for a, origin in zip(arrivals, origins, strict=True))


def _typical(trace: Trace, seconds: float) -> float:
    try:
        return schedule.typical_start(_recorded(trace), seconds)
    except ValueError:
        return 0.0  # the whole is sent


def _recorded(trace: Trace) -> tuple[Arrival, ...]:
    columns = (trace.at_seconds, trace.input_tokens, trace.output_tokens)
    found = schedule.recorded(*(column.tolist() for column in columns))
    if trace.asked is None:
        return found
    names = (trace.models[index] for index in trace.asked.tolist())
    return tuple(replace(a, model=name) for a, name in zip(found, names, strict=True))


def _url(loaded: LoadedSpec) -> str:
    router = loaded.spec.router
    host = "127.0.0.1" if router.host in ("0.0.0.0", "::", "") else router.host
    return f"http://{f'[{host}]' if ':' in host else host}:{router.port}"


def _keys(loaded: LoadedSpec, folder: DeploymentFolder) -> Path:
    own = loaded.spec.router.api_keys_file
    return loaded.folder / own if own else folder.api_keys


async def _send(targets: Sequence[Target], arrivals: tuple[Arrival, ...], say: Say) -> tuple[float, Loaded]:
    """When the first was due (UNIX seconds), and what the generator itself measured; of several models a target for each."""
    tuned = {
        name: await drive.tune(target, max(a.lengths.input_tokens for a in arrivals if a.model == name))
        for target in targets
        for name in (target.model if len(targets) > 1 else "",)
        if any(a.model == name for a in arrivals)
    }
    progress = _Progress(len(arrivals), say)
    began = time.time()
    return began, await drive.open_loop(tuned, arrivals, on_sample=progress.take)


class _Progress:
    """Says now and then how far it is."""

    def __init__(self, whole: int, say: Say) -> None:
        self._whole, self._say = whole, say
        self._ended = 0
        self._told = time.monotonic()

    def take(self, sample: Sample) -> None:
        """One more has ended."""
        del sample
        self._ended += 1
        if time.monotonic() - self._told >= _TELL_SECONDS:
            self._told = time.monotonic()
            self._say(f"  {self._ended} of {self._whole} answered")


def _observed(path: Path, began: float, expected: int) -> tuple[Observation, ...]:
    """What the router wrote of requests since, once it wrote all or its time is over."""
    deadline = time.monotonic() + _FLUSH_SECONDS
    while True:
        seen = read(path, since=began)
        if len(seen) >= expected or time.monotonic() >= deadline:
            return seen
        time.sleep(_POLL_SECONDS)


def _notes(sent: Loaded) -> tuple[str, ...]:
    """What the clients saw, and what went wrong."""
    late = max(s.started - s.due for s in sent.samples)
    ttft = latency(s.ttft_seconds for s in sent.samples)
    seen = f"as the clients saw it: TTFT p50 {q.seconds(ttft.p50)}, p90 {q.seconds(ttft.p90)}" if ttft else ""
    told = (seen, f"requests were sent up to {q.seconds(late)} late" if late > 0.05 else "")
    return (*filter(None, told), *_failures(sent))


def _failures(sent: Loaded) -> tuple[str, ...]:
    counts = failures(sent.samples)
    messages = {s.failure: s.message for s in sent.samples if s.failure}
    return tuple(f"failed: {n} x {what}: {messages[what]}" for what, n in counts.items())
