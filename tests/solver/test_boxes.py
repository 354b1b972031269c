"""Days whose periods have lots or pools in common: what is proven in boxes holds, the answer is one, and they meet."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np
import pytest

from hetops.domain import codec
from hetops.solver import highs
from hetops.solver.certify import certify
from hetops.solver.formulate import Formulation, formulate
from hetops.solver.frame import Block
from hetops.solver.highs import Answer, Status
from hetops.solver.matrix import INFINITY
from hetops.solver.patience import Patience, stoppable, stopped
from hetops.solver.periods import boxes
from hetops.solver.periods.apart import windows_of
from hetops.solver.periods.copies import Copies, in_common
from hetops.solver.periods.known import Known
from hetops.solver.problem import Problem
from hetops.solver.search import start
from hetops.solver.search.start import Searched
from hetops.solver.solution import Infeasible
from hetops.solver.solve import read_answer, solve
from tests.solver.test_by_period import batch, day, late, reserved


def pools(**terms: object) -> Problem:
    """A day of at most two pools."""
    return day(max_pools=2, **terms)


def dear(**terms: object) -> Problem:
    """A day whose pools cost half a dollar each, and some lots are reserved."""
    return reserved(usd_per_pool_hour=Decimal("0.5"), **terms)


def both(**terms: object) -> Problem:
    """A day of at most three pools, some of lots that are reserved, of which one is committed."""
    problem = reserved(max_pools=3, **terms)
    first, *others = problem.offers
    return replace(problem, offers=(replace(first, committed_nodes=1), *others))


def searched(
    formulation: Formulation, *, gap: float = 1e-4, seconds: float = 30.0, known: Known | None = None
) -> tuple[Answer, Known]:
    """Beginning with nothing but what is known."""
    relaxed = start.relax(formulation, Patience.of(30.0))
    return boxes.search(formulation, relaxed, known or Known(), gap=gap, patience=Patience.of(seconds))


@pytest.mark.parametrize("posed", [pools, reserved, both, dear])
@pytest.mark.parametrize("periods", [2, 3])
def test_bound_and_answer_meet_at_the_whole_models_optimum(
    posed: Callable[..., Problem], periods: int
) -> None:
    problem = posed(periods=periods, boot_seconds=3600.0)
    formulation = formulate(problem)
    whole = highs.run(formulation.model)
    answer, _ = searched(formulation)
    assert answer.status is Status.OPTIMAL
    assert answer.bound <= whole.objective * (1 + 1e-6)
    assert answer.objective >= whole.objective * (1 - 1e-6)
    assert answer.objective == pytest.approx(whole.objective, rel=1e-4)
    relaxed = start.relax(formulation, Patience.of(30.0))
    told = Searched(formulation=formulation, relaxed=relaxed, answer=answer)
    assert certify(problem, read_answer(problem, codec.digest(problem), told)) == ()


def test_what_is_in_common_is_whole_and_with_it_given_starts_alone_tie_the_periods() -> None:
    for posed, count in ((pools, 12), (reserved, 4), (both, 16), (dear, 16)):
        formulation = formulate(posed(periods=3))
        common = in_common(formulation)
        assert len(common) == count
        model, fixed = formulation.model, formulation.model.upper.copy()
        fixed[common] = model.lower[common]
        assert windows_of(replace(formulation, model=replace(model, upper=fixed))).tied_by_starts_alone
    for posed in (day, batch, late):
        assert not len(in_common(formulate(posed(periods=3))))


def test_pools_of_a_day_are_told_apart_unless_work_waits_besides() -> None:
    assert boxes.separable(formulate(pools()))
    assert boxes.separable(formulate(day()))
    assert not boxes.separable(formulate(batch(max_pools=2)))


@pytest.mark.parametrize("posed", [pools, reserved, both, dear])
def test_whatever_the_shares_are_copies_that_may_differ_cost_no_more_and_equal_ones_as_much(
    posed: Callable[..., Problem],
) -> None:
    formulation = formulate(posed(periods=2, boot_seconds=3600.0))
    whole, common = highs.run(formulation.model), in_common(formulation)
    dice = np.random.default_rng(0)
    for duals in (np.zeros(len(formulation.model.row_lower)), -dice.random(len(formulation.model.row_lower))):
        copies = Copies.of(formulation, common, duals, dice.random(formulation.frame.sizes[Block.NODES]))
        assert copies.shares.sum(axis=0) == pytest.approx(formulation.model.cost[common])
        assert windows_of(copies.formulation).tied_by_starts_alone
        assert highs.run(copies.formulation.model).objective <= whole.objective * (1 + 1e-6)
        counts = whole.values[common].round()
        given = highs.run(copies.within(counts, counts).model)
        assert given.objective == pytest.approx(whole.objective, rel=1e-6)
        agreed = copies.agreed(given.values)
        assert agreed is not None
        assert (agreed[common] == counts).all()
        assert (copies.recalled(copies.told(counts)) == counts).all()


def test_a_search_goes_on_from_where_one_to_a_larger_gap_ended() -> None:
    formulation = formulate(reserved(periods=3, boot_seconds=3600.0))
    rough, known = searched(formulation, gap=0.05)
    fine, further = searched(formulation, gap=1e-4, known=known)
    assert fine.objective <= rough.objective
    assert fine.bound >= rough.bound
    assert further.usd_per_hour == pytest.approx(fine.bound * formulation.unit)
    again, _ = searched(formulate(reserved(periods=3, boot_seconds=3600.0)), gap=0.05, known=further)
    assert again.objective == pytest.approx(fine.objective, rel=1e-2)


def test_without_time_there_is_an_answer_and_what_is_proven_of_it_holds() -> None:
    formulation = formulate(reserved(periods=3, boot_seconds=3600.0))
    answer, _ = searched(formulation, seconds=0.0)
    whole = highs.run(formulation.model)
    assert answer.found
    assert answer.bound <= whole.objective * (1 + 1e-6) <= answer.objective * (1 + 2e-6)


@dataclass(frozen=True, slots=True)
class UntilAsked(Patience):
    """Ctrl-C comes as somebody asks the so-manieth time what is left."""

    times: int
    asked: list[None] = field(default_factory=list)

    @property
    def left(self) -> float:
        """Enough, until then."""
        self.asked.append(None)
        if len(self.asked) == self.times:
            os.kill(os.getpid(), signal.SIGINT)
        return 0.0 if stopped() else 30.0


@pytest.mark.parametrize("posed", [pools, reserved, dear])
def test_stopped_wherever_it_is_the_search_has_an_answer_and_a_bound_that_holds(
    posed: Callable[..., Problem],
) -> None:
    problem = posed(periods=3, boot_seconds=3600.0)
    formulation = formulate(problem)
    relaxed, optimum = start.relax(formulation, Patience.of(30.0)), highs.run(formulation.model).objective
    for times in (1, 3, 9, 27):
        patience = UntilAsked(until=INFINITY, times=times)
        with stoppable():
            answer, _ = boxes.search(formulation, relaxed, Known(), gap=1e-6, patience=patience)
        assert answer.found
        assert answer.bound <= optimum * (1 + 1e-6) <= answer.objective * (1 + 2e-6)
        told = Searched(formulation=formulation, relaxed=relaxed, answer=answer)
        assert certify(problem, read_answer(problem, codec.digest(problem), told)) == ()
    with pytest.raises(KeyboardInterrupt):
        boxes.search(formulation, relaxed, Known(), gap=1e-6, patience=UntilAsked(until=INFINITY, times=9))


def test_pools_that_are_too_few_for_any_period_are_found_out() -> None:
    problem = day(periods=3, max_pools=1)
    offers = tuple(replace(o, max_nodes=1) for o in problem.offers)
    formulation = formulate(replace(problem, offers=offers))
    assert highs.run(formulation.model).status is Status.INFEASIBLE
    answer, _ = searched(formulation)
    assert answer.status is Status.INFEASIBLE
    assert isinstance(solve(replace(problem, offers=offers)), Infeasible)
