"""Step times out of a user's own benchmark of one configuration: the top layer of evidence. Pure.

A benchmark keeps B requests in flight and gives, per class lengths and B, the rate and percentiles of TTFT and TPOT.
* Prefill: the TTFT of lone requests is a line in the input length (through the origin where only one was measured).
* Decode: the median TPOT with B in flight is the step of B sequences and the prompts of the others that fall between two
  tokens: a share (B-1)/B * lambda * prefill of the time. Without it, a step is known at each B that was measured; between them
  it is a line, which goes on beyond the last (`StepCurve`): on one core the second sequence costs three times the first.
* First token: what lone prompts take besides their tokens and the steps' own constant; and how many times its own prefill a
  prompt takes beside the fewest others that were measured, where its median waits for no other prompt. Fuller loads say more
  of waiting, which the queue reckons.
* Interference 1: a prompt holds up the running sequences for as long as it takes, as engines do that batch the prompt
  with them (llama.cpp: measured TPOT at 4 sequences 119 ms, so reckoned 130 ms).
What was not varied on its own (context length, the prompts' squared term) stays inside these terms. Only the latest
benchmark counts: machines change.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from hetops.domain.configuration import Configuration
from hetops.domain.performance import Measurement, StepCurve, StepTimes

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLoop:
    """What step times say of a replica with always so many requests in flight."""

    requests_per_second: float
    ttft_seconds: float
    """Of a request that meets no other prompt."""
    tpot_seconds: float


def closed_loop(
    times: StepTimes,
    input_tokens: float,
    output_tokens: float,
    concurrency: float,
    cached_tokens: float = 0.0,
) -> ClosedLoop:
    """What a benchmark of these lengths would measure, with so many tokens of each prompt in the prefix cache."""
    prefill = times.prefill_seconds(input_tokens, cached_tokens)
    step = times.decode_seconds(concurrency, input_tokens + output_tokens / 2.0)
    others = times.prefill_seconds(input_tokens, cached_tokens, max(concurrency / output_tokens, 1.0))
    rate = 1.0 / (others / times.pipeline_stages + output_tokens * step / concurrency)
    held_up = times.prefill_interference * (concurrency - 1.0) / output_tokens * others
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
    steps = _decode_curve(recent, around, per_token)
    shared = min(around, steps.seconds[0])
    return StepTimes(
        weights_seconds=0.0,
        compute_seconds_per_sequence=0.0,
        kv_seconds_per_token=0.0,
        overhead_seconds=shared,
        prefill_seconds_per_token=per_token,
        first_token_seconds=around - shared,
        first_token_factor=_beside_others(recent, around, per_token),
        kv_capacity_tokens=kv_capacity_tokens,
        max_sequences=configuration.max_sequences,
        prefill_interference=1.0,
        curve=replace(steps, seconds=tuple(one - shared for one in steps.seconds)),
    )


def _prefill_line(alone: Sequence[Measurement]) -> tuple[float, float]:
    """Seconds of a prompt besides its tokens, and per token."""
    tokens = np.array([m.input_tokens for m in alone], dtype=np.float64)
    seconds = np.array([m.ttft_seconds[0] for m in alone], dtype=np.float64)
    return _line(tokens, seconds)


def _decode_curve(measurements: Sequence[Measurement], around: float, per_token: float) -> StepCurve:
    """Seconds of a step at each number of sequences that was measured: the mean of its runs, and no less than of fewer."""
    steps: dict[int, list[float]] = defaultdict(list)
    for m in measurements:
        steps[m.concurrency].append(_step(m, around + per_token * m.input_tokens))
    sequences = sorted(steps)
    seconds = itertools.accumulate((fmean(steps[n]) for n in sequences), max)
    return StepCurve(sequences=tuple(map(float, sequences)), seconds=tuple(seconds))


def _beside_others(measurements: Sequence[Measurement], around: float, per_token: float) -> float:
    """How many times its own prefill a prompt takes while others decode; 1 where nothing tells."""
    several = [m for m in measurements if m.concurrency > 1 and m.ttft_seconds and m.tpot_seconds]
    fewest = min((m.concurrency for m in several), default=0)
    found = []
    for m in (m for m in several if m.concurrency == fewest):
        prefill = around + per_token * m.input_tokens
        if prefill > 0 and _meets_a_prompt(m, prefill) < 0.5:
            found.append((m.ttft_seconds[0] - _step(m, prefill)) / prefill)
    return max(1.0, float(np.mean(found))) if found else 1.0


def _step(m: Measurement, prefill_seconds: float) -> float:
    """The step between two tokens without the prompts of others; where answers had one token, what the rate leaves."""
    if not m.tpot_seconds:
        left = (1.0 / m.requests_per_second - prefill_seconds) * m.concurrency / m.output_tokens
        return max(left, 0.0)
    return m.tpot_seconds[0] * max(0.0, 1.0 - _meets_a_prompt(m, prefill_seconds))


def _meets_a_prompt(m: Measurement, prefill_seconds: float) -> float:
    """The share of the time in which one of the others is at its prompt."""
    return (m.concurrency - 1) / m.concurrency * m.requests_per_second * prefill_seconds


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Least squares of y = a + b x with neither below zero."""
    if len(set(x)) == 1:
        return 0.0, float((y / x).mean())
    b, a = (float(v) for v in np.polyfit(x, y, 1))
    if a < 0:
        return 0.0, float((x * y).sum() / (x * x).sum())
    return (float(y.mean()), 0.0) if b < 0 else (a, b)
