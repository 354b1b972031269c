"""Engines as processes: small real programs stand in for the engine, so that each does one thing."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pulumi.automation import CommandError

from hetops.errors import CancelledError, LockError
from hetops.stack.engine import EngineChoice, EngineOrigin
from hetops.stack.engine_process import EndedBySignalError, EngineProcess, end_orphan
from tests.doubles.programs import program
from tests.stack.places import until

SLEEPER = 'trap "exit 3" INT; : >ready; while :; do sleep 0.05; done'
STUBBORN = 'trap "" INT; while :; do sleep 0.05; done'


def process(folder: Path, script: str, **environment: str) -> EngineProcess:
    """An engine that runs the script."""
    path = program(folder / "bin" / "pulumi", script)
    choice = EngineChoice(path=path, version="3.259.0", origin=EngineOrigin.PATH, reason="")
    return EngineProcess(choice, {"PATH": os.environ["PATH"], **environment}, folder / "engine.json")


def in_thread(engine: EngineProcess, folder: Path) -> tuple[threading.Thread, list[BaseException]]:
    """`up` under way, and what it raises."""
    raised: list[BaseException] = []

    def up() -> None:
        try:
            engine.run(["up"], str(folder), {})
        except Exception as fault:
            raised.append(fault)

    thread = threading.Thread(target=up)
    thread.start()
    until(lambda: signed(folder))
    return thread, raised


def signed(folder: Path) -> dict[str, object]:
    """What the record says, once it says anything."""
    try:
        said: dict[str, object] = json.loads((folder / "engine.json").read_text())
    except (OSError, ValueError):
        return {}
    return said


def orphan(folder: Path, script: str) -> int:
    """An engine whose client was killed; its process id."""
    path = program(folder / "bin" / "pulumi", script)
    client = f"""
import os
from pathlib import Path
from hetops.stack.engine import EngineChoice, EngineOrigin
from hetops.stack.engine_process import EngineProcess
choice = EngineChoice(path=Path({str(path)!r}), version="3.259.0", origin=EngineOrigin.PATH, reason="")
EngineProcess(choice, dict(os.environ), Path({str(folder / "engine.json")!r})).run(["up"], {str(folder)!r}, {{}})
"""
    started = subprocess.Popen([sys.executable, "-c", client], cwd=Path(__file__).parents[2])
    until(lambda: signed(folder))
    started.kill()
    started.wait()
    return int(str(signed(folder)["pid"]))


def test_an_engine_gets_the_environment_that_it_was_given_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS_ALONE", "1")
    engine = process(tmp_path, "env", GIVEN="yes")
    out = engine.run(["preview"], str(tmp_path), {"MORE": "too"}).stdout
    assert "GIVEN=yes" in out
    assert "MORE=too" in out
    assert "OURS_ALONE" not in out


def test_a_failing_command_is_an_error_of_the_sdk_with_all_it_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no such backend"):
        process(tmp_path, "echo no such backend >&2; exit 1").run(["preview"], str(tmp_path), {})


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_command_that_a_signal_ended_is_told_apart_from_one_that_failed(
    number: signal.Signals, tmp_path: Path
) -> None:
    with pytest.raises(EndedBySignalError) as caught:
        process(tmp_path, f"kill -{number.value} $$").run(["up"], str(tmp_path), {})
    assert caught.value.signal == number.name


def test_a_command_that_changes_signs_the_record_as_long_as_it_runs(tmp_path: Path) -> None:
    out = process(tmp_path, f'cat "{tmp_path}/engine.json"; echo $$').run(["up"], str(tmp_path), {}).stdout
    record, pid = out.splitlines()
    assert json.loads(record)["pid"] == int(pid)
    assert json.loads(record)["client"] == os.getpid()
    assert not (tmp_path / "engine.json").exists()


@pytest.mark.parametrize("reads", [["preview"], ["stack", "export"], ["stack", "output"]])
def test_a_command_that_reads_leaves_no_record(tmp_path: Path, reads: list[str]) -> None:
    assert process(tmp_path, f'ls "{tmp_path}"').run(reads, str(tmp_path), {}).stdout == "bin\n"


def test_an_interrupted_engine_may_end_in_its_own_way_and_nothing_starts_after_it(tmp_path: Path) -> None:
    engine = process(tmp_path, SLEEPER)
    thread, raised = in_thread(engine, tmp_path)
    until((tmp_path / "ready").exists)
    engine.interrupt()
    thread.join(timeout=20)
    assert [type(fault) for fault in raised] == [CommandError]
    assert "code: 3" in str(raised[0])
    with pytest.raises(CancelledError):
        engine.run(["up"], str(tmp_path), {})


def test_a_second_command_does_not_start_beside_one_that_changes(tmp_path: Path) -> None:
    engine = process(tmp_path, SLEEPER)
    thread, _ = in_thread(engine, tmp_path)
    try:
        with pytest.raises(LockError, match="still runs"):
            process(tmp_path, SLEEPER).run(["destroy"], str(tmp_path), {})
        with pytest.raises(LockError, match=f"process {os.getpid()}"):
            end_orphan(tmp_path / "engine.json")
    finally:
        engine.interrupt()
        thread.join(timeout=20)


@pytest.mark.parametrize("script", [SLEEPER, STUBBORN], ids=["one that listens", "one that does not"])
def test_an_engine_whose_client_was_killed_is_ended(tmp_path: Path, script: str) -> None:
    pid = orphan(tmp_path, script)
    assert end_orphan(tmp_path / "engine.json", stop_seconds=0.5) == (
        f"ended the Pulumi engine that a killed command had left running (process {pid})"
    )
    assert not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()
    assert not (tmp_path / "engine.json").exists()
    assert end_orphan(tmp_path / "engine.json") == ""


def test_a_record_that_nobody_holds_is_a_dead_engines(tmp_path: Path) -> None:
    (tmp_path / "engine.json").write_text('{"pid": 1, "client": 1, "host": "elsewhere", "command": "up"}')
    assert end_orphan(tmp_path / "engine.json") == ""
    assert not (tmp_path / "engine.json").exists()


def test_an_engine_of_another_host_is_left_alone(tmp_path: Path) -> None:
    record = tmp_path / "engine.json"
    record.write_text('{"pid": 1, "client": 7, "host": "elsewhere", "command": "up"}')
    with record.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LockError, match="process 7 on elsewhere"):
            end_orphan(record)


def test_a_plugin_that_outlives_a_killed_engine_is_ended_with_it(tmp_path: Path) -> None:
    pid = orphan(tmp_path, f'trap "" INT; sh -c \'echo $$ >"{tmp_path}/plugin"; exec sleep 60\' & wait')
    until((tmp_path / "plugin").exists)
    plugin = int((tmp_path / "plugin").read_text())
    os.kill(pid, signal.SIGKILL)
    assert "ended the Pulumi engine" in end_orphan(tmp_path / "engine.json", stop_seconds=0.5)
    until(
        lambda: (
            not Path(f"/proc/{plugin}/cmdline").exists() or not Path(f"/proc/{plugin}/cmdline").read_bytes()
        )
    )
