"""The closed form obeys physics: memory margins, monotone rates, prefill as shared work, no plan above the peaks."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.catalog import tables
from hetops.domain.configuration import Configuration
from hetops.domain.model import Precision
from hetops.domain.performance import Binding, EvidenceLayer, Measurement, StepTimes
from hetops.domain.plan import ClassShare
from hetops.domain.workload import LatencyTarget, TokenLengths, WorkloadClass
from hetops.performance import bounds, measured
from hetops.performance.estimate import step_times
from hetops.performance.foundations import Basis
from hetops.performance.memory import fit, weight_bytes
from hetops.performance.rate import sustained
from hetops.performance.table import best_of_each, build
from tests.doubles import plans

CATALOG = tables.load()
GPUS = {g.name: g for g in CATALOG.gpu_types}
LLAMA_70B, LLAMA_8B = CATALOG.model("llama-3.1-70b"), CATALOG.model("llama-3.1-8b")


def configuration(
    gpu: str, weights: Precision, *, tensor: int = 1, context: int = 4096, model: str = "llama-3.1-70b"
) -> Configuration:
    return Configuration(
        model=model,
        engine="vllm",
        gpu=gpu,
        tensor_parallel=tensor,
        weights=weights,
        kv=Precision.BF16,
        checkpoint="hub",
        max_sequences=256,
        max_context_tokens=context,
    )


def a_class(input_tokens: float = 1000, output_tokens: float = 200, **target: float) -> WorkloadClass:
    return WorkloadClass(
        name="c",
        requests_per_second=1.0,
        input_tokens=TokenLengths.fixed(input_tokens),
        output_tokens=TokenLengths.fixed(output_tokens),
        target=LatencyTarget(**target),
    )


def one(asked: Configuration) -> StepTimes:
    """Step times of an 8B model's configuration."""
    return step_times([asked], LLAMA_8B, GPUS)[0]


def test_70_gb_of_fp8_weights_run_on_one_80_gb_card_with_a_short_context_only() -> None:
    assert fit(configuration("H100-SXM", Precision.FP8), LLAMA_70B, GPUS["H100-SXM"]).reason == ""
    long = fit(configuration("H100-SXM", Precision.FP8, context=128_000), LLAMA_70B, GPUS["H100-SXM"])
    assert "GB are left for KV, 128,000 tokens of context do not fit" in long.reason
    assert (
        fit(
            configuration("H100-SXM", Precision.FP8, tensor=2, context=128_000), LLAMA_70B, GPUS["H100-SXM"]
        ).reason
        == ""
    )


def test_16_bit_weights_of_a_70b_model_need_two_80_gb_cards() -> None:
    assert (
        "GB are lacking" in fit(configuration("H100-SXM", Precision.BF16), LLAMA_70B, GPUS["H100-SXM"]).reason
    )
    assert fit(configuration("H100-SXM", Precision.BF16, tensor=4), LLAMA_70B, GPUS["H100-SXM"]).reason == ""


def test_quantized_checkpoints_keep_embeddings_in_16_bit() -> None:
    assert weight_bytes(LLAMA_70B, Precision.FP8) / 1e9 == pytest.approx(72.65, abs=0.01)
    assert weight_bytes(LLAMA_70B, Precision.BF16) / 1e9 == pytest.approx(141.1, abs=0.01)


def test_fewer_kv_heads_than_ranks_are_held_several_times() -> None:
    qwen = CATALOG.model("qwen3-30b-a3b")  # 4 KV heads
    four, eight = (
        fit(configuration("H100-SXM", Precision.BF16, tensor=t, model=qwen.name), qwen, GPUS["H100-SXM"])
        for t in (4, 8)
    )
    assert eight.kv_capacity_tokens < 1.5 * four.kv_capacity_tokens


def test_latent_kv_is_held_whole_by_every_rank() -> None:
    deepseek = CATALOG.model("deepseek-v3")
    asked = configuration("H200-SXM", Precision.FP8, tensor=8, model=deepseek.name)
    found = fit(asked, deepseek, GPUS["H200-SXM"])
    assert found.kv_capacity_tokens == pytest.approx(
        found.kv_gb * 1e9 / deepseek.kv_bytes_per_token_16bit, rel=1e-4
    )


def test_a_mixture_reads_more_experts_the_larger_the_batch() -> None:
    mixtral, dense = CATALOG.model("mixtral-8x7b"), LLAMA_8B
    asked = configuration("H100-SXM", Precision.FP8, tensor=2, model=mixtral.name)
    mixture = step_times([asked], mixtral, GPUS)[0]

    def reading(sequences: float) -> float:
        alone = replace(mixture, compute_seconds_per_sequence=0.0, overhead_seconds_per_sequence=0.0)
        return alone.decode_seconds(sequences, 0.0) - mixture.overhead_seconds

    assert 0.2 * mixture.weights_seconds < reading(1) < reading(4) < reading(64) <= mixture.weights_seconds
    assert one(configuration("H100-SXM", Precision.FP8, model=dense.name)).shared_weights == 1.0


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["L4", "L40S", "A100-80GB-SXM", "H100-SXM", "B200"]),
    st.floats(50, 4000),
    st.floats(5, 1000),
    st.floats(0.05, 5.0),
    st.floats(0.005, 0.3),
)
def test_looser_targets_and_shorter_requests_never_lower_the_rate(
    gpu: str, input_tokens: float, output_tokens: float, ttft: float, tpot: float
) -> None:
    steps = [one(configuration(gpu, Precision.FP8, model="llama-3.1-8b"))]

    def rate(i: float, o: float, t: float, p: float) -> float:
        return sustained(steps, a_class(i, o, ttft_seconds=t, tpot_seconds=p), [8192])[0].requests_per_second

    here = rate(input_tokens, output_tokens, ttft, tpot)
    assert rate(input_tokens, output_tokens, ttft * 1.5, tpot) >= here * (1 - 2e-4)
    assert rate(input_tokens, output_tokens, ttft, tpot * 1.5) >= here * (1 - 2e-4)
    assert rate(input_tokens * 0.5, output_tokens, ttft, tpot) >= here * (1 - 2e-4)


def test_rates_are_nonzero_only_where_their_latencies_keep_the_targets() -> None:
    for gpu in ("L4", "L40S", "H100-SXM"):
        steps = one(configuration(gpu, Precision.FP8, model="llama-3.1-8b"))
        for ttft, tpot in ((0.02, 0.05), (0.5, 0.05), (0.5, 0.002), (3.0, 0.2)):
            found = sustained([steps], a_class(ttft_seconds=ttft, tpot_seconds=tpot), [8192])[0]
            if found.requests_per_second > 0:
                assert found.ttft_seconds <= ttft * (1 + 1e-6)
                assert found.tpot_seconds <= tpot * (1 + 1e-6)
            else:
                assert found.reason


def test_a_rate_of_zero_says_why_with_the_numbers() -> None:
    steps = [one(configuration("L4", Precision.FP8, model="llama-3.1-8b"))]
    assert "a bigger batch will not help" in sustained(steps, a_class(ttft_seconds=0.001), [8192])[0].reason
    assert "a decode step alone takes" in sustained(steps, a_class(tpot_seconds=0.001), [8192])[0].reason
    too_long = sustained(steps, a_class(), [1000])[0]
    assert "exceed the context of 1,000 tokens" in too_long.reason
    assert math.isfinite(too_long.ttft_seconds + too_long.tpot_seconds)


def test_prompts_of_a_batch_share_the_compute() -> None:
    steps = one(configuration("H100-SXM", Precision.FP8, model="llama-3.1-8b"))
    rate = sustained([steps], a_class(4000, 1), [8192])[0].requests_per_second
    assert rate * (steps.prefill_seconds(4000) - steps.overhead_seconds) <= 1.0


def _benchmark(of: Configuration, true: StepTimes, input_tokens: float, concurrency: int) -> Measurement:
    """What a benchmark of an engine with these very step times measures."""
    loop = measured.closed_loop(true, input_tokens, 20, concurrency)
    return Measurement(
        configuration=of.id,
        offer_sku="cpu-1",
        host="this",
        input_tokens=input_tokens,
        output_tokens=20,
        concurrency=concurrency,
        requests=10,
        requests_per_second=loop.requests_per_second,
        ttft_seconds=(true.prefill_seconds(input_tokens),) * 4,
        tpot_seconds=(loop.tpot_seconds,) * 4,
        measured_at="2026-11-24T00:00:00Z",
    )


def test_measurements_are_reproduced_and_come_first() -> None:
    cpu = Configuration(
        model="gemma-3-270m",
        engine="llamacpp",
        gpu="CPU",
        weights=Precision.GGUF_Q4_K_M,
        kv=Precision.FP16,
        checkpoint="file:x",
        max_sequences=4,
        max_context_tokens=512,
    )
    true = StepTimes(
        weights_seconds=0.0,
        compute_seconds_per_sequence=0.0,
        kv_seconds_per_token=0.0,
        overhead_seconds=0.05,
        overhead_seconds_per_sequence=0.02,
        prefill_seconds_per_token=0.005,
        kv_capacity_tokens=2048,
        max_sequences=4,
    )
    own = [_benchmark(cpu, true, tokens, c) for tokens in (50, 100) for c in (1, 2, 4)]
    steps = measured.step_times(cpu, own, 2048)
    assert steps.prefill_seconds(100) == pytest.approx(true.prefill_seconds(100), rel=0.15)
    assert [steps.decode_seconds(n, 100) for n in (1, 2, 4)] == pytest.approx([0.07, 0.09, 0.13], rel=0.1)
    for m in own:
        again = measured.closed_loop(steps, m.input_tokens, m.output_tokens, m.concurrency)
        assert again.requests_per_second == pytest.approx(m.requests_per_second, rel=0.1)
        assert again.tpot_seconds == pytest.approx(m.tpot_seconds[0], rel=0.2)
    basis = Basis(model=CATALOG.model("gemma-3-270m"), gpus=GPUS, measurements=own)
    row = build([cpu], [a_class(100, 20)], basis).row(cpu.id, "c")
    assert row.evidence.layer is EvidenceLayer.MEASURED
    assert (
        build([cpu], [a_class(100, 20)], replace(basis, measurements=())).row(cpu.id, "c").evidence.layer
        is EvidenceLayer.PRIOR
    )


def test_dominated_configurations_are_dropped_and_specialists_kept() -> None:
    wanted = [
        configuration("H100-SXM", p, tensor=t, model="llama-3.1-8b")
        for p in (Precision.BF16, Precision.FP8)
        for t in (1, 2, 4)
    ]
    classes = [a_class(ttft_seconds=2.0, tpot_seconds=0.05)]
    table = build(wanted, classes, Basis(model=LLAMA_8B, gpus=GPUS))
    kept = best_of_each(wanted, table)
    assert 0 < len(kept) < len(wanted)
    for dropped in set(wanted) - set(kept):
        assert any(
            k.gpu_count <= dropped.gpu_count
            and table.row(k.id, "c").planned_requests_per_second
            >= table.row(dropped.id, "c").planned_requests_per_second
            for k in kept
        )


def test_a_plan_above_the_arithmetic_peak_is_found() -> None:
    plan = plans.plan()
    classes = {c.name: c for c in plan.workload.classes}
    models = {LLAMA_8B.name: LLAMA_8B}
    sound = bounds.peak_uses(plan.pools, plan.shares, classes, models, GPUS)
    assert bounds.violations(sound) == ()
    assert all(0 < use.compute < 1 and 0 < use.bandwidth < 1 for use in sound)
    greedy = tuple(replace(s, requests_per_second=s.requests_per_second * 500) for s in plan.shares)
    found = bounds.violations(bounds.peak_uses(plan.pools, greedy, classes, models, GPUS))
    assert any("of the compute peak of its L4" in f for f in found)
    decoding = WorkloadClass(**{**{f: getattr(classes["chat"], f) for f in ("name", "requests_per_second", "target")},
                                "input_tokens": TokenLengths.fixed(8000), "output_tokens": TokenLengths.fixed(4000)})  # fmt: skip
    slow = (ClassShare(workload_class="chat", pool="l4-fp8", share=1.0, requests_per_second=0.2),)
    (use,) = bounds.peak_uses(plan.pools[:1], slow, {"chat": decoding}, models, GPUS)
    assert any("bandwidth" in f for f in bounds.violations((use,))) == (use.bandwidth > 1)


def test_a_target_below_a_tenth_of_a_millisecond_is_told_as_it_was_given() -> None:
    steps = [one(configuration("H100-SXM", Precision.FP8, model="llama-3.1-8b"))]
    reason = sustained(steps, a_class(tpot_seconds=0.00001), [8192])[0].reason
    assert reason.endswith(" ms > target 0.01 ms")


def test_what_binds_is_named() -> None:
    steps = [one(configuration("H100-SXM", Precision.FP8, model="llama-3.1-8b"))]
    assert sustained(steps, a_class(tpot_seconds=0.012), [8192])[0].binding is Binding.TPOT
    assert sustained(steps, a_class(ttft_seconds=0.035), [8192])[0].binding is Binding.TTFT
    assert sustained(steps, a_class(), [8192])[0].binding in (Binding.SEQUENCES, Binding.KV_MEMORY)


def test_a_plugins_measurements_come_before_the_closed_form_and_after_the_users_own() -> None:
    one = configuration("H100-SXM", Precision.FP8, model="llama-3.1-8b")
    shipped = Measurement(
        configuration=one.id,
        offer_sku="",
        host="H100-SXM",
        input_tokens=1000,
        output_tokens=200,
        concurrency=1,
        requests=50,
        requests_per_second=1 / (0.03 + 200 * 0.006),
        ttft_seconds=(0.03,) * 4,
        tpot_seconds=(0.006,) * 4,
        measured_at="2026-11-01T00:00:00Z",
    )
    own = replace(shipped, requests_per_second=1 / (0.03 + 200 * 0.012), tpot_seconds=(0.012,) * 4)
    basis = Basis(model=LLAMA_8B, gpus=GPUS, shipped=[shipped])
    for known, layer, seconds in (
        (basis, EvidenceLayer.SHIPPED, 0.006),
        (replace(basis, measurements=[own]), EvidenceLayer.MEASURED, 0.012),
    ):
        table = build([one], [a_class()], known)
        assert table.row(one.id, "c").evidence.layer is layer
        assert table.step_times[one.id].decode_seconds(1, 1000) == pytest.approx(seconds)
