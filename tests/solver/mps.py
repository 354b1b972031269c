"""A matrix model as an MPS file: what any other solver reads."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hetops.solver.matrix import MatrixModel


def mps(model: MatrixModel) -> str:
    """The model in free format, variables x0, x1, ... and rows r0, r1, ... in order."""
    sections = (_rows(model), _columns(model), _sides(model), _bounds(model))
    return "\n".join(("NAME model", *(line for lines in sections for line in lines), "ENDATA", ""))


def _kind(low: float, high: float) -> str:
    if low == high:
        return "E"
    return "G" if math.isfinite(low) else "L"


def _rows(model: MatrixModel) -> Iterator[str]:
    yield from ("ROWS", " N cost")
    for i, (low, high) in enumerate(zip(model.row_lower, model.row_upper, strict=True)):
        yield f" {_kind(low, high)} r{i}"


def _columns(model: MatrixModel) -> Iterator[str]:
    entries: list[list[str]] = [[f"cost {float(c)!r}"] for c in model.cost]
    rows, values = model.row_of.tolist(), model.row_values.tolist()
    for row, variable, value in zip(rows, model.row_indices.tolist(), values, strict=True):
        entries[variable].append(f"r{row} {value!r}")
    yield "COLUMNS"
    for whole in (True, False):
        yield f" m 'MARKER' '{'INTORG' if whole else 'INTEND'}'"
        for j in (model.integer == whole).nonzero()[0].tolist():
            yield from (f" x{j} {entry}" for entry in entries[j])


def _sides(model: MatrixModel) -> Iterator[str]:
    yield "RHS"
    ranges = ["RANGES"]
    for i, (low, high) in enumerate(zip(model.row_lower.tolist(), model.row_upper.tolist(), strict=True)):
        yield f" b r{i} {low if math.isfinite(low) else high!r}"
        if low < high and math.isfinite(low) and math.isfinite(high):
            ranges.append(f" w r{i} {high - low!r}")
    yield from ranges


def _bounds(model: MatrixModel) -> Iterator[str]:
    yield "BOUNDS"
    for j, (low, high) in enumerate(zip(model.lower.tolist(), model.upper.tolist(), strict=True)):
        yield f" LO b x{j} {low!r}"
        yield f" UP b x{j} {high!r}" if math.isfinite(high) else f" PL b x{j}"
