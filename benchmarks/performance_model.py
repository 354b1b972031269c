"""Prints the closed form beside a replay through the emulated engine's core, over models, GPUs and lengths.

    python benchmarks/performance_model.py

Each line: at a part of the rate that the closed form says is sustained, TTFT and TPOT at the 90th percentile as promised
and as replayed with Poisson arrivals, and their ratios. Nothing is asserted.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from hetops.domain.workload import LatencyTarget, WorkloadClass
from hetops.performance.rate import latencies, sustained
from hetops.workloads.classes import lengths
from tests.performance.test_against_the_engine import replayed, replica

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
REQUESTS = 3000


def main() -> None:
    """Prints the grid and the spread of the ratios at each part of the rate."""
    ratios: dict[float, list[tuple[float, float]]] = {part: [] for part in PARTS}
    for replica_of, typical, target in itertools.product(REPLICAS, LENGTHS, TARGETS):
        for part, found in _case(replica_of, typical, target):
            ratios[part].append(found)
    for part, found in ratios.items():
        ttft, tpot = (np.percentile(values, (10, 50, 90)) for values in zip(*found, strict=True))
        print(
            f"at {part:.0%} of the rate, promised / replayed (10th, 50th, 90th percentile of {len(found)} cases):"
        )
        print(f"  TTFT p90 {_three(ttft)}   TPOT p90 {_three(tpot)}")


def _case(
    of: tuple[str, str, int, int], typical: tuple[int, int, float], target: tuple[float, float]
) -> list[tuple[float, tuple[float, float]]]:
    model, gpu, tensor, sequences = of
    small = 0.1 if gpu == "CPU" else 1.0
    random, (inputs, outputs) = np.random.default_rng(1), (typical[0] * small, typical[1] * small)
    drawn = [
        np.clip(np.round(random.lognormal(np.log(mean), typical[2], REQUESTS)), 2, 8000)
        for mean in (inputs, outputs)
    ]
    ttft_target, tpot_target = (t * (3 if gpu == "CPU" else 1) for t in target)
    c = WorkloadClass(
        name="c",
        requests_per_second=1.0,
        input_tokens=lengths(drawn[0]),
        output_tokens=lengths(drawn[1]),
        target=LatencyTarget(ttft_seconds=ttft_target, tpot_seconds=tpot_target),
    )
    steps = replica(model, gpu, tensor, sequences)
    found = sustained([steps], c, [12_000])[0]
    name = f"{model} {gpu} tp{tensor} {sequences} sequences, {inputs:g}/{outputs:g} tokens"
    if found.requests_per_second == 0:
        print(f"{name}: {found.reason}")
        return []
    result = []
    for part in PARTS:
        rate = found.requests_per_second * part
        promised = latencies(steps, c, rate)
        ttft, tpot = (float(np.percentile(v, 90)) for v in replayed(steps, rate, *drawn))
        result.append((part, (promised.ttft_seconds / ttft, promised.tpot_seconds / tpot)))
        print(
            f"{name}: {rate:.3g} /s ({part:.0%}, {found.binding}) TTFT {promised.ttft_seconds:.2f} / {ttft:.2f} s"
            f" TPOT {promised.tpot_seconds * 1e3:.0f} / {tpot * 1e3:.0f} ms"
        )
    return result


def _three(values: Sequence[float]) -> str:
    return " ".join(f"{value:.2f}" for value in values)


if __name__ == "__main__":
    main()
