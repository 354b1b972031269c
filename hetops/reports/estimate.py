"""Estimates as text and as JSON: what a replica does under a load, and where a step's time goes. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, Protocol

from hetops.domain import codec
from hetops.domain.model import Precision
from hetops.domain.percent import percent
from hetops.domain.performance import Binding, EvidenceLayer
from hetops.performance.breakdown import BUBBLE, MEMORY, STAGE_LINKS, Breakdown
from hetops.performance.intervals import Range
from hetops.performance.memory import MemoryFit
from hetops.performance.pipelines import StageShare
from hetops.performance.predict import Prediction
from hetops.performance.roles import Apart
from hetops.performance.under_load import LargestRate, Saturation, UnderLoad
from hetops.reports import quantities as q


def cases_as_json_lines(predictions: Iterable[Prediction]) -> str:
    """One JSON object a line, with the case's `id`."""
    return "".join(json.dumps(codec.to_builtins(p)) + "\n" for p in predictions)


def cases_as_text(predictions: Iterable[Prediction]) -> str:
    """A table of the predictions."""
    rows = [
        (p.id, p.metric, _number(p.value), _number(p.low), _number(p.high), p.evidence or p.reason)
        for p in predictions
    ]
    return q.table(("id", "metric", "value", "low", "high", "evidence"), rows, right=(2, 3, 4)) + "\n"


class Answer(Protocol):
    """What is shown of a replica under a load."""

    @property
    def breakdown(self) -> Breakdown:
        """Where the time goes."""

    @property
    def under_load(self) -> UnderLoad:
        """Latencies with their percentiles."""

    @property
    def saturation(self) -> Saturation:
        """The most that it completes."""

    @property
    def largest_rate(self) -> LargestRate | None:
        """Within targets, where there are any."""


class Weights(Protocol):
    """What is shown of an estimate's weights."""

    @property
    def reference(self) -> str:
        """The checkpoint; empty where none is known."""

    @property
    def format(self) -> str:
        """How the checkpoint is stored, where no engine reads it as it is shipped."""

    @property
    def gigabytes(self) -> float:
        """Of all of them."""

    @property
    def multiplied_in(self) -> Precision:
        """What the GPU multiplies them in."""


class Estimated(Protocol):
    """What is shown of an estimate."""

    @property
    def answer(self) -> Answer:
        """What the replica does under the load."""

    @property
    def memory(self) -> MemoryFit | None:
        """None where each stage has its own."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Of each stage, where there are several."""

    @property
    def stages(self) -> tuple[StageShare, ...]:
        """Those of a pipeline over unlike GPUs."""

    @property
    def apart(self) -> Apart | None:
        """Prefill and decode apart, where that was asked."""

    @property
    def weights(self) -> Weights | None:
        """None where stages differ."""


def as_json(estimated: Estimated) -> dict[str, Any]:
    """The breakdown with the memory that it lies in, its stages and its roles apart where there are any."""
    answer = estimated.answer
    told = codec.to_builtins(answer.breakdown)
    told["under_load"] = _finite(asdict(answer.under_load))
    told["saturation"] = asdict(answer.saturation)
    if answer.largest_rate:
        told["largest_rate"] = asdict(answer.largest_rate)
    if memory := estimated.memory:
        names = ("weights_gb", "reserve_gb", "kv_gb", "usable_gb", "kv_capacity_tokens")
        told["memory_per_gpu"] = {name: getattr(memory, name) for name in names}
    if weights := estimated.weights:
        told["weights"] = {
            "checkpoint": weights.reference or None,
            "format": weights.format or None,
            "gigabytes": weights.gigabytes,
            "multiplied_in": str(weights.multiplied_in),
        }
    if estimated.layers:
        told["layers_by_stage"] = list(estimated.layers)
    if estimated.stages:
        told["stages"] = [asdict(stage) for stage in estimated.stages]
    if estimated.apart:
        told["prefill_and_decode_apart"] = asdict(estimated.apart)
    return told


def as_text(estimated: Estimated) -> str:
    """The estimate for a terminal."""
    answer = estimated.answer
    found, rate = answer.breakdown, answer.under_load.requests_per_second
    coming = (
        f"{found.concurrency:g} at once"
        if rate is None
        else f"{q.rate(rate)} requests, {found.concurrency:.3g} at once"
    )
    lengths = f"{found.input_tokens:g} tokens in, {found.output_tokens:g} out, {coming}"
    if found.in_flight < found.concurrency:
        lengths += f", of which {found.in_flight:.0f} run and the others wait"
    parts = [
        (
            p.name,
            q.seconds(p.seconds),
            percent(p.seconds / found.step_seconds),
            "binds" * (p.name == found.binding),
        )
        for p in found.parts
        if p.seconds or p.name not in (STAGE_LINKS, BUBBLE)
    ]
    sections = (
        f"{found.configuration}: {lengths}",
        _benchmarked(answer) if rate is None else "",
        _percentiles(answer.under_load),
        _most(answer),
        q.table((_step_of(found), "seconds", "of step", ""), parts, right=(1, 2))
        + f"\nA step of {found.in_flight:.3g} takes {q.seconds(found.step_seconds)} (reading weights and computing overlap), a"
        f" prompt {q.seconds(found.prefill_seconds)}; TPOT is the step and its share of the others' prompts"
        + _bubble(found)
        + _memory_wait(found),
        "\n".join(filter(None, (_memory(estimated.memory), _weights(estimated.weights))))
        or _stages(estimated.stages),
        f"Layers by stage: {' + '.join(map(str, estimated.layers))}" if estimated.layers else "",
        _apart(estimated.apart, answer.largest_rate) if estimated.apart else "",
        f"Evidence: {found.evidence} ({found.evidence_source}); low and high enclose 80 % of cases",
    )
    return "\n\n".join(filter(None, sections)) + "\n"


def _step_of(found: Breakdown) -> str:
    """Whose a step's parts are, where the answers are another's."""
    told_by_another = found.evidence == EvidenceLayer.ESTIMATOR
    return "a decode step by the closed form" if told_by_another else "a decode step"


def _bubble(found: Breakdown) -> str:
    bubble = next(p.seconds for p in found.parts if p.name == BUBBLE)
    return "\nThe bubble is what a stage idles on average within the step" if bubble else ""


def _memory_wait(found: Breakdown) -> str:
    if found.binding != MEMORY:
        return ""
    return (
        f"\nMemory binds: the KV cache holds {found.in_flight:.0f} of the {found.concurrency:.0f} requests, a new one waits"
        f" {q.seconds(found.memory_wait_seconds)} for a place"
    )


def _benchmarked(answer: Answer) -> str:
    """What a benchmark that keeps so many at once would report; no TPOT where no answer has a second token."""
    found = answer.breakdown
    answers = [
        ("output tokens a second", found.output_tokens_per_second, 1.0),
        *([("TPOT", found.tpot, 1e-3)] if answer.under_load.tpot else []),
        ("TTFT", found.ttft, 1e-3),
    ]
    told = [(name, *(_shown(v, scale, name) for v in (p.value, p.low, p.high))) for name, p, scale in answers]
    return q.table(("", "estimate", "low", "high"), told, right=(1, 2, 3))


def _percentiles(under: UnderLoad) -> str:
    """TTFT and TPOT, each with the ends of its intervals below it."""
    rows = []
    for name, of in (("TTFT", under.ttft), ("TPOT", under.tpot)):
        if of:
            rows.append((name, *(q.seconds(one.value) for one in of.numbers)))
            rows.append(("  low", *(q.seconds(one.low) for one in of.numbers)))
            rows.append(("  high", *(q.seconds(one.high) for one in of.numbers)))
    return q.table(("of the requests", "mean", "p50", "p90", "p95", "p99"), rows, right=(1, 2, 3, 4, 5))


def _most(answer: Answer) -> str:
    full = answer.saturation
    told = [
        f"Saturated: {_within(full.requests_per_second, q.rate)} requests,"
        f" {_within(full.output_tokens_per_second, _a_second)} output tokens a second"
    ]
    if largest := answer.largest_rate:
        told.append(_largest(largest))
    return "\n".join(told)


def _largest(found: LargestRate) -> str:
    target = found.target
    bounds = (
        (f"TTFT p{target.ttft_percentile:g}", target.ttft_seconds),
        (f"TPOT p{target.tpot_percentile:g}", target.tpot_seconds),
    )
    within = " and ".join(f"{name} of {q.seconds(bound)}" for name, bound in bounds if bound)
    if found.reason:
        return f"Within {within}: no rate, {found.reason}"
    return f"Within {within}: {_within(found.requests_per_second, q.rate)} requests; {_BINDS[found.binding]} binds"


_BINDS = {
    Binding.TPOT: "TPOT",
    Binding.TTFT: "TTFT",
    Binding.KV_MEMORY: "memory for the KV cache",
    Binding.SEQUENCES: "the number of sequences at once",
}
"""What the closed form can find."""


def _within(found: Range, shown: Callable[[float], str]) -> str:
    return q.within(found.value, found.low, found.high, shown)


def _finite(told: Any) -> Any:
    """Endless latencies are null: JSON knows no infinity."""
    if isinstance(told, dict):
        return {name: _finite(value) for name, value in told.items()}
    return None if isinstance(told, float) and math.isinf(told) else told


def _weights(weights: Weights | None) -> str:
    if weights is None:
        return ""
    source = weights.reference or "no checkpoint of this precision is known"
    if weights.format:
        source += f" ({weights.format}, which is slower than this; no engine reads it as it is shipped)"
    return f"Weights: {weights.gigabytes:,.1f} GB, multiplied in {weights.multiplied_in}: {source}"


def _memory(memory: MemoryFit | None) -> str:
    if memory is None:
        return ""
    return (
        f"Memory per GPU: weights {memory.weights_gb:.1f} GB, reserves {memory.reserve_gb:.1f} GB, KV {memory.kv_gb:.1f} GB"
        f" of {memory.usable_gb:.1f} GB; KV for {memory.kv_capacity_tokens:,} tokens"
    )


def _stages(stages: Iterable[StageShare]) -> str:
    rows = [
        (
            f"{s.gpus.tensor_parallel} x {s.gpus.gpu}",
            str(s.layers),
            q.seconds(s.seconds),
            f"{s.kv_capacity_tokens:,}",
        )
        for s in stages
    ]
    return q.table(("stage", "layers", "seconds a micro-batch", "tokens of KV"), rows, right=(1, 2, 3))


def _apart(apart: Apart, within: LargestRate | None) -> str:
    return (
        f"Prefill and decode apart: {apart.prefill_requests_per_second:.3g} requests/s a replica that prefills,"
        f" {apart.decode_requests_per_second:.3g} a replica that decodes, {apart.link_requests_per_second:.3g} over the link;"
        f" {apart.prefill_per_decode:.2g} that prefill for each that decodes.\nKV of a prompt takes"
        f" {q.seconds(apart.transfer_seconds)} over the link: TTFT {q.seconds(apart.ttft_seconds)} alone,"
        f" TPOT {q.seconds(apart.tpot_seconds)}" + (_apart_within(apart, within) if within else "")
    )


def _apart_within(apart: Apart, within: LargestRate) -> str:
    """Whether the pair keeps the targets, for which the largest rate is that of a replica that does both."""
    told = (
        ("TTFT", apart.ttft_seconds, within.target.ttft_seconds),
        ("TPOT", apart.tpot_seconds, within.target.tpot_seconds),
    )
    over = [
        f"{name} is over the {q.seconds(most)} asked for"
        for name, found, most in told
        if most and found > most
    ]
    kept = " and ".join(over) or "within what is asked for"
    return f"; {kept}. The rate within targets is that of a replica that does both"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _shown(value: float | None, scale: float, name: str) -> str:
    if value is None:
        return "-"
    return q.seconds(value * scale) if name.startswith("T") else _a_second(value)


def _a_second(tokens: float) -> str:
    return f"{tokens:,.0f}" if tokens >= 10.0 else f"{tokens:.2g}"
