"""What is told of an answer's proof: the gap, and what ended the search for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hetops.solver.proof import bounded
from hetops.solver.solution import Ended, Solution
from hetops.solver.solve import solve
from tests.solver.problems import small


@pytest.mark.parametrize(
    ("ended", "part", "told"),
    [
        (Ended.GAP, 0.5, Ended.TIME),
        (Ended.INTERRUPTED, 0.5, Ended.INTERRUPTED),
        (Ended.TIME, 1.0, Ended.GAP),
        (Ended.GAP, 1.1, Ended.GAP),
    ],
)
def test_a_search_ended_by_its_gap_where_that_is_reached_alone(
    ended: Ended, part: float, told: Ended
) -> None:
    found = solve(small())
    assert isinstance(found, Solution)
    answer = bounded(replace(found, ended=ended), found.objective * part, 0.0, gap=1e-3)
    assert (answer.ended, answer.within_gap) == (told, part >= 1)
    assert answer.bound == found.objective * min(part, 1.0)
    assert answer.gap == pytest.approx(1 - min(part, 1.0))
