"""Prints how long the estimator takes: a table of 2,000 configurations and 24 classes, and its import without tables of data.

    python benchmarks/estimator_speed.py

Seconds are of one core's time, the best of some runs, of imports their median; nothing is asserted.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from hetops.catalog import tables
from hetops.domain.configuration import Configuration
from hetops.domain.model import Precision
from hetops.domain.workload import LatencyTarget, TokenLengths, WorkloadClass
from hetops.performance.foundations import Basis
from hetops.performance.memory import fit
from hetops.performance.table import build

CONFIGURATIONS = 2000
RUNS = 5
IMPORTED = 20
IMPORTS = """
import time
began = time.process_time()
import hetops.performance.estimate
alone = time.process_time() - began
import numpy
began = time.process_time()
import hetops.performance.table
print(alone, alone + time.process_time() - began)
"""
"""In a fresh interpreter: the closed form, and with it what makes tables of rates, numpy apart."""
CATALOG = tables.load()
MODEL = CATALOG.model("llama-3.1-8b")
GPUS = {g.name: g for g in CATALOG.gpu_types}


def main() -> None:
    """Prints both figures."""
    configurations = tuple(itertools.islice(possible(), CONFIGURATIONS))
    classes, basis = tuple(workload()), Basis(model=MODEL, gpus=GPUS)
    took = []
    for _ in range(RUNS):
        began = time.process_time()
        build(configurations, classes, basis)
        took.append(time.process_time() - began)
    print(f"{len(configurations):,} configurations x {len(classes)} classes: {min(took):.2f} s (goal: 1 s)")
    loaded = [
        subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, check=True, text=True).stdout
        for _ in range(IMPORTED)
    ]
    alone, tables = (median(map(float, times)) for times in zip(*map(str.split, loaded), strict=True))
    print(
        f"import of the closed form: {alone * 1e3:.0f} ms (goal: 50 ms), and of the table, numpy apart: {tables * 1e3:.0f} ms"
    )


def possible() -> Iterator[Configuration]:
    """Configurations that fit, over every GPU type, precision and layout."""
    for sequences, gpu, weights, kv, tensor, stages, engine in itertools.product(
        (256, 128, 64, 16),
        (g for g in CATALOG.gpu_types if g.vendor != "cpu"),
        (Precision.BF16, Precision.FP8, Precision.INT4, Precision.INT8),
        (Precision.BF16, Precision.FP8),
        (1, 2, 4, 8),
        (1, 2),
        ("vllm", "sglang"),
    ):
        one = Configuration(
            model=MODEL.name,
            engine=engine,
            gpu=gpu.name,
            tensor_parallel=tensor,
            pipeline_parallel=stages,
            weights=weights,
            kv=kv,
            checkpoint="hub",
            max_sequences=sequences,
            max_context_tokens=12_000,
        )
        if not fit(one, MODEL, gpu).reason:
            yield one


def workload() -> Iterator[WorkloadClass]:
    """24 classes: lengths, spreads and targets that bind and that do not."""
    lengths = itertools.product((150, 800, 3000), (40, 250), (1.0, 2.5))
    for (inputs, outputs, spread), (ttft, tpot) in itertools.product(lengths, ((0.5, 0.03), (3.0, 0.15))):
        yield WorkloadClass(
            name=f"{inputs}-{outputs}-{spread}-{ttft}",
            requests_per_second=1.0,
            input_tokens=_lengths(inputs, spread),
            output_tokens=_lengths(outputs, spread),
            target=LatencyTarget(ttft_seconds=ttft, tpot_seconds=tpot),
        )


def _lengths(median: float, spread: float) -> TokenLengths:
    """About a log-normal with so many times the median at the 90th percentile."""
    return TokenLengths(
        mean=median * spread**0.3,
        p50=median,
        p90=median * spread,
        p95=median * spread**1.3,
        p99=median * spread**1.8,
    )


if __name__ == "__main__":
    main()
