"""Estimates as text, as JSON and as a picture: where a step's time goes, and where it stands under the roofline. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Protocol

from hetops.domain import codec
from hetops.performance.breakdown import Breakdown
from hetops.performance.memory import MemoryFit
from hetops.performance.pipelines import StageShare
from hetops.performance.predict import Prediction
from hetops.performance.roles import Apart
from hetops.reports import quantities as q

_WIDTH, _HEIGHT, _MARGIN = 640, 400, 60
_DECADES = (-1.0, 4.0)
"""Operations per byte that the picture shows, as powers of ten."""


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


class Estimated(Protocol):
    """What is shown of an estimate."""

    @property
    def breakdown(self) -> Breakdown:
        """Where the time goes."""

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


def as_json(estimated: Estimated) -> dict[str, Any]:
    """The breakdown with the memory that it lies in, its stages and its roles apart where there are any."""
    told = codec.to_builtins(estimated.breakdown)
    if memory := estimated.memory:
        names = ("weights_gb", "reserve_gb", "kv_gb", "usable_gb", "kv_capacity_tokens")
        told["memory_per_gpu"] = {name: getattr(memory, name) for name in names}
    if estimated.layers:
        told["layers_by_stage"] = list(estimated.layers)
    if estimated.stages:
        told["stages"] = [asdict(stage) for stage in estimated.stages]
    if estimated.apart:
        told["prefill_and_decode_apart"] = asdict(estimated.apart)
    return told


def as_text(estimated: Estimated) -> str:
    """The estimate for a terminal."""
    found = estimated.breakdown
    lengths = f"{found.input_tokens:g} tokens in, {found.output_tokens:g} out, {found.concurrency:g} at once"
    if found.in_flight < found.concurrency:
        lengths += f", of which {found.in_flight:.0f} run and the others wait"
    answers = [
        ("output tokens a second", found.output_tokens_per_second, 1.0),
        ("TPOT", found.tpot, 1e-3),
        ("TTFT", found.ttft, 1e-3),
    ]
    told = [(name, *(_shown(v, scale, name) for v in (p.value, p.low, p.high))) for name, p, scale in answers]
    parts = [
        (
            p.name,
            q.seconds(p.seconds),
            f"{p.seconds / found.step_seconds:.0%}",
            "binds" * (p.name == found.binding),
        )
        for p in found.parts
    ]
    sections = (
        f"{found.configuration}: {lengths}",
        q.table(("", "estimate", "low", "high"), told, right=(1, 2, 3)),
        q.table(("a decode step", "seconds", "of step", ""), parts, right=(1, 2))
        + f"\nA step of {found.in_flight:.3g} takes {q.seconds(found.step_seconds)} (reading weights and computing overlap), a"
        f" prompt {q.seconds(found.prefill_seconds)}; TPOT is the step and its share of the others' prompts",
        _memory(estimated.memory) if estimated.memory else _stages(estimated.stages),
        f"Layers by stage: {' + '.join(map(str, estimated.layers))}" if estimated.layers else "",
        _apart(estimated.apart) if estimated.apart else "",
        f"Evidence: {found.evidence}; low and high enclose 80 % of cases",
    )
    return "\n\n".join(filter(None, sections)) + "\n"


def _memory(memory: MemoryFit) -> str:
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


def _apart(apart: Apart) -> str:
    return (
        f"Prefill and decode apart: {apart.prefill_requests_per_second:.3g} requests/s a replica that prefills,"
        f" {apart.decode_requests_per_second:.3g} a replica that decodes, {apart.link_requests_per_second:.3g} over the link;"
        f" {apart.prefill_per_decode:.2g} that prefill for each that decodes.\nKV of a prompt takes"
        f" {q.seconds(apart.transfer_seconds)} over the link: TTFT {q.seconds(apart.ttft_seconds)} alone,"
        f" TPOT {q.seconds(apart.tpot_seconds)}"
    )


def roofline(found: Breakdown) -> str:
    """The roofline of the replica's GPUs as SVG, with the decode step's place under it."""
    line = found.roofline
    top = math.log10(line.peak_operations_per_second) + 0.3
    low = top - 5.0

    def at(intensity: float, operations: float) -> tuple[float, float]:
        x = (math.log10(intensity) - _DECADES[0]) / (_DECADES[1] - _DECADES[0])
        y = (math.log10(operations) - low) / (top - low)
        return _MARGIN + x * (_WIDTH - 2 * _MARGIN), _HEIGHT - _MARGIN - y * (_HEIGHT - 2 * _MARGIN)

    def roof(peak: float) -> str:
        knee = peak / line.bandwidth_bytes_per_second
        points = [
            (10.0 ** _DECADES[0], 10.0 ** _DECADES[0] * line.bandwidth_bytes_per_second),
            (knee, peak),
            (10.0 ** _DECADES[1], peak),
        ]
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*p) for p in points))

    reached = min(
        line.operations_per_byte * line.bandwidth_bytes_per_second, line.reached_operations_per_second
    )
    x, y = at(line.operations_per_byte, reached)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12">'
        f"<title>Roofline of {found.configuration}</title>"
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>'
        f'<polyline points="{roof(line.peak_operations_per_second)}" fill="none" stroke="#888" stroke-dasharray="4"/>'
        f'<polyline points="{roof(line.reached_operations_per_second)}" fill="none" stroke="#0a5"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="#c30"/>'
        f'<text x="{x + 8:.1f}" y="{y + 16:.1f}">decode, {found.in_flight:.3g} at once: {found.binding} binds</text>'
        f'<text x="{_MARGIN}" y="24">{found.configuration}: dashed the vendor\'s peak, solid what is reached</text>'
        f'<text x="{_WIDTH / 2 - 60}" y="{_HEIGHT - 20}">operations per byte (log)</text>'
        f'<text x="16" y="{_HEIGHT / 2}" transform="rotate(-90 16 {_HEIGHT / 2})">operations a second (log)</text>'
        "</svg>\n"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _shown(value: float | None, scale: float, name: str) -> str:
    if value is None:
        return "-"
    return q.seconds(value * scale) if name.startswith("T") else f"{value:,.0f}"
