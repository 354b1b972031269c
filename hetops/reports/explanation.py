"""An explanation as text and as JSON: sentences, each with the objective values it comes from, then the losers."""

from __future__ import annotations

import textwrap
from typing import Any

from hetops.domain import codec
from hetops.domain.plan import Alternative
from hetops.reports import page
from hetops.reports import quantities as q
from hetops.reports import solution as solutions
from hetops.solver.problem import Mode, Problem
from hetops.solver.questions.explanation import Explanation, Question, Statement, Unit

_WIDTH = 110


def as_json(explanation: Explanation) -> dict[str, Any]:
    """The explanation document."""
    return codec.to_builtins(explanation)


def as_text(problem: Problem, explanation: Explanation) -> str:
    """The explanation for a terminal; of a fleet as a whole with the fleet and its proof before it."""
    whole = explanation.question is Question.WHY and explanation.solution is not None
    parts = (
        solutions.as_text(problem, explanation.solution).rstrip("\n")
        if whole and explanation.solution
        else "",
        "\n".join(_line(statement) for statement in explanation.statements),
        _alternatives(explanation.alternatives, problem.mode),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _line(statement: Statement) -> str:
    values = " -> ".join(_value(v) for v in (statement.before, statement.after))
    unit = "$/h" if statement.unit is Unit.USD_PER_HOUR else "requests/s"
    text = f"{statement.text} [{values} {unit}]"
    return textwrap.fill(
        text,
        min(page.WIDTH.get() or _WIDTH, _WIDTH),
        initial_indent="* ",
        subsequent_indent="  ",
        break_on_hyphens=False,
    )


def _value(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _alternatives(alternatives: tuple[Alternative, ...], mode: Mode) -> str:
    worse = "dearer by" if mode is Mode.MIN_COST else "best serves"
    rows = [
        (
            a.description,
            "none exists" if a.usd_per_hour is None else q.usd(a.usd_per_hour),
            "-" if a.difference_share is None else q.change(a.difference_share),
        )
        for a in alternatives
    ]
    return q.table(("instead", "$/hour", worse), rows, right=(1, 2)) if rows else ""
