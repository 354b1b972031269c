"""Step times out of what a plugin's estimator says that benchmarks would measure. Pure but for the estimator.

It is asked for lone requests of the shortest and the longest class, and for fuller replicas at the middle one; its answers are
read as a user's own benchmarks are (`measured.py`), but for what a step takes for the KV of its sequences: that is the closed form's, by
its bytes, so that a class is not charged with the contexts of another. What it cannot answer, and why, is told in the evidence of the closed form.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from hetops.domain.benchmark import Benchmark
from hetops.domain.configuration import Configuration
from hetops.domain.gpu import GpuType
from hetops.domain.model import Model
from hetops.domain.performance import Evidence, EvidenceLayer, Measurement, StepTimes
from hetops.domain.workload import WorkloadClass
from hetops.errors import HetopsError, PluginError
from hetops.performance import measured
from hetops.performance.bounds import beyond_peaks

if TYPE_CHECKING:
    from hetops.plugin.estimator import Estimator

_FULL = 64
"""Most requests in flight that an estimator is asked about: step times go on as a line."""


_ITS_MAKERS = "tell the makers of the plugin, or name no estimator: engine.estimator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Lengths and requests in flight of one question."""

    input_tokens: int
    output_tokens: int
    concurrency: int

    @property
    def context_tokens(self) -> float:
        """Of a request on average, while it is answered."""
        return self.input_tokens + self.output_tokens / 2.0


Founded = tuple[StepTimes, Evidence]
"""Step times, and what they rest on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """Why an estimator has nothing to say of a configuration."""

    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated:
    """A configuration, and its step times by the closed form."""

    configuration: Configuration
    times: StepTimes


def points(
    classes: Sequence[WorkloadClass], max_sequences: int, kv_capacity_tokens: float
) -> tuple[Point, ...]:
    """What to ask of a replica with so many sequences, and room for so much KV."""
    by_input = sorted((c.input_tokens.mean, c.output_tokens.mean) for c in classes)
    middle = by_input[len(by_input) // 2]
    full = max(1, min(max_sequences, _FULL, int(kv_capacity_tokens / sum(middle))))
    asked = [(by_input[0], 1), (by_input[-1], 1), (middle, max(1, full // 4)), (middle, full)]
    return tuple(
        dict.fromkeys(
            Point(input_tokens=round(i), output_tokens=max(2, round(o)), concurrency=n) for (i, o), n in asked
        )
    )


def answered(
    estimator: Estimator, one: Estimated, model: Model, gpu: GpuType, asked: Sequence[Point]
) -> Founded | Unanswered:
    """Step times in the memory that the closed form leaves, and what they rest on; whatever a plugin raises is a reason, never ours, and so is a
    margin that is none, or an answer that the GPU's peaks do not allow.

    Raises:
        PluginError: the estimator says that it cannot be used at all.
    """
    if not 0.0 <= estimator.margin < 1.0:
        return Unanswered(
            reason=f"{estimator.name}: its margin is from 0 to below 1, not {estimator.margin}",
            hint=_ITS_MAKERS,
        )
    configuration = one.configuration
    try:
        rows = [_row(estimator, configuration, model, gpu, point) for point in asked]
        read = measured.step_times(configuration, rows, one.times.kv_capacity_tokens)
        times = _with_kv_apart(read, rows, _kv_seconds(one.times, asked))
    except PluginError as fault:
        raise PluginError(
            f"the estimator {estimator.name} cannot be used: {fault.message}",
            details=fault.details,
            hint=fault.hint,
        ) from fault
    except HetopsError as fault:
        return Unanswered(reason=f"{estimator.name}: {fault.message}", hint=fault.hint)
    except (Exception, SystemExit) as fault:
        return Unanswered(reason=f"{estimator.name} failed: {type(fault).__name__}: {fault}")
    alike = all(stage.gpu == gpu.name for stage in configuration.each_stage)
    beyond = [
        why for row in rows if alike for why in beyond_peaks(configuration, model, {gpu.name: gpu}, row)
    ]
    if beyond:
        return Unanswered(reason=f"{estimator.name}: {beyond[0]}", hint=_ITS_MAKERS)
    return times, Evidence(
        layer=EvidenceLayer.ESTIMATOR,
        source=f"{estimator.name}, asked for {len(rows)} benchmarks",
        margin=estimator.margin,
        ttft_margin=estimator.margin,
        tpot_margin=estimator.margin,
    )


def or_closed_form(found: Founded | Unanswered | None, closed_form: Founded) -> Founded:
    """The estimator's answer; the closed form, and why, where it has none."""
    if found is None:
        return closed_form
    if isinstance(found, Unanswered):
        times, evidence = closed_form
        return times, replace(evidence, source=f"{evidence.source}; {found.reason}")
    return found


def _kv_seconds(times: StepTimes, asked: Sequence[Point]) -> float:
    """Seconds that a step takes for a sequence's token in the KV cache, in the fullest of the replicas."""
    full = max(asked, key=lambda point: point.concurrency)
    kv = times.decode_seconds(full.concurrency, full.context_tokens) - times.decode_seconds(
        full.concurrency, 0
    )
    return kv / full.concurrency / full.context_tokens


def _with_kv_apart(times: StepTimes, rows: Sequence[Measurement], kv_seconds_per_token: float) -> StepTimes:
    """Step times for contexts of any length, out of those that were read at the lengths of the rows."""
    if times.curve is None:
        return times
    totals = itertools.accumulate(
        (
            max(times.overhead_seconds + seconds - kv_seconds_per_token * n * _context(rows, n), 0.0)
            for n, seconds in zip(times.curve.sequences, times.curve.seconds, strict=True)
        ),
        max,
    )
    first, *others = totals
    shared = min(times.overhead_seconds, first)
    return replace(
        times,
        kv_seconds_per_token=kv_seconds_per_token,
        overhead_seconds=shared,
        first_token_seconds=times.first_token_seconds + times.overhead_seconds - shared,
        curve=replace(times.curve, seconds=tuple(total - shared for total in (first, *others))),
    )


def _context(rows: Sequence[Measurement], concurrency: float) -> float:
    """Mean tokens of a sequence in the replicas with so many."""
    return fmean(m.input_tokens + m.output_tokens / 2.0 for m in rows if m.concurrency == concurrency)


def _row(
    estimator: Estimator, configuration: Configuration, model: Model, gpu: GpuType, point: Point
) -> Measurement:
    found = estimator.answer(
        Benchmark(
            configuration=configuration,
            model=model,
            gpu=gpu,
            input_tokens=point.input_tokens,
            output_tokens=point.output_tokens,
            concurrency=point.concurrency,
        )
    )
    return Measurement(
        configuration=configuration.id,
        offer_sku="",
        host=gpu.name,
        input_tokens=point.input_tokens,
        output_tokens=point.output_tokens,
        concurrency=point.concurrency,
        requests=1,
        requests_per_second=found.requests_per_second,
        ttft_seconds=(found.ttft_seconds,),
        tpot_seconds=(found.tpot_seconds,),
        measured_at="",
    )
