"""How far the figures of a benchmark may be off as a plan uses them: four errors, reckoned for each of its runs. Pure.

* Few requests: a median of n values is known to 1.25 standard deviations / sqrt(n), and the run's own percentiles tell these.
* Another day: runs of one load in several benchmarks of the user's differ by what they differ. Before these stands what is known of
  such hardware, for as many repeats as that rests on. Host cores: the quickstart's benchmarks on virtual machines of one kind,
  two or three of each load. GPUs: published repeats differ by 0.8 % (Argonne), and by 3 % in 18 pairs (TensorRT-LLM 0.15 and 1.0);
  nobody tells of TTFT, 10 % is assumed.
* Other company: cores that serve share their host with a router, its clients and other engines. In five pairs of a benchmark and what
  the router measured later, lone requests' steps took 1.05, 1.07, 1.2, 1.4 and 1.5 times as long; TTFT and rates showed none of it.
* What the step times make of the run again: loads of unlike lengths with as many in flight do not agree on one step.

A plan's figure rests on several runs: the interval is as wide as these are off on average.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, variance

from hetops.domain.performance import Measurement, StepTimes
from hetops.performance.margins import HalfWidths
from hetops.performance.measured import closed_loop

Logs = Mapping[str, float]
"""Logarithms, or their variances, by metric: `throughput`, `tpot`, `ttft`. What a run does not tell is not in it."""

_TENTH = NormalDist().inv_cdf(0.9)
"""Standard deviations from the middle to a tenth at either side."""
_MEDIAN = math.pi / 2.0
"""Variance of a median over that of a mean, of normal values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """Standard deviations of repeated runs elsewhere, and how many repeats tell them."""

    repeats: int
    deviations: Logs


_ALONE = _Known(repeats=3, deviations={"throughput": 0.033, "tpot": 0.052, "ttft": 0.044})
_SEVERAL = _Known(repeats=6, deviations={"throughput": 0.138, "tpot": 0.160, "ttft": 0.120})
"""On host cores, with one request in flight and with two and four."""
_ON_GPUS = _Known(repeats=18, deviations={"throughput": 0.03, "tpot": 0.03, "ttft": 0.10})


_COMPANY = 0.26
"""Standard deviation of a step on host cores while serving, over that in a benchmark."""

_Repeats = Mapping[tuple[bool, str], Sequence[float]]
"""By whether a request was alone, and metric: variances of the runs of one load, each as often as it has repeats."""


def half_widths(times: StepTimes, own: Sequence[Measurement], gpu_vendor: str) -> HalfWidths:
    """Of figures that rest on these step times, which rest on the latest of a configuration's own runs.

    Raises:
        ValueError: no run.
    """
    latest, repeats = max(m.measured_at for m in own), _repeats(own)
    found: dict[str, list[float]] = defaultdict(list)
    for m in (m for m in own if m.measured_at == latest):
        few, again = _few(m), _made_again(m, times)
        for metric in _figures(m):
            another_day = _another_day(m, metric, repeats, gpu_vendor)
            company = _COMPANY**2 if metric == "tpot" and gpu_vendor == "cpu" else 0.0
            found[metric].append(few.get(metric, 0.0) + another_day + company + again.get(metric, 0.0))
    wide = {metric: _TENTH * math.sqrt(fmean(variances)) for metric, variances in found.items()}
    return HalfWidths(throughput=wide["throughput"], tpot=wide.get("tpot", 0.0), ttft=wide.get("ttft", 0.0))


def _figures(m: Measurement) -> Logs:
    """Logarithms of what a run tells: its rate and medians."""
    told = {"throughput": (m.requests_per_second,), "tpot": m.tpot_seconds, "ttft": m.ttft_seconds}
    return {metric: math.log(values[0]) for metric, values in told.items() if values and values[0] > 0}


def _few(m: Measurement) -> Logs:
    """Variances of a run's figures for its number of requests, as far as its percentiles tell."""
    tpot, ttft = _variance(m.tpot_seconds, m.requests), _variance(m.ttft_seconds, m.requests)
    first = m.ttft_seconds[0] if m.ttft_seconds else 0.0
    rest = m.tpot_seconds[0] * (m.output_tokens - 1.0) if m.tpot_seconds else 0.0
    share = first / (first + rest) if first + rest > 0 else 0.0
    whole = share**2 * ttft + (1.0 - share) ** 2 * tpot
    return {
        "throughput": whole / m.requests,
        "tpot": _MEDIAN * tpot / m.requests,
        "ttft": _MEDIAN * ttft / m.requests,
    }


def _variance(percentiles: Sequence[float], requests: int) -> float:
    """Of the logarithm of one request's figure, by its median and 90th percentile: of few requests that lies nearer to the
    middle (Blom 1958, Statistical Estimates and Transformed Beta Variables)."""
    if len(percentiles) < 2 or percentiles[0] <= 0 or requests < 3:
        return 0.0
    place = NormalDist().inv_cdf((0.9 * (requests - 1.0) + 0.625) / (requests + 0.25))
    return (math.log(percentiles[1] / percentiles[0]) / place) ** 2


def _another_day(m: Measurement, metric: str, repeats: _Repeats, gpu_vendor: str) -> float:
    """Variance between runs of one load: the user's own repeats, and before them what is known of such hardware."""
    known = _ON_GPUS if gpu_vendor != "cpu" else _ALONE if m.concurrency == 1 else _SEVERAL
    squares = repeats.get((m.concurrency == 1, metric), ())
    before = known.repeats * known.deviations[metric] ** 2
    return (before + math.fsum(squares)) / (known.repeats + len(squares))


def _repeats(own: Sequence[Measurement]) -> _Repeats:
    loads: dict[tuple[int, int, int], list[Measurement]] = defaultdict(list)
    for m in own:
        loads[m.concurrency, round(m.input_tokens), round(m.output_tokens)].append(m)
    found: dict[tuple[bool, str], list[float]] = defaultdict(list)
    for (concurrency, _, _), runs in loads.items():
        for metric in ("throughput", "tpot", "ttft"):
            told = [figures[metric] for figures in map(_figures, runs) if metric in figures]
            if len(told) > 1:
                found[concurrency == 1, metric] += [variance(told)] * (len(told) - 1)
    return found


def _made_again(m: Measurement, times: StepTimes) -> Logs:
    """Squares of how far the step times are off on a run that they rest on; of TTFT where nobody else was there."""
    found = _figures(m)
    again = closed_loop(times, m.input_tokens, m.output_tokens, m.concurrency)
    told = {"throughput": again.requests_per_second, "tpot": again.tpot_seconds}
    if m.concurrency == 1:
        told["ttft"] = times.prefill_seconds(m.input_tokens) + times.first_token_seconds
    return {
        metric: (found[metric] - math.log(value)) ** 2
        for metric, value in told.items()
        if metric in found and value > 0
    }
