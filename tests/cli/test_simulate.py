"""`hetops simulate` as a user calls it: what it prints, what it writes, how it is stopped."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import jsonschema
import pytest

from hetops.app.schema import schema_of
from hetops.domain import codec
from hetops.reports.simulation import Ended, Simulation
from tests.cli.process import HETOPS, environment, hetops, told
from tests.doubles import plans

A_DAY_OF_IT = ("simulate", "plan.json", "--duration", "200000", "--json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the small plan, and no spec."""
    (tmp_path / "plan.json").write_bytes(codec.encode(plans.certified(plans.plan())))
    return tmp_path


def test_a_plan_is_played_and_the_page_written(folder: Path) -> None:
    run = hetops(folder, "simulate", "plan.json", "--duration", "300", "--html", "a.html",
                 "--fault", "lose,pool=l4-fp8,at_seconds=100,for_seconds=50")  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stderr == "wrote a.html\n"
    assert "fault: lose,at_seconds=100,pool=l4-fp8,for_seconds=50" in run.stdout
    assert "within targets" in run.stdout
    assert "<svg" in (folder / "a.html").read_text(encoding="utf-8")


def test_json_keeps_to_its_schema_and_is_the_same_bytes_twice(folder: Path) -> None:
    arguments = ("simulate", "plan.json", "--duration", "200", "--rate", "3", "--seed", "5", "--json")
    first, again = (hetops(folder, *arguments) for _ in range(2))
    assert first.stdout == again.stdout
    jsonschema.Draft202012Validator(schema_of("simulation")).validate(told(first))
    assert codec.decode(Simulation, first.stdout, source="test").seeds == (5,)


def test_faults_of_a_file_are_told_with_the_field_that_is_wrong(folder: Path) -> None:
    (folder / "faults.toml").write_text('[[fault]]\nkind = "lose"\npool = "l4-fp8"\nat_second = 3\n')
    run = hetops(folder, "simulate", "plan.json", "--faults", "faults.toml", "--json")
    assert run.returncode == 1
    assert told(run)["message"] == "faults.toml: fault[0]: unknown field 'at_second'"
    assert told(run)["hint"] == "did you mean 'at_seconds'?"
    wrong = hetops(folder, "simulate", "plan.json", "--fault", "loose,pool=l4-fp8,at_seconds=1")
    assert wrong.returncode == 64


def test_without_plan_or_spec_it_says_what_to_write(tmp_path: Path) -> None:
    run = hetops(tmp_path, "simulate")
    assert run.returncode == 1
    assert "hetops init" in run.stderr


def at_work(pid: int) -> bool:
    """Whether the process has had a few seconds of a processor: more than it takes to start and to draw requests."""
    ticks = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return sum(map(int, ticks[11:13])) / os.sysconf("SC_CLK_TCK") > 4.0


def test_ctrl_c_ends_with_what_was_played_until_then(folder: Path) -> None:
    process = subprocess.Popen(
        [*HETOPS, *A_DAY_OF_IT], cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    while not at_work(process.pid):
        time.sleep(0.1)
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (8, "")
    found = codec.decode(Simulation, stdout, source="test")
    assert found.ended is Ended.STOPPED
    assert 0 < found.seconds < 200_000
    assert sum(found.outcomes.values()) + found.unfinished == found.requests > 0
    assert found.moments[-1].at_seconds < found.seconds


def test_a_terminal_sees_a_bar_and_a_pipe_sees_none(folder: Path) -> None:
    ours, theirs = pty.openpty()
    arguments = [*HETOPS, "simulate", "plan.json", "--duration", "3000", "--json"]
    process = subprocess.Popen(
        arguments, cwd=folder, env=environment(TERM="xterm"), stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    assert process.stdout
    json.loads(process.stdout.read())
    seen = _all_of(ours)
    assert process.wait(timeout=60) == 0
    process.stdout.close()
    assert "simulating" in seen
    assert "%" in seen
    assert hetops(folder, *arguments[len(HETOPS) :]).stderr == ""


def _all_of(terminal: int) -> str:
    """What was written to a terminal that nobody writes to any more."""
    parts = []
    try:
        while part := os.read(terminal, 4096):
            parts.append(part)
    except OSError:  # Linux: the other end is closed
        pass
    finally:
        os.close(terminal)
    return b"".join(parts).decode()
