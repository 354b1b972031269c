"""Problems in the manner of the Mélange paper (arXiv:2404.14527): least cost, no limits, one GPU a replica.

Its GPU types, model, rates and TPOT bounds; buckets of request sizes out of two public workloads and their 80/20 mix
(`benchmarks/data/SOURCES.md`), the paper's own being not published as numbers. Prices are dated list prices of the
catalogue, per GPU: a GCP L4, an AWS A10G, an eighth of AWS's A100 machine, AWS's H100.
"""

from __future__ import annotations

import bisect
import csv
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from pathlib import Path

from benchmarks.solver_cells import Rated, rates, whole_node_columns
from hetops.domain.model import Precision
from hetops.domain.workload import LatencyTarget, TokenLengths, WorkloadClass
from hetops.solver.baselines.melange import Slicing, melange
from hetops.solver.baselines.rivals import RIVALS
from hetops.solver.problem import Demand, Mode, PricedOffer, Problem
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve

SIZES = Path(__file__).parent / "data" / "request_sizes.csv"
GPUS = {"L4": "0.7068", "A10G": "1.006", "A100-80GB-SXM": "3.430881", "H100-SXM": "6.88"}
"""USD per GPU hour, on demand."""
MODEL = "llama-2-7b"
MIXES: Mapping[str, Mapping[str, float]] = {
    "chat": {"chat": 1.0},
    "documents": {"documents": 1.0},
    "mixed": {"chat": 0.8, "documents": 0.2},
}
"""Share of the requests out of each workload."""
RATES = (1, 2, 4, 8, 16, 32)
"""Requests per second of all buckets together."""
TPOT_SECONDS = (0.12, 0.04)
PLENTY = 1000
"""Nodes of each type: more than any fleet here can use, as the paper knows no stock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeCell:
    """A place in the grid."""

    mix: str
    requests_per_second: int
    tpot_seconds: float

    def __str__(self) -> str:
        return f"{self.mix}, {self.requests_per_second}/s, {self.tpot_seconds * 1e3:g} ms"


SIZE_GRID = tuple(
    SizeCell(mix=mix, requests_per_second=rate, tpot_seconds=seconds)
    for mix, rate, seconds in itertools.product(MIXES, RATES, TPOT_SECONDS)
)
"""All 36 cells."""


def size_problem(cell: SizeCell, *, ttft_seconds: float | None = None, gap: float = 1e-4) -> Problem:
    """Buckets as classes; each GPU type as an offer of one GPU. The paper bounds no TTFT."""
    offers = tuple(
        PricedOffer(id=gpu, usd_per_hour=Decimal(usd), max_nodes=PLENTY, gpu=gpu) for gpu, usd in GPUS.items()
    )
    rated = size_rates(cell.tpot_seconds, ttft_seconds)
    shares = {
        name: part * share
        for workload, part in MIXES[cell.mix].items()
        for name, share in _shares(workload).items()
    }
    columns = tuple(whole_node_columns(rated, offers))
    return Problem(
        offers=offers,
        configurations=tuple(column.configuration for column in columns),
        classes=tuple(
            Demand(
                name=f"{MODEL} {name}", requests_per_second=cell.requests_per_second * shares.get(name, 0.0)
            )
            for name in map(_name, _rows())
        ),
        columns=columns,
        gap=gap,
    )


EDGES = (25, 100, 250, 500, 1000, 2000, 4000, 8000)
"""Upper edges of the buckets, for tokens in and tokens out."""


def bucket_of(workload: str, input_tokens: int, output_tokens: int) -> str:
    """The name of the bucket that a request falls into; empty where that is too rare to be planned for."""
    place = _place(input_tokens), _place(output_tokens)
    return next((name for at, name in _places(workload) if at == place), "")


@cache
def _places(workload: str) -> tuple[tuple[tuple[int, int], str], ...]:
    """Buckets by their place between the edges."""
    return tuple(
        ((_place(float(row["input_tokens"])), _place(float(row["output_tokens"]))), _name(row))
        for row in _rows()
        if row["workload"] == workload
    )


def _place(tokens: float) -> int:
    return bisect.bisect_left(EDGES, tokens)


@cache
def size_rates(tpot_seconds: float, ttft_seconds: float | None = None) -> Rated:
    """Rates of every bucket on one GPU of each type, within bounds on the median TPOT and the 90th percentile of TTFT."""
    return rates(MODEL, tuple(GPUS), _buckets(tpot_seconds, ttft_seconds), precisions=(Precision.BF16,))


def _buckets(tpot_seconds: float, ttft_seconds: float | None) -> list[WorkloadClass]:
    target = LatencyTarget(ttft_seconds=ttft_seconds, tpot_seconds=tpot_seconds, tpot_percentile=50.0)
    return [
        WorkloadClass(
            name=_name(row),
            requests_per_second=1.0,
            input_tokens=TokenLengths.fixed(float(row["input_tokens"])),
            output_tokens=TokenLengths.fixed(float(row["output_tokens"])),
            target=target,
        )
        for row in _rows()
    ]


def _shares(workload: str) -> dict[str, float]:
    counts = {_name(row): float(row["requests"]) for row in _rows() if row["workload"] == workload}
    return {name: count / sum(counts.values()) for name, count in counts.items()}


def _name(row: Mapping[str, str]) -> str:
    return f"{row['workload']} {row['input_tokens']}/{row['output_tokens']}"


@cache
def _rows() -> tuple[Mapping[str, str], ...]:
    return tuple(_read(SIZES))


def _read(path: Path) -> Iterator[Mapping[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def figures() -> Iterator[str]:
    """Costs and CPU seconds of the exact model and of everyone who can be asked for least cost, over the grid."""
    answers: dict[str, Callable[[Problem], Solution | Infeasible]] = {
        "hetops": solve,
        "melange, 4 slices as published": partial(melange, slicing=Slicing()),
        **{rival.name: rival.answer for rival in RIVALS if Mode.MIN_COST in rival.modes},
    }
    costs: dict[str, list[float]] = {name: [] for name in answers}
    seconds: dict[str, list[float]] = {name: [] for name in answers}
    gap = 0.0
    for problem in map(size_problem, SIZE_GRID):
        for name, answer in answers.items():
            began = time.process_time()
            found = answer(problem)
            seconds[name].append(time.process_time() - began)
            costs[name].append(found.objective if isinstance(found, Solution) else float("inf"))
            gap = max(gap, found.gap) if name == "hetops" and isinstance(found, Solution) else gap
    yield f"grid of request sizes, {len(SIZE_GRID)} cells, least cost: our gap at most {gap:.1e}"
    yield f"{'cost / ours':<34}{'mean':>8}{'least':>8}{'most':>8}{'CPU mean':>12}{'worst':>8}"
    for name, mine in costs.items():
        ratios = [cost / ours for cost, ours in zip(mine, costs["hetops"], strict=True)]
        yield (
            f"{name:<34}{statistics.mean(ratios):8.4f}{min(ratios):8.4f}{max(ratios):8.4f}"
            f"{statistics.mean(seconds[name]):12.3f}{max(seconds[name]):8.3f}"
        )
