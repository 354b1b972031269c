"""Replicas over unlike GPUs: the paper's cells with mixed pipelines, and Helix's clusters of 24 and 42 nodes.

Rates are the closed form's for pipelines of unlike stages (`hetops.performance.pipelines`), which nobody has measured: what is
compared is answers on one table of them. Prints figures and decides nothing.
"""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache

from benchmarks.solver_cells import (
    GPUS,
    LENGTHS,
    MIXES,
    PAPER_GRID,
    PaperCell,
    catalog,
    paper_problem,
    paper_rates,
)
from benchmarks.solver_paper import SLACK, Tally, demanded, timed
from hetops.domain.configuration import StageGpus
from hetops.domain.model import Precision
from hetops.domain.workload import LatencyTarget, TokenLengths, WorkloadClass
from hetops.performance.pipelines import Network, pipeline
from hetops.performance.rate import sustained
from hetops.solver.baselines import helix, hexgen
from hetops.solver.baselines.bilinear import binary_search
from hetops.solver.certify import certify
from hetops.solver.problem import Column, Demand, Mode, PricedOffer, Problem
from hetops.solver.solution import Solution
from hetops.solver.solve import solve
from hetops.solver.variables import frame_of

MODEL = "llama-3.1-70b"
MOST_STAGES = 4
MOST_GPUS = 8
CELLS = tuple(cell for cell in PAPER_GRID if cell.models == "70B")
LINK = Network(gb_per_second=12.5)
"""100 Gb/s between nodes of the paper's cells."""

CLUSTERS: Mapping[str, Mapping[str, int]] = {
    "24 nodes": {"A100-40GB-SXM:1": 4, "L4:1": 8, "T4:1": 12},
    "42 nodes": {
        "A100-40GB-SXM:1": 4,
        "V100-16GB-SXM2:1": 6,
        "L4:1": 8,
        "L4:2": 4,
        "T4:1": 10,
        "T4:2": 6,
        "T4:4": 4,
    },
}
"""Nodes of arXiv:2406.01566, its single cluster and the one of high heterogeneity (its artifact's configurations)."""
CLUSTER_LINK = Network(gb_per_second=1.25)
"""10 Gb/s, as there."""
MOST_NODES = {"24 nodes": 24, "42 nodes": 6}
"""Nodes that a replica may be spread over: of the larger cluster there are too many sets to write down all of them."""

LIMIT_SECONDS = 120.0
"""Of a search: these take some ten CPU seconds, which a busy machine does not give in half a minute."""

Stages = tuple[StageGpus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """A replica over these stages, and what it sustains of each class."""

    stages: Stages
    rates: Mapping[str, float]

    @property
    def name(self) -> str:
        """The stages in order."""
        return "+".join(map(name_of, self.stages))


def name_of(stage: StageGpus) -> str:
    """The GPU type and how many."""
    return f"{stage.gpu}:{stage.tensor_parallel}"


def rated(shapes: Sequence[Stages], network: Network) -> list[Mixed]:
    """Those of the pipelines that have memory enough, and their rates of the nine types."""
    model = catalog().model(MODEL)
    gpus = {stage.gpu: catalog().gpu(stage.gpu) for stages in shapes for stage in stages}
    base = paper_rates(MODEL, (Precision.BF16,)).configurations[0]
    found = []
    for stages in shapes:
        try:
            found.append((stages, pipeline(base, stages, network, model, gpus).times))
        except ValueError:
            continue
    rates: list[dict[str, float]] = [{} for _ in found]
    for of in _classes():
        told = sustained([times for _, times in found], of, [base.max_context_tokens] * len(found))
        for each, one in zip(rates, told, strict=True):
            each[f"{MODEL} {of.name}"] = one.requests_per_second
    return [
        Mixed(stages=stages, rates={n: r for n, r in each.items() if r > 0})
        for (stages, _), each in zip(found, rates, strict=True)
        if any(each.values())
    ]


def _classes() -> list[WorkloadClass]:
    return [
        WorkloadClass(
            name=f"{i}/{o}",
            requests_per_second=1.0,
            input_tokens=TokenLengths.fixed(i),
            output_tokens=TokenLengths.fixed(o),
            target=LatencyTarget(),
        )
        for i, o in LENGTHS
    ]


@cache
def paper_pipelines() -> tuple[Mixed, ...]:
    """Of two to four stages of one to eight GPUs, at most eight together, on two types at least."""
    stages = [StageGpus(gpu=gpu, tensor_parallel=n) for gpu, n in itertools.product(GPUS, (1, 2, 4))]
    shapes = [
        combination
        for count in range(2, MOST_STAGES + 1)
        for combination in itertools.combinations_with_replacement(stages, count)
        if len({s.gpu for s in combination}) > 1 and sum(s.tensor_parallel for s in combination) <= MOST_GPUS
    ]
    return tuple(rated(shapes, LINK))


def mixed_problem(cell: PaperCell) -> Problem:
    """The paper's cell with its columns and those of mixed pipelines, all of them over nodes of one GPU."""
    problem = paper_problem(cell, gap=1e-3)
    single = {o.gpu: o for o in problem.offers if o.gpu_count == 1}
    gpus_of = {o.id: [single[o.gpu].id] * o.gpu_count for o in problem.offers}
    alike = (_column(c.configuration, gpus_of[c.offer], c.requests_per_second) for c in problem.columns)
    mixed = (
        _column(m.name, [single[s.gpu].id for s in m.stages for _ in range(s.tensor_parallel)], m.rates)
        for m in paper_pipelines()
    )
    stock = {o.id: o.max_nodes for o in single.values()}
    columns = tuple(c for c in (*alike, *mixed) if all(n <= (stock[o] or 0) for o, n in c.takes.items()))
    return replace(
        problem,
        offers=tuple(single.values()),
        configurations=tuple(c.configuration for c in columns),
        columns=columns,
    )


def _column(name: str, nodes: Sequence[str], rates: Mapping[str, float]) -> Column:
    """One over these nodes, the first of which is its own."""
    own, *others = nodes
    return Column(offer=own, configuration=name, also=dict(Counter(others)), requests_per_second=rates)


def cluster_problem(cluster: str, trace: str) -> Problem:
    """All nodes of a cluster, whatever they cost, for the mix of a trace."""
    nodes = CLUSTERS[cluster]
    columns = tuple(
        _column(m.name, [name_of(s) for s in m.stages], m.rates) for m in _cluster_pipelines(cluster)
    )
    return Problem(
        mode=Mode.MAX_THROUGHPUT,
        offers=tuple(
            PricedOffer(
                id=name,
                usd_per_hour=Decimal(1),
                max_nodes=count,
                gpu=name.split(":")[0],
                gpu_count=int(name.split(":")[1]),
            )
            for name, count in nodes.items()
        ),
        configurations=tuple(c.configuration for c in columns),
        classes=tuple(
            Demand(name=f"{MODEL} {i}/{o}", requests_per_second=percent)
            for (i, o), percent in zip(LENGTHS, MIXES[trace], strict=True)
        ),
        columns=columns,
    )


@cache
def _cluster_pipelines(cluster: str) -> tuple[Mixed, ...]:
    """Every set of nodes that holds the model, each node a stage, up to `MOST_NODES`."""
    nodes = CLUSTERS[cluster]
    stages = [StageGpus(gpu=n.split(":")[0], tensor_parallel=int(n.split(":")[1])) for n in nodes]
    shapes = [
        tuple(stage for stage, count in zip(stages, counts, strict=True) for _ in range(count))
        for counts in itertools.product(*(range(most + 1) for most in nodes.values()))
        if 1 <= sum(counts) <= MOST_NODES[cluster]
    ]
    return tuple(rated(shapes, CLUSTER_LINK))


def cells(some: Sequence[PaperCell] = CELLS) -> Iterator[str]:
    """Ours with mixed pipelines against ours without, then rivals that may use them too."""
    problems = [(cell, mixed_problem(cell)) for cell in some]
    counts = [(len(p.columns), len(frame_of(p, None).columns)) for _, p in problems]
    ours, seconds, gains = [], [], []
    for cell, problem in problems:
        found, took = timed(lambda problem=problem: solve(problem, limit_seconds=LIMIT_SECONDS))  # type: ignore[misc]
        ours.append(demanded(found))
        seconds.append(took)
        gains.append(ours[-1].objective / demanded(solve(paper_problem(cell, gap=1e-3))).objective)
    yield (
        f"mixed pipelines, {len(some)} cells of 70B: {min(c for c, _ in counts)} to {max(c for c, _ in counts)} columns, of which"
        f" {min(c for _, c in counts)} to {max(c for _, c in counts)} are not beaten; gap at most {max(o.gap for o in ours):.1e};"
        f" CPU seconds mean {statistics.mean(seconds):.2f}, worst {max(seconds):.2f}"
    )
    used = sum(any(pool.also for pool in one.pools) for one in ours)
    yield (
        f"with mixed pipelines over without: mean {statistics.mean(gains):.3f}, least {min(gains):.4f}, most {max(gains):.3f};"
        f" in use in {used} cells"
    )
    rivals = {
        "binary search": binary_search,
        "hexgen, our GPUs": hexgen.hexgen_on_ours,
        "helix, our GPUs": helix.helix_on_ours,
    }
    for name, rival in rivals.items():
        tally = Tally()
        for (_, problem), best in zip(problems, ours, strict=True):
            found, took = timed(lambda problem=problem, rival=rival: rival(problem))  # type: ignore[misc]
            tally.note(problem, found, best, took)
        yield _line(tally, name)


def clusters() -> Iterator[str]:
    """Helix's clusters as they are: ours, Helix-like and HexGen-like on one table of rates."""
    for cluster, trace in itertools.product(CLUSTERS, MIXES):
        problem = cluster_problem(cluster, trace)
        found, took = timed(lambda problem=problem: solve(problem, limit_seconds=LIMIT_SECONDS))  # type: ignore[misc]
        ours = demanded(found)
        yield (
            f"{cluster}, {trace}: {len(problem.columns)} columns; ours {ours.objective:.3f} requests per second, bound"
            f" {ours.bound:.3f}, gap {ours.gap:.1e}, {took:.1f} CPU s"
        )
        rivals = {
            "helix": lambda problem=problem: helix.max_flow(problem, problem),  # type: ignore[misc]
            "hexgen": lambda problem=problem: hexgen.search(problem, problem),  # type: ignore[misc]
        }
        for name, rival in rivals.items():
            answer, took = timed(rival)
            rate = answer.objective if isinstance(answer, Solution) else 0.0
            broken = isinstance(answer, Solution) and bool(certify(problem, answer))
            yield (
                f"  {name}-like {rate:.3f} requests per second, {rate / ours.objective:.3f} of ours, {took:.1f} CPU s"
                + (", beyond limits" if broken else "")
            )


def _line(tally: Tally, name: str) -> str:
    better = sum(ratio > 1 + SLACK for ratio in tally.ratios)
    return (
        tally.line(name)
        + f"   better than ours in {better}"
        + f", {tally.broken} beyond limits" * bool(tally.broken)
    )


def figures(some: Sequence[PaperCell] = CELLS) -> Iterator[str]:
    """Both parts."""
    yield from clusters()
    yield from cells(some)
