"""Step times out of a user's own benchmark of one configuration: the top layer of evidence. Pure.

A benchmark keeps B requests in flight and gives, per class lengths and B, the rate and percentiles of TTFT and TPOT.
* Prefill: the TTFT of lone requests is a line in the input length (through the origin where only one was measured).
* Decode: with `lambda(B) = 1 / (prefill + output * step(B) / B)`, the equation that rates are planned with, each rate gives
  the step of B sequences; the step is a line in B, neither part below zero, so a plan gives the measured rates back.
* Interference 1: a prompt holds up the running sequences for as long as it takes, as engines do that batch the prompt
  with them (llama.cpp: measured TPOT at 4 sequences 119 ms, so reckoned 130 ms).
What was not varied on its own (context length, the prompts' squared term) stays inside these terms. Only the latest
benchmark counts: machines change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hetops.domain.configuration import Configuration
from hetops.domain.performance import Measurement, StepTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLoop:
    """What step times say of a replica with always so many requests in flight."""

    requests_per_second: float
    ttft_seconds: float
    """Of a request that meets no other prompt."""
    tpot_seconds: float


def closed_loop(
    times: StepTimes, input_tokens: float, output_tokens: float, concurrency: float
) -> ClosedLoop:
    """What a benchmark of these lengths would measure."""
    prefill = times.prefill_seconds(input_tokens)
    step = times.decode_seconds(concurrency, input_tokens + output_tokens / 2.0)
    rate = 1.0 / (prefill / times.pipeline_stages + output_tokens * step / concurrency)
    held_up = times.prefill_interference * (concurrency - 1.0) / output_tokens * prefill
    return ClosedLoop(
        requests_per_second=rate,
        ttft_seconds=prefill + step,
        tpot_seconds=step + held_up / times.pipeline_stages,
    )


def step_times(
    configuration: Configuration, measurements: Sequence[Measurement], kv_capacity_tokens: int
) -> StepTimes:
    """Step times that reproduce the latest measurements of one configuration.

    Raises:
        ValueError: no measurement, or none of a lone request.
    """
    alone = [m for m in measurements if m.concurrency == 1]
    if not alone:
        raise ValueError(f"no measurement of a lone request in {configuration.id}")
    latest = max(m.measured_at for m in alone)
    recent = [m for m in measurements if m.measured_at >= latest]
    around, per_token = _prefill_line([m for m in recent if m.concurrency == 1])
    intercept, slope = _decode_line(recent, around, per_token)
    shared = min(around, intercept)
    return StepTimes(
        weights_seconds=intercept - shared,
        compute_seconds_per_sequence=0.0,
        kv_seconds_per_token=0.0,
        overhead_seconds=shared,
        overhead_seconds_per_sequence=slope,
        prefill_seconds_per_token=per_token,
        kv_capacity_tokens=kv_capacity_tokens,
        max_sequences=configuration.max_sequences,
        prefill_interference=1.0,
    )


def _prefill_line(alone: Sequence[Measurement]) -> tuple[float, float]:
    """Seconds of a prompt besides its tokens, and per token."""
    tokens = np.array([m.input_tokens for m in alone], dtype=np.float64)
    seconds = np.array([m.ttft_seconds[0] for m in alone], dtype=np.float64)
    return _line(tokens, seconds)


def _decode_line(measurements: Sequence[Measurement], around: float, per_token: float) -> tuple[float, float]:
    """Seconds of a step at no sequence, and per sequence."""
    sequences = np.array([m.concurrency for m in measurements], dtype=np.float64)
    steps = np.array([_step(m, around + per_token * m.input_tokens) for m in measurements])
    if len(set(sequences)) == 1:
        return float(steps.mean()), 0.0
    return _line(sequences, steps)


def _step(m: Measurement, prefill_seconds: float) -> float:
    """The step that makes the measured rate; where prefill alone would take longer, no less than the measured gap
    between tokens without the other prompts' share."""
    by_rate = (1.0 / m.requests_per_second - prefill_seconds) * m.concurrency / m.output_tokens
    waiting = (m.concurrency - 1) / m.concurrency * m.requests_per_second * prefill_seconds
    by_gap = m.tpot_seconds[0] * max(0.0, 1.0 - waiting) if np.isfinite(m.tpot_seconds[0]) else 0.0
    return max(by_rate, by_gap if by_rate <= 0 else 0.0, 1e-6)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Least squares of y = a + b x with neither below zero; relative errors, so that small values count as much."""
    weight = 1.0 / y
    if len(set(x)) == 1:
        return 0.0, float((y / x).mean())
    design = np.column_stack([np.ones_like(x), x]) * weight[:, None]
    (a, b), *_ = np.linalg.lstsq(design, y * weight, rcond=None)
    if a < 0:
        scaled = x * weight
        return 0.0, float(scaled.sum() / (scaled * scaled).sum())
    if b < 0:
        return float(weight.sum() / (weight * weight).sum()), 0.0
    return float(a), float(b)
