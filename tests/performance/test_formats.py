"""Windowed layers and formats of weights, worked by hand: bytes held and read, operations, and the format that they run in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hetops.catalog import tables
from hetops.domain.configuration import Configuration
from hetops.domain.model import Precision
from hetops.domain.performance import EvidenceLayer
from hetops.performance.estimate import calibration, plain_step_times, step_times
from hetops.performance.form import terms
from hetops.performance.generation import Generation
from hetops.performance.memory import fit, weight_bytes, weights
from hetops.performance.physics import physics
from hetops.performance.replica import Replica, computes_in
from hetops.performance.replicas import Replicas

CATALOG = tables.load()
GPUS = {g.name: g for g in CATALOG.gpu_types}
OSS = CATALOG.model("gpt-oss-120b")
GEMMA = CATALOG.model("gemma-3-27b")
SPARSE = CATALOG.model("deepseek-v3.2")


def replica(gpu: str, weights: Precision, model: str = "llama-3.1-8b") -> Replica:
    return Replica(gpu=GPUS[gpu], model=CATALOG.model(model), weights=weights)


@pytest.mark.parametrize(
    ("gpu", "weights", "format", "tera_operations"),
    [
        ("H100-SXM", Precision.FP4, Precision.BF16, 989),
        ("A100-80GB-SXM", Precision.FP4, Precision.BF16, 312),
        ("MI300X", Precision.FP4, Precision.BF16, 1307.4),
        ("B200", Precision.FP4, Precision.FP4, 9000),
        ("RTX5090", Precision.FP4, Precision.FP4, 1676),
        ("A100-80GB-SXM", Precision.FP8, Precision.BF16, 312),
        ("L4", Precision.FP8, Precision.FP8, 242.5),
        ("H100-SXM", Precision.INT4, Precision.BF16, 989),
        ("B200", Precision.INT4, Precision.BF16, 2250),
        ("A100-80GB-SXM", Precision.INT8, Precision.INT8, 624),
        ("MI250", Precision.FP8, Precision.BF16, 181),
    ],
)
def test_weights_that_a_gpu_cannot_multiply_are_multiplied_in_16_bit(
    gpu: str, weights: Precision, format: Precision, tera_operations: float
) -> None:
    asked = replica(gpu, weights)
    found = physics([asked])
    assert computes_in(asked) is format
    assert found.flops[0] == pytest.approx(tera_operations * 1e12, rel=1e-9)
    assert (found.fp8[0], found.fp4[0]) == (format is Precision.FP8, format is Precision.FP4)
    four_bits_alone = weights.bytes_per_value < 0.7 and format is Precision.BF16
    assert found.weight_only_4bit[0] == four_bits_alone


def test_mxfp4_of_the_makers_meets_activations_of_eight_bits_where_there_is_fp4_and_attention_stays_in_16() -> (
    None
):
    on_b200 = replica("B200", Precision.FP4, OSS.name)
    assert computes_in(on_b200) is Precision.FP8
    assert computes_in(replica("H100-SXM", Precision.FP4, OSS.name)) is Precision.BF16
    active, kept = OSS.active_parameters_b, OSS.attention_16bit_b
    assert physics([on_b200]).flops[0] == pytest.approx(
        active / (kept / 2250 + (active - kept) / 4500) * 1e12
    )


@pytest.mark.parametrize(
    ("model", "precision", "gigabytes"),
    [
        ("gpt-oss-120b", Precision.FP4, 60.8 * 1.0737),
        ("gpt-oss-20b", Precision.FP4, 12.8 * 1.0737),
        ("deepseek-v3", Precision.FP8, 688.6 - 14.0),
        ("kimi-k2.5", Precision.INT4, 595.0),
        ("llama-3.1-405b", Precision.FP8, 410.0),
        ("llama-3.1-8b", Precision.FP8, 9.08),
        ("llama-3.2-1b", Precision.BF16, 2.47),
    ],
)
def test_weights_weigh_what_the_published_checkpoints_do(
    model: str, precision: Precision, gigabytes: float
) -> None:
    """Of DeepSeek V3 without its 14 GB of a draft module; Kimi K2.5 keeps its shared and first layers in 16 bit too."""
    found = weight_bytes(CATALOG.model(model), precision) / 1e9
    assert found == pytest.approx(gigabytes, rel=0.07 if model.startswith("kimi") else 0.02)


def test_a_lone_token_reads_attention_and_head_in_16_bit_and_four_experts_in_four() -> None:
    parts = weights(OSS, Precision.FP4)
    attention = 36 * 2 * 2880 * 64 * (64 + 8)
    head, experts = 2880 * 201_088, 36 * 4 * 3 * 2880 * 2880
    assert parts.looked_up == pytest.approx(2 * head, rel=1e-6)
    assert parts.passed == pytest.approx(2 * (attention + head), rel=0.02)
    assert parts.experts * 4 / 128 == pytest.approx(experts * 0.53125, rel=0.02)


@pytest.mark.parametrize(("model", "gigabytes"), [("gpt-oss-20b", 12.1), ("gpt-oss-120b", 63.4)])
def test_of_mxfp4_llama_cpp_s_files_keep_eight_bits_where_others_keep_16(
    model: str, gigabytes: float
) -> None:
    asked = replica("RTX5090", Precision.FP4, model)
    rows = physics([asked, replace(asked, generation=Generation.LLAMACPP)])
    assert rows.stored_bytes[1] / 1e9 == pytest.approx(gigabytes, rel=0.02)
    parts = weights(CATALOG.model(model), Precision.FP4)
    assert rows.weight_bytes[0] == parts.streamed
    assert rows.weight_bytes[1] == pytest.approx(parts.experts + parts.passed * 1.0625 / 2, rel=1e-3)


def test_a_head_that_is_the_embeddings_is_read_and_held_once() -> None:
    tied = CATALOG.model("llama-3.2-1b")
    apart = replace(tied, tied_embeddings=False)
    table = tied.vocabulary * tied.hidden
    assert weights(tied, Precision.BF16).streamed == tied.parameters_b * 2e9
    assert weights(apart, Precision.BF16).streamed == pytest.approx(tied.parameters_b * 2e9 - 2 * table)


@pytest.mark.parametrize("tokens", [100, 1024, 5000, 100_000])
def test_windowed_layers_attend_to_their_window_alone(tokens: int) -> None:
    """Against sums over layers and tokens."""
    r = replica("H200-SXM", Precision.BF16, GEMMA.name)
    found = terms(physics([r]), calibration().values)
    seen = [min(tokens, 1024)] * 52 + [tokens] * 10
    assert found.attended(np.array([float(tokens)]))[0] == pytest.approx(np.mean(seen))
    full = terms(physics([replace(r, model=replace(GEMMA, windowed_layers=0))]), calibration().values)
    both = [t.prefill_seconds(np.array([float(tokens)]))[0] for t in (found, full)]
    assert (both[0] < both[1]) if tokens > 1024 else (both[0] == both[1])
    positions = np.arange(tokens)
    pairs = (52 * np.minimum(positions, 1024).sum() + 10 * positions.sum()) / 62
    steps = step_times([configuration("vllm")], GEMMA, GPUS)[0]
    assert steps.squares(tokens) / 2 == pytest.approx(pairs, rel=0.02)
    assert steps.attended(tokens) == pytest.approx(np.mean(seen))


@pytest.mark.parametrize("tokens", [100, 2048, 5000, 120_000])
def test_of_sparse_attention_steps_read_what_is_chosen_and_the_index_over_all(tokens: int) -> None:
    """DeepSeek V3.2 by hand: 61 layers of 576 values of KV, and of 128 bytes and a scale of index."""
    asked = configuration("vllm", 163_840, SPARSE.name)
    r = replace(
        replica("H200-SXM", Precision.FP8, SPARSE.name), tensor_parallel=8, generation=Generation.VLLM_NEW
    )
    p = physics([r])
    read = min(tokens, 2048) * 61 * 576 * 2 + tokens * 61 * (128 + 4)
    form, steps = terms(p, calibration().values), plain_step_times([asked], SPARSE, GPUS)[0]
    for attended in (form.attended(np.array([float(tokens)]))[0], steps.attended(tokens)):
        assert attended * p.kv_bytes[0] == pytest.approx(read)
    assert p.kept(np.array([float(tokens)]))[0] == tokens == steps.kept(tokens)


@pytest.mark.parametrize("tokens", [1000, 8000, 120_000])
def test_prompts_of_sparse_attention_compute_chosen_pairs_and_the_index_of_all(tokens: int) -> None:
    positions = np.arange(tokens)
    pairs = np.array([np.minimum(positions, 2048).sum(), positions.sum()], dtype=float)
    by_hand = 2 * pairs @ np.array([128 * 1088 / 2, 64 * 128 / 4]) / (128 * 1088 / 2 + 64 * 128 / 4)
    steps = plain_step_times([configuration("vllm", 163_840, SPARSE.name)], SPARSE, GPUS)[0]
    assert steps.squares(tokens) == pytest.approx(by_hand, rel=0.01)
    assert Replicas.of([steps]).squares(float(tokens))[0] == pytest.approx(steps.squares(tokens))
    told = replace(steps, prompt_window_share=None)
    assert told.squares(tokens) == tokens**2 - told.window_share * max(tokens - 2048, 0) ** 2


def test_long_prompts_and_contexts_are_faster_than_where_all_is_attended_to_and_take_more_memory() -> None:
    asked = replace(configuration("vllm", 163_840, SPARSE.name), tensor_parallel=8, weights=Precision.FP8)
    dense = CATALOG.model("deepseek-v3.1")
    sparse, full = (plain_step_times([asked], m, GPUS)[0] for m in (SPARSE, dense))
    apart = plain_step_times([replace(asked, attention_data_parallel=8)], SPARSE, GPUS)[0]
    many = 1e9  # prompts at once, of which no group has more than another
    assert apart.prefill_seconds(128_000, 0, many) < 0.6 * full.prefill_seconds(128_000)
    assert sparse.prefill_seconds(128_000) > full.prefill_seconds(
        128_000
    )  # every rank computes the whole index
    assert sparse.decode_seconds(32, 128_000) < 0.5 * full.decode_seconds(32, 128_000)
    room = [fit(asked, m, GPUS["H200-SXM"]).kv_capacity_tokens for m in (SPARSE, dense)]
    assert 0.85 * room[1] < room[0] < 0.91 * room[1]
    layers = [
        calibration().layer(Replica(gpu=GPUS["H200-SXM"], model=m, weights=Precision.FP8))
        for m in (SPARSE, dense)
    ]
    assert layers == [EvidenceLayer.PRIOR, EvidenceLayer.CALIBRATED]


def configuration(engine: str, context: int = 8192, model: str = GEMMA.name) -> Configuration:
    return Configuration(
        model=model,
        engine=engine,
        gpu="H200-SXM",
        weights=Precision.BF16,
        kv=Precision.BF16,
        checkpoint="hub",
        max_sequences=256,
        max_context_tokens=context,
    )


@pytest.mark.parametrize(("engine", "forgotten"), [("vllm", 1.0), ("sglang", 0.2)])
def test_engines_keep_of_windowed_layers_what_their_documents_say(engine: str, forgotten: float) -> None:
    found = step_times([configuration(engine)], GEMMA, GPUS)[0]
    assert found.kept(8192) == pytest.approx(8192 - forgotten * 52 / 62 * (8192 - 1024))
    assert found.kept(found.longest) == pytest.approx(found.kv_capacity_tokens, rel=1e-3)


def test_engines_of_before_keep_all_and_read_the_window() -> None:
    held = [
        physics([replace(replica("H200-SXM", Precision.BF16, GEMMA.name), generation=g)]).kept(
            np.array([9000.0])
        )
        for g in (Generation.VLLM_OLD, Generation.TRTLLM_NEW, Generation.VLLM_NEW)
    ]
    assert held[0] == held[1] == 9000.0
    assert held[2] < 3000.0


def test_a_context_that_fits_by_its_windows_alone_fits_where_the_engine_keeps_no_more() -> None:
    windowed = fit(configuration("vllm", 131_072), GEMMA, GPUS["H200-SXM"])
    plain = replace(GEMMA, windowed_layers=0)
    held = fit(configuration("vllm", 131_072), plain, GPUS["H200-SXM"]).kv_capacity_tokens
    assert windowed.reason == ""
    assert fit(configuration("vllm", held * 2), plain, GPUS["H200-SXM"]).reason
    assert fit(configuration("vllm", held * 2), GEMMA, GPUS["H200-SXM"]).reason == ""


NEXT = CATALOG.model("qwen3-next-80b-a3b")
STATE = 36 * (32 * 128 * 128 * 2 + 3 * (2 * 16 * 128 + 32 * 128) * 2)
"""Of 36 layers with 32 heads: a matrix each, and the inputs of three convolutions, 2 bytes a value."""
TOKEN = 48 * 2 * 2 * 256 * 2
"""KV of a token, if all 48 layers had any."""


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_layers_of_linear_attention_keep_a_state_and_no_kv(engine: str) -> None:
    found = step_times([configuration(engine, model=NEXT.name)], NEXT, {"H200-SXM": GPUS["B300"]})[0]
    assert found.attended(4000) == pytest.approx(1000)
    assert found.squares(4000) == pytest.approx(4000**2 / 4)
    assert found.kept(4000) == pytest.approx(1000 + STATE / TOKEN)
    assert found.kept(found.longest) == pytest.approx(found.kv_capacity_tokens, abs=1)


def test_a_state_is_divided_over_all_ranks_though_kv_has_fewer_heads() -> None:
    whole = replica("B300", Precision.BF16, NEXT.name)
    apart = replace(whole, tensor_parallel=8)
    rows = physics([whole, apart, replace(apart, kv=Precision.FP8)])
    assert rows.kv_shards.tolist() == [1, 2, 2]
    assert rows.state_tokens == pytest.approx(STATE / TOKEN * np.array([1, 2 / 8, 2 * 2 / 8]))


def test_a_step_reads_a_state_and_writes_it_again() -> None:
    stateless = replace(NEXT, state_bytes=0.0)
    own, other = (
        step_times([configuration("vllm", model=m.name)], m, {"H200-SXM": GPUS["B300"]})[0]
        for m in (NEXT, stateless)
    )
    gained = own.overhead_seconds_per_sequence - other.overhead_seconds_per_sequence
    bandwidth = GPUS["B300"].bandwidth_gb_per_second * 1e9 * calibration().values["kv_bandwidth"]
    assert gained == pytest.approx(2 * STATE / bandwidth)
    assert own.kv_seconds_per_token == other.kv_seconds_per_token


def test_a_context_fits_where_the_state_has_room_beside_it() -> None:
    asked = configuration("vllm", 8192, NEXT.name)
    held = fit(asked, NEXT, GPUS["B300"]).kv_capacity_tokens
    room = (held - 8192 / 4) * TOKEN
    assert fit(asked, replace(NEXT, state_bytes=0.99 * room), GPUS["B300"]).reason == ""
    assert fit(asked, replace(NEXT, state_bytes=1.01 * room), GPUS["B300"]).reason


def old(gpu: str, model: str = "llama-3.1-8b", weights: Precision = Precision.BF16) -> Replica:
    return replace(replica(gpu, weights, model), generation=Generation.VLLM_OLD)


def test_an_mi250_is_two_devices_that_each_have_half_of_it_and_talk_to_each_other() -> None:
    rows = physics([replica("MI250", Precision.BF16), replica("MI210", Precision.BF16)])
    assert (rows.tensor.tolist(), rows.kv_shards.tolist()) == ([2, 1], [2, 1])
    assert rows.bandwidth[0] == pytest.approx(rows.bandwidth[1], rel=1e-3)
    assert rows.flops[0] == rows.flops[1]
    found = terms(rows, calibration().values)
    assert found.weights[0] == pytest.approx(found.weights[1] / 2, rel=1e-3)
    assert found.step_link[0] > found.step_link[1] == 0.0


@pytest.mark.parametrize(
    ("asked", "times"),
    [
        (old("MI300X"), 4),
        (old("MI250"), 4),
        (old("MI300X", "llama-2-7b"), 1),
        (old("MI300X", "deepseek-v3"), 1),
        (old("MI300X", weights=Precision.FP8), 1),
        (replace(old("MI300X"), generation=Generation.VLLM_MID), 1),
        (replace(old("MI300X"), generation=Generation.LLAMACPP), 1),
        (replica("MI300X", Precision.BF16), 1),
        (old("A100-80GB-SXM"), 1),
    ],
)
def test_attention_of_amd_s_old_software_reads_kv_once_for_each_query_head_that_shares_it(
    asked: Replica, times: int
) -> None:
    assert physics([asked]).kv_reads.tolist() == [times]


def test_products_of_few_rows_are_no_faster_on_a_larger_amd_chip_with_old_software() -> None:
    chip = GPUS["MI300X"]
    larger = replace(chip, fp16_tflops=2 * 1307.4, bf16_tflops=2 * 1307.4, board_watts=1500.0)
    for asked, gain in ((old("MI300X"), 1.0), (replica("MI300X", Precision.BF16), 2.0)):
        found = terms(physics([asked, replace(asked, gpu=larger)]), calibration().values)
        assert found.compute[0] / found.compute[1] == pytest.approx(gain)
        assert found.prefill[0] / found.prefill[1] == pytest.approx(2.0)


def test_all_reduces_of_amd_s_software_of_today_are_not_those_of_2024() -> None:
    asked = [replace(one, tensor_parallel=8) for one in (old("MI300X"), replica("MI300X", Precision.BF16))]
    layers, values = CATALOG.model("llama-3.1-8b").layers, calibration().values
    then, today = terms(physics(asked), values).step_link / (2 * layers)
    assert then == pytest.approx(values["all_reduce.infinity_fabric"])
    assert today == pytest.approx(values["all_reduce.infinity_fabric_new"])
    assert values["all_reduce.nvlink"] < today < then


@pytest.mark.parametrize(("gpu", "slower"), [("A100-80GB-PCIe", True), ("RTX4090", False), ("GB10", False)])
def test_llama_cpp_reads_weights_from_hbm_at_a_share_of_its_own(gpu: str, slower: bool) -> None:
    like_others = replica(gpu, Precision.BF16)
    own = replace(like_others, generation=Generation.LLAMACPP)
    found = terms(physics([like_others, own]), calibration().values)
    share = calibration().values["llamacpp_hbm"] if slower else 1.0
    assert found.weights[0] / found.weights[1] == pytest.approx(share)


@pytest.mark.parametrize(
    ("gpu", "joined"),
    [("H100-SXM", 8), ("H100-NVL", 2), ("H200-NVL", 4), ("GH200-96GB", 1), ("GB200", 72), ("MI300X", 8)],
)
def test_a_tensor_group_talks_over_the_links_of_its_gpus_as_far_as_they_join(gpu: str, joined: int) -> None:
    whole = replica(gpu, Precision.BF16)
    rows = physics([replace(whole, tensor_parallel=n) for n in (joined, joined + 1)])
    assert rows.fast_link.tolist() == [True, False]
    beyond = 128e9 if gpu.endswith("NVL") else 100e9
    assert rows.link.tolist() == [GPUS[gpu].interconnect_gb_per_second * 1e9, beyond]


def test_beyond_its_bridge_a_card_is_one_of_its_slot_within_a_node_and_has_an_adapter_beyond() -> None:
    whole = replica("H200-NVL", Precision.BF16)
    rows = physics([replace(whole, tensor_parallel=n) for n in (8, 16)])
    assert rows.link[0] == GPUS["H100-PCIe"].interconnect_gb_per_second * 1e9
    assert rows.link[1] == 100e9
