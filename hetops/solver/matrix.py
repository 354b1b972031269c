"""A linear model with integers as sparse arrays, and how rows become one. Knows nothing of offers, and runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
INFINITY = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`lower <= sum of coefficient * variable <= upper`; `subject` says in the problem's words what it limits."""

    subject: object
    terms: Sequence[tuple[int, float]]
    lower: float = -INFINITY
    upper: float = INFINITY


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatrixModel:
    """Minimise `cost @ x` subject to rows and bounds; the rows' entries lie one row after another."""

    cost: Floats
    lower: Floats
    upper: Floats
    integer: NDArray[np.bool_]
    row_starts: NDArray[np.int32]
    row_indices: NDArray[np.int32]
    row_values: Floats
    row_lower: Floats
    row_upper: Floats
    subjects: tuple[object, ...]
    """What each row limits, in order."""
    lines: tuple[NDArray[np.int64], ...] = ()
    """Variables that only their costs tell apart, where there are several; what is told of them is no part of the model."""

    @property
    def linear(self) -> MatrixModel:
        """Without integrality."""
        return replace(self, integer=np.zeros_like(self.integer))

    @property
    def relaxation(self) -> MatrixModel:
        """Without integrality and without upper bounds on variables: any other bound then shows as a row's dual."""
        return replace(self.linear, upper=np.full_like(self.upper, INFINITY))

    @property
    def row_of(self) -> NDArray[np.int64]:
        """The row of each entry."""
        return np.repeat(np.arange(len(self.row_lower)), np.diff(self.row_starts))

    def rows_of(self, values: Floats) -> Floats:
        """What each row comes to."""
        products = self.row_values * values[self.row_indices]
        return np.bincount(self.row_of, weights=products, minlength=len(self.row_lower)).astype(np.float64)

    def beyond(self, values: Floats) -> float:
        """By how much the row is violated that is violated most; 0 where none is."""
        rows = self.rows_of(values)
        return float(np.maximum(rows - self.row_upper, self.row_lower - rows).max(initial=0.0))

    def weighed_rows(self, weights: Floats) -> Floats:
        """For each variable the sum of its entries, each weighed as its row."""
        products = self.row_values * weights[self.row_of]
        return np.bincount(self.row_indices, weights=products, minlength=len(self.cost)).astype(np.float64)


def assemble(*, cost: Floats, upper: Floats, integers: int, rows: Iterable[Row]) -> MatrixModel:
    """One model of non-negative variables, the first `integers` of them whole numbers."""
    kept = list(rows)
    starts = accumulate((len(row.terms) for row in kept), initial=0)
    return MatrixModel(
        cost=cost,
        lower=np.zeros_like(cost),
        upper=upper,
        integer=np.arange(len(cost)) < integers,
        row_starts=np.array(list(starts), dtype=np.int32),
        row_indices=np.array([i for row in kept for i, _ in row.terms], dtype=np.int32),
        row_values=np.array([v for row in kept for _, v in row.terms], dtype=np.float64),
        row_lower=np.array([row.lower for row in kept]),
        row_upper=np.array([row.upper for row in kept]),
        subjects=tuple(row.subject for row in kept),
    )


def with_row(model: MatrixModel, row: Row) -> MatrixModel:
    """The model with one row more."""
    return extended(model, (row,), ())


def extended(model: MatrixModel, rows: Sequence[Row], uppers: Sequence[float]) -> MatrixModel:
    """The model with rows more, and behind its variables as many more as there are upper bounds, which cost nothing."""
    sizes = np.array([len(row.terms) for row in rows])
    indices = np.array([i for row in rows for i, _ in row.terms], dtype=np.int32)
    nothing = np.zeros(len(uppers))
    return replace(
        model,
        cost=np.concatenate((model.cost, nothing)),
        lower=np.concatenate((model.lower, nothing)),
        upper=np.concatenate((model.upper, uppers)),
        integer=np.concatenate((model.integer, nothing > 0)),
        row_starts=np.concatenate((model.row_starts, model.row_starts[-1] + sizes.cumsum())).astype(np.int32),
        row_indices=np.concatenate((model.row_indices, indices)),
        row_values=np.concatenate((model.row_values, [v for row in rows for _, v in row.terms])),
        row_lower=np.concatenate((model.row_lower, [row.lower for row in rows])),
        row_upper=np.concatenate((model.row_upper, [row.upper for row in rows])),
        subjects=(*model.subjects, *(row.subject for row in rows)),
    )


def with_rows_where(model: MatrixModel, kept: NDArray[np.bool_]) -> MatrixModel:
    """The model with those rows alone."""
    entries = kept[model.row_of]
    return replace(
        model,
        row_starts=np.concatenate(([0], np.cumsum(np.diff(model.row_starts)[kept]))).astype(np.int32),
        row_indices=model.row_indices[entries],
        row_values=model.row_values[entries],
        row_lower=model.row_lower[kept],
        row_upper=model.row_upper[kept],
        subjects=tuple(s for s, keep in zip(model.subjects, kept, strict=True) if keep),
    )


def part(model: MatrixModel, variables: NDArray[np.int64], values: Floats) -> MatrixModel:
    """The model of some variables, in that order, while all others stand at `values`; rows without any of them are left out."""
    place = np.full(len(model.cost), -1)
    place[variables] = np.arange(len(variables))
    free = place[model.row_indices] >= 0
    row_of = model.row_of
    count = np.bincount(row_of[free], minlength=len(model.row_lower))
    touched = count > 0
    fixed = np.where(free, 0.0, model.row_values * values[model.row_indices])
    shift = np.bincount(row_of, weights=fixed, minlength=len(model.row_lower))
    return MatrixModel(
        cost=model.cost[variables],
        lower=model.lower[variables],
        upper=model.upper[variables],
        integer=model.integer[variables],
        row_starts=np.concatenate(([0], np.cumsum(count[touched]))).astype(np.int32),
        row_indices=place[model.row_indices[free]].astype(np.int32),
        row_values=model.row_values[free],
        row_lower=(model.row_lower - shift)[touched],
        row_upper=(model.row_upper - shift)[touched],
        subjects=tuple(s for s, keep in zip(model.subjects, touched, strict=True) if keep),
    )
