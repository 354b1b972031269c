"""How well predictions did on measured cases: medians, per GPU, the order of GPU types, and how often intervals held. Pure."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hetops.performance.calibrate import GROUPS, counted, publisher
from hetops.performance.cases import Case, Metric
from hetops.performance.physics import Floats
from hetops.performance.predict import Prediction

CLOSE = 0.25
LEAST_ROWS = 10
"""Fewer rows of a GPU type say little of it."""
APART = 1.2
"""Two GPU types whose throughput per GPU differs by less than this factor may be told either way round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Errors of some cases: relative, in size. `bias` is the median of ln(predicted / measured)."""

    subject: str
    rows: int
    median_error: float
    within_a_quarter: float
    """Share of rows within 25 %."""
    bias: float
    covered: float
    """Share of rows within their 80 % interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """How many pairs that differ by a fifth and more are told the right way round."""

    right: float | None
    """Their share; None without pairs."""
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How a calibration did on a file of measurements."""

    FORMAT: ClassVar[str] = "hetops.score"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    rows: int
    """Measured rows of quality A or B that were predicted."""
    left_out: int
    """Rows of quality C or without a value."""
    refused: int
    metrics: tuple[Spread, ...]
    gpus: tuple[Spread, ...]
    """Throughput by GPU type."""
    ordered_right: float | None
    """Of pairs of GPU types on the same job that differ by a fifth and more, the share ranked right; None without pairs."""
    pairs: int
    covered: float
    """Share of all rows within their interval."""


def score(cases: Sequence[Case], predictions: Sequence[Prediction], *, refused: int = 0) -> Score:
    """The score of predictions for these cases, in the same order.

    Raises:
        ValueError: no case is measured.
    """
    answered = [(c, _Answer.of(p)) for c, p in zip(cases, predictions, strict=True) if counted((c,))]
    if not answered:
        raise ValueError("no measured row of quality A or B")
    used, found = zip(*answered, strict=True)
    measured = np.array([c.value for c in used], dtype=np.float64)
    errors = np.log([a.value for a in found]) - np.log(measured)
    covered = np.array([a.low <= m <= a.high for a, m in zip(found, measured, strict=True)])
    order = gpu_types_ranked(used, [a.value for a in found])
    return Score(
        rows=len(used),
        left_out=len(cases) - len(used),
        refused=refused,
        metrics=tuple(_by_metric(used, errors, covered)),
        gpus=tuple(_by_gpu(used, errors, covered)),
        ordered_right=order.right,
        pairs=order.pairs,
        covered=float(covered.mean()),
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """A prediction that has a value."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, p: Prediction) -> _Answer:
        assert p.value is not None, p.id
        assert p.low is not None, p.id
        assert p.high is not None, p.id
        return cls(p.value, p.low, p.high)


def _spread(subject: str, errors: Floats, covered: Floats) -> Spread:
    size = np.abs(np.expm1(errors))
    return Spread(
        subject=subject,
        rows=len(errors),
        median_error=float(np.median(size)),
        within_a_quarter=float((size <= CLOSE).mean()),
        bias=float(np.median(errors)),
        covered=float(covered.mean()),
    )


def _by_metric(cases: Sequence[Case], errors: Floats, covered: Floats) -> Iterator[Spread]:
    for group, metrics in {**GROUPS, "end to end": (Metric.E2E,)}.items():
        which = np.array([c.metric in metrics for c in cases])
        if which.any():
            yield _spread(group, errors[which], covered[which])


def _by_gpu(cases: Sequence[Case], errors: Floats, covered: Floats) -> Iterator[Spread]:
    for gpu in sorted({c.gpu for c in cases}):
        which = np.array([c.gpu == gpu and c.metric.is_throughput for c in cases])
        if which.sum() >= LEAST_ROWS:
            yield _spread(gpu, errors[which], covered[which])


def gpu_types_ranked(cases: Sequence[Case], predicted: Sequence[float]) -> Ranked:
    """Of pairs of GPU types on the same job of one source, by throughput per GPU, those that are told the right way round."""
    return _ranked(
        (_job(c, c.source), (c.gpu, c.value / c.gpu_count, value / c.gpu_count))
        for c, value in zip(cases, predicted, strict=True)
        if c.metric.is_throughput and c.value
    )


def configurations_ranked(cases: Sequence[Case], predicted: Sequence[float]) -> Ranked:
    """Of any two configurations of one publisher under one load, by throughput of the whole, those told the right way round."""
    return _ranked(
        (_job(c, publisher(c)), ((c.gpu, c.gpu_count, c.replica), c.value, value))
        for c, value in zip(cases, predicted, strict=True)
        if c.metric.is_throughput and c.value
    )


def _job(case: Case, of: str) -> Hashable:
    load = (case.input_tokens, case.output_tokens, case.concurrency, case.requests_per_second)
    return case.replica.model.name, case.metric, load, of


def _ranked(rows: Iterable[tuple[Hashable, tuple[object, float, float]]]) -> Ranked:
    """Of rows by job: what is compared, what was measured of it, and what was predicted."""
    jobs: dict[Hashable, list[tuple[object, float, float]]] = defaultdict(list)
    for job, row in rows:
        jobs[job].append(row)
    right = [
        (one[1] > other[1]) == (one[2] > other[2])
        for of in jobs.values()
        for one, other in itertools.combinations(of, 2)
        if one[0] != other[0] and max(one[1], other[1]) >= APART * min(one[1], other[1])
    ]
    return Ranked(right=float(np.mean(right)) if right else None, pairs=len(right))
