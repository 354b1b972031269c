"""Each limit in a problem in which it binds: the optimum is the one worked out by hand, and a model without it is found out."""

from __future__ import annotations

import pytest

from hetops.domain import codec
from hetops.solver import highs
from hetops.solver.certify import CHECKS, CHECKS_OF_TERMS, certify
from hetops.solver.formulate import CONSTRAINTS, Formulation, formulate
from hetops.solver.patience import Patience
from hetops.solver.problem import Problem
from hetops.solver.rows.serve import whole_class_rows
from hetops.solver.search.start import Searched, relax
from hetops.solver.solution import Solution
from hetops.solver.solve import read_answer, solve
from tests.solver.binding import BINDING
from tests.solver.binding_mixed import MIXED_BINDING

ALL = BINDING | MIXED_BINDING


def searched(formulation: Formulation, answer: highs.Answer) -> Searched:
    """An answer with the relaxation of its model."""
    return Searched(formulation=formulation, relaxed=relax(formulation, Patience.of(30.0)), answer=answer)


names = pytest.mark.parametrize("name", ALL)


@names
def test_the_optimum_is_the_one_worked_out_by_hand(name: str) -> None:
    case = ALL[name]
    solution = solve(case.problem)
    assert isinstance(solution, Solution)
    assert solution.objective == pytest.approx(case.objective, rel=2e-6)
    assert certify(case.problem, solution) == ()
    assert solution.gap <= 2e-6


@names
def test_without_its_limit_the_answer_is_found_out(name: str) -> None:
    case = ALL[name]
    kept = tuple(constraint for constraint in CONSTRAINTS if constraint is not case.constraint)
    formulation = formulate(case.problem, constraints=kept)
    answer = highs.run(formulation.model)
    solution = read_answer(case.problem, codec.digest(case.problem), searched(formulation, answer))
    assert case.rule in {violation.rule for violation in certify(case.problem, solution)}


def test_every_limit_of_the_model_binds_in_one_of_them() -> None:
    """But for the one that only makes the relaxation tighter."""
    assert {case.constraint for case in BINDING.values()} == set(CONSTRAINTS) - {whole_class_rows}


def test_every_rule_on_terms_is_broken_in_one_of_them() -> None:
    assert set(CHECKS_OF_TERMS) <= {case.rule for case in BINDING.values()} <= {*CHECKS, *CHECKS_OF_TERMS}


@names
def test_problem_and_solution_survive_json(name: str) -> None:
    problem = ALL[name].problem
    solution = solve(problem)
    assert isinstance(solution, Solution)
    assert codec.decode_strict(Problem, codec.encode(problem), source="test") == problem
    assert codec.decode(Solution, codec.encode(solution), source="test") == solution
