"""Parts of nodes that fill nodes together, held against packing them by hand."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest

from hetops.domain.parts import misfit

TOGETHER = (
    (1, 2, 4, 8),
    (2, 3),
    (2, 3, 6),
    (3, 6),
    (4, 6, 12),
    (2, 4, 6),
    (2, 3, 12, 18),
    (6, 9, 18),
    (1, 2, 4, 6, 12),
)
APART = ((3, 4), (2, 5), (2, 3, 4), (2, 3, 9), (4, 6, 8), (3, 5), (6, 8), (2, 7))  # fmt: skip


def nodes_needed(parts: tuple[int, ...]) -> int:
    """The fewest nodes that hold such parts, by trying all that differs."""
    units = math.lcm(*parts)
    sizes = sorted((units // part for part in parts), reverse=True)
    return next(n for n in itertools.count(1) if _fits(sizes, (units,) * n))


def _fits(sizes: list[int], free: tuple[int, ...]) -> bool:
    if not sizes:
        return True
    first, *others = sizes
    return any(
        _fits(others, tuple(sorted((left - first, *(f for j, f in enumerate(free) if j != i)))))
        for i, left in enumerate(free)
        if left >= first and left not in free[:i]
    )


@pytest.mark.parametrize("counts", TOGETHER, ids=str)
def test_parts_that_go_together_take_no_more_nodes_than_they_add_up_to(counts: tuple[int, ...]) -> None:
    assert misfit(counts) is None
    for number in range(1, 8):
        for parts in itertools.combinations_with_replacement(counts, number):
            assert nodes_needed(parts) == math.ceil(sum(Fraction(1, part) for part in parts)), parts


@pytest.mark.parametrize("counts", APART, ids=str)
def test_parts_that_do_not_are_named(counts: tuple[int, ...]) -> None:
    unlike = misfit(reversed(counts))
    assert unlike is not None
    assert set(unlike) <= set(counts)
    assert misfit(counts) == unlike
