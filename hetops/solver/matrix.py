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

    @property
    def relaxation(self) -> MatrixModel:
        """Without integrality and without upper bounds on variables: any other bound then shows as a row's dual."""
        return replace(self, integer=np.zeros_like(self.integer), upper=np.full_like(self.upper, INFINITY))


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
    indices = np.array([i for i, _ in row.terms], dtype=np.int32)
    values = np.array([v for _, v in row.terms], dtype=np.float64)
    end = np.int32(model.row_starts[-1] + len(indices))
    return replace(
        model,
        row_starts=np.append(model.row_starts, end),
        row_indices=np.concatenate((model.row_indices, indices)),
        row_values=np.concatenate((model.row_values, values)),
        row_lower=np.append(model.row_lower, row.lower),
        row_upper=np.append(model.row_upper, row.upper),
        subjects=(*model.subjects, row.subject),
    )
