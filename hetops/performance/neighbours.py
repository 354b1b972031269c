"""What a measured configuration says of those near it: their closed form times what it was off there. Pure.

The errors of two configurations of one model and engine go together, more the nearer they lie: the correlation is how much
of the neighbour's error (in logarithms) is taken over, and the square root of one less its square is what is left of the
interval. Correlations: errors on GPU types that the fit had not seen, of pairs of configurations that one publisher measured
(`perf_calibration.csv`). Throughput and TPOT, TTFT: other tensor degree 0.51 and 0.85 (70 and 66 pairs), 0.36 (69); other
precision 0.69 (19), none (2); both 0.51 (20), below 0 (7); another GPU type 0.09 (70), 0.39 (10). Rounded down, where pairs are few
the more. Of the pairs of other tensor degree 91, 89 and 87 % (throughput, TPOT, TTFT) lie within the narrowed interval.
GPU types of other families are not touched. No pair differs in the number of sequences alone: the engine is the same one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from statistics import median

from hetops.domain.configuration import Configuration
from hetops.domain.gpu import GpuType
from hetops.domain.percent import percent, signed_percent
from hetops.domain.performance import Evidence, Measurement, StepTimes
from hetops.performance.margins import HalfWidths, founded_on, widths_of
from hetops.performance.measured import closed_loop
from hetops.performance.replica import family


class Nearness(Enum):
    """How a measured configuration lies to another: what differs, and the correlations of step and prefill errors."""

    SAME = ("its own runs, none of a lone request", 0.9, 0.9)
    SEQUENCES = ("other number of sequences", 0.9, 0.9)
    LAYOUT = ("other layout", 0.5, 0.35)
    PRECISION = ("other precision", 0.5, 0.4)
    LAYOUT_AND_PRECISION = ("other layout and precision", 0.5, 0.0)
    FAMILY = ("other GPU type of the family", 0.1, 0.1)

    def __init__(self, differs: str, step: float, prefill: float) -> None:
        self.differs, self.step, self.prefill = differs, step, prefill


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A configuration that was measured, and the logarithms of measured over estimated."""

    configuration: Configuration
    step: float
    prefill: float | None
    """None where no lone request was measured."""


def off(configuration: Configuration, times: StepTimes, measurements: Sequence[Measurement]) -> Measured:
    """How far the closed form is off on a configuration's latest benchmark: the medians over its runs.

    Raises:
        ValueError: no measurement.
    """
    latest = max(m.measured_at for m in measurements)
    recent = [m for m in measurements if m.measured_at == latest]
    alone = [m for m in recent if m.concurrency == 1 and m.ttft_seconds]
    return Measured(
        configuration=configuration,
        step=median(_step(times, m) for m in recent),
        prefill=median(_prefill(times, m) for m in alone) if alone else None,
    )


def _step(times: StepTimes, m: Measurement) -> float:
    expected = closed_loop(times, m.input_tokens, m.output_tokens, m.concurrency)
    if m.tpot_seconds:
        return math.log(m.tpot_seconds[0] / expected.tpot_seconds)
    return math.log(expected.requests_per_second / m.requests_per_second)


def _prefill(times: StepTimes, m: Measurement) -> float:
    expected = closed_loop(times, m.input_tokens, m.output_tokens, 1.0).ttft_seconds
    return math.log(m.ttft_seconds[0] / (expected + times.first_token_delay(m.input_tokens)))


def sharpened(
    configuration: Configuration,
    founded: tuple[StepTimes, Evidence],
    known: Sequence[Measured],
    gpus: Mapping[str, GpuType],
) -> tuple[StepTimes, Evidence]:
    """An estimate and its evidence, corrected by the nearest measured configurations; as they were where none is near."""
    near = [
        (how, one) for one in known if (how := nearness(one.configuration, configuration, gpus)) is not None
    ]
    if not near:
        return founded
    how = max((how for how, _ in near), key=lambda how: how.step)
    nearest = [one for found, one in near if found is how]
    prefills = [one.prefill for one in nearest if one.prefill is not None]
    times = _scaled(
        founded[0],
        step=math.exp(how.step * median(one.step for one in nearest)),
        prefill=math.exp(how.prefill * median(prefills)) if prefills else 1.0,
    )
    return times, _narrowed(founded[1], how, nearest)


def nearness(measured: Configuration, other: Configuration, gpus: Mapping[str, GpuType]) -> Nearness | None:
    """How a measured configuration lies to another; None where it says nothing of it."""
    if (measured.model, measured.engine, measured.role) != (other.model, other.engine, other.role):
        return None
    if measured.gpu != other.gpu:
        one, another = gpus[measured.gpu], gpus[other.gpu]
        alike = family(one) == family(another) and one.mig is another.mig is None
        return Nearness.FAMILY if alike else None
    layout = (measured.layout, measured.speculation) != (other.layout, other.speculation)
    precision = (measured.weights, measured.kv) != (other.weights, other.kv)
    if layout or precision:
        return {
            (True, False): Nearness.LAYOUT,
            (False, True): Nearness.PRECISION,
            (True, True): Nearness.LAYOUT_AND_PRECISION,
        }[layout, precision]
    return Nearness.SAME if measured.id == other.id else Nearness.SEQUENCES


def _scaled(times: StepTimes, *, step: float, prefill: float) -> StepTimes:
    """Steps and prompts that take so many times as long. The overhead is part of both, and goes with the steps; a prompt's
    first token goes with the prompt."""
    return replace(
        times,
        weights_seconds=times.weights_seconds * step,
        compute_seconds_per_sequence=times.compute_seconds_per_sequence * step,
        kv_seconds_per_token=times.kv_seconds_per_token * step,
        overhead_seconds=times.overhead_seconds * step,
        overhead_seconds_per_sequence=times.overhead_seconds_per_sequence * step,
        prefill_seconds_per_token=times.prefill_seconds_per_token * prefill,
        prefill_seconds_per_token_squared=times.prefill_seconds_per_token_squared * prefill,
        first_token_seconds=times.first_token_seconds * prefill,
        curve=times.curve.scaled(step) if times.curve else None,
    )


def _narrowed(evidence: Evidence, how: Nearness, nearest: Sequence[Measured]) -> Evidence:
    """The evidence with the intervals that are left, and who narrowed them: prompts only where a lone request was measured."""
    before = widths_of(evidence)
    of_steps = math.sqrt(1.0 - how.step**2)
    of_prompts = math.sqrt(1.0 - how.prefill**2) if any(one.prefill is not None for one in nearest) else 1.0
    left = HalfWidths(
        throughput=before.throughput * of_steps, tpot=before.tpot * of_steps, ttft=before.ttft * of_prompts
    )
    names = [one.configuration.id for one in nearest]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    off = math.expm1(median(one.step for one in nearest))
    told = (
        f"{evidence.source}; sharpened by the benchmark of {names[0]}{more} ({how.differs}), whose steps took {signed_percent(off)} against"
        f" the form: interval {percent(evidence.margin)} -> {percent(-math.expm1(-left.throughput))}"
    )
    return founded_on(evidence.layer, told, left)
