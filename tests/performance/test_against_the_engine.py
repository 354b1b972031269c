"""The closed form held against the emulated engine's core: what is promised at a planned rate is what a replay gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hetops.catalog import tables
from hetops.domain.configuration import Configuration, Role
from hetops.domain.model import Precision
from hetops.domain.performance import StepTimes
from hetops.domain.workload import LatencyTarget, WorkloadClass
from hetops.performance import measured
from hetops.performance.estimate import step_times
from hetops.performance.rate import latencies, sustained
from hetops.performance.roles import Transfer, part_of, role_times
from hetops.simulate.core import EngineCore
from hetops.simulate.engine import Event, EventKind, Generation
from hetops.workloads.classes import lengths
from tests.performance.test_measured import LONG, ONE_CORE, RUNS, SHORT

CATALOG = tables.load()
PLANNED = 0.85
"""Part of the sustained rate that plans use: the rest is headroom."""

Floats = NDArray[np.float64]


def replica(model: str, gpu: str, tensor: int, sequences: int) -> StepTimes:
    configuration = Configuration(
        model=model,
        engine="llamacpp" if gpu == "CPU" else "vllm",
        gpu=gpu,
        tensor_parallel=tensor,
        weights=Precision.GGUF_Q4_K_M if gpu == "CPU" else Precision.FP8,
        kv=Precision.BF16,
        checkpoint="hub",
        max_sequences=sequences,
        max_context_tokens=12_000,
    )
    return step_times([configuration], CATALOG.model(model), {gpu: CATALOG.gpu(gpu)})[0]


def drawn(typical: tuple[int, int]) -> tuple[Floats, Floats]:
    """Tokens in and out of 2,500 requests about these."""
    random = np.random.default_rng(1)
    inputs, outputs = (
        np.clip(np.round(random.lognormal(np.log(mean), 0.5, 2500)), 2, 8000) for mean in typical
    )
    return inputs, outputs


def asked(inputs: Floats, outputs: Floats, target: tuple[float, float]) -> WorkloadClass:
    """One such request a second, with targets of TTFT and TPOT in seconds."""
    return WorkloadClass(
        name="c",
        requests_per_second=1.0,
        input_tokens=lengths(inputs),
        output_tokens=lengths(outputs),
        target=LatencyTarget(ttft_seconds=target[0], tpot_seconds=target[1]),
    )


def replayed(
    steps: StepTimes, rate: float, inputs: Floats, outputs: Floats, seed: int = 7
) -> tuple[Floats, Floats]:
    """TTFT and TPOT of requests that arrive at random, the first fifth left out."""
    arrivals = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, len(inputs)))
    first, done = served(steps, arrivals, inputs, outputs)
    settled = slice(len(inputs) // 5, None)
    return (first - arrivals)[settled], ((done - first) / (outputs - 1))[settled]


def served(steps: StepTimes, arrivals: Floats, inputs: Floats, outputs: Floats) -> tuple[Floats, Floats]:
    """When each request gets its first token and its last; where prompts take no time, they come in one piece."""
    piece = 2048 if steps.prefill_seconds_per_token else int(inputs.sum())
    core, first, done = (
        EngineCore(steps, prefill_tokens_per_step=piece),
        np.zeros(len(inputs)),
        np.zeros(len(inputs)),
    )

    def note(events: list[Event]) -> None:
        for event in events:
            if event.kind is EventKind.FIRST_TOKEN:
                first[event.request] = event.at
            elif event.kind is EventKind.FINISHED:
                done[event.request] = event.at

    for i in np.argsort(arrivals).tolist():
        at = float(arrivals[i])
        core.submit(Generation(id=i, input_tokens=int(inputs[i]), output_tokens=int(outputs[i])), at)
        note(core.advance(at))
    while (after := core.next_event_at()) is not None:
        note(core.advance(after))
    return first, done


@pytest.mark.parametrize(
    ("model", "gpu", "tensor", "sequences", "typical", "target"),
    [
        ("llama-3.1-8b", "L4", 1, 256, (300, 150), (1.0, 0.1)),
        ("llama-3.1-8b", "L4", 1, 256, (1000, 400), (2.0, 0.2)),
        ("llama-3.1-8b", "H100-SXM", 1, 256, (4000, 60), (1.0, 0.1)),
        ("llama-3.1-70b", "H100-SXM", 4, 256, (1000, 400), (2.0, 0.1)),
        ("llama-3.1-70b", "B200", 1, 256, (1000, 400), (2.0, 0.1)),
        ("gemma-3-27b", "L40S", 1, 256, (3000, 300), (4.0, 0.2)),
        ("gemma-3-270m", "CPU", 1, 1, (30, 15), (6.0, 0.4)),
    ],
)
def test_planned_latencies_are_those_of_a_replay_and_rarely_better(
    model: str,
    gpu: str,
    tensor: int,
    sequences: int,
    typical: tuple[int, int],
    target: tuple[float, float],
) -> None:
    steps = replica(model, gpu, tensor, sequences)
    inputs, outputs = drawn(typical)
    c = asked(inputs, outputs, target)
    found = sustained([steps], c, [12_000])[0]
    assert found.requests_per_second > 0
    rate = found.requests_per_second * PLANNED
    promised = latencies(steps, c, rate)
    ttft, tpot = (float(np.percentile(v, 90)) for v in replayed(steps, rate, inputs, outputs))
    assert ttft <= target[0]
    assert tpot <= target[1]
    assert 0.9 * ttft <= promised.ttft_seconds <= 2.0 * ttft
    assert 0.9 * tpot <= promised.tpot_seconds <= 2.5 * tpot


@pytest.mark.parametrize(
    ("typical", "spread"),
    [((100, 1000), (1.0, 1.0)), ((8000, 2), (0.8, 0.0))],
    ids=["long answers hold the memory", "long prompts attend by their squares"],
)
def test_targets_are_kept_where_lengths_are_very_unequal(
    typical: tuple[int, int], spread: tuple[float, float]
) -> None:
    """Reckoned by mean lengths the replica would be asked for more than it completes, and two thirds and more would be late."""
    whole = replica("qwen3-30b-a3b", "L40S", 1, 256)
    steps = replace(whole, kv_capacity_tokens=min(whole.kv_capacity_tokens, 60_000))
    random = np.random.default_rng(4)
    inputs, outputs = (
        np.clip(np.round(n * random.lognormal(-s * s / 2, s, 2000)), 1, 40_000)
        for n, s in zip(typical, spread, strict=True)
    )
    target = LatencyTarget(ttft_seconds=10.0, ttft_percentile=95.0)
    c = replace(asked(inputs, outputs, (10.0, 1.0)), target=target)
    rate = PLANNED * sustained([steps], c, [100_000])[0].requests_per_second
    arrivals = np.cumsum(random.exponential(1 / rate, len(inputs)))
    first, _ = served(steps, arrivals, inputs, outputs)
    late = np.mean((first - arrivals)[len(inputs) // 5 :] > 10.0)
    assert late < 0.08, "of 5 %"


@pytest.mark.parametrize("places", [2, 4])
@pytest.mark.parametrize(
    ("busy", "tokens"), [(0.08, SHORT), (0.1, SHORT), (0.12, SHORT), (0.1, LONG), (0.12, LONG)]
)
def test_where_few_meet_another_the_unlucky_ones_have_it_beside_them_for_a_part_of_their_life(
    places: int, busy: float, tokens: tuple[int, int]
) -> None:
    """TPOT at its percentile rises from that of a lone request to that of two as more meet, and does not jump."""
    runs = [m for m in RUNS if m.concurrency <= places]
    steps = measured.step_times(replace(ONE_CORE, max_sequences=places), runs, 8_000 * places)
    random = np.random.default_rng(2)
    inputs, outputs = (np.clip(np.round(random.lognormal(np.log(n), 0.5, 2500)), 3, 700) for n in tokens)
    c = asked(inputs, outputs, (6.0, 0.3))
    alone = steps.prefill_seconds(inputs.mean()) + outputs.mean() * steps.decode_seconds(1, 100)
    promised = latencies(steps, c, busy / alone).tpot_seconds
    _, tpot = replayed(steps, busy / alone, inputs, outputs)
    assert 0.75 < promised / np.percentile(tpot, 90) < 1.45


@pytest.mark.parametrize(
    ("model", "gpus", "tensor", "typical", "target"),
    [
        ("llama-3.1-8b", ("L40S", "L4"), (1, 1), (1500, 150), (2.0, 0.06)),
        ("llama-3.1-70b", ("H100-SXM", "A100-80GB-SXM"), (2, 4), (4000, 200), (3.0, 0.04)),
    ],
)
def test_prefill_and_decode_apart_keep_the_targets_that_each_was_given_its_part_of(
    model: str,
    gpus: tuple[str, str],
    tensor: tuple[int, int],
    typical: tuple[int, int],
    target: tuple[float, float],
) -> None:
    """One replica of each, at what is planned of the slower one; KV caches go over 5 GB/s once the prompt is done."""
    roles = (Role.PREFILL, Role.DECODE)
    steps = [
        role_times(replica(model, g, t, 256), role) for g, t, role in zip(gpus, tensor, roles, strict=True)
    ]
    inputs, outputs = drawn(typical)
    c = asked(inputs, outputs, target)
    link = Transfer.of(CATALOG.model(model), None, 5.0)
    parts = [part_of(c, role, link) for role in roles]
    found = [sustained([times], part, [12_000])[0] for times, part in zip(steps, parts, strict=True)]
    rate = PLANNED * min(one.requests_per_second for one in found)
    assert rate > 0
    arrivals = np.cumsum(np.random.default_rng(7).exponential(1 / rate, len(inputs)))
    prefilled, _ = served(steps[0], arrivals, inputs, np.ones(len(inputs)))
    ways = np.array([link.seconds(n) for n in inputs])
    first, done = served(steps[1], prefilled + ways, inputs, outputs)
    settled = slice(len(inputs) // 5, None)
    assert parts[1].target.ttft_seconds is not None
    assert np.percentile((first - prefilled - ways)[settled], 90) <= 2.0 * parts[1].target.ttft_seconds
    assert np.percentile((first - arrivals)[settled], 90) <= target[0]
    assert np.percentile(((done - first) / (outputs - 1))[settled], 90) <= target[1]
