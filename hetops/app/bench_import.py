"""Use case: benchmarks that other tools made become measurements of a configuration. Reads their files; starts nothing.

Nothing is recorded unless every file can be read and no run contradicts itself, another or the peaks of its GPUs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hetops.app.candidates import Asked, Candidates, candidates
from hetops.domain.configuration import Configuration
from hetops.domain.performance import Measurement
from hetops.errors import HetopsError, UnknownNameError
from hetops.files import unreadable
from hetops.observations import result_files
from hetops.observations.imports import (
    ImportedFile,
    ImportedRun,
    ImportResult,
    as_run,
    changed,
    contradictions,
)
from hetops.performance import estimate, measured
from hetops.performance.bounds import beyond_peaks
from hetops.reports import quantities as q
from hetops.state import host, measurements

_FEW_ROUNDS = 4
"""Requests per place below which the filling and emptying of a run weighs on its rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imports:
    """Files to import; what ran, and with how many requests in flight, where they do not tell."""

    files: tuple[Path, ...]
    configuration: str = ""
    concurrency: int | None = None


def bench_import(asked: Asked, wanted: Imports) -> ImportResult:
    """Records the files' runs as measurements, valid on the configuration's GPU type.

    Raises:
        HetopsError: the spec or a file is wrong, or runs contradict themselves, each other or the GPUs' peaks.
        UnknownNameError: the configuration is none of the spec's.
    """
    files = [_read(path, wanted.concurrency) for path in wanted.files]
    found = candidates(asked)
    read = [run for file in files for run in file.runs]
    of = _configuration(found, read, wanted.configuration)
    runs, crowded = _fitting([replace(run, configuration=of.id) for run in read], of)
    made = tuple(_measurements(found, of, runs))
    before = [m for m in found.recorded.measurements if m.host == made[0].host]
    new = _not_yet(made, before)
    beside = [m for m in before if m.measured_at == made[0].measured_at]
    against = (
        *contradictions([*runs, *(as_run(m, "recorded before, as of then") for m in beside)]),
        *_impossible(found, of, zip(runs, made, strict=True)),
    )
    if against:
        raise HetopsError(
            "these runs cannot all be evidence; nothing was recorded",
            details=against,
            hint="import those that you trust: one replica, one configuration, seconds where seconds are asked for",
        )
    notes = [*(note for file in files for note in file.notes), *crowded]
    warnings = (
        *found.recorded.warnings,
        *(f"left out: {n}" for n in notes),
        *_warnings(of, runs, made, before),
    )
    if len(new) < len(made):
        warnings += (
            f"{len(made) - len(new)} of {q.many(len(made), 'run')} recorded already: once is enough",
        )
    measurements.append(found.home.measurements, new)
    return ImportResult(
        host=_valid_for(found, of),
        tools=tuple(dict.fromkeys(run.tool for run in runs)),
        measurements=made,
        estimated_requests_per_second=tuple(_estimates(found, of, made)),
        warnings=warnings,
    )


def _read(path: Path, concurrency: int | None) -> ImportedFile:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as fault:
        raise HetopsError(
            f"{path} is no text", hint="name a result file as the benchmark wrote it: JSON, JSON lines or CSV"
        ) from fault
    except OSError as fault:
        raise unreadable(str(path), fault) from fault
    return result_files.read(path.name, text, concurrency)


def _configuration(found: Candidates, runs: Sequence[ImportedRun], asked: str) -> Configuration:
    """The one configuration that was asked for or that the files name."""
    known = {c.id: c for c in found.enumeration.configurations if not c.stages}
    named = {run.configuration for run in runs if run.configuration} | ({asked} if asked else set())
    if not named:
        raise HetopsError(
            "the files do not tell what was measured", hint=f"tell it: --configuration {min(known)}"
        )
    if len(named) > 1:
        raise HetopsError(
            "the files and --configuration name several configurations",
            details=sorted(named),
            hint="import one after the other",
        )
    name = named.pop()
    if name not in known:
        raise UnknownNameError("configuration", name, known)
    return known[name]


def _fitting(runs: Sequence[ImportedRun], of: Configuration) -> tuple[Sequence[ImportedRun], Sequence[str]]:
    """Runs with no more in flight than the configuration has places, and of the others why not: what waits takes no part in a step."""
    told = [
        f"{run.where}: {run.concurrency} in flight, more than the {of.max_sequences} places of {of.id}"
        for run in runs
        if run.concurrency > of.max_sequences
    ]
    if len(told) == len(runs):
        raise HetopsError(
            "all runs had more requests in flight than the configuration has places",
            details=told,
            hint="name the configuration that ran, or measure with fewer in flight",
        )
    return [run for run in runs if run.concurrency <= of.max_sequences], told


def _valid_for(found: Candidates, of: Configuration) -> str:
    gpu = found.gpus[of.gpu]
    return host.fingerprint() if gpu.vendor == "cpu" else gpu.name


def _measurements(found: Candidates, of: Configuration, runs: Sequence[ImportedRun]) -> Iterator[Measurement]:
    """All runs as of one time, the latest that is told: together they are one benchmark."""
    at = max((run.measured_at for run in runs if run.measured_at), default=found.now)
    offers = [o for o in found.gathered.selection.offers if o.gpu == of.gpu]
    for run in runs:
        yield Measurement(
            configuration=of.id,
            offer_sku=min(offers, key=lambda o: o.id).sku,
            host=_valid_for(found, of),
            input_tokens=run.input_tokens,
            output_tokens=run.output_tokens,
            concurrency=run.concurrency,
            requests=run.requests,
            requests_per_second=run.requests_per_second,
            ttft_seconds=run.ttft_seconds,
            tpot_seconds=run.tpot_seconds,
            measured_at=at.isoformat(),
            engine_version=run.engine_version,
        )


def _impossible(
    found: Candidates, of: Configuration, runs: Iterable[tuple[ImportedRun, Measurement]]
) -> Iterator[str]:
    for run, m in runs:
        for why in beyond_peaks(of, found.served(of).model, found.gpus, m):
            yield f"{run.figures}: {why}; did a cache hold the prompts?"


def _not_yet(made: Sequence[Measurement], before: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Those of the runs that are not recorded: a file that is read again is no second benchmark."""
    known = {replace(m, measured_at="") for m in before}
    new = {replace(m, measured_at=""): m for m in made}
    return tuple(m for bare, m in new.items() if bare not in known)


def _estimates(found: Candidates, of: Configuration, made: Sequence[Measurement]) -> Iterator[float]:
    times = estimate.step_times((of,), found.served(of).model, found.gpus)[0]
    for m in made:
        yield measured.closed_loop(times, m.input_tokens, m.output_tokens, m.concurrency).requests_per_second


def _warnings(
    of: Configuration, runs: Sequence[ImportedRun], made: Sequence[Measurement], before: Sequence[Measurement]
) -> Iterator[str]:
    if all(m.concurrency != 1 for m in made):
        yield (
            "no run of a lone request: plans sharpen their estimate by these runs, and go by a benchmark alone"
            " once there is one with 1 in flight"
        )
    for run in runs:
        if run.requests < _FEW_ROUNDS * run.concurrency:
            yield f"{run.where}: {run.requests} requests with {run.concurrency} in flight: much of it is ramp"
        if run.failed:
            yield f"{run.where}: {run.failed} requests failed besides {run.requests}"
    served = {run.model for run in runs if run.model and run.model != of.checkpoint}
    if served:
        yield f"the files call the model {', '.join(sorted(served))}; {of.id} is {of.checkpoint}"
    newer = [m for m in before if m.configuration == of.id and m.measured_at > made[0].measured_at]
    if newer:
        yield f"a later benchmark of {of.id} is recorded ({newer[-1].measured_at}): plans go by that one"
    yield from changed(runs, before)
