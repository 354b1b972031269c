"""Answers judged by replay: requests of a trace through the engines that an answer rents, by discrete events.

Requests go by the answer's shares, each class interleaved by weight over its pools and in turn over a pool's replicas;
every replica is the core of the emulated engine with the step times that the rates came from. So a replay shows what
queues and bursts do to an answer, never whether the step times are right.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.solver_cells import Rated
from benchmarks.solver_sizes import SizeCell, bucket_of, size_problem, size_rates
from hetops.domain.percent import percent
from hetops.domain.performance import StepTimes
from hetops.simulate.core import EngineCore
from hetops.simulate.engine import Event, EventKind, Generation
from hetops.solver.baselines.rivals import RIVALS
from hetops.solver.problem import Mode, Problem
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve

TRACE = Path(__file__).parents[1] / "examples" / "traces" / "azure_llm_2023_conv.csv"
CONTEXT = 4096
HEADROOM = 0.2
"""Left free by every answer: a plan for the mean rate of a trace with none is late whenever the trace is above it."""

TTFT_SECONDS = 2.0
"""Bound on the 90th percentile of the time to the first token that every answer plans for."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """What arrives: seconds from the start, class, tokens in and out."""

    at: Floats
    classes: tuple[str, ...]
    input_tokens: Sequence[int]
    output_tokens: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """TTFT and mean TPOT of every request, in seconds."""

    ttft: Floats
    tpot: Floats

    def line(self, name: str, usd_per_hour: float, tpot_bound: float) -> str:
        """A row: percentiles, and the share of requests within both bounds."""
        ttft = " ".join(f"{v:7.2f}" for v in np.percentile(self.ttft, (50, 90, 99)))
        tpot = " ".join(f"{1e3 * v:6.1f}" for v in np.percentile(self.tpot, (50, 90, 99)))
        kept = float(((self.tpot <= tpot_bound) & (self.ttft <= TTFT_SECONDS)).mean())
        return f"{name:<34}{usd_per_hour:9.3f}   {ttft}   {tpot}   {percent(kept, 1):>8}"


def replay(solution: Solution, step_times: Mapping[str, StepTimes], requests: Requests) -> Replayed:
    """The requests through the solution's fleet; `step_times` by configuration."""
    replicas = _replicas(solution)
    cores = [EngineCore(step_times[configuration]) for _, configuration in replicas]
    places = _placed(solution, replicas, requests.classes)
    ttft, tpot = np.full(len(places), math.inf), np.full(len(places), math.inf)
    first: dict[int, float] = {}

    def note(events: list[Event]) -> None:
        for event in events:
            i = event.request
            if event.kind is EventKind.FIRST_TOKEN:
                first[i] = event.at
                ttft[i] = event.at - requests.at[i]
            if event.kind is EventKind.FINISHED:
                more = requests.output_tokens[i] - 1
                tpot[i] = (event.at - first.get(i, event.at)) / more if more else 0.0

    for i, place in enumerate(places):
        at = float(requests.at[i])
        core = cores[place]
        inputs, outputs = requests.input_tokens[i], requests.output_tokens[i]
        note(core.advance(at))
        core.submit(Generation(id=i, input_tokens=inputs, output_tokens=outputs), at)
    for core in cores:
        while (after := core.next_event_at()) is not None:
            note(core.advance(after))
    return Replayed(ttft=ttft, tpot=tpot)


def _replicas(solution: Solution) -> list[tuple[str, str]]:
    """Offer and configuration of every replica, pool after pool."""
    return [pool.key for pool in solution.pools for _ in range(pool.nodes * pool.replicas_per_node)]


def _placed(solution: Solution, replicas: Sequence[tuple[str, str]], classes: Sequence[str]) -> list[int]:
    """The replica of each request: whoever of its class's replicas is furthest behind its weight."""
    counts = {key: replicas.count(key) for key in set(replicas)}
    weights: dict[str, list[tuple[int, float]]] = {}
    for share in solution.shares:
        of = [(i, share.share / counts[share.key]) for i, key in enumerate(replicas) if key == share.key]
        weights.setdefault(share.workload_class, []).extend(of)
    sent: dict[str, list[float]] = {name: [0.0] * len(of) for name, of in weights.items()}
    placed = []
    for name in classes:
        due = [(count + 1) / weight for count, (_, weight) in zip(sent[name], weights[name], strict=True)]
        k = due.index(min(due))
        sent[name][k] += 1
        placed.append(weights[name][k][0])
    return placed


def figures(requests_per_second: int = 32) -> Iterator[str]:
    """The conversation trace, its times pressed together to a mean rate, through every answer to its own demand."""
    yield (
        f"{TRACE.name} at {requests_per_second}/s, {percent(HEADROOM)} headroom, TTFT bound {TTFT_SECONDS:g} s\n"
        f"{'answer':<34}{'USD/h':>9}   {'TTFT s p50, p90, p99':<23}   {'TPOT ms p50, p90, p99':<20}   in bounds"
    )
    for seconds in (0.12, 0.04):
        cell = SizeCell(mix="chat", requests_per_second=requests_per_second, tpot_seconds=seconds)
        problem = replace(size_problem(cell, ttft_seconds=TTFT_SECONDS), headroom=HEADROOM)
        rated = size_rates(seconds, TTFT_SECONDS)
        requests = trace(rated, requests_per_second)
        yield f"TPOT bound {1e3 * seconds:g} ms"
        for name, answer in _answers():
            found = answer(problem)
            if isinstance(found, Solution):
                replayed = replay(found, rated.table.step_times, requests)
                yield replayed.line(name, float(found.usd_per_hour), seconds)
            else:
                yield f"{name:<34} no fleet"


def _answers() -> Iterator[tuple[str, Callable[[Problem], Solution | Infeasible]]]:
    yield "hetops", solve
    yield from ((rival.name, rival.answer) for rival in RIVALS if Mode.MIN_COST in rival.modes)


def trace(rated: Rated, requests_per_second: float) -> Requests:
    """The trace's requests of a bucket that is planned for, in order, at a mean rate."""
    with TRACE.open(encoding="utf-8", newline="") as file:
        rows = [
            (float(row["timestamp"]), int(row["input_tokens"]), int(row["output_tokens"]))
            for row in csv.DictReader(file)
        ]
    found = [(at, i, o, bucket_of("chat", i, o)) for at, i, o in rows if i + o <= CONTEXT]
    kept = [(at, i, o, f"{rated.model.name} {name}") for at, i, o, name in found if name]
    at = np.array([row[0] for row in kept])
    at = (at - at[0]) * (len(at) / (at[-1] - at[0]) / requests_per_second)
    return Requests(
        at=at,
        classes=tuple(row[3] for row in kept),
        input_tokens=[row[1] for row in kept],
        output_tokens=[row[2] for row in kept],
    )
