"""Observations reach their file whole, or are counted as dropped."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from hetops.domain import codec
from hetops.domain.observation import Observation, Outcome
from hetops.router import observe
from hetops.router.observe import Observer, line

SEEN = Observation(
    at=1.5,
    workload_class="chat",
    pool="a",
    endpoint="http://h:1",
    outcome=Outcome.OK,
    status=200,
    input_tokens=10,
    output_tokens=20,
    ttft_seconds=0.1,
    tpot_seconds=None,
    total_seconds=1.0,
)


def test_a_line_is_the_document_that_others_read() -> None:
    assert line(SEEN).count(b"\n") == 1
    assert codec.decode(Observation, line(SEEN), source="line") == SEEN
    assert json.loads(line(SEEN)) == codec.to_builtins(SEEN)


def test_everything_that_was_added_is_there_after_closing(tmp_path: Path) -> None:
    path = tmp_path / "observations"

    async def write() -> Observer:
        observer = Observer(str(path))
        for _ in range(3):
            observer.add(SEEN)
            observer.flush()
        observer.add(SEEN)
        await observer.close()
        return observer

    observer = asyncio.run(write())
    assert path.read_bytes() == line(SEEN) * 4
    assert path.stat().st_mode & 0o077 == 0, "who asked what is nobody else's business"
    assert (observer.dropped, observer.fault) == (0, "")


def test_no_more_wait_than_memory_allows(tmp_path: Path) -> None:
    async def add() -> Observer:
        observer = Observer(str(tmp_path / "observations"))
        for _ in range(observe._MOST_WAITING + 5):
            observer.add(SEEN)
        await observer.close()
        return observer

    assert asyncio.run(add()).dropped == 5


def test_a_folder_that_is_gone_costs_the_batch_and_says_so(tmp_path: Path) -> None:
    async def add() -> Observer:
        observer = Observer(str(tmp_path / "gone" / "observations"))
        observer.add(SEEN)
        await observer.close()
        return observer

    observer = asyncio.run(add())
    assert observer.dropped == 1
    assert "No such file" in observer.fault


FULL = """
import asyncio, resource, sys
from tests.router.test_observe import SEEN, line
from hetops.router.observe import Observer

resource.setrlimit(resource.RLIMIT_FSIZE, (2 * len(line(SEEN)) + 10,) * 2)

async def write():
    observer = Observer(sys.argv[1])
    for count in (2, 3):
        for _ in range(count):
            observer.add(SEEN)
        observer.flush()
        while observer._batch:
            await asyncio.sleep(0)
    print(observer.dropped, observer.fault)
    await observer.close()

asyncio.run(write())
"""


def test_a_batch_that_does_not_fit_on_the_disk_is_taken_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "observations"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout.startswith("3 observations cannot be written: File too large")
    assert path.read_bytes() == line(SEEN) * 2
