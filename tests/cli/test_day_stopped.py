"""`hetops plan` of a day that is stopped: the day so far, certified, and never passed off as more."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from hetops.domain import codec
from hetops.domain.day import Day
from hetops.errors import CancelledError
from hetops.solver.recheck.day import recheck_day
from tests.cli.process import HETOPS, environment
from tests.cli.test_solve_stopped import searching
from tests.doubles import specs

HARD = specs.TRACED.replace(
    "class_count = 4\nperiods = 3", "class_count = 8\nperiods = 24\nrate_scale = 12"
) + (
    "[providers.aws]\n[providers.gcp]\n[policy]\ngap = 0.000000001\nmax_pools = 2\n[policy.day]\nboot_minutes = 5\nhours = 24\n"
)
"""Of 30 seconds of a processor the first 12 bring a day, and all of them no proof."""


@pytest.mark.slow
def test_who_stops_the_search_gets_the_best_day_so_far_certified_with_its_gap(tmp_path: Path) -> None:
    specs.written(tmp_path, HARD)
    process = subprocess.Popen(
        [*HETOPS, "plan", "--offline", "--time-limit", "300", "--json"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not searching(process.pid, 20.0):
        time.sleep(0.1)
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (CancelledError.exit_code, "")
    day = codec.decode(Day, stdout, source="test")
    assert recheck_day(day) == ()
    assert len(day.periods) == 24
    assert 1e-9 < day.certificate.gap < 0.5
    assert day.steady_usd_per_hour is None, "nobody waits for what it is held against"
    assert any(w.startswith("the search ended at a gap of") for w in day.warnings)
