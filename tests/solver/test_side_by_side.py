"""Searches side by side: all of them, in order, and an end where one fails."""

from __future__ import annotations

import os
import threading

import pytest

from hetops.solver.patience import cancelled
from hetops.solver.side_by_side import each_of, side_by_side


def test_what_is_found_comes_in_the_order_of_what_is_searched() -> None:
    several = threading.Barrier(2, timeout=20) if len(os.sched_getaffinity(0)) > 1 else None

    def search(number: int) -> int:
        if several and number < 2:
            several.wait()  # Neither ends before the other has begun.
        return number * number

    assert side_by_side(search, range(9)) == [n * n for n in range(9)]
    assert side_by_side(search, ()) == []


def test_where_one_is_stopped_no_other_begins() -> None:
    begun = []

    def search(number: int) -> None:
        begun.append(number)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        side_by_side(search, range(1000))
    assert len(begun) < 1000


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core: one after the other")
def test_where_one_is_stopped_those_that_have_begun_are_cancelled_and_waited_for() -> None:
    other, heard = threading.Event(), []

    def search(number: int) -> None:
        if number == 0:
            assert other.wait(20)
            raise KeyboardInterrupt
        other.set()
        for _ in range(2000):
            if cancelled():
                heard.append(number)
                break
            threading.Event().wait(0.01)

    with pytest.raises(KeyboardInterrupt):
        side_by_side(search, (0, 1))
    assert heard == [1]
    assert not cancelled()


def test_what_searches_share_they_have_at_the_same_time_on_as_many_cores_as_there_are() -> None:
    cores = len(os.sched_getaffinity(0))
    assert each_of(30.0, 12) == pytest.approx(30.0 / 12 * min(cores, 12))
    assert each_of(30.0, 1) == each_of(30.0, 0) == 30.0
