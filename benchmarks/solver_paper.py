"""The paper grid: the exact model and its rivals on all 108 cells, and what each lever is worth there.

Prints figures and decides nothing; the problems are those of `solver_cells`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.solver_cells import BUDGETS, MIXES, MODELS, PAPER_GRID, STOCKS, PaperCell, paper_problem
from hetops.domain.model import Precision
from hetops.domain.percent import percent
from hetops.solver.baselines.bilinear import Batch
from hetops.solver.baselines.homogeneous import uncapped_homogeneous
from hetops.solver.baselines.levers import (
    blind_assignment,
    round_robin,
    uniform_composition,
    uniform_deployment,
)
from hetops.solver.baselines.rivals import RIVALS
from hetops.solver.certify import certify
from hetops.solver.formulate import formulate
from hetops.solver.problem import Column, Mode, Problem
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve

SLACK = 1e-6
"""Relative difference that counts as none: what the certificate allows."""

PUBLISHED = {
    ("trace 1", 30): (16, 32, 32),
    ("trace 1", 15): (27, 25, 34),
    ("trace 2", 30): (15, 27, 33),
    ("trace 2", 15): (21, 32, 30),
}
"""Per cent that the paper loses with uniform composition, round robin and uniform TP (its ablation, Llama 3 70B)."""

LOSSY = (Precision.BF16, Precision.FP8, Precision.INT8, Precision.INT4)


@dataclass(slots=True, kw_only=True)
class Tally:
    """One rival over many cells: its answers over ours, and its CPU seconds."""

    ratios: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    worst: str = ""
    broken: int = 0

    def note(self, problem: Problem, found: Solution | Infeasible, best: Solution, seconds: float) -> None:
        """Adds its answer to one cell, held against ours."""
        self.seconds.append(seconds)
        self.ratios.append(found.objective / best.objective if isinstance(found, Solution) else 0.0)
        self.broken += isinstance(found, Solution) and bool(certify(problem, found))

    def line(self, name: str) -> str:
        """Its row."""
        ratios = f"{statistics.mean(self.ratios):7.3f} {min(self.ratios):7.3f} {max(self.ratios):9.5f}"
        return f"{name:<34}{ratios}   {statistics.mean(self.seconds):8.2f} {max(self.seconds):7.2f}"


def timed(work: Callable[[], Solution | Infeasible]) -> tuple[Solution | Infeasible, float]:
    """What `work` gives, and the CPU seconds of this process that it takes."""
    began = time.process_time()
    found = work()
    return found, time.process_time() - began


def demanded(found: Solution | Infeasible) -> Solution:
    """The solution; a problem here without one is a mistake of its generator."""
    if not isinstance(found, Solution):
        raise SystemExit("a benchmark problem has no solution: its generator is wrong")
    return found


def grid(cells: Sequence[PaperCell] = PAPER_GRID) -> Iterator[str]:
    """Ours alone first, then every rival against it."""
    problems = [(cell, paper_problem(cell)) for cell in cells]
    answers, seconds, formulating = [], [], []
    for _, problem in problems:
        found, took = timed(lambda problem=problem: solve(problem))  # type: ignore[misc]
        answers.append(demanded(found))
        seconds.append(took)
        began = time.process_time()
        formulate(problem)
        formulating.append(time.process_time() - began)
    gap = max(answer.gap for answer in answers)
    yield (
        f"paper grid, {len(cells)} cells: gap at most {gap:.1e}; CPU seconds mean {statistics.mean(seconds):.2f},"
        f" worst {max(seconds):.2f}, all of solve(), one thread; formulating {percent(sum(formulating) / sum(seconds), 1)} of it"
    )
    yield f"{'answer / ours':<34}{'mean':>7} {'least':>7} {'most':>9}   {'CPU mean':>8} {'worst':>7}"
    yield from _rivals(problems, answers)


def _rivals(problems: Sequence[tuple[PaperCell, Problem]], ours: Sequence[Solution]) -> Iterator[str]:
    better, off = [], 0.0
    for rival in (r for r in RIVALS if Mode.MAX_THROUGHPUT in r.modes):
        tally = Tally()
        for (cell, problem), best in zip(problems, ours, strict=True):
            found, took = timed(lambda problem=problem, rival=rival: rival.answer(problem))  # type: ignore[misc]
            tally.note(problem, found, best, took)
            if tally.ratios[-1] > 1 + SLACK:
                better.append(f"{rival.name} on {cell}: {tally.ratios[-1]:.6f}")
            if rival.name == "binary search" and isinstance(found, Solution):
                off = max(off, _seconds_behind(found, best))
        yield tally.line(rival.name) + (f"   {tally.broken} beyond limits" if tally.broken else "")
    yield f"binary search: makespan of {Batch().requests:,.0f} requests at most {off:.3f} s above ours, tolerance 1 s"
    yield f"cells in which a rival is better than ours: {len(better)}" + "".join(f"\n  {b}" for b in better)
    tally = Tally()
    for (_, problem), best in zip(problems, ours, strict=True):
        found, took = timed(lambda problem=problem: uncapped_homogeneous(problem))  # type: ignore[misc]
        tally.ratios.append(found.objective / best.objective if isinstance(found, Solution) else 0.0)
        tally.seconds.append(took)
    yield tally.line("(one GPU type, stock lifted)") + "   not to be rented: shown because the paper has it"


def _seconds_behind(found: Solution, best: Solution) -> float:
    requests = Batch().requests
    return requests / found.requests_per_second - requests / best.requests_per_second


def levers() -> Iterator[str]:
    """Per cent lost with each lever held, by model, trace and budget: means over the four availabilities."""
    yield (
        f"{'lost with a lever held, per cent':<34}{'composition':>12}{'uniform TP':>12}{'round robin':>12}"
        f"{'class-blind':>12}{'16 bit only':>12}   paper: composition, TP, round robin"
    )
    for models in MODELS:
        for trace in MIXES:
            for budget in BUDGETS:
                losses = [_losses(models, trace, budget, stock) for stock in range(len(STOCKS))]
                means = [100 * statistics.mean(column) for column in zip(*losses, strict=True)]
                published = PUBLISHED.get((trace, budget)) if models == "70B" else None
                beside = f"   {published[0]}, {published[2]}, {published[1]}" if published else ""
                yield f"{f'{models}, {trace}, ${budget}':<34}" + "".join(f"{m:12.1f}" for m in means) + beside


def _losses(models: str, trace: str, budget: int, stock: int) -> tuple[float, ...]:
    cell = PaperCell(models=models, trace=trace, budget=budget, stock=stock)
    problem = paper_problem(cell)
    ours = demanded(solve(problem)).objective
    held = (
        uniform_composition(problem),
        uniform_deployment(problem, _tensor_parallel),
        round_robin(problem),
        blind_assignment(problem),
    )
    lossy = demanded(solve(paper_problem(cell, precisions=LOSSY))).objective
    return (*(1 - (f.objective if isinstance(f, Solution) else 0.0) / ours for f in held), 1 - ours / lossy)


def _tensor_parallel(column: Column) -> str:
    """The degree in a configuration's id, whatever its pipeline."""
    return column.configuration.split("/")[3].split("pp")[0]
