"""Lock files of Pulumi's file backend: those of the dead are cleared, those of the living are named."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hetops.errors import LockError
from hetops.stack.backend_locks import clear_stale, holders

DEAD = 2**22 + 1
"""No process has an id beyond the kernel's largest."""


def lock(backend: Path, pid: int, host: str = "") -> Path:
    path = backend / ".pulumi" / "locks" / "organization" / "hetops" / "chat" / "an-id.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"pid": pid, "username": "me", "hostname": host or socket.gethostname(), "timestamp": "now"}
    path.write_text(json.dumps(told))
    return path


@pytest.fixture
def living(tmp_path: Path) -> Iterator[int]:
    """A process that is called pulumi."""
    path = shutil.copy(shutil.which("sleep") or "", tmp_path / "pulumi")
    with subprocess.Popen([path, "60"]) as process:
        yield process.pid
        process.kill()


def test_without_locks_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert clear_stale(tmp_path) == []


def test_a_dead_processs_lock_is_removed_with_a_word(tmp_path: Path) -> None:
    path = lock(tmp_path, DEAD)
    assert clear_stale(tmp_path) == [f"cleared the lock of process {DEAD}, which is dead"]
    assert not path.exists()


def test_a_lock_whose_id_another_program_has_now_is_a_dead_ones(tmp_path: Path) -> None:
    path = lock(tmp_path, os.getppid())
    clear_stale(tmp_path)
    assert not path.exists()


def test_a_living_engines_lock_is_named_and_stays(tmp_path: Path, living: int) -> None:
    path = lock(tmp_path, living)
    with pytest.raises(LockError, match=f"the stack chat is locked by process {living}") as refused:
        clear_stale(tmp_path)
    assert str(path) in refused.value.hint
    assert path.exists()


def test_another_hosts_lock_is_never_taken_for_dead(tmp_path: Path) -> None:
    path = lock(tmp_path, DEAD, "elsewhere")
    with pytest.raises(LockError, match="on elsewhere"):
        clear_stale(tmp_path)
    assert path.exists()


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"pid": "x"}'])
def test_a_torn_lock_is_removed_without_a_word(tmp_path: Path, torn: str) -> None:
    path = lock(tmp_path, DEAD)
    path.write_text(torn)
    assert clear_stale(tmp_path) == []
    assert not path.exists()


def test_holders_are_read_from_what_the_engine_says() -> None:
    said = "locked by 1 lock(s).\n  file:///x.json: created by me@vm (pid 7) at 2026-11-24T22:00:00Z\n"
    assert holders(said) == ("created by me@vm (pid 7) at 2026-11-24T22:00:00Z",)
