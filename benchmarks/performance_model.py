"""Prints the closed form beside a replay through the emulated engine's core, over models, GPUs and lengths.

    python benchmarks/performance_model.py

Each line: at a part of the rate that the closed form says is sustained, TTFT and TPOT at the 90th percentile as promised
and as replayed with Poisson arrivals. Then the spread of their ratios, and how much of it lies within what the interval of a plan's
latency takes for the queue; the same at the 95th percentile, and for step times read from a benchmark of one core. Nothing is asserted.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from hetops.domain.percent import percent
from hetops.domain.performance import StepTimes
from hetops.domain.workload import LatencyTarget, WorkloadClass
from hetops.performance.intervals import QUEUE_TPOT, QUEUE_TTFT
from hetops.performance.measured import step_times
from hetops.performance.rate import latencies, sustained
from hetops.workloads.classes import lengths
from tests.performance.test_against_the_engine import replayed, replica
from tests.performance.test_measured import ONE_CORE, RUNS

REPLICAS = (
    ("llama-3.1-8b", "L4", 1, 256),
    ("llama-3.1-8b", "H100-SXM", 1, 256),
    ("llama-3.1-70b", "H100-SXM", 4, 256),
    ("llama-3.1-70b", "B200", 1, 256),
    ("gemma-3-270m", "CPU", 1, 1),
    ("gemma-3-270m", "CPU", 1, 4),
)
LENGTHS = ((300, 150, 0.0), (1000, 400, 0.8), (4000, 60, 0.5))
TARGETS = ((1.0, 0.1), (4.0, 0.3))
PARTS = (1.0, 0.85, 0.6)
PERCENTILES = (90.0, 95.0)
REQUESTS = 3000
MEASURED = "gemma-3-270m as measured on one CPU core,"


def main() -> None:
    """Prints both grids and the spread of the ratios at each part of the rate."""
    formed = {
        f"{m} {gpu} tp{tensor} {n} sequences": replica(m, gpu, tensor, n) for m, gpu, tensor, n in REPLICAS
    }
    measured = {f"{MEASURED} {places} sequences": _measured(places) for places in (1, 2, 4)}
    for percentile in PERCENTILES:
        print(f"\nat the {percentile:g}th percentile")
        _grid(formed, percentile)
        print(f"\nat the {percentile:g}th percentile, step times read from a benchmark of one core")
        _grid(measured, percentile)


def _measured(places: int) -> StepTimes:
    runs = [m for m in RUNS if m.concurrency <= places]
    return step_times(replace(ONE_CORE, max_sequences=places), runs, 8_000 * places)


def _grid(replicas: Mapping[str, StepTimes], percentile: float) -> None:
    ratios: dict[float, list[tuple[float, float]]] = {part: [] for part in PARTS}
    for (name, steps), typical, target in itertools.product(replicas.items(), LENGTHS, TARGETS):
        for part, found in _case(name, steps, typical, _target(name, target, percentile)):
            ratios[part].append(found)
    for part, found in ratios.items():
        ttft, tpot = (np.percentile(values, (10, 50, 90)) for values in zip(*found, strict=True))
        print(
            f"at {percent(part)} of the rate, promised / replayed (10th, 50th, 90th percentile of {len(found)} cases):"
        )
        print(f"  TTFT {_three(ttft)}   TPOT {_three(tpot)}")
    planned = [one for part in PARTS[1:] for one in ratios[part]]
    print("80 % of the replayed at both planned parts, as logarithms over what was promised:")
    for name, of, (below, above) in (("TTFT", 0, QUEUE_TTFT), ("TPOT", 1, QUEUE_TPOT)):
        off = -np.log([one[of] for one in planned])
        low, high = np.percentile(off, (10, 90))
        held = percent(np.mean((-below <= off) & (off <= above)))
        print(f"  {name} {low:.2f} to {high:.2f}, {held} between -{below} and {above}")


def _target(name: str, seconds: tuple[float, float], percentile: float) -> LatencyTarget:
    ttft, tpot = (t * (3 if "CPU" in name else 1) for t in seconds)
    return LatencyTarget(
        ttft_seconds=ttft, ttft_percentile=percentile, tpot_seconds=tpot, tpot_percentile=percentile
    )


def _case(
    replica_name: str, steps: StepTimes, typical: tuple[int, int, float], target: LatencyTarget
) -> list[tuple[float, tuple[float, float]]]:
    small = 0.1 if "CPU" in replica_name else 1.0
    random, (inputs, outputs) = np.random.default_rng(1), (typical[0] * small, typical[1] * small)
    drawn = [
        np.clip(np.round(random.lognormal(np.log(mean), typical[2], REQUESTS)), 2, 8000)
        for mean in (inputs, outputs)
    ]
    c = WorkloadClass(
        name="c",
        requests_per_second=1.0,
        input_tokens=lengths(drawn[0]),
        output_tokens=lengths(drawn[1]),
        target=target,
    )
    found = sustained([steps], c, [12_000])[0]
    name = f"{replica_name}, {inputs:g}/{outputs:g} tokens"
    if found.requests_per_second == 0:
        print(f"{name}: {found.reason}")
        return []
    result = []
    for part in PARTS:
        rate = found.requests_per_second * part
        promised = latencies(steps, c, rate)
        ttft, tpot = (float(np.percentile(v, target.ttft_percentile)) for v in replayed(steps, rate, *drawn))
        result.append((part, (promised.ttft_seconds / ttft, promised.tpot_seconds / tpot)))
        print(
            f"{name}: {rate:.3g} /s ({percent(part)}, {found.binding}) TTFT {promised.ttft_seconds:.2f} / {ttft:.2f} s"
            f" TPOT {promised.tpot_seconds * 1e3:.0f} / {tpot * 1e3:.0f} ms"
        )
    return result


def _three(values: Sequence[float]) -> str:
    return " ".join(f"{value:.2f}" for value in values)


if __name__ == "__main__":
    main()
