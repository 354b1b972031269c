"""A second solver on a second model, and on our own, finds what we find; SCIP runs in a process of its own."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hetops.domain import codec
from hetops.errors import TimeoutExpiredError
from hetops.solver import highs
from hetops.solver.formulate import formulate
from hetops.solver.problem import Column, Mode, Problem
from hetops.solver.solution import Solution
from hetops.solver.solve import PROOF_GAP, Effort, solve
from hetops.solver.terms import Billing, Role
from tests.solver.binding import BINDING
from tests.solver.binding_mixed import MIXED_BINDING
from tests.solver.mps import mps
from tests.solver.problems import hard, many, offer, small
from tests.solver.varied import mixed, varied

ROOT = Path(__file__).parents[2]
EXACTLY = Effort(limit_seconds=20.0, most_gap=PROOF_GAP)
NOTHING = 1e-6
"""Requests per second that count as none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """Between what and what the optimum lies; infinite where there is no answer, or none was found."""

    least: float
    most: float

    def meets(self, other: Proven) -> bool:
        """Whether one optimum can lie in both, but for the tolerances of two solvers."""
        slack = 3e-6 * (1 + min(abs(self.least), abs(other.least)))
        return self.least <= other.most + slack and other.least <= self.most + slack


NO_ANSWER = Proven(least=math.inf, most=math.inf)
UNKNOWN = Proven(least=-math.inf, most=math.inf)


def scip(folder: Path, files: Mapping[str, str | bytes], *, seconds: float = 20.0) -> dict[str, Proven]:
    """What SCIP proves of each file's problem or model, within the seconds each."""
    for name, contents in files.items():
        raw = contents if isinstance(contents, bytes) else contents.encode()
        (folder / name).write_bytes(raw)
    command = [sys.executable, "-m", "tests.solver.scip", str(folder), str(seconds)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert run.returncode == 0, run.stderr
    answers = {one["name"]: one for one in map(json.loads, run.stdout.splitlines())}
    return {name: proven(answers[name]["bound"], answers[name]["objective"]) for name in files}


def proven(bound: float | None, objective: float | None) -> Proven:
    """Bound and objective in the order of size; no answer where there is none, or one that serves nothing."""
    if bound is None or objective is None or 0 <= max(bound, objective) <= NOTHING:
        return NO_ANSWER
    if math.isnan(objective):
        return UNKNOWN
    return Proven(least=min(bound, objective), most=max(bound, objective))


def scip_on(folder: Path, problems: Mapping[str, Problem], *, seconds: float = 20.0) -> dict[str, Proven]:
    """What SCIP proves of each problem, on the second model."""
    files = {f"{name}.json": codec.encode(problem) for name, problem in problems.items()}
    return {name.removesuffix(".json"): of for name, of in scip(folder, files, seconds=seconds).items()}


def ours(problem: Problem, effort: Effort = EXACTLY) -> Proven:
    """What we prove of the problem."""
    try:
        outcome = solve(problem, effort=effort)
    except TimeoutExpiredError:
        return UNKNOWN
    return proven(outcome.bound, outcome.objective) if isinstance(outcome, Solution) else NO_ANSWER


def compare(folder: Path, problems: Mapping[str, Problem], effort: Effort = EXACTLY) -> None:
    """Both prove the same of each."""
    theirs = scip_on(folder, problems, seconds=effort.limit_seconds)
    for name, problem in problems.items():
        found = ours(problem, effort)
        assert found.meets(theirs[name]), f"{name}: {found} and {theirs[name]}"


def test_problems_with_every_term_are_answered_or_refused() -> None:
    """Every answer is certified, or `solve` would raise; and what is meant to occur among them does."""
    problems = [varied(seed) for seed in range(60)]
    answers = [solve(problem) for problem in problems]
    assert 30 <= sum(isinstance(answer, Solution) for answer in answers) < 60
    terms = ("services", "share_limits", "losses", "periods", "links", "migration", "max_pools", "headroom")
    terms += ("usd_per_pool_hour",)
    for term in terms:
        assert any(getattr(p, term) for p in problems), term
    assert {p.mode for p in problems} == set(Mode)
    assert {o.billing for p in problems for o in p.offers} == set(Billing)
    assert {c.role for p in problems for c in p.columns} == set(Role)
    assert any(c.parts_per_node > 1 for p in problems for c in p.columns)
    assert any(c.mean_quality is not None for p in problems for c in p.classes)
    assert any(a.shed for a in answers if isinstance(a, Solution))
    assert any(c.deadline_hours is not None and len(p.periods) > 1 for p in problems for c in p.classes)


def test_a_node_that_could_be_parted_is_paid_for_as_a_whole_even_where_no_part_is_of_use() -> None:
    parts = Column(offer="cheap", configuration="parts", parts_per_node=2, requests_per_second={})
    problem = small(configurations=("tp1", "parts"), columns=(*small().columns, parts))
    outcome = solve(problem)
    assert isinstance(outcome, Solution)
    assert outcome.objective == 5.0
    assert [(r.offer, r.nodes) for r in outcome.rentals] == [("cheap", 1)]


def test_a_fleet_that_the_solver_takes_for_cheaper_than_it_is_is_not_the_answer() -> None:
    """HiGHS 1.16 calls the fleet that this search begins with the best, at no cost; SCIP and HiGHS alone know better."""
    problem = varied(4000)
    alone = highs.run(formulate(problem).model)
    found = ours(problem)
    assert found.least == pytest.approx(alone.objective * formulate(problem).unit, rel=2e-6)
    assert found.most == pytest.approx(2.2908, rel=2e-6)


def test_a_model_is_written_with_its_sides_and_bounds() -> None:
    text = mps(formulate(small()).model)
    assert text.splitlines()[:2] == ["NAME model", "ROWS"]
    assert text.endswith("ENDATA\n")
    assert text.index("INTORG") < text.index("x0 cost") < text.index("INTEND")


@pytest.mark.slow
def test_the_second_model_knows_every_limit(tmp_path: Path) -> None:
    """Its optimum is the one worked out by hand, in a problem for each limit in which it binds."""
    known = BINDING | MIXED_BINDING
    theirs = scip_on(tmp_path, {name.replace(" ", "-"): case.problem for name, case in known.items()})
    for name, case in known.items():
        due = Proven(least=case.objective, most=case.objective)
        assert theirs[name.replace(" ", "-")].meets(due), name


@pytest.mark.slow
def test_a_difference_would_be_found(tmp_path: Path) -> None:
    (theirs,) = scip_on(tmp_path, {"cheap": small()}).values()
    dearer = small(offers=(offer("cheap", "1.0001", 3), offer("fast", "4", 3, provider="other")))
    assert ours(small()).meets(theirs)
    assert not ours(dearer).meets(theirs)
    assert not NO_ANSWER.meets(theirs)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 600, 100))
def test_a_second_solver_on_a_second_model_finds_the_same_optimum(tmp_path: Path, first: int) -> None:
    compare(tmp_path, {f"{seed:04}": varied(seed) for seed in range(first, first + 100)})


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 200, 100))
def test_it_does_of_columns_that_stand_on_several_offers(tmp_path: Path, first: int) -> None:
    compare(tmp_path, {f"{seed:04}": mixed(seed) for seed in range(first, first + 100)})


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 16, 4))
def test_what_both_prove_of_larger_problems_agrees(tmp_path: Path, first: int) -> None:
    effort = replace(EXACTLY, limit_seconds=8.0)
    problems = {f"{seed:04}": varied(seed, offers=40, classes=8) for seed in range(first, first + 4)}
    compare(tmp_path, problems, effort)


@pytest.mark.slow
def test_a_second_solver_on_our_own_model_finds_the_same_optimum(tmp_path: Path) -> None:
    problems = {f"v{seed}": varied(seed, offers=10, classes=5) for seed in range(40)}
    problems |= {"hard": hard(offers=8, configurations=3, classes=5), "many": many(40, 12)}
    models = {name: formulate(problem).model for name, problem in problems.items()}
    theirs = scip(tmp_path, {f"{name}.mps": mps(model) for name, model in models.items()}, seconds=8.0)
    for name, model in models.items():
        answer = highs.run(model, gap=PROOF_GAP, limit_seconds=8.0)
        found = proven(answer.bound, answer.objective) if answer.found else NO_ANSWER
        assert found.meets(theirs[f"{name}.mps"]), f"{name}: {found} and {theirs[f'{name}.mps']}"
