"""Loads on emulated engines: real servers whose timing is known."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hetops.domain.performance import StepTimes
from hetops.errors import EngineError, UsageError
from hetops.load import drive
from hetops.load.client import Target
from hetops.load.samples import Failure, figures
from hetops.load.schedule import Arrival, Lengths, recorded
from hetops.load.stopping import Stop, StopRule
from hetops.simulate.options import Faults
from tests.load.test_nonsense import AT_LENGTH_SECONDS, HEAD, TOKEN, served
from tests.simulate.engines import MODEL, engine

STEP_TIMES = StepTimes(
    weights_seconds=0.004,
    compute_seconds_per_sequence=0.0,
    kv_seconds_per_token=0.0,
    overhead_seconds=0.0,
    overhead_seconds_per_sequence=0.002,
    prefill_seconds_per_token=0.0002,
    kv_capacity_tokens=100_000,
    max_sequences=4,
)
"""Slow enough that a machine full of other tests changes little, fast enough for a test."""
LENGTHS = Lengths(input_tokens=200, output_tokens=10)
RULE = StopRule(max_seconds=5.0, max_requests=20)


@contextlib.contextmanager
def emulated(folder: Path, faults: Faults | None = None, step_times: StepTimes = STEP_TIMES) -> Iterator[str]:
    """The base URL of an engine that answers."""
    with engine(folder, step_times=step_times, faults=faults or Faults()) as running:
        yield running.url


def test_a_closed_loop_measures_the_engines_own_times(tmp_path: Path) -> None:
    with emulated(tmp_path) as url:
        tuned = asyncio.run(drive.tune(Target(url=url, model=MODEL), 200, seed=1))
        loaded = asyncio.run(drive.closed_loop(tuned, LENGTHS, 1, RULE))
    found = figures(loaded.counted)
    assert loaded.stopped is Stop.REQUESTS
    assert found.input_tokens == pytest.approx(200, rel=0.02)
    assert found.output_tokens == 10
    fastest = min(loaded.counted, key=lambda s: s.seconds)
    assert fastest.tpot_seconds is not None
    assert fastest.ttft_seconds is not None
    step, prefill = STEP_TIMES.decode_seconds(1, 200), STEP_TIMES.prefill_seconds(200)
    assert 0.8 * step < fastest.tpot_seconds < 4 * step
    assert 0.9 * prefill < fastest.ttft_seconds < 4 * prefill + 0.1
    assert not found.failures


def test_a_closed_loop_keeps_its_places_full_and_counts_no_warm_up(tmp_path: Path) -> None:
    with emulated(tmp_path) as url:
        tuned = asyncio.run(drive.tune(Target(url=url, model=MODEL), 200))
        loaded = asyncio.run(drive.closed_loop(tuned, LENGTHS, 4, RULE))
    edges = sorted([(s.started, 1) for s in loaded.samples] + [(s.ended, -1) for s in loaded.samples])
    in_flight = peak = 0
    for _, change in edges:
        in_flight += change
        peak = max(peak, in_flight)
    assert peak == 4
    assert len(loaded.counted) <= len(loaded.samples) - 4
    alone, full = STEP_TIMES.decode_seconds(1, 200), STEP_TIMES.decode_seconds(4, 200)
    assert figures(loaded.counted).tpot_seconds[0] > (alone + full) / 2


def test_a_request_that_began_before_the_stop_counts_however_late_its_answer() -> None:
    """The fifth of the engine's answers takes far longer than all others: it is the first of its place that counts."""
    said = TOKEN + b'data: {"choices": [{"delta": {}, "finish_reason": "length"}]}\n\n'
    arrived = 0

    async def answer(writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        arrived += 1
        await asyncio.sleep(0.5 if arrived == 5 else 0.02)
        writer.write(HEAD + said)

    async def load(target: Target) -> drive.Loaded:
        rule = StopRule(max_seconds=AT_LENGTH_SECONDS, max_requests=4)
        return await drive.closed_loop(drive.Tuned(target=target), LENGTHS, 3, rule)

    loaded = asyncio.run(served(answer, load, AT_LENGTH_SECONDS))
    assert isinstance(loaded, drive.Loaded)
    assert loaded.stopped is Stop.REQUESTS
    assert max(s.seconds for s in loaded.counted) > 0.4
    assert loaded.counted[-1].seconds > 0.4, "it is what was waited for"
    assert 5 <= len(loaded.counted) <= 6
    assert arrived > len(loaded.samples), "others kept it company, and do not count"
    assert loaded.unanswered == 0


def test_a_load_whose_time_is_over_says_how_many_that_count_it_leaves_out() -> None:
    said = TOKEN + b'data: {"choices": [{"delta": {}, "finish_reason": "length"}]}\n\n'
    arrived = 0

    async def answer(writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        arrived += 1
        await asyncio.sleep(0.01 if arrived < 6 else AT_LENGTH_SECONDS)
        writer.write(HEAD + said)

    async def load(target: Target) -> drive.Loaded:
        return await drive.closed_loop(drive.Tuned(target=target), LENGTHS, 2, StopRule(max_seconds=0.1))

    loaded = asyncio.run(served(answer, load, AT_LENGTH_SECONDS))
    assert isinstance(loaded, drive.Loaded)
    assert (len(loaded.counted), loaded.unanswered, loaded.stopped) == (3, 2, Stop.SECONDS)


def test_an_open_loop_sends_when_it_is_due_whatever_is_unanswered(tmp_path: Path) -> None:
    slow = replace(STEP_TIMES, weights_seconds=0.1)
    arrivals = recorded([0.0, 0.05, 0.1, 0.15], [50] * 4, [10] * 4)
    with emulated(tmp_path, step_times=slow) as url:
        loaded = asyncio.run(drive.open_loop(drive.Tuned(target=Target(url=url, model=MODEL)), arrivals))
    assert [s.due for s in loaded.samples] == [0.0, 0.05, 0.1, 0.15]
    assert all(s.started - s.due < 0.5 for s in loaded.samples)
    assert min(s.ended for s in loaded.samples) > 0.15
    assert not any(s.failure for s in loaded.samples)


def test_an_open_loop_asks_each_model_in_its_own_words(tmp_path: Path) -> None:
    """The endpoint knows one of the two: the requests for the other fail, and no others."""
    arrivals = [
        Arrival(at_seconds=0.01 * n, lengths=LENGTHS, model=model)
        for n, model in enumerate([MODEL, "other"] * 3)
    ]
    with emulated(tmp_path) as url:
        tuned = {model: drive.Tuned(target=Target(url=url, model=model)) for model in (MODEL, "other")}
        loaded = asyncio.run(drive.open_loop(tuned, arrivals))
    assert [s.failure is None for s in loaded.samples] == [True, False] * 3


def test_failed_requests_are_counted_by_kind_and_measure_nothing(tmp_path: Path) -> None:
    with emulated(tmp_path, Faults(fail_every=3, fail_status=503)) as url:
        tuned = drive.Tuned(target=Target(url=url, model=MODEL))
        loaded = asyncio.run(drive.closed_loop(tuned, LENGTHS, 2, RULE))
    found = figures(loaded.samples)
    assert set(found.failures) == {Failure.ENGINE}
    assert len(loaded.samples) // 4 <= found.failures[Failure.ENGINE] <= len(loaded.samples) // 3 + 1
    assert all(s.ttft_seconds is None for s in loaded.samples if s.failure)


def test_an_engine_that_dies_ends_the_load_and_is_told(tmp_path: Path) -> None:
    with emulated(tmp_path, Faults(die_after_requests=3)) as url:
        tuned = drive.Tuned(target=Target(url=url, model=MODEL))
        loaded = asyncio.run(drive.closed_loop(tuned, LENGTHS, 1, RULE))
    assert loaded.stopped is Stop.FAILURES
    kinds = {s.failure for s in loaded.samples if s.failure}
    assert kinds <= {Failure.TORN, Failure.CONNECT}
    assert len(loaded.samples) == 8


def test_an_engine_that_hangs_is_given_up_after_silence(tmp_path: Path) -> None:
    with emulated(tmp_path, Faults(hang_after_requests=0)) as url:
        tuned = drive.Tuned(target=Target(url=url, model=MODEL, silence_seconds=0.2))
        loaded = asyncio.run(drive.open_loop(tuned, [Arrival(at_seconds=0.0, lengths=LENGTHS)]))
    assert [s.failure for s in loaded.samples] == [Failure.SILENT]


def test_a_cancelled_load_leaves_no_request_in_the_engine(tmp_path: Path) -> None:
    slow = replace(STEP_TIMES, weights_seconds=0.2)
    with emulated(tmp_path, step_times=slow) as url:
        tuned = drive.Tuned(target=Target(url=url, model=MODEL))
        asyncio.run(_cancelled(tuned))
        alone = asyncio.run(drive.tune(Target(url=url, model=MODEL), 200))
    assert alone.exact


async def _cancelled(tuned: drive.Tuned) -> None:
    long = Lengths(input_tokens=10, output_tokens=1000)
    load = asyncio.ensure_future(drive.closed_loop(tuned, long, 4, StopRule(max_seconds=600)))
    await asyncio.sleep(0.3)
    began = time.monotonic()
    load.cancel()
    with pytest.raises(asyncio.CancelledError):
        await load
    assert time.monotonic() - began < 60, "the answers that it cancels would take 200 s"


@pytest.mark.parametrize("model", ["another-model"])
def test_an_endpoint_that_does_not_serve_the_model_says_so(tmp_path: Path, model: str) -> None:
    with emulated(tmp_path) as url, pytest.raises(EngineError, match="does not answer for model") as fault:
        asyncio.run(drive.tune(Target(url=url, model=model), 200))
    assert "does not exist" in fault.value.details[0]


def test_nobody_listening_says_so() -> None:
    with pytest.raises(EngineError, match="no connection"):
        asyncio.run(drive.tune(Target(url="http://127.0.0.1:9", model=MODEL), 200))


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://a",
        "http://",
        "",
        "http://[::1",
        "http://a:99999",
        "http://a:0",
        "http://a/b c",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="is no endpoint"):
        Target(url=url, model=MODEL)


def test_secrets_belong_into_the_key_and_the_key_into_a_header() -> None:
    with pytest.raises(UsageError, match="name or a password") as fault:
        Target(url="http://me:secret@a", model=MODEL)
    assert "secret" not in str(fault.value)
    with pytest.raises(UsageError, match="no header can"):
        Target(url="http://a", model=MODEL, api_key="one\r\nX-Two: three")


def test_an_address_that_ends_with_the_version_is_the_same(tmp_path: Path) -> None:
    with emulated(tmp_path) as url:
        assert asyncio.run(drive.tune(Target(url=f"{url}/v1", model=MODEL), 200)).exact


def test_a_key_is_never_shown() -> None:
    assert "secret" not in repr(Target(url="http://a", model=MODEL, api_key="secret"))
