"""A bound on a model's optimum from any multipliers of its rows, in exact arithmetic: weak duality with clipped duals.

Needs no solver to be right: multipliers of the wrong sign count as 0, and what they leave negative of a variable's cost
counts at the variable's upper bound, or at the most that the rows leave it. It trusts the rows; whether those say what the
problem says, `checks` tell.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from hetops.solver.matrix import INFINITY, Floats, MatrixModel

DUAL_BITS = 40
"""Multipliers are taken to so many binary places: any are valid."""

ROUNDING = 1e-6
"""Far more than what floats lose of a sum of terms that are all at least 0; so much is added to what a row leaves a variable."""

MOST_ROUNDS = 8
"""From nodes over shares to rates, and what hangs on those; each round takes bounds one row further."""


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
    negative = [j for j, rest in enumerate(left) if rest < 0]
    most = _most(model) if any(model.upper[j] == INFINITY for j in negative) else model.upper
    for j in negative:
        if most[j] == INFINITY:
            return None
        worth += Fraction(left[j], 1 << (bits + DUAL_BITS)) * Fraction(float(most[j]))
    return worth


def _most(model: MatrixModel) -> Floats:
    """The most that rows and bounds leave each variable, none of which is below 0; infinite where they leave any.

    Duals are the solver's to its tolerance: of the largest rate, whose shares have no bounds of their own, some of their costs
    come out a little below 0.
    """
    most = model.upper.copy()
    for _ in range(MOST_ROUNDS):
        before = most.copy()
        for values, bound in ((model.row_values, model.row_upper), (-model.row_values, -model.row_lower)):
            most = np.minimum(most, _left_by(model, values, bound, most))
        if (most == before).all():
            break
    return most


def _left_by(model: MatrixModel, values: Floats, bound: Floats, most: Floats) -> Floats:
    """The most that rows of `values` with an upper bound leave each variable, all others at what gives it most room."""
    gives = values < 0
    room = np.where(gives, -values, 0.0)
    room[gives] *= most[model.row_indices[gives]]
    rows = np.maximum(bound, 0.0) + np.bincount(model.row_of, weights=room, minlength=len(bound))
    takes = values > 0
    left = np.full(len(most), INFINITY)
    each = rows[model.row_of[takes]] / values[takes] * (1 + ROUNDING)
    np.minimum.at(left, model.row_indices[takes], each)
    return left


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
