"""An explanation's text has its sentences with the values they come from; its JSON reads back."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

from hetops.domain import codec
from hetops.domain.plan import Alternative
from hetops.reports import explanation as report
from hetops.solver.problem import Mode
from hetops.solver.questions.explanation import Explanation, Question, Statement, Topic, Unit
from hetops.solver.solution import Solution
from hetops.solver.solve import solve
from tests.solver.problems import small


def explanation() -> Explanation:
    """Two sentences, two losers."""
    solution = solve(small())
    assert isinstance(solution, Solution)
    save = Statement(
        topic=Topic.STOCK,
        subject="cheap",
        text="One more would save $1.00 per hour.",
        before=5.0,
        after=4.0,
        unit=Unit.USD_PER_HOUR,
    )
    none = Statement(
        topic=Topic.OFFER,
        text="It would leave no fleet at all.",
        before=3.5,
        after=None,
        unit=Unit.REQUESTS_PER_SECOND,
    )
    return Explanation(
        question=Question.WHY,
        statements=(save, none),
        solution=solution,
        alternatives=(
            Alternative(description="only fast", usd_per_hour=Decimal(8), difference_share=0.6),
            Alternative(description="only cheap", usd_per_hour=None, difference_share=None),
        ),
    )


def test_each_sentence_stands_with_the_two_values_that_it_comes_from() -> None:
    text = report.as_text(small(), explanation())
    assert "* One more would save $1.00 per hour. [5 -> 4 $/h]" in text
    assert "* It would leave no fleet at all. [3.5 -> none requests/s]" in text


def test_the_losers_are_told_with_their_cost() -> None:
    text = report.as_text(small(), explanation())
    assert "Total $5.00 /h" in text
    assert "only fast         $8.00      +60 %" in text
    assert "only cheap  none exists          -" in text


def test_at_the_largest_rate_the_losers_are_told_with_what_the_best_serves_more() -> None:
    text = report.as_text(replace(small(), mode=Mode.MAX_THROUGHPUT), explanation())
    assert "BEST SERVES" in text
    assert "DEARER BY" not in text


def test_json_reads_back_as_the_same_explanation() -> None:
    told = explanation()
    assert codec.decode(Explanation, json.dumps(report.as_json(told)), source="test") == told
