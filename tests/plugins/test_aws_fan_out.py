"""Many calls at once: outcomes as they come, none after the deadline, and nothing that hangs keeps the process."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from hetops_aws.fan_out import FanOut


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """What calls that hang wait for, set at the end so that they end."""
    event = threading.Event()
    yield event
    event.set()


def test_outcomes_are_what_calls_return_or_raise() -> None:
    fan: FanOut[str] = FanOut(threads=2, deadline_seconds=10)
    fan.submit("one", lambda: 1)
    fan.submit("bad", lambda: 1 / 0)
    told = dict(fan.outcomes())
    assert told["one"] == 1
    assert isinstance(told["bad"], ZeroDivisionError)
    assert fan.pending == frozenset()


def test_a_call_may_lead_to_further_ones() -> None:
    fan: FanOut[int] = FanOut(threads=1, deadline_seconds=10)
    fan.submit(0, lambda: 0)
    seen = []
    for key, _ in fan.outcomes():
        seen.append(key)
        if key < 5:
            fan.submit(key + 1, lambda: 0)
    assert seen == [0, 1, 2, 3, 4, 5]


def test_more_calls_than_threads_are_all_made() -> None:
    fan: FanOut[int] = FanOut(threads=3, deadline_seconds=10)
    for n in range(50):
        fan.submit(n, lambda n=n: n * n)  # type: ignore[misc]
    assert dict(fan.outcomes()) == {n: n * n for n in range(50)}


def test_what_hangs_is_left_at_the_deadline_and_the_rest_is_there(never: threading.Event) -> None:
    fan: FanOut[str] = FanOut(threads=4, deadline_seconds=0.5)
    fan.submit("hangs", never.wait)
    fan.submit("answers", lambda: "here")
    began = time.monotonic()
    assert dict(fan.outcomes()) == {"answers": "here"}
    assert 0.4 < time.monotonic() - began < 5
    assert fan.pending == {"hangs"}


def test_calls_that_hang_leave_no_process_behind() -> None:
    code = """
import threading
from hetops_aws.fan_out import FanOut
fan = FanOut(threads=2, deadline_seconds=0.1)
fan.submit("hangs", threading.Event().wait)
print(dict(fan.outcomes()))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert run.stdout == "{}\n"


@pytest.mark.parametrize("name", ["plain", "traps", "denied", "blocks", "large"])
def test_the_double_runs_by_itself_with_each_scenario(name: str) -> None:
    argv = [sys.executable, "-m", "tests.doubles.aws", "--scenario", name]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as double:
        assert double.stdout is not None
        line = double.stdout.readline()
        double.terminate()
    assert line.startswith("export AWS_ENDPOINT_URL=http://127.0.0.1:")
