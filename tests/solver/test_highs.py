"""The edge to HiGHS: silent, interruptible, and honest about how a run ended."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

from hetops.solver import highs
from hetops.solver.matrix import MatrixModel, Row, assemble

SLOW = """
import numpy as np
from hetops.solver import highs
from hetops.solver.matrix import Row, assemble
random = np.random.default_rng(0)
terms = [[(j, float(v)) for j, v in enumerate(random.integers(1, 99, 60))] for _ in range(6)]
rows = [Row(subject=i, terms=t, lower=float(sum(v for _, v in t) // 2), upper=float(sum(v for _, v in t) // 2)) for i, t in enumerate(terms)]
model = assemble(cost=random.uniform(1, 2, 60), upper=np.ones(60), integers=60, rows=rows)
"""
"""A market split problem: known to be hopeless for branch and bound, so the search outlives any test."""


def model(*rows: Row, cost: tuple[float, ...] = (1.0, 1.0), integers: int = 2) -> MatrixModel:
    """Two variables of at most 10."""
    return assemble(cost=np.array(cost), upper=np.full(2, 10.0), integers=integers, rows=rows)


def test_it_minimises_with_whole_numbers_and_proves_it() -> None:
    answer = highs.run(model(Row(subject="sum", terms=[(0, 2.0), (1, 2.0)], lower=5.0)))
    assert answer.status is highs.Status.OPTIMAL
    assert answer.objective == pytest.approx(3.0)
    assert answer.bound == pytest.approx(3.0)
    assert answer.row_duals.size == 0


def test_a_relaxation_has_duals() -> None:
    answer = highs.run(model(Row(subject="sum", terms=[(0, 2.0), (1, 2.0)], lower=5.0)).relaxation)
    assert answer.objective == pytest.approx(2.5)
    assert answer.row_duals == pytest.approx([0.5])


def test_infeasible_is_an_answer() -> None:
    answer = highs.run(model(Row(subject="sum", terms=[(0, 1.0)], lower=11.0)))
    assert answer.status is highs.Status.INFEASIBLE
    assert not answer.found


def test_a_row_without_variables_can_make_a_model_infeasible() -> None:
    assert highs.run(model(Row(subject="nothing", terms=[], lower=1.0))).status is highs.Status.INFEASIBLE


def test_no_time_is_not_taken_for_infeasible() -> None:
    answer = highs.run(model(Row(subject="sum", terms=[(0, 2.0), (1, 3.0)], lower=5.0)), limit_seconds=0.0)
    assert answer.status is highs.Status.NOTHING_FOUND


def test_standard_output_stays_empty() -> None:
    """HiGHS prints a banner to the C library's stdout, which would spoil the JSON of a command."""
    code = SLOW + "answer = highs.run(model, limit_seconds=0.2)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert done.stdout == b""
    assert done.stderr == b""


def test_a_script_ends_as_it_says_though_a_search_was_left_alone() -> None:
    code = SLOW + "highs.OVERTIME_SECONDS = -1.0\nhighs.run(model, limit_seconds=0.2)\nraise SystemExit(3)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (3, b"")


INTERRUPTED = """
import os, signal, threading, time
def interrupt_once_the_search_runs():
    while threading.active_count() < 3:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt_once_the_search_runs, daemon=True).start()
try:
    highs.run(model, limit_seconds=100)
except KeyboardInterrupt:
    raise SystemExit(8)
"""


def test_ctrl_c_stops_the_search_at_once() -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", SLOW + INTERRUPTED], capture_output=True, timeout=90, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (8, b"", b"")
    assert time.monotonic() - began < 50
