"""`hetops solve` that is stopped, or told how far to go: the answer so far, with its gap, and never passed off as more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hetops.domain import codec
from hetops.solver.certify import certify
from hetops.solver.problem import Problem
from hetops.solver.solution import Ended, Solution
from tests.cli.process import HETOPS, environment, hetops, told
from tests.solver.problems import TOY, hard


def written(problem: Problem, folder: Path) -> str:
    """The problem as a file."""
    path = folder / "problem.json"
    path.write_bytes(codec.encode(problem))
    return str(path)


def searching(pid: int, least_seconds: float) -> bool:
    """Whether the process has had that much of a processor, most of it in the search."""
    ticks = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return sum(map(int, ticks[11:13])) / os.sysconf("SC_CLK_TCK") > least_seconds


def interrupted(folder: Path, problem: Problem, number: int) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a solve that gets a signal while it searches."""
    process = subprocess.Popen(
        [*HETOPS, "solve", written(problem, folder), "--prove", "--json"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not searching(process.pid, 4.0):
        time.sleep(0.1)
        assert process.poll() is None, process.communicate()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
def test_who_stops_the_search_gets_the_best_fleet_so_far_certified_with_its_gap(
    number: int, tmp_path: Path
) -> None:
    problem = hard()
    code, stdout, stderr = interrupted(tmp_path, problem, number)
    assert (code, stderr) == (8, "")
    found = codec.decode(Solution, stdout, source="test")
    assert certify(problem, found) == ()
    assert (found.ended, found.within_gap) == (Ended.INTERRUPTED, False)
    assert 0 < found.gap < 1


def test_a_time_limit_is_kept_and_the_gap_is_told(tmp_path: Path) -> None:
    run = hetops(tmp_path, "solve", written(hard(), tmp_path), "--prove", "--time-limit", "1")
    assert run.returncode == 0
    assert "warning: the time ran out at a gap of" in run.stdout


def test_a_proof_goes_to_a_millionth_whatever_gap_the_problem_allows(tmp_path: Path) -> None:
    lazy = replace(TOY, gap=0.5)
    run = hetops(tmp_path, "solve", written(lazy, tmp_path), "--prove", "--json")
    found = codec.decode(Solution, json.dumps(told(run)), source="test")
    assert found.gap <= 1e-6
    assert certify(lazy, found) == ()
