"""What is told of columns left out before the search is what was left out, and adds up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given

from hetops.domain.pruning import LeftOut, Pruning, WhyLeftOut
from hetops.reports.pruning import lines as told
from hetops.solver.bands import Bands
from hetops.solver.problem import Problem
from hetops.solver.pruned import pruning_of
from hetops.solver.variables import frame_of
from tests.solver.problems import column, offer, small, tiny
from tests.solver.test_bands import lines
from tests.solver.test_solve import some


@some
@given(lines())
def test_what_is_kept_is_what_the_first_model_has_of_offers_in_line(problem: Problem) -> None:
    assert pruning_of(problem).kept == len(frame_of(Bands.of(problem).searched, None).columns)


@some
@given(tiny(mixed=1))
def test_what_is_kept_is_what_the_first_model_has_of_columns_over_offers(problem: Problem) -> None:
    assert pruning_of(problem).kept == len(frame_of(Bands.of(problem).searched, None).columns)


def test_each_column_that_goes_is_told_with_its_reason() -> None:
    problem = small(
        offers=(
            offer("cheap", "1", 3),
            offer("same", "2", 3),
            offer("fast", "4", 3),
            offer("gold", "900", 3),
        ),
        configurations=("tp1", "tp2", "idle"),
        columns=(
            column("cheap", "tp1", chat=2.0, code=1.0),
            column("same", "tp1", chat=2.0, code=1.0),
            column("fast", "tp1", chat=6.0, code=4.0),
            column("fast", "tp2", chat=6.0, code=3.0),
            column("fast", "idle"),
            column("gold", "tp1", chat=9.0, code=9.0),
        ),
        budget_usd_per_hour=Decimal(100),
    )
    assert pruning_of(problem) == Pruning(
        of="column",
        count=6,
        left_out=tuple(
            LeftOut(why=why, count=1)
            for why in (
                WhyLeftOut.WAITING,
                WhyLeftOut.IDLE,
                WhyLeftOut.BEATEN_ON_OFFER,
                WhyLeftOut.NO_ROOM,
            )
        ),
    )
    assert list(told([pruning_of(problem)])) == [
        "Of 6 columns (each a configuration on an offer) the search begins with 2; 1 waiting behind a cheaper offer of equal nodes,"
        " 1 serving no class that is asked for, 1 beaten in every class on the same offer,"
        " 1 without room for a node within the limits"
    ]


def test_where_nothing_goes_all_is_said_to_be_searched() -> None:
    assert list(told([pruning_of(small())])) == [
        "Of 2 columns (each a configuration on an offer) the search begins with all"
    ]


def test_counts_that_do_not_add_up_are_no_pruning() -> None:
    one = Pruning(of="column", count=2, left_out=(LeftOut(why=WhyLeftOut.IDLE, count=2),))
    assert one.kept == 0
    with pytest.raises(ValueError, match="does not add up"):
        replace(one, count=1)
    with pytest.raises(ValueError, match="does not add up"):
        replace(one, left_out=(LeftOut(why=WhyLeftOut.IDLE, count=0),))
