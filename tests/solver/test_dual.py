"""Weak duality on the rows of a model: any multipliers give a bound that holds, those of a relaxation one that says something."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from hetops.solver.dual import dual_bound
from hetops.solver.formulate import formulate
from hetops.solver.patience import Patience
from hetops.solver.problem import Mode, Problem
from hetops.solver.search.start import relax
from hetops.solver.solution import Solution
from hetops.solver.solve import solve
from tests.solver.binding import BINDING
from tests.solver.varied import varied
from tests.solver.woven import woven

FASTEST = BINDING["a mean budget"].problem


def fastest(seeds: range) -> list[Problem]:
    """Random problems with terms that ask for the largest rate."""
    found = (make(seed) for make in (varied, woven) for seed in seeds)
    return [p for p in found if p.mode is Mode.MAX_THROUGHPUT and not p.plain]


@pytest.mark.parametrize("seed", range(5))
def test_whatever_the_multipliers_no_rate_is_above_the_bound(seed: int) -> None:
    formulation, dice = formulate(FASTEST), Random(seed)
    relaxed = relax(formulation, Patience.of(10.0))
    duals = relaxed.answer.row_duals
    noise = np.array([dice.uniform(-1.0, 1.0) * 10.0 ** -dice.randint(0, 12) for _ in duals])
    bound = dual_bound(relaxed.model, duals + noise)
    assert bound is not None, "what the rows leave of the largest rate is no end of it"
    assert -float(bound) * formulation.unit >= BINDING["a mean budget"].objective


def test_multipliers_a_little_off_prove_nearly_as_much() -> None:
    formulation, dice = formulate(FASTEST), Random(0)
    relaxed = relax(formulation, Patience.of(10.0))
    duals = relaxed.answer.row_duals
    bound = dual_bound(relaxed.model, duals + np.array([dice.uniform(-1e-9, 1e-9) for _ in duals]))
    assert bound is not None
    assert -float(bound) * formulation.unit == pytest.approx(5.0, rel=1e-5)


def test_of_the_largest_rate_with_terms_exact_arithmetic_proves_something() -> None:
    problems = fastest(range(40))
    answers = [a for a in map(solve, problems) if isinstance(a, Solution)]
    assert len(answers) >= 4
    for answer in answers:
        assert answer.objective <= answer.certified_bound * (1 + 1e-9)
        assert answer.certified_bound <= 3 * answer.objective, "whole nodes are all that it does not see"
