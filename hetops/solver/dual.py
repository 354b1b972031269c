"""A bound on a model's optimum from any multipliers of its rows, in exact arithmetic: weak duality with clipped duals.

Needs no solver to be right: multipliers of the wrong sign count as 0, and what they leave negative of a variable's cost
counts at the variable's upper bound. It trusts the rows; whether those say what the problem says, `checks` tell.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from hetops.solver.matrix import INFINITY, Floats, MatrixModel

DUAL_BITS = 40
"""Multipliers are taken to so many binary places: any are valid."""


def dual_bound(model: MatrixModel, row_duals: Floats) -> Fraction | None:
    """A lower bound on the least `cost @ x`; None where these multipliers prove nothing."""
    bits = _bits(np.concatenate((model.cost, model.row_values)))
    prices = [_price(model, i, float(y)) for i, y in enumerate(row_duals)]
    left = [_whole(c, bits) << DUAL_BITS for c in model.cost]
    for i, price in enumerate(prices):
        start, end = model.row_starts[i], model.row_starts[i + 1]
        if price:
            entries = zip(model.row_indices[start:end], model.row_values[start:end], strict=True)
            for j, value in entries:
                left[j] -= price * _whole(value, bits)
    worth = sum((_worth(model, i, price) for i, price in enumerate(prices) if price), Fraction(0))
    for j, rest in enumerate(left):
        if rest < 0 and model.upper[j] == INFINITY:
            return None
        if rest < 0:
            worth += Fraction(rest, 1 << (bits + DUAL_BITS)) * Fraction(float(model.upper[j]))
    return worth


def _bits(values: Floats) -> int:
    """Binary places that make every value whole."""
    smallest = np.abs(values[values != 0]).min(initial=1.0)
    return max(53 - math.frexp(float(smallest))[1] + 1, 0)


def _whole(value: float, bits: int) -> int:
    return int(math.ldexp(float(value), bits))


def _price(model: MatrixModel, row: int, dual: float) -> int:
    """The multiplier in units of 2 ** -DUAL_BITS; 0 where the row has no bound on that side."""
    bound = model.row_lower[row] if dual > 0 else model.row_upper[row]
    return round(math.ldexp(dual, DUAL_BITS)) if math.isfinite(bound) else 0


def _worth(model: MatrixModel, row: int, price: int) -> Fraction:
    bound = model.row_lower[row] if price > 0 else model.row_upper[row]
    return Fraction(price, 1 << DUAL_BITS) * Fraction(float(bound))
