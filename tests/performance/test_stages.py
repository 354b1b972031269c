"""Pipelines: splits are the best there are, the slowest stage sets the pace, and roles apart share the work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.catalog import tables
from hetops.domain.configuration import Configuration, Speculation, StageGpus
from hetops.domain.model import Precision
from hetops.performance.estimate import plain_step_times, step_times
from hetops.performance.pipelines import Network, Pipeline, holds, pipeline
from hetops.performance.pipelines import step_times as times_over_stages
from hetops.performance.roles import Requests, apart
from hetops.performance.stages import Stage, even, slowest_over_mean, split

CATALOG = tables.load()
GPUS = {g.name: g for g in CATALOG.gpu_types}
LLAMA = CATALOG.model("llama-3.1-70b")
FAST = Network(gb_per_second=50)


def all_splits(layers: int, stages: int) -> Iterator[tuple[int, ...]]:
    if stages == 1:
        yield (layers,)
        return
    for first in range(1, layers):
        yield from ((first, *rest) for rest in all_splits(layers - first, stages - 1))


def slowest(layers: Sequence[int], stages: Sequence[Stage]) -> float:
    return max(stage.seconds(n) for n, stage in zip(layers, stages, strict=True))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.floats(0.1, 5), st.floats(0, 5), st.integers(0, 12)), min_size=1, max_size=4),
)
def test_no_other_split_has_a_faster_slowest_stage(
    layers: int, drawn: list[tuple[float, float, int]]
) -> None:
    stages = [Stage(seconds_per_layer=a, fixed_seconds=b, most_layers=m) for a, b, m in drawn]
    possible = [
        one
        for one in all_splits(layers, len(stages))
        if all(n <= stage.most_layers for n, stage in zip(one, stages, strict=True))
    ]
    if not possible:
        with pytest.raises(ValueError, match="layers are"):
            split(layers, stages)
        return
    found = split(layers, stages)
    assert found in possible
    assert slowest(found, stages) == pytest.approx(min(slowest(one, stages) for one in possible))


def test_equal_stages_share_alike_but_for_the_output_head() -> None:
    assert even(LLAMA, 4) == (21, 20, 20, 19)
    assert even(CATALOG.model("gemma-2-9b"), 2)[0] > 21
    assert slowest_over_mean(LLAMA, (20, 20, 20, 20)) > slowest_over_mean(LLAMA, (21, 20, 20, 19)) > 1
    assert slowest_over_mean(LLAMA, (40, 20, 10, 10)) > 1.9


def configuration(gpu: str, *, tensor: int = 1, stages: int = 1) -> Configuration:
    return Configuration(
        model=LLAMA.name,
        engine="vllm",
        gpu=gpu,
        tensor_parallel=tensor,
        pipeline_parallel=stages,
        weights=Precision.FP8,
        kv=Precision.BF16,
        checkpoint="hub",
        max_sequences=64,
        max_context_tokens=4096,
    )


def over(*stages: tuple[str, int], network: Network = FAST) -> Pipeline:
    gpus = [StageGpus(gpu=gpu, tensor_parallel=tensor) for gpu, tensor in stages]
    return pipeline(configuration(stages[0][0]), gpus, network, LLAMA, GPUS)


def test_a_pipeline_of_like_stages_is_that_of_equal_ones() -> None:
    whole = step_times([configuration("H100-SXM", tensor=2, stages=2)], LLAMA, GPUS)[0]
    found = over(("H100-SXM", 2), ("H100-SXM", 2)).times
    for n in (1, 16, 64):
        assert found.decode_seconds(n, 2000) == pytest.approx(whole.decode_seconds(n, 2000), rel=0.05)
    assert found.prefill_seconds(2000) == pytest.approx(whole.prefill_seconds(2000), rel=0.05)


def test_faster_stages_get_more_layers_and_small_ones_no_more_than_they_hold() -> None:
    mixed = over(("H100-SXM", 1), ("L40S", 1), ("L40S", 1))
    assert sum(s.layers for s in mixed.stages) == LLAMA.layers
    assert mixed.stages[0].layers > 2 * mixed.stages[1].layers
    assert all(s.kv_capacity_tokens >= 4096 for s in mixed.stages)
    seconds = [s.seconds for s in mixed.stages]
    assert max(seconds) < 1.1 * min(seconds)
    tight = over(("L4", 1), ("H100-SXM", 1))
    weights_of_a_layer = 72.65 / LLAMA.layers
    assert tight.stages[0].layers * weights_of_a_layer < 24
    with pytest.raises(ValueError, match="more than the stages have memory for"):
        over(("L4", 1), ("L4", 1))


@pytest.mark.parametrize("sequences", [64, 299, 310, 1000])
def test_a_step_takes_as_many_micro_batches_of_the_slowest_stage_as_there_are_stages(sequences: int) -> None:
    """Whichever of two stages that are nearly as fast is the slower: the links of a stage are those of its layers alone."""
    base = replace(configuration("H100-SXM"), max_sequences=sequences, max_context_tokens=1500)
    gpus = [StageGpus(gpu="H100-SXM", tensor_parallel=2), StageGpus(gpu="L40S", tensor_parallel=4)]
    found = pipeline(base, gpus, FAST, LLAMA, GPUS)
    slowest_stage = max(stage.seconds for stage in found.stages)
    assert found.times.decode_seconds(sequences, 1500) == pytest.approx(2 * slowest_stage, rel=0.03)
    filling = found.times.prefill_seconds(1000)
    more = pipeline(replace(base, max_sequences=sequences + 12), gpus, FAST, LLAMA, GPUS)
    assert more.times.prefill_seconds(1000) == pytest.approx(filling, rel=0.06)


@pytest.mark.parametrize("stages", [("H100-SXM:1", "L40S:2"), ("L4:1", "H100-SXM:1")])
def test_step_times_of_configurations_are_those_of_their_pipelines(stages: tuple[str, ...]) -> None:
    """Reckoned many at once; which hold the model is known before."""
    each = tuple(StageGpus(gpu=gpu, tensor_parallel=int(n)) for gpu, n in (one.split(":") for one in stages))
    first = configuration(each[0].gpu, tensor=each[0].tensor_parallel, stages=len(each))
    one = replace(first, stages=each)
    assert holds(one, LLAMA, GPUS)
    alike = replace(one, max_sequences=16)
    found = times_over_stages([one, alike], FAST, LLAMA, GPUS)
    assert found[0] == pipeline(configuration(each[0].gpu), each, FAST, LLAMA, GPUS).times
    assert found[1].max_sequences == 16


def test_two_small_gpus_hold_no_70b_however_it_is_split() -> None:
    stage = StageGpus(gpu="L4", tensor_parallel=1)
    one = replace(configuration("L4", stages=2), stages=(stage, stage))
    assert not holds(one, LLAMA, GPUS)
    with pytest.raises(ValueError, match="have memory for"):
        times_over_stages([one], FAST, LLAMA, GPUS)


def test_tokens_are_drafted_over_unlike_stages_too() -> None:
    """One draft that is never right makes a step longer, one that mostly is shorter; a draft's weights take room from layers and KV."""
    gpus = [StageGpus(gpu="H100-SXM", tensor_parallel=2), StageGpus(gpu="L40S", tensor_parallel=2)]

    def drafted(acceptance: float, draft_share: float = 0.0) -> Pipeline:
        draft = Speculation(draft_tokens=4, acceptance=acceptance, draft_share=draft_share)
        return pipeline(replace(configuration("H100-SXM"), speculation=draft), gpus, FAST, LLAMA, GPUS)

    plain = pipeline(configuration("H100-SXM"), gpus, FAST, LLAMA, GPUS).times
    wrong, right = drafted(0.0).times, drafted(0.9).times
    assert wrong.weights_seconds == plain.weights_seconds
    assert wrong.compute_seconds_per_sequence == pytest.approx(5 * plain.compute_seconds_per_sequence)
    assert right.decode_seconds(4, 1000) < 0.4 * plain.decode_seconds(4, 1000)
    assert drafted(0.9, 0.1).times.kv_capacity_tokens < 0.95 * plain.kv_capacity_tokens


def test_a_slow_network_costs_prompts_and_full_batches() -> None:
    slow = over(("H100-SXM", 1), ("L40S", 2), network=Network(gb_per_second=0.5))
    fast = over(("H100-SXM", 1), ("L40S", 2))
    assert slow.times.prefill_seconds(4000) > fast.times.prefill_seconds(4000) + 0.1
    assert slow.times.decode_seconds(64, 1000) > fast.times.decode_seconds(64, 1000)


def test_unlike_stages_lie_between_pipelines_of_either_kind() -> None:
    def step(*stages: tuple[str, int]) -> float:
        return over(*stages).times.decode_seconds(32, 1000)

    assert step(("H100-SXM", 1), ("H100-SXM", 1)) < step(("H100-SXM", 1), ("A100-80GB-SXM", 1))
    assert step(("H100-SXM", 1), ("A100-80GB-SXM", 1)) < step(("A100-80GB-SXM", 1), ("A100-80GB-SXM", 1))


def test_prefill_and_decode_apart_wait_for_the_link_and_never_for_each_other() -> None:
    times = plain_step_times([configuration("H100-SXM", tensor=2)], LLAMA, GPUS)[0]
    kv = LLAMA.kv_bytes_per_token_16bit
    asked = Requests(input_tokens=4000, output_tokens=200, kv_bytes_per_token=kv)
    found, slower = (apart(times, times, asked, 32, link) for link in (50e9, 5e9))
    assert found.transfer_seconds == pytest.approx(4000 * kv / 50e9)
    assert slower.ttft_seconds - found.ttft_seconds == pytest.approx(9 * found.transfer_seconds)
    assert found.tpot_seconds == slower.tpot_seconds == times.decode_seconds(32, 4100)
    balanced = found.prefill_per_decode * found.prefill_requests_per_second
    assert balanced == pytest.approx(found.decode_requests_per_second)
