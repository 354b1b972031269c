"""Prints what closed loops measure as time to first token, by the harness's ways, beside what the closed form says of them.

    python benchmarks/closed_loops.py

So many requests at once go through the emulated engine's core, each followed by the next as it ends. What a publisher seldom tells
varies: how many times as many are sent as are kept at once, whether lengths are equal or lie between 80 and 100 %, whether the first are
left out as a warm-up, and whether the mean or the median is told. Each line: of one load, the form's TTFT, and the least, the median and
the most of all ways. Then the half width in logarithms that holds 80 % of all: what an interval has to bear for the ways alone, were
every step known. Then loops of engines that let prompts go before all decoding, by how far lengths differ: what a first token waits, in
prompts. Nothing is asserted.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from hetops.domain.model import Precision
from hetops.domain.performance import StepTimes
from hetops.performance.cases import Case, Cases, Metric, predict
from hetops.performance.estimate import calibration
from hetops.performance.generation import Generation as EngineGeneration
from hetops.performance.physics import Floats
from hetops.performance.replica import Replica
from hetops.simulate.core import EngineCore
from hetops.simulate.engine import EventKind, Generation
from tests.performance.test_against_the_engine import CATALOG, replica

REPLICAS = (
    ("llama-3.1-8b", "L40S", 1),
    ("llama-3.1-8b", "H100-SXM", 1),
    ("llama-3.1-70b", "H100-SXM", 4),
    ("qwen3-30b-a3b", "H100-SXM", 1),
)
LENGTHS = ((1000, 100), (1024, 1024), (4096, 512), (8192, 1024))
AT_ONCE = (4, 16, 64, 256)
WAVES = (2, 4, 10)
BUDGETS = (2048, 8192)
"""Tokens of a pass: vLLM's default on cards below and above 70 GB."""


@dataclass(frozen=True)
class Way:
    """How a publisher measures."""

    waves: int
    least_share: float
    """Of the longest input and output, that of the shortest."""
    warm_up: bool


PROMPT, STEP, OUTPUT, SENT = 0.15, 0.04, 150, 10
"""Seconds of a prompt and of a step, mean tokens out, and how many times as many requests are sent as are kept at once."""
SPREADS = (0.0, 0.02, 0.07, 0.2, 0.5)
"""Standard deviations of the tokens out, as shares of their mean."""


WAYS = tuple(Way(*way) for way in itertools.product(WAVES, (0.8, 1.0), (False, True)))


def main() -> None:
    """Prints every load, and how far the ways spread about the form."""
    off: list[float] = []
    for (model, gpu, tensor), tokens, at_once in itertools.product(REPLICAS, LENGTHS, AT_ONCE):
        steps = replica(model, gpu, tensor, at_once)
        if at_once * sum(tokens) > steps.kv_capacity_tokens:
            continue
        form = _form(model, gpu, tensor, tokens, at_once)
        found = np.array(list(_told(steps, tokens, at_once)))
        off.extend(np.log(found / form))
        ends = " ".join(f"{1e3 * value:.0f}" for value in np.percentile(found, (0, 50, 100)))
        name = f"{model} {gpu} tp{tensor}, {tokens[0]}/{tokens[1]} tokens, {at_once} at once"
        print(f"{name}: {1e3 * form:.0f} ms / {ends}")
    print(f"{len(off)} figures: median of measured over the form's, as a logarithm, {np.median(off):+.2f}")
    print(f"half width that holds 80 %: {np.quantile(np.abs(off), 0.8):.2f}")
    for at_once in AT_ONCE:
        waits = " ".join(f"{_in_prompts(at_once, spread):.1f}" for spread in SPREADS)
        print(
            f"prompts first, {at_once} at once, lengths spread by {SPREADS}: first token after {waits} prompts"
        )


def _form(model: str, gpu: str, tensor: int, tokens: tuple[int, int], at_once: int) -> float:
    """What the form says of mean TTFT, in seconds."""
    case = Case(
        id="",
        replica=Replica(
            gpu=CATALOG.gpu(gpu),
            model=CATALOG.model(model),
            tensor_parallel=tensor,
            pipeline_parallel=1,
            weights=Precision.FP8,
            kv=Precision.BF16,
            generation=EngineGeneration.VLLM_NEW,
        ),
        gpu_count=tensor,
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        concurrency=at_once,
        requests_per_second=np.inf,
        metric=Metric.TTFT,
        value=None,
        gpu=gpu,
    )
    return float(predict(Cases.of([case]), calibration().values)[0]) / 1e3


def _told(steps: StepTimes, tokens: tuple[int, int], at_once: int) -> Iterator[float]:
    for way, budget in itertools.product(WAYS, BUDGETS):
        ttft = _ttft(EngineCore(steps, prefill_tokens_per_step=budget), way, tokens, at_once)
        yield float(ttft.mean())
        yield float(np.median(ttft))


def _ttft(core: EngineCore, way: Way, tokens: tuple[int, int], at_once: int) -> Floats:
    """Seconds to the first token of every request that counts."""
    warm = at_once if way.warm_up else 0
    count = warm + way.waves * at_once
    random = np.random.default_rng(1)
    inputs, outputs = (np.round(random.uniform(way.least_share, 1.0, count) * n).astype(int) for n in tokens)
    sent, ttft = np.zeros(count), np.zeros(count)
    waiting = iter(range(count))

    def send(at: float) -> None:
        number = next(waiting, None)
        if number is not None:
            sent[number] = at
            core.submit(
                Generation(id=number, input_tokens=int(inputs[number]), output_tokens=int(outputs[number])),
                at,
            )

    for _ in range(at_once):
        send(0.0)
    while (after := core.next_event_at()) is not None:
        for event in core.advance(after):
            match event.kind:
                case EventKind.FIRST_TOKEN:
                    ttft[event.request] = event.at - sent[event.request]
                case EventKind.FINISHED:
                    send(after)
    return ttft[warm:]


def _in_prompts(at_once: int, spread: float) -> float:
    """Mean time to the first token, in prompts, where all that wait are processed before the next step."""
    random, now, sent = np.random.default_rng(1), 0.0, at_once
    waiting, left, ttft = [0.0] * at_once, np.zeros(0), []
    while waiting or left.size:
        if waiting:
            now += PROMPT * len(waiting)
            ttft += [now - came for came in waiting]
            drawn = np.round(random.normal(OUTPUT, spread * OUTPUT, len(waiting))).clip(min=2.0)
            left, waiting = np.concatenate([left, drawn - 1.0]), []
        else:
            now, left = now + STEP, left - 1.0
            more = min(int((left == 0.0).sum()), SENT * at_once - sent)
            waiting, left, sent = [now] * more, left[left > 0.0], sent + more
    return float(np.mean(ttft)) / PROMPT


if __name__ == "__main__":
    main()
