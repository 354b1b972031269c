"""Classes out of a trace: deterministic k-means on the logarithm of input and output length. Pure.

Lengths are log-normal to a first approximation, so a factor of two counts alike at every length and in both. What the
classes misjudge is measured in `error`, on the cost of the GPUs at hand.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetops.domain.workload import LatencyTarget, Priority, TokenLengths, WorkloadClass
from hetops.workloads.trace import Floats, Labels, Trace

_CELL = 0.1
"""Requests whose lengths differ by less than 10 % are clustered as one point with their weight."""
_STARTS = 4
_ROUNDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRule:
    """Targets for classes whose mean lengths lie in a range; the last rule that fits wins, field by field."""

    min_input_tokens: float = 0.0
    max_input_tokens: float = float("inf")
    min_output_tokens: float = 0.0
    max_output_tokens: float = float("inf")
    ttft_seconds: float | None = None
    tpot_seconds: float | None = None
    priority: Priority | None = None

    def fits(self, input_tokens: float, output_tokens: float) -> bool:
        """Whether a class of these mean lengths is meant."""
        return (
            self.min_input_tokens <= input_tokens <= self.max_input_tokens
            and self.min_output_tokens <= output_tokens <= self.max_output_tokens
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clustering:
    """The classes of a trace and which class each request belongs to, by its index in `classes`."""

    classes: tuple[WorkloadClass, ...]
    labels: Labels


def cluster(
    trace: Trace, *, count: int, periods: int, target: LatencyTarget, rules: Sequence[TargetRule] = ()
) -> Clustering:
    """At most `count` classes of a trace, shortest first, each with its rate in `periods` equal stretches of time.

    The rate to plan for is that of the class's own busiest period, so a fleet for these rates serves every period.
    The same trace gives the same classes.
    """
    points = np.log(np.column_stack([trace.input_tokens, trace.output_tokens]))
    raw = _k_means(points, count)
    cost = [
        trace.input_tokens[raw == k].mean() + trace.output_tokens[raw == k].mean() * 10
        for k in range(raw.max() + 1)
    ]
    rank = np.argsort(np.argsort(cost))
    labels = rank[raw].astype(np.int64)
    classes: list[WorkloadClass] = []
    for k in range(int(labels.max()) + 1):
        naming = _Naming(taken=frozenset(c.name for c in classes), target=target, rules=tuple(rules))
        classes.append(_class(trace, labels == k, periods, naming))
    return Clustering(classes=tuple(classes), labels=labels)


def lengths(values: Floats) -> TokenLengths:
    """Mean and percentiles of observed lengths."""
    p50, p90, p95, p99 = (float(v) for v in np.percentile(values, (50, 90, 95, 99)))
    return TokenLengths(mean=float(values.mean()), p50=p50, p90=p90, p95=p95, p99=p99)


def targeted(
    target: LatencyTarget, rules: Sequence[TargetRule], input_tokens: float, output_tokens: float
) -> tuple[LatencyTarget, Priority]:
    """The target and priority of a class of these mean lengths."""
    ttft, tpot, priority = target.ttft_seconds, target.tpot_seconds, Priority.INTERACTIVE
    for rule in (r for r in rules if r.fits(input_tokens, output_tokens)):
        ttft = ttft if rule.ttft_seconds is None else rule.ttft_seconds
        tpot = tpot if rule.tpot_seconds is None else rule.tpot_seconds
        priority = rule.priority or priority
    resolved = LatencyTarget(
        ttft_seconds=ttft,
        ttft_percentile=target.ttft_percentile,
        tpot_seconds=tpot,
        tpot_percentile=target.tpot_percentile,
    )
    return resolved, priority


@dataclass(frozen=True, slots=True, kw_only=True)
class _Naming:
    """What a class needs to know besides its requests."""

    taken: frozenset[str]
    target: LatencyTarget
    rules: tuple[TargetRule, ...]


def _class(trace: Trace, members: NDArray[np.bool_], periods: int, naming: _Naming) -> WorkloadClass:
    input_tokens, output_tokens = lengths(trace.input_tokens[members]), lengths(trace.output_tokens[members])
    target, priority = targeted(naming.target, naming.rules, input_tokens.mean, output_tokens.mean)
    rates = _rates(trace, members, periods)
    return WorkloadClass(
        name=_name(input_tokens.mean, output_tokens.mean, naming.taken),
        requests_per_second=max(rates),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        target=target,
        priority=priority,
        requests_per_second_by_period=rates if periods > 1 else (),
    )


def _rates(trace: Trace, members: NDArray[np.bool_], periods: int) -> tuple[float, ...]:
    """Requests per second in each of `periods` equal stretches of the trace."""
    period_seconds = trace.seconds / periods
    period = np.minimum((trace.at_seconds[members] / period_seconds).astype(np.int64), periods - 1)
    counts = np.bincount(period, minlength=periods)
    return tuple(float(c) / period_seconds for c in counts)


def _name(input_tokens: float, output_tokens: float, taken: frozenset[str]) -> str:
    """`in1.2k-out210`: what the class is; a number tells apart what rounds alike."""
    base = f"in{_short(input_tokens)}-out{_short(output_tokens)}"
    numbered = (f"{base}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain((base,), numbered) if name not in taken)


def _short(tokens: float) -> str:
    rounded = float(f"{tokens:.2g}")
    return f"{rounded / 1000:g}k" if rounded >= 1000 else f"{rounded:g}"


def _k_means(points: Floats, count: int) -> Labels:
    """The tightest of a few runs of Lloyd's algorithm from k-means++ starts with fixed seeds; empty clusters vanish.

    Runs on cells of like points with their weights: time does not grow with the trace.
    """
    keys, cell_of = np.unique(np.round(points / _CELL), axis=0, return_inverse=True)
    cell_of = cell_of.reshape(-1)
    weights = np.bincount(cell_of).astype(np.float64)
    cells = np.column_stack([np.bincount(cell_of, points[:, axis]) / weights for axis in (0, 1)])
    runs = (_lloyd(cells, weights, min(count, len(keys)), seed) for seed in range(_STARTS))
    _, labels = min(runs, key=lambda run: run[0])
    return np.unique(labels[cell_of], return_inverse=True)[1].reshape(-1).astype(np.int64)


def _lloyd(cells: Floats, weights: Floats, count: int, seed: int) -> tuple[float, Labels]:
    """Weighted squared distance to the centres, and each cell's nearest centre."""
    centres = _spread(cells, weights, count, seed)
    labels = np.full(len(cells), -1, dtype=np.int64)
    for _ in range(_ROUNDS):
        distances = _squared(cells, centres)
        nearest = distances.argmin(axis=1)
        if (nearest == labels).all():
            break
        labels = nearest
        mass = np.bincount(labels, weights, minlength=len(centres))
        sums = np.column_stack(
            [np.bincount(labels, weights * cells[:, axis], minlength=len(centres)) for axis in (0, 1)]
        )
        centres = np.where(mass[:, None] > 0, sums / np.maximum(mass, 1.0)[:, None], centres)
    return float((_squared(cells, centres).min(axis=1) * weights).sum()), labels


def _spread(cells: Floats, weights: Floats, count: int, seed: int) -> Floats:
    """k-means++ (Arthur and Vassilvitskii 2007): each next centre with chance proportional to its squared distance."""
    generator = np.random.default_rng(seed)
    centres = cells[[int(generator.choice(len(cells), p=weights / weights.sum()))]]
    nearest = _squared(cells, centres)[:, 0]
    for _ in range(count - 1):
        chance = nearest * weights
        if chance.sum() == 0:
            break
        chosen = cells[[int(generator.choice(len(cells), p=chance / chance.sum()))]]
        centres = np.vstack([centres, chosen])
        nearest = np.minimum(nearest, _squared(cells, chosen)[:, 0])
    return centres


def _squared(points: Floats, centres: Floats) -> Floats:
    """Squared distances of every point (rows) to every centre (columns)."""
    distances: Floats = np.zeros((len(points), len(centres)))
    for axis in (0, 1):
        distances += (points[:, axis, None] - centres[None, :, axis]) ** 2
    return distances
