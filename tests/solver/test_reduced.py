"""Reduced costs: no cheaper answer is lost, and nodes are bounded though the relaxation leaves their cost to their shares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hetops.solver import highs
from hetops.solver.formulate import formulate
from hetops.solver.lines import in_lines
from hetops.solver.matrix import Row, assemble, with_row
from hetops.solver.reduced import not_dearer, reduced_costs
from tests.solver.test_lined import regions


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("more", [0.005, 0.02])
def test_no_answer_that_costs_no_more_has_more_of_a_number(seed: int, more: float) -> None:
    """Not even one in parts of nodes, but for the part."""
    model = formulate(regions(regions=3, seed=seed)).model
    lined = in_lines(model, model.lines)
    relaxed = highs.run(lined.linear)
    most = relaxed.objective * (1 + more)
    few = not_dearer(lined, model.integer, model.lines, relaxed, most)
    fewer = np.flatnonzero(few.upper < lined.upper)
    assert len(fewer) > len(model.lines)
    cheap = Row(subject="most", terms=[(j, float(c)) for j, c in enumerate(lined.cost) if c], upper=most)
    for number in fewer[fewer < len(model.cost)]:
        asked = np.where(np.arange(len(lined.cost)) == number, -1.0, 0.0)
        found = highs.run(replace(with_row(lined.linear, cheap), cost=asked))
        assert np.floor(found.values[number] + 1e-6) <= few.upper[number]
    for number, line in enumerate(model.lines, len(model.cost)):
        assert few.upper[number] <= few.upper[line].sum()


def test_a_node_gets_back_what_its_shares_can_spare() -> None:
    """Duals that leave all that the second node costs to its share, whose reduced cost of 6 bounds nothing."""
    model = assemble(
        cost=np.array([2.0, 5.0, 0.0, 0.0]),
        upper=np.array([9.0, 9.0, 1.0, 1.0]),
        integers=2,
        rows=[
            Row(subject="served", terms=[(2, 1.0), (3, 1.0)], lower=1.0),
            Row(subject="first", terms=[(2, 2.0), (0, -1.0)], upper=0.0),
            Row(subject="second", terms=[(3, 2.0), (1, -1.0)], upper=0.0),
        ],
    )
    duals = np.array([4.0, -2.0, -5.0])
    assert list(model.cost - model.weighed_rows(duals)) == [0.0, 0.0, 0.0, 6.0]
    assert list(reduced_costs(model, model.integer, duals)) == [0.0, 3.0, 0.0, 0.0]
