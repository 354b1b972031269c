"""Which period is now, and times of day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from hetops.domain.day import clock, clock_hours, now_in


@pytest.mark.parametrize(
    ("hour", "minute", "expected"), [(6, 0, 0), (13, 59, 0), (14, 0, 1), (23, 0, 1), (1, 59, 1), (2, 0, 2), (5, 59, 2)]
)  # fmt: skip
def test_the_period_that_is_now_is_told_by_the_clock(hour: int, minute: int, expected: int) -> None:
    at = datetime(2026, 11, 24, hour, minute, tzinfo=UTC)
    assert now_in((8, 12, 4), "06:00", at) == expected


def test_the_clock_is_that_of_utc() -> None:
    there = timezone(timedelta(hours=5))
    assert now_in((12, 12), "06:00", datetime(2026, 11, 24, 8, 0, tzinfo=there)) == 1


def test_nobody_knows_without_a_beginning_or_where_a_window_is_no_day() -> None:
    at = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    assert now_in((12, 12), "", at) is None
    assert now_in((12, 24), "06:00", at) is None


def test_times_of_day_are_read_and_written_alike() -> None:
    assert clock_hours("") is None
    assert [clock(clock_hours(text) or 0.0) for text in ("00:00", "08:30", "23:59")] == [
        "00:00",
        "08:30",
        "23:59",
    ]
    assert clock(25.5) == "01:30"
    for wrong in ("24:00", "8", "08:60", "8:3", "ab:cd"):
        with pytest.raises(ValueError, match="no time of day"):
            clock_hours(wrong)
