"""Lines of a model: variables that only prices tell apart, so that their sum is whole wherever a best answer's is.

Knows the rows only as numbers. Searches nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hetops.solver.matrix import Floats, MatrixModel

Lines = tuple[NDArray[np.int64], ...]
"""Of each line its variables."""

ROUNDING = 1e-6
"""Part of a cost below which two costs are not told apart."""


def cost_of(costs: Floats, values: Floats) -> float:
    """Their product. Not by `@`: of arrays this long BLAS makes threads, which then spin beside the search."""
    return float((costs * values).sum())


def in_lines(model: MatrixModel, lines: Lines) -> MatrixModel:
    """The model with a whole number more for each line, the sum of its variables, which need not be whole any more.

    Nodes that only prices tell apart are whole where their sum is: the cheapest are taken first. To branch on each of
    them instead proves next to nothing, for one less of one is one more of the next. Whatever the lines are, no bound on
    this model is above the model's own optimum.
    """
    size, more = len(model.cost), len(lines)
    indices = [np.append(line, size + k) for k, line in enumerate(lines)]
    values = [np.append(np.full(len(line), -1.0), 1.0) for line in lines]
    ends = model.row_starts[-1] + np.cumsum([len(one) for one in indices], dtype=np.int64)
    integer = np.append(model.integer, np.ones(more, dtype=bool))
    for line in lines:
        integer[line] = False
    return MatrixModel(
        cost=np.append(model.cost, np.zeros(more)),
        lower=np.append(model.lower, [model.lower[line].sum() for line in lines]),
        upper=np.append(model.upper, [model.upper[line].sum() for line in lines]),
        integer=integer,
        row_starts=np.concatenate((model.row_starts, ends)).astype(np.int32),
        row_indices=np.concatenate((model.row_indices, *indices)).astype(np.int32),
        row_values=np.concatenate((model.row_values, *values)),
        row_lower=np.append(model.row_lower, np.zeros(more)),
        row_upper=np.append(model.row_upper, np.zeros(more)),
        subjects=(*model.subjects, *(("line", k) for k in range(more))),
    )
