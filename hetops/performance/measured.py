"""Step times out of a user's own benchmark of one configuration: the top layer of evidence. Pure.

A benchmark gives, per class lengths and concurrency, percentiles of TTFT and TPOT. Prefill seconds a token follow from
the TTFT of lone requests; the decode step is a line in the number of sequences, fitted by least squares on the median
TPOT. What was not varied (context length, prompts' squared term) stays inside these terms.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hetops.domain.configuration import Configuration
from hetops.domain.performance import Measurement, StepTimes


def step_times(
    configuration: Configuration, measurements: Sequence[Measurement], kv_capacity_tokens: int
) -> StepTimes:
    """Step times that reproduce the measurements of one configuration.

    Raises:
        ValueError: no measurement, or none of a lone request.
    """
    alone = [m for m in measurements if m.concurrency == 1]
    if not alone:
        raise ValueError(f"no measurement of a lone request in {configuration.id}")
    per_token = float(np.median([m.ttft_seconds[0] / m.input_tokens for m in alone]))
    intercept, slope = _decode_line(measurements)
    return StepTimes(
        weights_seconds=intercept,
        compute_seconds_per_sequence=0.0,
        kv_seconds_per_token=0.0,
        overhead_seconds=0.0,
        overhead_seconds_per_sequence=slope,
        prefill_seconds_per_token=per_token,
        kv_capacity_tokens=kv_capacity_tokens,
        max_sequences=configuration.max_sequences,
        prefill_interference=1.0,
    )


def _decode_line(measurements: Sequence[Measurement]) -> tuple[float, float]:
    """Seconds of a step at no sequence and per sequence, neither below zero."""
    sequences = np.array([m.concurrency for m in measurements], dtype=np.float64)
    steps = np.array([m.tpot_seconds[0] for m in measurements], dtype=np.float64)
    if len(set(sequences)) == 1:
        return float(steps.mean()), 0.0
    slope, intercept = (float(v) for v in np.polyfit(sequences, steps, 1))
    if intercept < 0:
        return 0.0, float((steps / sequences).mean())
    return (float(steps.mean()), 0.0) if slope < 0 else (intercept, slope)
