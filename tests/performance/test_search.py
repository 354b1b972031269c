"""The search finds the largest rate that keeps a target, whatever the target's shape: smooth, in steps, told with a wrong slope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from hetops.performance.replicas import Floats, Integers
from hetops.performance.search import CLOSE, largest

TRUE = np.array([1e-9, 2e-6, 3e-3, 0.1, 0.5, 0.75, 0.999, 1.2, 3.0])
LOWEST, HIGHEST = np.full(len(TRUE), 1e-6), np.ones(len(TRUE))
Shape = Callable[[Floats], tuple[Floats, Floats]]
"""Value and slope of what is broken, at logarithms of rates over the true one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    true: Floats
    shape: Shape

    def rows(self, which: Integers) -> Shaped:
        return replace(self, true=self.true[which])

    def broken(self, rate: Floats) -> tuple[Floats, Floats]:
        return self.shape(np.log(rate / self.true))


SHAPES: dict[str, Shape] = {
    "a line": lambda x: (x, np.ones_like(x)),
    "steep, then flat": lambda x: (-np.expm1(-2.0 * x), 2.0 * np.exp(-2.0 * x)),
    "flat, then steep": lambda x: (np.expm1(3.0 * x), 3.0 * np.exp(3.0 * x)),
    "a step": lambda x: (np.where(x > 0, 1.0, -1.0), np.zeros_like(x)),
    "a step on a slope": lambda x: (np.where(x > 0, x + 0.3, x - 0.2), np.ones_like(x)),
    "told too flat": lambda x: (x, np.full_like(x, 0.2)),
    "told flat": lambda x: (x, np.zeros_like(x)),
}


@pytest.mark.parametrize("first", [1e-6, 0.02, 0.6, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_found_keeps_the_target_and_is_close_to_the_largest_that_does(
    shape: str, first: float
) -> None:
    target = Shaped(true=TRUE, shape=SHAPES[shape])
    found = largest(target, LOWEST, HIGHEST, np.full(len(TRUE), first))
    kept = (TRUE >= LOWEST) & (TRUE < HIGHEST)
    assert (found[TRUE < LOWEST] == 0).all(), "the lowest breaks it"
    assert (found[TRUE >= HIGHEST] == HIGHEST[TRUE >= HIGHEST]).all(), "the highest keeps it"
    assert (found[kept] <= TRUE[kept] * (1 + 1e-12)).all()
    assert (found[kept] >= TRUE[kept] * (1 - 2 * CLOSE)).all()
