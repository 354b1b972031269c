"""Progress tells each state change once, with its time, and counts by pool."""

from __future__ import annotations

from functools import reduce

from hetops.reports import progress as report
from hetops.reports.progress import Progress
from hetops.stack.changes import Happening, PoolEvent
from tests.doubles.plans import NOW


def event(what: Happening, node: str = "a-0", message: str = "") -> PoolEvent:
    """Something that happens to a node of pool `a`."""
    return PoolEvent(what=what, pool="a", node=node, message=message)


def after(*events: PoolEvent, expected: int = 2) -> Progress:
    """The progress once all events are known."""
    return reduce(Progress.after, events, Progress(expected={"a": expected}))


def test_the_end_of_a_step_is_told_in_the_words_of_what_began() -> None:
    started, going = after(event(Happening.CREATING)), after(event(Happening.DELETING))
    done = event(Happening.DONE)
    assert report.line(started, done, NOW) == "12:00:00  a: a-0 is ready"
    assert report.line(going, done, NOW) == "12:00:00  a: a-0 is gone"


def test_a_failure_is_told_with_the_first_line_of_its_reason() -> None:
    failed = event(Happening.FAILED, message="died while it started\nlog line")
    assert report.line(after(), failed, NOW) == "12:00:00  a: a-0 failed: died while it started"


def test_a_note_is_told_as_it_is_and_counts_for_no_pool() -> None:
    note = PoolEvent(what=Happening.NOTE, message="a lock was cleared")
    assert report.line(after(), note, NOW) == "12:00:00  a lock was cleared"
    assert after(note) == after()


def test_a_pool_s_line_counts_what_is_over_under_way_and_failed() -> None:
    progress = after(
        event(Happening.CREATING, "a-0"),
        event(Happening.CREATING, "a-1"),
        event(Happening.CREATING, "a-2"),
        event(Happening.DONE, "a-0"),
        event(Happening.FAILED, "a-2"),
        expected=4,
    )
    assert report.table(progress, 3.0).splitlines() == [
        "a  ██░░░░░░░░  1 of 4, 1 being made, 1 failed",
        "3.00 s",
    ]
    assert progress.unfinished == ("a-1",)


def test_pools_that_nobody_foresaw_have_a_line_as_well() -> None:
    other = PoolEvent(what=Happening.DELETING, pool="old", node="old-0")
    assert report.table(after(other), 1.0).splitlines()[1].startswith("old  ░░░░░░░░░░  0 of 1, 1 going")
