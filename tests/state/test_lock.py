"""One command at a time changes a deployment; a lock never outlives its holder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hetops.errors import HetopsError, LockError
from hetops.state import lock

HOLD = """
import sys, pathlib
from hetops.state import lock
with lock.hold(pathlib.Path(sys.argv[1]), command="hetops up"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def held_by_another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until its stdin ends or it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_command_is_told_who_holds_the_deployment(tmp_path: Path) -> None:
    path = tmp_path / "chat" / "lock"
    with held_by_another_process(path) as holder:
        with pytest.raises(LockError) as caught, lock.hold(path):
            pass
        message = caught.value.message
    assert message.startswith(f"deployment chat is in use by process {holder.pid} on ")
    assert message.endswith("(hetops up)")
    assert caught.value.exit_code == 9


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "chat" / "lock"
    with held_by_another_process(path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        with lock.hold(path):
            assert path.exists()


def test_the_lock_is_free_again_after_the_block_even_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "chat" / "lock"
    for _ in range(2):
        with pytest.raises(RuntimeError), lock.hold(path):
            raise RuntimeError
    with lock.hold(path):
        pass


def test_even_one_process_holds_it_only_once(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock.hold(path), pytest.raises(LockError, match=f"process {os.getpid()}"), lock.hold(path):
        pass


def test_a_lock_file_that_is_removed_while_held_does_not_lock_two_commands_on_two_files(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lock"
    with lock.hold(path):
        path.unlink()
        with lock.hold(path):  # the old file is nobody's any more
            assert path.exists()


def test_a_lock_file_that_is_removed_before_it_is_locked_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    flock, removed = fcntl.flock, []

    def after_a_down(handle: int, operation: int) -> None:
        if not removed:
            removed.append(path.unlink())
        flock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", after_a_down)
    with lock.hold(path), pytest.raises(LockError), lock.hold(path):
        pass
    assert removed


def test_what_another_program_wrote_into_the_file_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held_by_another_process(path):
        path.write_text("[1, 2")
        with pytest.raises(LockError, match="in use by another process"), lock.hold(path):
            pass


def test_the_lock_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "chat" / "lock"
    with lock.hold(path):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_lock_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(HetopsError, match=r"lock .*file/lock cannot be written"),
        lock.hold(tmp_path / "file" / "lock"),
    ):
        pass
