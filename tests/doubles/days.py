"""Specs of a day for tests: a busy period and a quiet one, batch work that may wait, planned from list prices."""

from __future__ import annotations

from pathlib import Path

from hetops.app.day import find_day
from hetops.app.pose import pose
from hetops.domain.day import Day
from hetops.solver.recheck.day import recheck_day
from hetops.solver.solve import Effort
from tests.doubles import specs

PERIODS = """
[policy.day]
boot_minutes = 6

[[policy.day.periods]]
name = "day"
hours = 16

[[policy.day.periods]]
name = "night"
hours = 8
factor = 0.2
"""

BATCH = specs.LISTED.replace("ttft_seconds = 4.0", 'ttft_seconds = 4.0\npriority = "batch"')
WAITING = BATCH.replace('priority = "batch"', 'priority = "batch"\ndeadline_hours = 24')


def planned(folder: Path, *overrides: str, more: str = "", text: str = specs.LISTED) -> Day:
    """The day of a spec with more tables, which passes as its file would."""
    posed = pose(specs.asked(folder, text + PERIODS + more, *overrides))
    day = find_day(posed, Effort(limit_seconds=20)).document
    assert isinstance(day, Day)
    assert recheck_day(day) == ()
    return day
