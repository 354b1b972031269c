"""Step times out of benchmarks say again what was measured, of lone prompts and of those beside others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hetops.domain.configuration import Configuration
from hetops.domain.model import Precision
from hetops.domain.performance import Measurement, StepTimes
from hetops.performance.measured import step_times
from hetops.performance.replicas import Replicas

ONE_CORE = Configuration(
    model="gemma-3-270m",
    engine="llamacpp",
    gpu="CPU",
    weights=Precision.GGUF_Q4_K_M,
    kv=Precision.FP16,
    checkpoint="file:x",
    max_sequences=4,
    max_context_tokens=512,
)


def run(tokens: tuple[float, float], concurrency: int, rate: float, ttft: float, tpot: float) -> Measurement:
    """Medians of one benchmark run."""
    return Measurement(
        configuration=ONE_CORE.id,
        offer_sku="cpu-1",
        host="this",
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        concurrency=concurrency,
        requests=10,
        requests_per_second=rate,
        ttft_seconds=(ttft,),
        tpot_seconds=(tpot,),
        measured_at="2026-11-24T00:00:00Z",
    )


SHORT, LONG = (34, 10), (188, 23)
RUNS = (
    run(SHORT, 1, 4.37, 0.11, 0.0124),
    run(LONG, 1, 1.2, 0.54, 0.0133),
    run(SHORT, 2, 3.54, 0.17, 0.0443),
    run(LONG, 2, 0.804, 0.65, 0.0837),
    run(SHORT, 4, 2.84, 0.43, 0.11),
    run(LONG, 4, 0.748, 1.09, 0.19),
)
"""llama.cpp on one core of an AMD EPYC, Gemma 3 270M at 4 bit: a second sequence costs three times the first."""


def alone(times: StepTimes, tokens: float) -> float:
    """The TTFT of a request that meets nobody."""
    return times.prefill_seconds(tokens) + times.first_token_seconds


def beside_another(times: StepTimes, tokens: float) -> float:
    """The TTFT of a request that meets another at its decoding."""
    return (
        times.first_token_factor * times.prefill_seconds(tokens)
        + times.first_token_seconds
        + times.decode_seconds(2, tokens)
    )


@pytest.mark.parametrize("places", [1, 2, 4])
def test_a_lone_prompt_takes_what_was_measured_however_the_steps_grow(places: int) -> None:
    times = step_times(ONE_CORE, [m for m in RUNS if m.concurrency <= places], 2048)
    assert alone(times, 34) == pytest.approx(0.11, rel=0.03)
    assert alone(times, 188) == pytest.approx(0.54, rel=0.01)


def test_a_prompt_beside_another_request_takes_what_was_measured() -> None:
    times = step_times(ONE_CORE, [m for m in RUNS if m.concurrency <= 2], 2048)
    assert 1.05 < times.first_token_factor < 1.2
    assert beside_another(times, 34) == pytest.approx(0.17, rel=0.05)
    assert beside_another(times, 188) == pytest.approx(0.65, rel=0.05)


def test_fuller_loads_say_nothing_of_a_prompt_s_own_time() -> None:
    two, four = (step_times(ONE_CORE, [m for m in RUNS if m.concurrency <= n], 2048) for n in (2, 4))
    assert four.first_token_factor == two.first_token_factor


@pytest.mark.parametrize(
    "runs",
    [
        RUNS[:2],
        (*RUNS[:2], replace(RUNS[2], ttft_seconds=(0.1,))),
        (*RUNS[:2], replace(RUNS[2], concurrency=64, requests_per_second=9.0, ttft_seconds=(6.0,))),
    ],
    ids=["lone requests alone", "faster than alone", "most prompts wait for another"],
)
def test_where_nothing_tells_a_prompt_takes_as_long_as_alone(runs: tuple[Measurement, ...]) -> None:
    assert step_times(ONE_CORE, runs, 2048).first_token_factor == 1.0


def test_a_step_takes_what_was_measured_with_as_many_sequences() -> None:
    """No line through these: the second sequence costs three times the first."""
    times = step_times(ONE_CORE, [m for m in RUNS if m.input_tokens == SHORT[0]], 2048)
    found = [times.decode_seconds(n, 100) for n in (1, 2, 4)]
    assert found == pytest.approx([0.0124, 0.0357, 0.0842], rel=0.01), "TPOT less the prompts of the others"
    assert times.decode_seconds(3, 100) == pytest.approx((found[1] + found[2]) / 2)
    assert times.decode_seconds(8, 100) == pytest.approx(found[2] + 2 * (found[2] - found[1]))


def test_a_fuller_step_takes_no_less_whatever_one_run_says() -> None:
    odd = (*RUNS[:4], replace(RUNS[4], tpot_seconds=(0.01,)), replace(RUNS[5], tpot_seconds=(0.01,)))
    times = step_times(ONE_CORE, odd, 2048)
    assert times.decode_seconds(4, 100) == pytest.approx(times.decode_seconds(2, 100))
    assert times.decode_seconds(2, 100) > times.decode_seconds(1, 100)


def test_the_queue_reads_the_same_steps_of_replicas_with_and_without_a_curve() -> None:
    curved = step_times(ONE_CORE, RUNS, 2048)
    alone = step_times(ONE_CORE, RUNS[:2], 2048)
    formed = replace(alone, curve=None, overhead_seconds_per_sequence=0.001)
    replicas = Replicas.of([curved, formed, alone])
    for n in (1.0, 2.0, 3.5, 4.0, 9.0):
        found = replicas.fixed(np.full(3, n))
        assert list(found) == pytest.approx([t.decode_seconds(n, 0) for t in (curved, formed, alone)])
    rows = replicas.fixed(np.array([[1.0], [4.0]]))
    assert list(rows[1]) == pytest.approx([t.decode_seconds(4, 0) for t in (curved, formed, alone)])
