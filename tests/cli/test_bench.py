"""`hetops bench` through the real command: what it prints, and that it leaves nothing running, however it ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.test_bench import spec
from tests.doubles import tiny_gguf
from tests.end_to_end.person import Person, ended, until

QUICK = ("--seconds", "0.2", "--requests", "4")


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    """Somebody with a tiny model and one core, whose engines are gone at the end."""
    person = Person(tmp_path)
    person.write(spec("[providers.local]\ncores = 1", gguf=tiny_gguf.write(tmp_path / "tiny.gguf")))
    yield person
    assert person.processes == {}


def test_the_table_is_data_and_the_progress_is_talk(person: Person) -> None:
    done = person.hetops("bench", *QUICK)
    assert done.code == 0, done.stderr
    head, *rows = (line for line in done.stdout.splitlines() if line.startswith(("CONF", "tiny/")))
    assert head.split() == [
        *("CONFIGURATION", "CLASS", "IN", "OUT", "IN", "FLIGHT", "REQUESTS", "RATE", "95", "%"),
        *("TTFT", "P50", "P90", "MEAN,", "95", "%", "TPOT", "P50", "P90", "MEAN,", "95", "%"),
        *("ESTIMATE", "WAS"),
    ]
    assert len(rows) >= 6
    assert "Recorded for planning" in done.stdout
    assert "starting 1 x tiny/llamacpp/CPU/tp1/fp32/s8" in done.stderr
    assert person.hetops("bench", *QUICK, "--quiet").stderr == ""


def test_its_json_is_one_document(person: Person) -> None:
    found = person.hetops("bench", *QUICK, "--json").document
    assert found["format"] == "hetops.bench"
    assert {r["trial"]["workload_class"] for r in found["results"]} == {"short", "long"}
    assert all(r["requests_per_second"]["mean"] > 0 for r in found["results"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_benchmark_leaves_nothing_running(person: Person, number: int) -> None:
    running = person.start("bench", "--seconds", "600", "--requests", "1000000")
    assert until(lambda: len(person.processes) > 0)
    os.kill(running.pid, number)
    done = ended(running)
    assert done.code == 8, done.stderr
    assert "cancelled\n  nothing was recorded" in done.stderr
    assert person.processes == {}


def test_what_a_killed_benchmark_left_is_removed_by_the_next(person: Person) -> None:
    running = person.start("bench", "--seconds", "600", "--requests", "1000000")
    assert until(lambda: len(person.processes) > 0)
    running.kill()
    ended(running)
    assert len(person.processes) == 1
    assert person.hetops("bench", *QUICK, timeout=120).code == 0


def test_half_an_endpoint_is_a_usage_error(person: Person) -> None:
    done = person.hetops("bench", "--endpoint", "http://127.0.0.1:9")
    assert done.code == 64
    assert "go together" in done.stderr
