"""What `hetops plan` answers, as text and as JSON: a plan, a day, or either of them beside another. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hetops.domain.day import Day
from hetops.domain.plan import Plan
from hetops.reports import day as day_report
from hetops.reports import plan as plan_report
from hetops.reports import what_if as comparison
from hetops.reports.day import Beside
from hetops.reports.what_if import WhatIf
from hetops.solver.solution import Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found, how the search ended, and what it stands beside where the question was changed."""

    document: Plan | Day
    ended: Ended
    beside: WhatIf | Beside | None = None


def as_json(answer: Answer) -> dict[str, Any]:
    """The document of the answer with its totals; of two plans side by side `hetops.what_if`."""
    if isinstance(answer.beside, WhatIf):
        return comparison.as_json(answer.beside)
    if isinstance(answer.document, Day):
        return day_report.as_json(answer.document, answer.beside)
    return plan_report.as_json(answer.document)


def as_text(answer: Answer) -> str:
    """The answer for a terminal."""
    if isinstance(answer.beside, WhatIf):
        return comparison.as_text(answer.beside)
    if isinstance(answer.document, Day):
        return day_report.as_text(answer.document, answer.beside)
    return plan_report.as_text(answer.document)
