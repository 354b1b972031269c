"""Use case: measures what a plan would otherwise guess. Starts each configuration of this host's engines, loads it, records.

Replicas of one configuration are measured all at once, as many as the host has room for: a plan fills the host, and neighbours
slow each other down.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from hetops.app.bench_engines import Bench, alone, engines
from hetops.app.candidates import Asked, Candidates, candidates
from hetops.app.weights import ensure_weights
from hetops.domain.configuration import Configuration
from hetops.domain.offer import Offer
from hetops.domain.performance import Measurement, many_failed
from hetops.errors import CancelledError, EngineError, HetopsError, UnknownNameError
from hetops.load import doubts, drive, trials
from hetops.load.client import Target, engine_version
from hetops.load.drive import Tuned
from hetops.load.open_loops import OpenLoop, at_rate
from hetops.load.samples import Sample, figures
from hetops.load.stopping import Stop, StopRule
from hetops.load.trials import BenchResult, Family, Trial, TrialResult
from hetops.observations.imports import as_run, changed
from hetops.performance import estimate, measured
from hetops.performance.bounds import beyond_peaks
from hetops.plugin.engine import Download
from hetops.plugin.provider import Capability
from hetops.reports import quantities as q
from hetops.state import host, measurements

_NOTHING = "nothing was recorded"
_START_SECONDS = 3.0
"""What starting and ending the engines of a family takes, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured: for each trial so many seconds, or so many requests where they are done sooner."""

    seconds: float = 3.0
    requests: int = 40
    precision: float = 0.0
    """Relative half width of the mean's interval that ends a trial sooner; 0 measures for the whole time."""
    rates: tuple[float, ...] = ()
    """Requests a second of open loops on each replica, after the trials."""


class Talk(Protocol):
    """How a benchmark talks with whoever asked for it."""

    def say(self, text: str) -> None:
        """One thing worth knowing."""
        ...

    def accepts(self, download: Download) -> bool:
        """Shows a licence and asks; HetopsError where there is nobody to ask."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An engine that runs already, and what it is."""

    url: str
    configuration: str
    """`Configuration.id`: one that the spec allows."""
    api_key: str = field(default="", repr=False)


_Results = list[tuple[Bench, TrialResult]]


def bench(asked: Asked, effort: Effort, talk: Talk) -> BenchResult:
    """Measures every configuration that this host can run, and records what it measured for planning.

    Raises:
        HetopsError: the spec is wrong, nothing here can be measured, a licence was not accepted, or an engine fails.
        LockError: another benchmark runs.
    """
    found = candidates(asked)
    planned = tuple(measurable(found))
    if not planned:
        startable = ", ".join(sorted(e.name for e in found.plugins.engines))
        raise HetopsError(
            "no configuration of the spec runs on this host, so there is nothing to measure",
            hint="name an engine that is started here and takes the model"
            f" (engine.names: {startable or 'none is installed'}), and allow a provider whose nodes are processes here,"
            " [providers.local]; or measure what runs elsewhere: --endpoint",
        )
    ensure_weights((b.family.started for b in planned), found.plugins, talk.accepts)
    talk.say(_announcement(planned, effort))
    run = _Run(found, effort, talk)
    with alone(found.home):
        results = _finished(run.all(planned))
    return _recorded(found, run, results, host.fingerprint())


def bench_endpoint(asked: Asked, endpoint: Endpoint, effort: Effort, talk: Talk) -> BenchResult:
    """Measures an engine that runs already as one replica of a configuration, and records what it measured.

    Raises:
        HetopsError: the spec is wrong, the configuration is none of its own, or the endpoint does not answer.
        LockError: another benchmark runs.
    """
    found = candidates(asked)
    known = {c.id: c for c in found.enumeration.configurations}
    if endpoint.configuration not in known:
        raise UnknownNameError("configuration", endpoint.configuration, known)
    configuration = known[endpoint.configuration]
    offer = min(
        (o for o in found.gathered.selection.offers if o.gpu == configuration.gpu), key=lambda o: o.id
    )
    one = Bench(
        family=Family(members=(configuration,)),
        offer=offer,
        nodes=1,
        trials=_trials(Family(members=(configuration,)), found),
        foreign=True,
    )
    talk.say(_announcement((one,), effort))
    run = _Run(found, effort, talk)
    target = Target(url=endpoint.url, model=configuration.model, api_key=endpoint.api_key)
    talk.say(f"asking {endpoint.url}; its first answer is waited for {target.silence_seconds:g} s at most")
    with alone(found.home):
        results = _finished(run.of_endpoint(one, target))
    gpu = found.gpus[configuration.gpu]
    valid_for = host.fingerprint() if gpu.vendor == "cpu" else gpu.name
    return _recorded(found, run, results, valid_for)


def _finished(measuring: Coroutine[None, None, _Results]) -> _Results:
    """What was measured; CancelledError where the user ended it, who then has less than a benchmark."""
    try:
        with _heap_left_alone():
            return asyncio.run(measuring)
    except KeyboardInterrupt as fault:
        raise CancelledError("cancelled", details=(_NOTHING,)) from fault


@contextlib.contextmanager
def _heap_left_alone() -> Iterator[None]:
    """What lives already is not looked through again and again: with a catalogue in memory that stops the clock of a request for
    50 ms."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _recorded(
    found: Candidates, run: _Run, results: Sequence[tuple[Bench, TrialResult]], valid_for: str
) -> BenchResult:
    """The results, recorded for planning."""
    made = tuple(_measurements(results, found.now, valid_for))
    _refuse_impossible(found, made)
    before = [m for m in found.recorded.measurements if m.host == valid_for]
    started = {result.configuration for _, result in results}
    now = [as_run(m, "measured") for m in made if m.configuration in started]
    measurements.append(found.home.measurements, made)
    return BenchResult(
        measured_at=found.now,
        host=valid_for,
        results=tuple(result for _, result in results),
        measurements=made,
        open_loops=tuple(run.open_loops),
        warnings=(*found.recorded.warnings, *run.warnings, *changed(now, before)),
    )


def _refuse_impossible(found: Candidates, made: Sequence[Measurement]) -> None:
    known = {c.id: c for c in found.enumeration.configurations}
    every = ((m, known[m.configuration]) for m in made)
    told = [
        f"{m.concurrency} in flight: {why}"
        for m, of in every
        for why in beyond_peaks(of, found.served(of).model, found.gpus, m)
    ]
    if told:
        raise EngineError(
            f"{made[0].configuration} was faster than its GPUs can be",
            details=(*told[:5], _NOTHING),
            hint="check that --configuration names what runs there, and that no cache of prompts answers",
        )


def measurable(found: Candidates) -> Iterator[Bench]:
    """What can be measured here: engines of plugins, on offers whose nodes are processes of this host."""
    engines = {e.name for e in found.plugins.engines}
    own = [c for c in found.enumeration.configurations if c.engine in engines and not c.stages]
    for family in trials.families(own):
        offer = _offer(family.started, found)
        if offer is not None:
            yield Bench(
                family=family,
                offer=offer,
                nodes=offer.limits.max_count or 1,
                trials=_trials(family, found),
            )


def _trials(family: Family, found: Candidates) -> tuple[Trial, ...]:
    """Of the classes that ask for the family's model."""
    own = found.served(family.started).of_own(found.workload.regardless_of_origin)
    return trials.trials(family, own)


def _offer(configuration: Configuration, found: Candidates) -> Offer | None:
    """The smallest real offer of this host with room for a replica."""
    here = {p.name for p in found.plugins.providers if Capability.PROCESS in p.capabilities}
    roomy = (
        o
        for o in found.gathered.selection.offers
        if o.provider in here
        and not o.emulated
        and o.gpu == configuration.gpu
        and o.gpu_count >= configuration.gpu_count
    )
    return min(roomy, key=lambda o: (o.gpu_count, o.id), default=None)


def _announcement(planned: Sequence[Bench], effort: Effort) -> str:
    count = sum(len(b.trials) for b in planned)
    members = sum(len(b.family.members) for b in planned)
    loops = (count + len(planned) * len(effort.rates)) * effort.seconds
    seconds = loops + len(planned) * _START_SECONDS
    return (
        f"{q.many(members, 'configuration')} in {q.many(len(planned), 'engine')}, {q.many(count, 'measurement')} of"
        f" {effort.seconds:g} s, longer where an engine is slow: about {seconds:.0f} s"
    )


class _Run:
    """A benchmark while it runs."""

    def __init__(self, found: Candidates, effort: Effort, talk: Talk) -> None:
        self._found, self._effort, self._talk = found, effort, talk
        self.warnings: list[str] = []
        self.open_loops: list[OpenLoop] = []

    async def all(self, planned: Sequence[Bench]) -> _Results:
        """The results of all families, one after the other."""
        results: _Results = []
        for one in planned:
            self._talk.say(f"starting {one.nodes} x {one.family.started.id}")
            async with engines(self._found, one) as targets:
                results += await self._of_targets(one, targets)
        return results

    async def of_endpoint(self, one: Bench, target: Target) -> _Results:
        """The results of a replica that runs already."""
        return await self._of_targets(one, (target,))

    async def _of_targets(self, one: Bench, targets: Sequence[Target]) -> _Results:
        longest = max(trial.lengths.input_tokens for trial in one.trials)
        tuned = await asyncio.gather(*(drive.tune(t, longest) for t in targets))
        version = await engine_version(targets[0])
        done: list[TrialResult] = []
        too_slow: set[str] = set()
        for trial in one.trials:
            if trial.workload_class in too_slow or not trials.worth_it(trial, done):
                continue
            found = await self._trial(one, trial, tuned)
            if found is None:
                too_slow.add(trial.workload_class)  # fuller, it is slower still
            else:
                done.append(replace(found, engine_version=version))
        engine = one.family.started.engine
        if not all(t.exact for t in tuned):
            self.warnings.append(f"{engine} does not take a wanted output length")
        self.warnings += doubts.of_lengths(engine, done)
        await self._open_loops(one, tuned)
        return [(one, result) for result in done]

    async def _open_loops(self, one: Bench, tuned: Sequence[Tuned]) -> None:
        """The rates that were asked for, each on all replicas at once; the first replica's figures stand for all."""
        name, lengths = one.family.started.id, tuple(dict.fromkeys(t.lengths for t in one.trials))
        for rate in self._effort.rates:
            loops = (at_rate(t, name, lengths, rate, self._effort.seconds) for t in tuned)
            found = (await asyncio.gather(*loops))[0]
            if found is None:
                self.warnings.append(f"{name}: no request was answered at {rate:g} requests/s")
            else:
                self.open_loops.append(found)
                self.warnings += doubts.of_rate(found)
                self._talk.say(f"  {rate:g} requests/s: TTFT {_median(found.figures.ttft_seconds)}")

    async def _trial(self, one: Bench, trial: Trial, tuned: Sequence[Tuned]) -> TrialResult | None:
        """One trial on all replicas at once; None where it was full and too slow to be measured in the time allowed."""
        effort = self._effort
        rule = trials.rule(trial, effort.seconds, effort.requests, effort.precision)
        loads = (drive.closed_loop(t, trial.lengths, trial.concurrency, rule) for t in tuned)
        loaded = await asyncio.gather(*loads)
        counted = [s for load in loaded for s in load.counted]
        samples = [s for load in loaded for s in load.samples]
        failed = sum(s.failure is not None for s in samples)
        if any(load.stopped is Stop.FAILURES for load in loaded) or many_failed(failed, len(samples)):
            raise _unmeasured(_where(one, trial), samples)
        if not counted:
            self._note_silence(one, trial, rule)
            return None
        if one.foreign and trial.concurrency == 1 and doubts.together(samples):
            raise EngineError(
                f"{trial.workload_class} at 1: the tokens of an answer come together, so TTFT and TPOT cannot be told",
                details=(_NOTHING,),
                hint="measure the engine itself, or have what stands before it pass a stream on as it comes"
                " (nginx: proxy_buffering off)",
            )
        self.warnings += doubts.of_load(trial, samples, max(load.late_seconds for load in loaded))
        self.warnings += doubts.of_end(trial, sum(load.unanswered for load in loaded))
        result = _result(one, trial, counted, len(tuned))
        self._talk.say(_progress(result))
        return self._with_estimate(one, result)

    def _with_estimate(self, one: Bench, result: TrialResult) -> TrialResult:
        """The result beside what the closed form says of the same load."""
        configuration = one.family.started
        times = estimate.step_times(
            (configuration,), self._found.served(configuration).model, self._found.gpus
        )[0]
        found, concurrency = result.figures, result.trial.concurrency
        expected = measured.closed_loop(times, found.input_tokens, found.output_tokens, concurrency)
        return replace(
            result,
            estimated_requests_per_second=expected.requests_per_second,
            estimated_tpot_seconds=expected.tpot_seconds,
        )

    def _note_silence(self, one: Bench, trial: Trial, rule: StopRule) -> None:
        """A warning where a full engine is too slow; EngineError where a lone request is."""
        slow = f"{_where(one, trial)}: too slow to be measured in {rule.most_seconds:g} s"
        if trial.concurrency == 1:
            raise EngineError(slow, details=(_NOTHING,), hint="give it more time: --seconds")
        self.warnings.append(f"{slow}: --seconds gives it more time")


def _where(one: Bench, trial: Trial) -> str:
    return f"{one.family.started.id}, {trial.workload_class} at {trial.concurrency}"


def _unmeasured(where: str, samples: Sequence[Sample]) -> EngineError:
    failed = [s for s in samples if s.failure]
    told = {s.message or str(s.failure) for s in failed}
    worst = Counter(s.failure for s in failed if s.failure).most_common(1)[0][0]
    return EngineError(
        f"{where}: {len(failed)} of {q.many(len(samples), 'request')} failed, so it is not measured: {worst}",
        details=(*sorted(told)[:5], _NOTHING),
        hint=worst.advice,
    )


def _result(one: Bench, trial: Trial, counted: Sequence[Sample], replicas: int) -> TrialResult:
    found = figures(counted, trial.concurrency * replicas)
    return TrialResult(
        trial=trial,
        configuration=one.family.started.id,
        replicas=replicas,
        figures=found,
        requests_per_second=trials.rate(found, trial.concurrency),
    )


def _progress(result: TrialResult) -> str:
    found, trial = result.figures, result.trial
    return (
        f"  {trial.workload_class} at {trial.concurrency}: {result.requests_per_second.mean:.3g} requests/s a replica,"
        f" TTFT {_median(found.ttft_seconds)}, TPOT {_median(found.tpot_seconds)}"
        f" ({q.many(found.requests, 'request')})"
    )


def _median(percentiles: Sequence[float]) -> str:
    return q.seconds(percentiles[0]) if percentiles else "-"


def _measurements(
    results: Sequence[tuple[Bench, TrialResult]], at: datetime, valid_for: str
) -> Iterator[Measurement]:
    for one, result in results:
        yield from trials.measurements(
            one.family, result, offer_sku=one.offer.sku, host=valid_for, measured_at=at
        )
