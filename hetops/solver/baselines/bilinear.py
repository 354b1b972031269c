"""The published algorithm for this problem: bilinear model and binary search on the makespan (Jiang et al., ICML 2025).

"Demystifying Cost-Efficiency in LLM Serving over Heterogeneous GPUs", arXiv:2502.00722, section 4.2 and Algorithm 1 of
appendix F. All requests are there at once; y[c] replicas of c and parts x[c, w] of each class make the makespan

    T = max over c of  sum over w of x[c, w] * f[w] / (y[c] * h[c, w]),

which has T times y. For a fixed T it is linear, so T is halved between what the fastest columns would need and what a
fleet that exists needs, until less than the tolerance is left (1 s in the paper). The last T that could be met stands.

Decides nodes and shares to that tolerance. Its rows are its own: nothing of `formulate` is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hetops.solver import highs
from hetops.solver.answers.balance import Key
from hetops.solver.baselines.answer import answer
from hetops.solver.baselines.room import Room
from hetops.solver.matrix import MatrixModel, Row, assemble
from hetops.solver.problem import Column, Demand, Problem
from hetops.solver.solution import Infeasible, Solution

LIMIT_SECONDS = 120.0
"""Search time of one feasibility check, after which a makespan counts as not to be met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is there at once: so many requests in the proportions of the demands, served to within a tolerance.

    The paper does not print its numbers of requests; 10,000 take minutes, so that its 1 s is around 1 % or less.
    """

    requests: float = 10_000.0
    tolerance_seconds: float = 1.0


def binary_search(problem: Problem, batch: Batch | None = None) -> Solution | Infeasible:
    """The fleet of the smallest makespan that the search meets, as an answer to a problem of most throughput."""
    batch = batch or Batch()
    check = _Check.of(problem, batch)
    high = check.slowest()
    low, kept = check.fastest(), check.fleet(high)
    if kept is None:
        return Infeasible()
    while high - low > batch.tolerance_seconds:
        middle = (low + high) / 2.0
        found = check.fleet(middle)
        low, high, kept = (low, middle, found) if found else (middle, high, kept)
    return answer(problem, *kept, "binary search")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    """Whether a makespan can be met. Variables: replicas y of each column, then parts x of each class on it."""

    room: Room
    classes: tuple[Demand, ...]
    requests: tuple[float, ...]
    usable: float
    pairs: tuple[tuple[int, int], ...]
    """Column and class of each part."""

    @classmethod
    def of(cls, problem: Problem, batch: Batch) -> _Check:
        """The classes that are asked for, and the columns that can serve them."""
        classes = tuple(c for c in problem.classes if c.requests_per_second > 0)
        columns = problem.columns
        return cls(
            room=Room.of(problem, columns),
            classes=classes,
            requests=tuple(
                c.requests_per_second / problem.requests_per_second * batch.requests for c in classes
            ),
            usable=float(problem.usable_share),
            pairs=tuple(
                (j, w)
                for j, column in enumerate(columns)
                for w, c in enumerate(classes)
                if column.rate(c.name) > 0
            ),
        )

    def seconds(self, j: int, w: int) -> float:
        """What all requests of a class take on one node of a column."""
        return self.requests[w] / (self.room.columns[j].rate(self.classes[w].name) * self.usable)

    def fastest(self) -> float:
        """A makespan that no fleet can beat: each class alone on all nodes that its limits allow, on the best column."""
        most = self.room.most_nodes
        each = [
            1.0 / sum(most[j] / self.seconds(j, w) for j, of in self.pairs if of == w and most[j] > 0)
            for w in range(len(self.classes))
            if any(of == w and most[j] > 0 for j, of in self.pairs)
        ]
        return max(each, default=0.0)

    def slowest(self) -> float:
        """A makespan that every fleet can meet that has a node for each class: all of them one after the other."""
        worst = [
            max((self.seconds(j, of) for j, of in self.pairs if of == w), default=0.0)
            for w in range(len(self.classes))
        ]
        return sum(worst)

    def fleet(self, makespan_seconds: float) -> tuple[dict[Key, int], dict[tuple[str, Key], float]] | None:
        """A fleet that serves everything in that time; None where there is none."""
        columns: tuple[Column, ...] = self.room.columns
        found = highs.run(self._model(makespan_seconds), limit_seconds=LIMIT_SECONDS)
        if not found.found:
            return None
        counts = [round(float(v)) for v in found.values[: len(columns)]]
        nodes = {column.key: count for column, count in zip(columns, counts, strict=True) if count > 0}
        shares = {
            (self.classes[w].name, columns[j].key): float(found.values[len(columns) + k])
            for k, (j, w) in enumerate(self.pairs)
            if found.values[len(columns) + k] > highs.FEASIBILITY_TOLERANCE and counts[j] > 0
        }
        return nodes, shares

    def _model(self, makespan_seconds: float) -> MatrixModel:
        width = len(self.room.columns)
        upper = np.concatenate((self.room.most_nodes, np.ones(len(self.pairs))))
        return assemble(
            cost=np.zeros(len(upper)), upper=upper, integers=width, rows=list(self._rows(makespan_seconds))
        )

    def _rows(self, makespan_seconds: float) -> Iterator[Row]:
        width = len(self.room.columns)
        for w, c in enumerate(self.classes):  # (2): every class is served
            terms = [(width + k, 1.0) for k, (_, of) in enumerate(self.pairs) if of == w]
            yield Row(subject=c.name, terms=terms, lower=1.0, upper=1.0)
        times: list[list[tuple[int, float]]] = [[] for _ in self.room.columns]
        for k, (j, w) in enumerate(self.pairs):
            times[j].append((width + k, self.seconds(j, w) / makespan_seconds))
            yield Row(subject=(j, w), terms=[(width + k, 1.0), (j, -1.0)], upper=0.0)  # (4)
        for j, terms in enumerate(times):  # (3), multiplied by y
            yield Row(subject=j, terms=[*terms, (j, -1.0)], upper=0.0)
        yield from self.room.rows()  # (5), (6)
