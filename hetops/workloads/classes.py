"""Classes out of a trace: deterministic k-means on the logarithm of input and output length. Pure.

Lengths are log-normal to a first approximation, and the cost of a request grows with both, so distances are taken on
their logarithms; output weighs double, since a token decoded costs far more than a token read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetops.domain.workload import LatencyTarget, Priority, TokenLengths, WorkloadClass
from hetops.workloads.trace import Floats, Trace

Labels = NDArray[np.int64]

_OUTPUT_WEIGHT = 2.0
_ROUNDS = 100


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

    The rate to plan for is the busiest period's. The same trace gives the same classes.
    """
    points = np.log(np.column_stack([trace.input_tokens, trace.output_tokens])) * (1.0, _OUTPUT_WEIGHT)
    raw = _k_means(points, min(count, len(np.unique(points, axis=0))))
    cost = [
        trace.input_tokens[raw == k].mean() + trace.output_tokens[raw == k].mean() * 10
        for k in range(raw.max() + 1)
    ]
    rank = np.argsort(np.argsort(cost))
    labels = rank[raw].astype(np.int64)
    classes: list[WorkloadClass] = []
    for k in range(int(labels.max()) + 1):
        taken = {c.name for c in classes}
        classes.append(
            _class(
                trace,
                labels == k,
                periods,
                _Naming(taken=frozenset(taken), target=target, rules=tuple(rules)),
            )
        )
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
    edges = np.linspace(0.0, trace.seconds, periods + 1)
    counts, _ = np.histogram(trace.at_seconds[members], bins=edges)
    return tuple(float(c) / (trace.seconds / periods) for c in counts)


def _name(input_tokens: float, output_tokens: float, taken: frozenset[str]) -> str:
    """`in1.2k-out210`: what the class is; a letter tells apart what rounds alike."""
    base = f"in{_short(input_tokens)}-out{_short(output_tokens)}"
    return next(
        name for name in (base, *(f"{base}-{letter}" for letter in "bcdefghijklmnop")) if name not in taken
    )


def _short(tokens: float) -> str:
    rounded = float(f"{tokens:.2g}")
    return f"{rounded / 1000:g}k" if rounded >= 1000 else f"{rounded:g}"


def _k_means(points: Floats, count: int) -> Labels:
    """Lloyd's algorithm from a k-means++ start with a fixed seed; empty clusters vanish."""
    centres = _spread(points, count)
    labels = np.zeros(len(points), dtype=np.int64)
    for _ in range(_ROUNDS):
        distances = ((points[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2)
        nearest = distances.argmin(axis=1)
        if (nearest == labels).all() and _ > 0:
            break
        labels = nearest
        centres = np.array(
            [points[labels == k].mean(axis=0) if (labels == k).any() else centres[k] for k in range(count)]
        )
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _spread(points: Floats, count: int) -> Floats:
    """k-means++ (Arthur and Vassilvitskii 2007): each next centre with chance proportional to its squared distance."""
    generator = np.random.default_rng(0)
    chosen = [points[int(generator.integers(len(points)))]]
    for _ in range(count - 1):
        nearest = np.min([((points - c) ** 2).sum(axis=1) for c in chosen], axis=0)
        if nearest.sum() == 0:
            break
        chosen.append(points[int(generator.choice(len(points), p=nearest / nearest.sum()))])
    return np.array(chosen)
