"""What holds whatever the coefficients: more hardware is never slower, more at once is never less, and laws of scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.domain.configuration import Configuration
from hetops.domain.gpu import GpuType
from hetops.domain.model import Precision
from hetops.domain.performance import StepTimes
from hetops.domain.workload import LatencyTarget, TokenLengths, WorkloadClass
from hetops.performance.estimate import step_times
from hetops.performance.measured import closed_loop
from hetops.performance.rate import latencies, sustained
from hetops.performance.replicas import Replicas
from hetops.performance.search import CLOSE
from tests.performance.test_features import CATALOG, GPUS, configuration

CASES = (
    ("llama-3.1-8b", 1, Precision.FP8),
    ("llama-3.1-70b", 4, Precision.BF16),
    ("mixtral-8x7b", 2, Precision.FP8),
    ("deepseek-v3", 8, Precision.FP8),
    ("qwen2.5-32b", 2, Precision.INT4),
)
cases = st.sampled_from(CASES)
gpus = st.sampled_from(["H200-SXM", "H100-SXM", "A100-80GB-SXM", "L40S", "B200"])


def asked_on(case: tuple[str, int, Precision], gpu: str) -> Configuration:
    model, tensor, weights = case
    return configuration(model, gpu, tensor_parallel=tensor, weights=weights, max_context_tokens=2048)


def times(case: tuple[str, int, Precision], gpu: GpuType) -> StepTimes | None:
    """Step times on a GPU type that need not exist; None where the model does not fit."""
    try:
        return step_times([asked_on(case, gpu.name)], CATALOG.model(case[0]), {gpu.name: gpu})[0]
    except ValueError:
        return None


@settings(max_examples=80, deadline=None)
@given(
    cases,
    gpus,
    st.sampled_from(["bandwidth_gb_per_second", "interconnect_gb_per_second", "memory_gb"]),
    st.floats(1.0, 4.0),
    st.floats(1, 256),
    st.floats(10, 2000),
)
def test_more_bandwidth_links_and_memory_are_never_slower(
    case: tuple[str, int, Precision], gpu: str, field: str, factor: float, n: float, context: float
) -> None:
    here, more = GPUS[gpu], replace(GPUS[gpu], **{field: getattr(GPUS[gpu], field) * factor})
    before, after = times(case, here), times(case, more)
    if before is None:
        return
    assert after is not None
    assert after.decode_seconds(n, context) <= before.decode_seconds(n, context) * (1 + 1e-12)
    assert after.prefill_seconds(context) <= before.prefill_seconds(context) * (1 + 1e-12)
    assert after.kv_capacity_tokens >= before.kv_capacity_tokens


@settings(max_examples=60, deadline=None)
@given(cases, gpus, st.floats(1.0, 3.0), st.floats(1, 256))
def test_more_compute_with_the_power_for_it_is_never_slower(
    case: tuple[str, int, Precision], gpu: str, factor: float, n: float
) -> None:
    here = GPUS[gpu]
    peaks = {
        name: value * factor
        for name in ("fp16_tflops", "bf16_tflops", "fp8_tflops", "int8_tops", "fp4_tflops", "board_watts")
        if (value := getattr(here, name))
    }
    before, after = times(case, here), times(case, replace(here, **peaks))
    if before is None:
        return
    assert after is not None
    assert after.decode_seconds(n, 500) <= before.decode_seconds(n, 500) * (1 + 1e-12)
    assert after.prefill_seconds(2000) < before.prefill_seconds(2000) or factor < 1.001


@settings(max_examples=40, deadline=None)
@given(cases, gpus, st.floats(1.0, 4.0), st.floats(1, 256))
def test_units_that_could_do_more_are_never_slower_and_never_above_the_peak(
    case: tuple[str, int, Precision], gpu: str, factor: float, n: float
) -> None:
    here = replace(GPUS[gpu], units_tflops=GPUS[gpu].fp16_tflops)
    before, after = times(case, here), times(case, replace(here, units_tflops=factor * here.fp16_tflops))
    if before is None:
        return
    assert after is not None
    assert after.decode_seconds(n, 500) <= before.decode_seconds(n, 500) * (1 + 1e-12)
    assert after.prefill_seconds(2000) <= before.prefill_seconds(2000) * (1 + 1e-12)
    endless = times(case, replace(here, units_tflops=1e9))
    assert endless is not None
    assert endless.prefill_seconds(2000) > 0.3 * before.prefill_seconds(2000), (
        "at most nine tenths of what is allowed"
    )


@settings(max_examples=80, deadline=None)
@given(cases, gpus, st.integers(1, 255), st.floats(10, 2000), st.floats(2, 500))
def test_more_at_once_is_never_a_lower_throughput_and_never_a_faster_token(
    case: tuple[str, int, Precision], gpu: str, n: int, inputs: float, outputs: float
) -> None:
    found = times(case, GPUS[gpu])
    if found is None:
        return
    fewer, more = (closed_loop(found, inputs, outputs, k) for k in (n, n + 1))
    assert more.requests_per_second >= fewer.requests_per_second * (1 - 1e-9)
    assert more.tpot_seconds >= fewer.tpot_seconds * (1 - 1e-9)


@settings(max_examples=40, deadline=None)
@given(cases, gpus, st.floats(0.2, 3.0), st.floats(0.01, 0.2))
def test_faster_steps_never_lower_the_rate_nor_more_places_without_targets(
    case: tuple[str, int, Precision], gpu: str, ttft: float, tpot: float
) -> None:
    found = times(case, GPUS[gpu])
    if found is None:
        return
    faster = replace(
        found,
        weights_seconds=found.weights_seconds / 2,
        compute_seconds_per_sequence=found.compute_seconds_per_sequence / 2,
        prefill_seconds_per_token=found.prefill_seconds_per_token / 2,
    )
    here, fast = rates([found, faster], LatencyTarget(ttft_seconds=ttft, tpot_seconds=tpot))
    assert here <= fast * (1 + 2 * CLOSE)
    narrow, wide = rates([replace(found, max_sequences=32), found], LatencyTarget())
    assert narrow <= wide * (1 + 2 * CLOSE)


def rates(replicas: list[StepTimes], target: LatencyTarget) -> list[float]:
    found = sustained(replicas, a_class(target), [2048] * len(replicas))
    return [one.requests_per_second for one in found]


def a_class(target: LatencyTarget, spread: float = 1.0) -> WorkloadClass:
    """Prompts of 500 tokens on average, the 90th percentile so many times that."""
    lengths = TokenLengths(
        mean=500, p50=500 / spread**0.5, p90=500 * spread, p95=550 * spread, p99=600 * spread
    )
    return WorkloadClass(
        name="c",
        requests_per_second=1.0,
        input_tokens=lengths if spread > 1 else TokenLengths.fixed(500),
        output_tokens=TokenLengths.fixed(100),
        target=target,
    )


def test_targets_are_held_at_their_percentile_of_the_lengths_not_at_the_mean() -> None:
    found = times(CASES[0], GPUS["L40S"])
    assert found is not None
    own = found.first_token_factor * found.prefill_seconds(500)
    tight = 1.3 * own + found.first_token_seconds + found.decode_seconds(1, 550)
    target = LatencyTarget(ttft_seconds=tight)
    even, spread = (sustained([found], a_class(target, s), [2048])[0].requests_per_second for s in (1.0, 1.8))
    assert even > 0
    assert spread == 0
    loose = a_class(LatencyTarget(ttft_seconds=5.0), 1.8)
    longer = found.first_token_factor * found.prefill_seconds(900)
    assert latencies(found, loose, 0.01).ttft_seconds > longer > 1.3 * own


@pytest.mark.parametrize("model", ["llama-3.1-8b", "mixtral-8x7b"])
def test_a_lone_token_takes_as_long_through_a_pipeline_as_through_one_gpu_that_holds_all(model: str) -> None:
    """All layers one after the other, whoever has them: only the hops between stages come on top, and the slowest stage's pace."""
    whole, staged = (
        step_times(
            [configuration(model, "B300", pipeline_parallel=s, max_context_tokens=30_000)],
            CATALOG.model(model),
            GPUS,
        )[0]
        for s in (1, 4)
    )
    one, four = (t.decode_seconds(1.0, 20_000.0) for t in (whole, staged))
    assert one < four < 1.15 * one
    assert staged.decode_seconds(4.0, 20_000.0) == four
    assert staged.decode_seconds(5.0, 20_000.0) > four
    form = Replicas.of([whole, staged])
    assert form.decode(np.array([1.0, 1.0]), 20_000.0) == pytest.approx([one, four])
    assert form.reading(np.array([0.0, 0.0]), 20_000.0).tolist() == [0.0, 0.0]


def test_laws_of_scale() -> None:
    model = CATALOG.model("llama-3.1-70b")

    def on(tensor: int, weights: Precision) -> StepTimes:
        asked = configuration("llama-3.1-70b", "H200-SXM", tensor_parallel=tensor, weights=weights)
        return step_times([asked], model, GPUS)[0]

    one, two = on(2, Precision.FP8), on(4, Precision.FP8)
    assert two.weights_seconds == pytest.approx(one.weights_seconds / 2)
    assert 0.5 < two.decode_seconds(8, 1000) / one.decode_seconds(8, 1000) < 1
    assert on(4, Precision.BF16).weights_seconds == pytest.approx(2 * two.weights_seconds, rel=0.05)
    assert 2 < one.prefill_seconds(8000) / one.prefill_seconds(4000) < 4
    short, long = (one.decode_seconds(64, c) for c in (1000, 2000))
    assert long - short == pytest.approx(one.kv_seconds_per_token * 1000 * 64)


def test_twice_as_fast_in_everything_sustains_twice_the_rate_under_targets_half_as_long() -> None:
    found = times(CASES[0], GPUS["H100-SXM"])
    assert found is not None
    seconds = [name for name in StepTimes.__dataclass_fields__ if "seconds" in name]
    fast = replace(found, **{name: getattr(found, name) / 2 for name in seconds})
    here = sustained([found], a_class(LatencyTarget(ttft_seconds=1.0, tpot_seconds=0.02)), [2048])[0]
    there = sustained([fast], a_class(LatencyTarget(ttft_seconds=0.5, tpot_seconds=0.01)), [2048])[0]
    assert there.requests_per_second == pytest.approx(2 * here.requests_per_second, rel=3 * CLOSE)
