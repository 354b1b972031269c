"""Where the time of one replica goes at one load: seconds of each part of a step, what binds, and the roofline. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hetops.performance.cases import Case, Metric
from hetops.performance.estimate import Calibration
from hetops.performance.form import compute_efficiency, terms
from hetops.performance.physics import Replica, physics
from hetops.performance.predict import Prediction, predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a decode step."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """What the GPUs of a replica could do at most, and what a decode step asks of them."""

    peak_operations_per_second: float
    reached_operations_per_second: float
    bandwidth_bytes_per_second: float
    operations_per_byte: float
    """Of the step: how much it computes on what it reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """A configuration at one load, explained."""

    FORMAT: ClassVar[str] = "hetops.estimate"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    configuration: str
    input_tokens: float
    output_tokens: float
    concurrency: float
    parts: tuple[Part, ...]
    """Of one decode step with so many sequences; reading weights and computing overlap."""
    step_seconds: float
    prefill_seconds: float
    binding: str
    """The longest part."""
    output_tokens_per_second: Prediction
    tpot: Prediction
    ttft: Prediction
    evidence: str
    roofline: Roofline


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """So many requests in flight at once, of these lengths."""

    input_tokens: float
    output_tokens: float
    concurrency: float


def explain(name: str, replica: Replica, load: Load, calibration: Calibration) -> Breakdown:
    """The breakdown of one replica under a load."""
    p = physics([replica])
    t = terms(p, calibration.values)
    n, context = np.array([load.concurrency]), np.array([load.input_tokens + load.output_tokens / 2.0])
    touched = t.shared + (1.0 - t.shared) * (1.0 - (1.0 - t.expert_share) ** (n / t.stages))
    parts = (
        Part(name="weight bandwidth", seconds=float((t.weights * touched)[0])),
        Part(name="compute", seconds=float((t.compute * n)[0])),
        Part(name="KV bandwidth", seconds=float((t.kv * context * n)[0])),
        Part(name="all-reduce", seconds=float((t.step_link + t.link * n)[0])),
        Part(name="engine overhead", seconds=float((t.overhead + t.per_sequence * n)[0])),
    )
    answers = {m: _answer(replica, load, m, calibration) for m in (Metric.OUTPUT, Metric.TPOT, Metric.TTFT)}
    read = float((p.weight_bytes * touched + p.kv_bytes * context * n)[0])
    return Breakdown(
        configuration=name,
        input_tokens=load.input_tokens,
        output_tokens=load.output_tokens,
        concurrency=load.concurrency,
        parts=parts,
        step_seconds=float(t.step(n, context)[0]),
        prefill_seconds=float(t.prefill_seconds(np.array([load.input_tokens]))[0]),
        binding=max(parts, key=lambda part: part.seconds).name,
        output_tokens_per_second=answers[Metric.OUTPUT],
        tpot=answers[Metric.TPOT],
        ttft=answers[Metric.TTFT],
        evidence=str(calibration.layer(replica)),
        roofline=Roofline(
            peak_operations_per_second=float((p.flops * p.tensor * p.stages)[0]),
            reached_operations_per_second=float(
                (p.flops * p.tensor * p.stages * compute_efficiency(p, calibration.values))[0]
            ),
            bandwidth_bytes_per_second=float((p.bandwidth * p.tensor * p.stages)[0]),
            operations_per_byte=float((2.0 * p.active * n)[0]) / read,
        ),
    )


def _answer(replica: Replica, load: Load, metric: Metric, calibration: Calibration) -> Prediction:
    case = Case(
        id=str(metric),
        replica=replica,
        gpu_count=replica.tensor_parallel * replica.pipeline_parallel,
        input_tokens=load.input_tokens,
        output_tokens=load.output_tokens,
        concurrency=load.concurrency,
        requests_per_second=float("inf"),
        metric=metric,
        value=None,
        gpu=replica.gpu.name,
    )
    return predictions([case], calibration)[0]
