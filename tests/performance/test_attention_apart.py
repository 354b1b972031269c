"""Attention in data parallel, reckoned by hand from public shapes and datasheets: what it divides, what it repeats, and who waits."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from hetops.catalog import tables
from hetops.domain.configuration import Configuration
from hetops.domain.model import Precision
from hetops.domain.performance import EvidenceLayer, StepTimes
from hetops.domain.workload import LatencyTarget, TokenLengths, WorkloadClass
from hetops.performance.attention_names import NO_NUMBER, groups_told
from hetops.performance.cases import Cases, Metric, predict
from hetops.performance.estimate import calibration, step_times
from hetops.performance.form import Terms, terms
from hetops.performance.generation import Generation
from hetops.performance.memory import fit
from hetops.performance.physics import physics
from hetops.performance.rate import sustained
from hetops.performance.replica import Replica
from hetops.performance.replicas import Replicas
from hetops.performance.rows import read_cases
from tests.performance.test_calibration import a_case
from tests.performance.test_rows import ROW

CATALOG = tables.load()
GPUS = {g.name: g for g in CATALOG.gpu_types}
R1 = CATALOG.model("deepseek-r1")
VALUES = calibration().values
PASSED = 671.03e9 - 58 * 256 * 3 * 7168 * 2048
"""Parameters of R1 beside its experts: 58 layers of 256 with three matrices of 7,168 x 2,048."""
TABLE = 129_280 * 7168
ON_8 = Replica(
    gpu=GPUS["H200-SXM"],
    model=R1,
    tensor_parallel=8,
    weights=Precision.FP8,
    kv=Precision.FP8,
    generation=Generation.VLLM_NEW,
)
APART = replace(ON_8, attention_data_parallel=8)


def parts(*replicas: Replica) -> Terms:
    return terms(physics(replicas), VALUES)


def configuration(groups: int, **changed: object) -> Configuration:
    plain = Configuration(
        model=R1.name,
        engine="vllm",
        gpu="H200-SXM",
        tensor_parallel=8,
        attention_data_parallel=groups,
        weights=Precision.FP8,
        kv=Precision.BF16,
        checkpoint="hub",
        max_sequences=256 * groups,
        max_context_tokens=8192,
    )
    return replace(plain, **changed)  # type: ignore[arg-type]


def of(groups: int) -> StepTimes:
    return step_times([configuration(groups)], R1, GPUS)[0]


def test_each_group_holds_what_every_token_passes_and_its_part_of_the_kv() -> None:
    together, apart = (fit(configuration(groups), R1, GPUS["H200-SXM"]) for groups in (1, 8))
    repeated = (PASSED + 2 * TABLE) * 7 / 8 / 1e9  # embeddings and head stay in 16 bit
    assert apart.weights_gb - together.weights_gb == pytest.approx(repeated, rel=0.01)
    a_token = 61 * 576 * 2
    assert together.kv_capacity_tokens == pytest.approx(together.kv_gb * 1e9 / a_token, rel=1e-3)
    assert apart.kv_capacity_tokens == pytest.approx(8 * apart.kv_gb * 1e9 / a_token, rel=1e-3)
    assert of(8).longest == apart.kv_capacity_tokens // 8


def test_a_context_that_only_all_groups_together_could_hold_is_refused() -> None:
    held = fit(configuration(8), R1, GPUS["H200-SXM"]).kv_capacity_tokens
    wide = replace(R1, context_tokens=held)
    assert fit(configuration(8, max_context_tokens=held // 9), wide, GPUS["H200-SXM"]).reason == ""
    assert fit(configuration(8, max_context_tokens=held // 7), wide, GPUS["H200-SXM"]).reason


def test_every_group_reads_all_that_a_token_passes_and_the_experts_are_read_once() -> None:
    found = parts(ON_8, APART)
    passed, experts = found.weights * found.shared, found.weights * (1.0 - found.shared)
    assert passed[1] == pytest.approx(8 * passed[0])
    assert experts[1] == pytest.approx(experts[0])


def test_a_device_that_attends_with_all_heads_to_latent_kv_computes_longer_than_it_reads() -> None:
    """DeepSeek's 128 heads multiply 1,088 values a token of context; 16 of them, a device's part of eight, read for longer."""
    together, apart = parts(ON_8, APART).kv
    assert together == pytest.approx(61 * 576 / (4.8e12 * VALUES["kv_bandwidth"]))
    assert apart == pytest.approx(2 * 61 * 128 * 1088 / (8 * 989e12 * VALUES["attention"]), rel=1e-3)
    blackwell = replace(APART, gpu=GPUS["B200"])
    reads = 61 * 576 / (8 * 8e12 * VALUES["kv_bandwidth"])
    computes = 2 * 61 * 128 * 1088 / (8 * 4500e12 * VALUES["attention"])
    assert parts(blackwell).kv[0] == pytest.approx(max(reads, computes), rel=0.02)


def test_hidden_states_go_out_and_back_once_a_layer_instead_of_twice() -> None:
    found, partly = parts(ON_8, APART), parts(replace(ON_8, attention_data_parallel=4))
    assert found.link[1] == pytest.approx(found.link[0] / 2)
    assert found.step_link[1] == found.step_link[0]
    within = 1 / 2 / 4  # half of a pair's states, each pair those of a quarter of the tokens
    assert partly.link[0] == pytest.approx(found.link[0] / 2 * (1 + within / (7 / 8)))
    assert partly.step_link[0] == pytest.approx(1.5 * found.step_link[0])


def test_the_device_with_the_experts_that_most_choose_has_a_third_more_than_the_mean() -> None:
    most = NormalDist().inv_cdf((8 - 0.375) / 8.25)
    fullest = 1 + 1.36 * math.sqrt(8 / 256) * most
    assert physics([ON_8, APART]).fullest == pytest.approx([1.0, fullest], abs=0.005)
    assert fullest == pytest.approx(1.34, abs=0.01)
    chosen = 58 * 8 * 3 * 7168 * 2048
    found = parts(ON_8, APART)
    active = 37.55e9 - TABLE
    assert found.compute[1] / found.compute[0] == pytest.approx(1 + (fullest - 1) * chosen / active, rel=0.01)


@pytest.mark.parametrize(("sequences", "fullest"), [(1, 8), (8, 15), (9, 16), (800, 807)])
def test_others_wait_for_the_group_that_attends_to_most(sequences: int, fullest: int) -> None:
    times, without = of(8), replace(of(8), kv_seconds_per_token=0.0)
    read = times.decode_seconds(sequences, 4000) - without.decode_seconds(sequences, 4000)
    assert read == pytest.approx(times.kv_seconds_per_token * 4000 * fullest)
    columns = Replicas.of([times])
    assert columns.reading(np.array([float(sequences)]), 4000)[0] == pytest.approx(read)
    form, n = parts(replace(APART, kv=Precision.BF16)), np.array([float(sequences)])
    assert form.step(n, np.array([4000.0]))[0] == pytest.approx(times.decode_seconds(sequences, 4000))


@pytest.mark.parametrize("together", [1.0, 3.0, 8.0])
def test_of_prompts_that_pass_together_the_others_wait_for_the_fullest_group(together: float) -> None:
    times = of(8)
    linear, attention = (
        times.prefill_seconds_per_token * 4000,
        times.prefill_seconds_per_token_squared * 4000**2,
    )
    alone = times.apart_share * linear + attention
    waits = (together + 7) / together * alone + (1 - times.apart_share) * linear
    assert times.prefill_seconds(4000, 0.0, together) == pytest.approx(waits + times.overhead_seconds)
    columns = Replicas.of([times]).prefill_seconds(4000, 0.0, together)
    assert columns[0] == pytest.approx(waits + times.overhead_seconds)


def test_full_replicas_serve_more_and_lone_prompts_take_longer() -> None:
    together, apart = of(1), of(8)
    assert apart.prefill_seconds(4000) > 2 * together.prefill_seconds(4000)
    at_ease, in_haste = (
        WorkloadClass(
            name="c",
            requests_per_second=1.0,
            input_tokens=TokenLengths(mean=given, p50=given, p90=given, p95=given, p99=given),
            output_tokens=TokenLengths(mean=2000, p50=2000, p90=2000, p95=2000, p99=2000),
            target=LatencyTarget(ttft_seconds=first, tpot_seconds=each),
        )
        for given, first, each in ((1000, 10.0, 0.2), (4000, 0.4, 0.2))
    )
    rates = [
        [s.requests_per_second for s in sustained([together, apart], c, [8192, 8192])]
        for c in (at_ease, in_haste)
    ]
    assert rates[0][1] > 1.5 * rates[0][0]
    assert rates[1][0] > rates[1][1]


def test_prompts_longer_than_a_step_go_over_the_groups_together_all_the_same() -> None:
    """Each group works on its own queue of them, whatever one step takes in; how many share a step changes no more than overheads."""
    long = TokenLengths.fixed(60_000)
    c = WorkloadClass(
        name="c",
        requests_per_second=1.0,
        input_tokens=long,
        output_tokens=TokenLengths.fixed(1),
        target=LatencyTarget(ttft_seconds=None, tpot_seconds=None),
    )
    many, few = (
        sustained([replace(of(8), kv_capacity_tokens=60_002 * n, max_sequences=n)], c, [70_000])[0]
        for n in (16, 1)
    )
    assert many.requests_per_second > 3.0 * few.requests_per_second


def test_without_groups_nothing_changes() -> None:
    one = replace(configuration(8), attention_data_parallel=1, max_sequences=256)
    assert one.id == configuration(1).id == "deepseek-r1/vllm/H200-SXM/tp8/fp8/s256"
    assert configuration(8).id == "deepseek-r1/vllm/H200-SXM/tp8adp8/fp8/s2048"
    with pytest.raises(ValueError, match="must divide"):
        configuration(3)


def test_nobody_measured_it_so_it_is_a_prior() -> None:
    assert [calibration().layer(r) for r in (ON_8, APART)] == [EvidenceLayer.CALIBRATED, EvidenceLayer.PRIOR]


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("attention DP, expert parallel", NO_NUMBER),
        ("DEP8 (FP8)", 8),
        ("dep4", 4),
        ("ADP", NO_NUMBER),
        ("adp8", 8),
        ("enable_attention_dp: true", NO_NUMBER),
        ("dp_attention=4, tp 8", 4),
        ("--attn-dp-size 8", 8),
        ("--dp-size 4 --enable-dp-attention", 4),
        ("attention data parallelism", NO_NUMBER),
        ("attention in data parallel 8; DGX", 8),
        ("attention is in data parallel over 2 GPUs", 2),
        ("no attention in data parallel", 1),
        ("--data-parallel-size 8 --enable-expert-parallel", 8),
        ("dp8 + ep8", 8),
        ("attention_dp=false", 1),
        ("attention_dp_size=1", 1),
        ("without DP attention", 1),
        ("no attention DP", 1),
        ("512 at once; runs with attention DP and those at a rate left out; FP8", None),
        ("runs with a draft left out; attention DP, EP 8", NO_NUMBER),
        ("sdp attention backend", None),
        ("depends on the day", None),
        ("in dep", None),
        ("dp2 replicas", None),
        ("moe_tp=1 moe_ep=8", None),
        ("", None),
    ],
)
def test_words_that_tell_it(text: str, groups: int | None) -> None:
    assert groups_told(text) == groups


@pytest.mark.parametrize(
    ("told", "tensor", "groups"),
    [
        ({"tp": "8", "note": "attention DP"}, 8, 8),
        ({"tp": "8", "note": "DEP8"}, 8, 8),
        ({"tp": "8", "attention_dp": "4"}, 8, 4),
        ({"tp": "8", "attention_dp": "true"}, 8, 8),
        ({"tp": "1", "note": "DEP8"}, 8, 8),
        ({"tp": "2", "note": "dp4 ep8"}, 8, 4),
        ({"tp": "8", "note": "dp attention off"}, 8, 1),
        ({"tp": "8", "attention_dp": "false", "note": "DEP8"}, 8, 1),
        ({"tp": "8"}, 8, 1),
    ],
)
def test_rows_are_read_by_their_own_words(told: dict[str, str], tensor: int, groups: int) -> None:
    row = {**ROW, "gpu": "H200-SXM", "model": "deepseek-r1", "gpu_count": "8", **told}
    cases, refused = read_cases([row], CATALOG.gpu_types, CATALOG.models)
    assert not refused
    assert (cases[0].replica.tensor_parallel, cases[0].replica.attention_data_parallel) == (tensor, groups)
    assert any("data parallel" in said for said in cases[0].noted) == (groups > 1)


def test_groups_that_gpus_cannot_be_and_models_without_experts_are_assumptions() -> None:
    odd = {**ROW, "gpu": "H200-SXM", "model": "deepseek-r1", "gpu_count": "8", "tp": "8", "note": "adp3"}
    dense = {**ROW, "gpu": "H200-SXM", "model": "llama-3.1-70b", "gpu_count": "8", "tp": "8", "note": "adp8"}
    cases, _ = read_cases([odd, dense], CATALOG.gpu_types, CATALOG.models)
    assert [c.replica.attention_data_parallel for c in cases] == [8, 1]
    assert all(c.assumed for c in cases)


def test_prompts_of_a_loop_pass_together_and_those_at_a_rate_as_they_come() -> None:
    """A prompt at a rate that leaves the replica all but empty holds seven groups up; in a full loop none waits long."""
    loop = replace(a_case("H200-SXM", Metric.TPOT, 512.0), replica=APART, gpu_count=8)
    alike = Cases.of([loop, replace(loop, replica=ON_8)])
    apart, together = predict(alike, VALUES)
    assert apart < together
    rare = replace(loop, concurrency=math.inf, requests_per_second=0.1, metric=Metric.TTFT)
    apart, together = predict(Cases.of([rare, replace(rare, replica=ON_8)]), VALUES)
    assert apart > together
