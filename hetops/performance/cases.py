"""Cases: published or own measurements as rows, and what the closed form says of each. Pure.

A row is one metric of one benchmark: output or total tokens a second of a whole system, TTFT or TPOT in milliseconds, at a
closed-loop concurrency, at a request rate, or with all requests queued (rate `inf`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np

from hetops.domain.gpu import GpuType
from hetops.domain.model import Model, Precision
from hetops.errors import nearest
from hetops.performance.form import Terms, Values, terms
from hetops.performance.generation import generation
from hetops.performance.physics import Bools, Floats, Names, Physics, Replica, physics

_MOST_SEQUENCES = {"trtllm_old": 1024.0, "trtllm_mid": 2048.0, "trtllm_new": 2048.0}
"""Sequences that an engine runs at once unless told otherwise: TensorRT-LLM builds for 2,048, vLLM and SGLang run 256 to 1,024."""
_OTHER_SEQUENCES = 512.0
_HALVINGS = 30


class Metric(StrEnum):
    """What was measured."""

    OUTPUT = "output_tok_s"
    TOTAL = "total_tok_s"
    TTFT = "ttft_ms"
    TPOT = "tpot_ms"

    @property
    def is_throughput(self) -> bool:
        """Whether it is tokens a second."""
        return self in (Metric.OUTPUT, Metric.TOTAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row, read. `concurrency` and `requests_per_second` are of the whole system; infinite where all is queued."""

    id: str
    replica: Replica
    gpu_count: int
    input_tokens: float
    output_tokens: float
    concurrency: float
    requests_per_second: float
    metric: Metric
    value: float | None
    """What was measured; None where only a prediction is asked for."""
    gpu: str
    """As the row names it."""
    source: str = ""
    quality: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedCase:
    """A row that cannot be answered, and why."""

    id: str
    reason: str


_PRECISIONS = {
    "fp32": Precision.FP32,
    "fp16": Precision.FP16,
    "float16": Precision.FP16,
    "bf16": Precision.BF16,
    "bfloat16": Precision.BF16,
    "fp8": Precision.FP8,
    "int8": Precision.INT8,
    "w8a8": Precision.INT8,
    "nvfp4": Precision.FP4,
    "mxfp4": Precision.FP4,
    "fp4": Precision.FP4,
    "f16": Precision.FP16,
    "mxfp8": Precision.FP8,
    "w8a16": Precision.INT8,
    "nf4": Precision.INT4,
    "w4a16": Precision.INT4,
    "int4": Precision.INT4,
    "awq": Precision.INT4,
    "gptq": Precision.INT4,
    "q8_0": Precision.GGUF_Q8_0,
    "q4_k_m": Precision.GGUF_Q4_K_M,
    "q4_0": Precision.GGUF_Q4_K_M,
}


def read_cases(
    rows: Iterable[Mapping[str, str]], gpus: Sequence[GpuType], models: Sequence[Model]
) -> tuple[tuple[Case, ...], tuple[RefusedCase, ...]]:
    """The rows that can be answered, and the others with their reasons."""
    by_name = {m.name: m for m in models}
    found: list[Case] = []
    refused: list[RefusedCase] = []
    for number, row in enumerate(rows, 2):
        try:
            found.append(_case(row, gpus, by_name))
        except ValueError as fault:
            refused.append(RefusedCase(id=row.get("id") or f"line {number}", reason=str(fault)))
    return tuple(found), tuple(refused)


def _case(row: Mapping[str, str], gpus: Sequence[GpuType], models: Mapping[str, Model]) -> Case:
    model = models.get(row["model"])
    if model is None:
        near = nearest(row["model"], models, most=1)
        raise ValueError(f"unknown model {row['model']!r}" + (f", did you mean {near[0]!r}?" if near else ""))
    weights, kv = _precision(row["precision_weights"]), row.get("precision_kv", "")
    rate = row.get("request_rate", "")
    return Case(
        id=row["id"],
        replica=Replica(
            gpu=known_gpu(row["gpu"], gpus),
            model=model,
            tensor_parallel=_whole(row, "tp", 1),
            pipeline_parallel=_whole(row, "pp", 1),
            weights=weights,
            kv=_precision(kv) if kv and kv != "auto" else Precision.BF16,
            generation=generation(row["engine"], row.get("engine_version", "")),
        ),
        gpu_count=_whole(row, "gpu_count", 1),
        input_tokens=_number(row, "input_tokens"),
        output_tokens=_number(row, "output_tokens"),
        concurrency=_number(row, "concurrency") if row.get("concurrency") else math.inf,
        requests_per_second=float(rate) if rate else math.inf,
        metric=Metric(row["metric"]),
        value=float(row["value"]) if row.get("value") else None,
        gpu=row["gpu"],
        source=row.get("source", ""),
        quality=row.get("quality", ""),
    )


def known_gpu(name: str, gpus: Sequence[GpuType]) -> GpuType:
    """The GPU type that a publisher means by a name such as `A100-SXM-80G` or `RTX A6000`: the chip decides, then form
    factor and memory where they are told; where not, the boards that most publishers use (SXM, more memory).

    Raises:
        ValueError: no GPU type has such a chip.
    """
    words = _words(name)
    by_chip = [
        (len(chip), g) for g in gpus if (chip := _joined(g.name.partition("-")[0])) and _holds(name, chip)
    ]
    if not by_chip:
        near = nearest(name, (g.name for g in gpus), most=1)
        raise ValueError(f"unknown GPU type {name!r}" + (f", did you mean {near[0]!r}?" if near else ""))
    longest = max(length for length, _ in by_chip)

    def fitness(gpu: GpuType) -> tuple[int, bool, float]:
        return len(words & _words(gpu.name)), "SXM" in gpu.form_factor, gpu.memory_gb

    return max((g for length, g in by_chip if length == longest), key=fitness)


def _holds(name: str, chip: str) -> bool:
    """Whether a chip's name stands in a name, with hyphens anywhere, and does not go on with another digit."""
    pattern = "[-_ ]?".join(re.escape(letter) for letter in chip) + r"(?!\d)"
    return re.search(pattern, name.upper()) is not None


def _words(name: str) -> frozenset[str]:
    """Words that tell boards of one chip apart: form factors and memory."""
    words = re.split(r"[-_ ]", name.upper())
    return frozenset(
        re.sub(r"^SXM\d$", "SXM", re.sub(r"^(\d+)GB?$", r"\1GB", word)) for word in words if word
    )


def _joined(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", name.upper())


def _precision(text: str) -> Precision:
    for word in (text.lower(), *re.split(r"[-_]", text.lower()), text.lower().removeprefix("gguf-")):
        if word in _PRECISIONS:
            return _PRECISIONS[word]
    raise ValueError(f"unknown precision {text!r}")


def _number(row: Mapping[str, str], name: str) -> float:
    value = float(row[name])
    if not value > 0:
        raise ValueError(f"{name} must be above zero, found {row[name]!r}")
    return value


def _whole(row: Mapping[str, str], name: str, default: int) -> int:
    text = row.get(name) or str(default)
    value = int(float(text))
    if value < 1:
        raise ValueError(f"{name} must be at least 1, found {text!r}")
    return value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cases:
    """Cases as columns."""

    physics: Physics
    replicas: Floats
    input_tokens: Floats
    output_tokens: Floats
    concurrency: Floats
    """Of one replica."""
    rate: Floats
    """Requests a second of one replica."""
    metric: Names
    value: Floats

    @classmethod
    def of(cls, cases: Sequence[Case]) -> Cases:
        """The cases in their order; `value` is not a number where none was measured."""
        replicas = np.array(
            [c.gpu_count / (c.replica.tensor_parallel * c.replica.pipeline_parallel) for c in cases]
        )
        replicas = np.maximum(replicas, 1.0)
        return cls(
            physics=physics([c.replica for c in cases]),
            replicas=replicas,
            input_tokens=np.array([c.input_tokens for c in cases]),
            output_tokens=np.array([c.output_tokens for c in cases]),
            concurrency=np.array([c.concurrency for c in cases]) / replicas,
            rate=np.array([c.requests_per_second for c in cases]) / replicas,
            metric=np.array([str(c.metric) for c in cases]),
            value=np.array([math.nan if c.value is None else c.value for c in cases]),
        )

    def __len__(self) -> int:
        return len(self.metric)

    def rows(self, which: Bools) -> Cases:
        """Some of the cases."""
        columns = {f.name: getattr(self, f.name)[which] for f in fields(self) if f.name != "physics"}
        return Cases(physics=self.physics.rows(which), **columns)


def predict(cases: Cases, values: Values) -> Floats:
    """What each case would measure, in its metric's unit."""
    parts = terms(cases.physics, values)
    running = _running(cases, parts)
    context = cases.input_tokens + cases.output_tokens / 2.0
    step = parts.step(running, context)
    prefill = parts.prefill_seconds(cases.input_tokens)
    served = (
        running
        * cases.output_tokens
        / (running * prefill / parts.stages + parts.overhead + cases.output_tokens * step)
    )
    output = cases.replicas * np.minimum(served, cases.rate * cases.output_tokens)
    held_up = parts.interference * (running - 1.0) / cases.output_tokens * prefill
    tpot = step + held_up / parts.stages
    ttft = _ttft(cases, parts, _Served(running=running, prefill=prefill, step=step, tpot=tpot), values)
    answers = {
        Metric.OUTPUT: output,
        Metric.TOTAL: output * (cases.input_tokens + cases.output_tokens) / cases.output_tokens,
        Metric.TTFT: 1e3 * ttft,
        Metric.TPOT: 1e3 * tpot,
    }
    found: Floats = np.select([cases.metric == str(m) for m in answers], list(answers.values()), np.nan)
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Served:
    running: Floats
    prefill: Floats
    step: Floats
    tpot: Floats


def _ttft(cases: Cases, parts: Terms, served: _Served, values: Values) -> Floats:
    """Own prefill, what the engine adds, and the wait for prompts ahead and for a place where there are not enough."""
    several = np.minimum(cases.concurrency, 1e9) > 1.0
    cycle = served.prefill + cases.output_tokens * served.tpot
    offered = np.minimum(cases.concurrency, served.running * 1e3)
    load = np.minimum(1.0, offered * served.prefill / cycle)
    others = np.maximum(np.minimum(offered, served.running) - 1.0, 0.0)
    per_other = _per_other(cases.physics, values)
    queue = per_other * served.prefill * others ** values["queue.power"] * load ** values["queue.load"]
    for_a_place = np.maximum(offered - served.running, 0.0) / served.running * cycle * 0.5
    own = np.where(several, parts.first_token_factor, 1.0) * served.prefill
    ttft: Floats = parts.first_token + own + np.where(several, queue + for_a_place + 0.5 * served.step, 0.0)
    return ttft


def _per_other(p: Physics, values: Values) -> Floats:
    known, where = np.unique(p.generation, return_inverse=True)
    per_other: Floats = np.array([values[f"queue.{generation}"] for generation in known])[where]
    return per_other


def _running(cases: Cases, parts: Terms) -> Floats:
    """Sequences in flight: as many as are asked for, as memory holds, as the engine runs, or as the rate needs."""
    p = cases.physics
    held = p.kv_capacity_tokens / (cases.input_tokens + 0.6 * cases.output_tokens)
    most = np.array([_MOST_SEQUENCES.get(str(g), _OTHER_SEQUENCES) for g in p.generation])
    asked = np.minimum(cases.concurrency, np.minimum(most, np.maximum(held, 1.0)))
    full: Floats = np.maximum(asked, 1.0)
    steady = ~np.isinf(cases.rate)
    return np.where(steady, _at_rate(cases, parts, full), full) if steady.any() else full


def _at_rate(cases: Cases, parts: Terms, full: Floats) -> Floats:
    """Sequences in flight at a request rate, at most `full`."""
    context = cases.input_tokens + cases.output_tokens / 2.0
    prefill = parts.prefill_seconds(cases.input_tokens) / parts.stages

    def completed(running: Floats) -> Floats:
        rate: Floats = running / (running * prefill + cases.output_tokens * parts.step(running, context))
        return rate

    return _least(lambda n: completed(n) >= cases.rate, full)


def _least(enough: Callable[[Floats], Bools], most: Floats) -> Floats:
    """The least number between 1 and `most` that is enough; `most` where none is."""
    low, high = np.ones_like(most), most.copy()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        ok = enough(middle)
        low, high = np.where(ok, low, middle), np.where(ok, middle, high)
    return high
