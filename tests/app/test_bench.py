"""Benchmarks of real llama.cpp engines with a tiny model, and of an emulated engine as a foreign endpoint."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hetops.app.bench import Effort, Endpoint, bench, bench_endpoint
from hetops.app.candidates import Asked
from hetops.app.plan import make_plan
from hetops.app.pose import pose
from hetops.domain.performance import EvidenceLayer
from hetops.errors import EngineError, HetopsError, LockError, UnknownNameError
from hetops.load.client import Target
from hetops.plugin.engine import Download
from hetops.simulate.options import Faults
from hetops.state import host, lock, measurements
from tests.doubles import tiny_gguf
from tests.end_to_end.person import Person
from tests.load.test_nonsense import HEAD, TOKEN, served
from tests.simulate.engines import MODEL, STEP_TIMES, engine

EFFORT = Effort(seconds=0.2, requests=6)
LOCAL = "llama-3.1-8b/vllm/L40S/tp1/fp8/s256"
POSSIBLE = replace(STEP_TIMES, weights_seconds=0.012)
"""No faster than an L40S reads those weights."""


class Heard:
    """A `Talk` that remembers; nothing here has a licence to agree to."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """Remembers it."""
        self.said.append(text)

    def accepts(self, download: Download) -> bool:
        """Nothing is fetched in tests."""
        raise AssertionError(f"{download.name} would be fetched")


def spec(more: str, *, gguf: Path | None = None) -> str:
    """Two short classes; a tiny model of our own, or one that is emulated."""
    model = f'name = "tiny"\n[engine]\nnames = ["llamacpp"]\n[engine.settings.llamacpp]\ngguf = "{gguf}"'
    emulated = f'name = "{MODEL}"\n[engine]\nnames = ["vllm"]'
    return f"""
[deployment]
name = "measured"
[[workload.classes]]
name = "short"
requests_per_second = 0.1
input_tokens = 40
output_tokens = 6
[[workload.classes]]
name = "long"
requests_per_second = 0.1
input_tokens = 120
output_tokens = 12
[targets]
ttft_seconds = 5.0
tpot_seconds = 1.0
[model]
{model if gguf else emulated}
{more}
"""


def asked(folder: Path) -> Asked:
    """A question about the spec in a folder."""
    return Asked(file=None, folder=folder, environment={}, now=datetime.now(UTC))


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Person]:
    """Somebody with a tiny model and one core, whose engines are gone at the end."""
    person = Person(tmp_path)
    gguf = tiny_gguf.write(tmp_path / "tiny.gguf")
    person.write(spec("[providers.local]\ncores = 1", gguf=gguf))
    yield person
    assert person.processes == {}


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder whose spec allows emulated GPUs only."""
    Person(tmp_path).write(spec('[providers.local]\nemulate = true\n[offers]\ngpus = ["L40S"]'))
    return tmp_path


def test_a_benchmark_measures_every_configuration_and_the_next_plan_rests_on_it(tiny: Person) -> None:
    heard = Heard()
    found = bench(asked(tiny.folder), EFFORT, heard)
    recorded = measurements.read(tiny.folder / ".hetops" / "measurements")
    assert recorded == found.measurements
    by_places = {m.configuration.rpartition("/s")[2] for m in recorded}
    assert by_places == {"1", "2", "4", "8"}
    assert {m.host for m in recorded} == {host.fingerprint()}
    assert all(m.requests_per_second > 0 and m.ttft_seconds[0] > 0 for m in recorded)
    alone = [m for m in recorded if m.configuration.endswith("s1")]
    assert sorted(round(m.output_tokens) for m in alone) == [6, 12]
    assert all(m.engine_version for m in recorded), "llama.cpp tells its build"
    assert "about" in heard.said[0], "how long it takes is said first"
    plan = make_plan(asked(tiny.folder))
    assert {row.evidence.layer for row in plan.performance} == {EvidenceLayer.MEASURED}


def test_two_benchmarks_never_measure_each_other(tiny: Person) -> None:
    with lock.hold(tiny.folder / ".hetops" / "cache" / "bench" / "lock"), pytest.raises(LockError):
        bench(asked(tiny.folder), EFFORT, Heard())


def test_an_endpoint_is_not_measured_beside_another_benchmark_either(foreign: Path) -> None:
    endpoint = Endpoint(url="http://127.0.0.1:9", configuration=LOCAL)
    with lock.hold(foreign / ".hetops" / "cache" / "bench" / "lock"), pytest.raises(LockError):
        bench_endpoint(asked(foreign), endpoint, EFFORT, Heard())


def test_an_endpoint_that_fails_often_is_no_evidence_of_the_load_that_was_meant(foreign: Path) -> None:
    with engine(foreign, faults=Faults(fail_every=4, fail_status=503)) as running:
        endpoint = Endpoint(url=running.url, configuration=LOCAL)
        with pytest.raises(EngineError, match=r"of \d+ requests failed, so it is not measured") as fault:
            bench_endpoint(asked(foreign), endpoint, EFFORT, Heard())
    assert "nothing was recorded" in fault.value.details
    assert not os.path.exists(foreign / ".hetops" / "measurements")


def test_an_endpoint_that_is_faster_than_its_gpu_can_be_is_another_thing(foreign: Path) -> None:
    """Steps of 6 ms, where reading the weights takes 8."""
    with engine(foreign) as running:
        endpoint = Endpoint(url=running.url, configuration=LOCAL)
        with pytest.raises(EngineError, match="was faster than its GPUs can be") as fault:
            bench_endpoint(asked(foreign), endpoint, Effort(seconds=0.05, requests=2), Heard())
    assert any("a token takes" in line and "at least on L40S" in line for line in fault.value.details)
    assert not os.path.exists(foreign / ".hetops" / "measurements")


def test_where_nothing_can_be_measured_it_says_what_to_do(foreign: Path) -> None:
    with pytest.raises(HetopsError, match="nothing to measure") as fault:
        bench(asked(foreign), EFFORT, Heard())
    assert "--endpoint" in fault.value.hint


def test_an_endpoint_is_measured_as_the_configuration_that_it_is_said_to_be(foreign: Path) -> None:
    with engine(foreign, step_times=POSSIBLE) as running:
        endpoint = Endpoint(url=running.url, configuration=LOCAL)
        found = bench_endpoint(asked(foreign), endpoint, EFFORT, Heard())
    assert {m.configuration for m in found.measurements} == {LOCAL}
    assert {m.host for m in found.measurements} == {"L40S"}
    assert {m.concurrency for m in found.measurements} >= {1}
    assert measurements.read(foreign / ".hetops" / "measurements") == found.measurements
    rows = pose(asked(foreign)).table.rows.items()
    assert {row.evidence.layer for (of, *_), row in rows if of == LOCAL} == {EvidenceLayer.MEASURED}


def test_an_endpoint_of_an_unknown_configuration_is_refused_with_the_nearest(foreign: Path) -> None:
    endpoint = Endpoint(url="http://127.0.0.1:9", configuration="llama-3.1-8b/vllm/L40S/tp1/fp8/s25")
    with pytest.raises(UnknownNameError) as fault:
        bench_endpoint(asked(foreign), endpoint, EFFORT, Heard())
    assert LOCAL in fault.value.hint


def test_an_endpoint_that_does_not_answer_is_an_error_and_records_nothing(foreign: Path) -> None:
    endpoint = Endpoint(url="http://127.0.0.1:9", configuration=LOCAL)
    with pytest.raises(EngineError, match="does not answer"):
        bench_endpoint(asked(foreign), endpoint, EFFORT, Heard())
    assert not os.path.exists(foreign / ".hetops" / "measurements")


def test_an_endpoint_that_keeps_its_tokens_back_is_no_evidence(foreign: Path) -> None:
    async def at_once(writer: asyncio.StreamWriter) -> None:
        usage = b'data: {"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": 6}}\n\n'
        writer.write(HEAD + TOKEN * 6 + usage + b"data: [DONE]\n\n")

    async def measure(target: Target) -> None:
        endpoint = Endpoint(url=target.url, configuration=LOCAL)
        await asyncio.to_thread(bench_endpoint, asked(foreign), endpoint, EFFORT, Heard())

    with pytest.raises(EngineError, match="tokens of an answer come together") as fault:
        asyncio.run(served(at_once, measure))
    assert "nothing was recorded" in fault.value.details
    assert not os.path.exists(foreign / ".hetops" / "measurements")


def test_rates_are_measured_as_users_come_and_stay_out_of_what_plans_rest_on(foreign: Path) -> None:
    with engine(foreign, step_times=POSSIBLE) as running:
        endpoint = Endpoint(url=running.url, configuration=LOCAL)
        effort = Effort(seconds=0.5, requests=6, rates=(20.0,), precision=0.2)
        found = bench_endpoint(asked(foreign), endpoint, effort, Heard())
    (loop,) = found.open_loops
    assert loop.offered_requests_per_second == 20.0
    assert loop.sent == loop.figures.requests + loop.unanswered > 0
    assert 0 < loop.answered_requests_per_second < 100
    assert loop.figures.ttft_seconds
    assert {m.concurrency for m in found.measurements} == {r.trial.concurrency for r in found.results}
