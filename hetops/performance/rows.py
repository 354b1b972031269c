"""Rows of files of measurements, read as cases: what publishers call GPUs, models and precisions. Pure.

What a row does not tell is taken as its publisher most likely meant it (16 bit, all GPUs one replica where a GPU cannot hold
the model); what it tells and cannot be read is refused, with the reason.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from hetops.domain.gpu import GpuType
from hetops.domain.model import Model, Precision
from hetops.errors import nearest
from hetops.performance.cases import Case, Metric, RefusedCase
from hetops.performance.generation import generation
from hetops.performance.memory import weight_bytes
from hetops.performance.physics import Replica

_PRECISIONS = {
    "fp32": Precision.FP32,
    "fp16": Precision.FP16,
    "float16": Precision.FP16,
    "f16": Precision.FP16,
    "half": Precision.FP16,
    "bf16": Precision.BF16,
    "bfloat16": Precision.BF16,
    "fp8": Precision.FP8,
    "float8": Precision.FP8,
    "mxfp8": Precision.FP8,
    "int8": Precision.INT8,
    "w8a8": Precision.INT8,
    "w8a16": Precision.INT8,
    "nvfp4": Precision.FP4,
    "mxfp4": Precision.FP4,
    "fp4": Precision.FP4,
    "w4a4": Precision.FP4,
    "int4": Precision.INT4,
    "w4a16": Precision.INT4,
    "w4a8": Precision.INT4,
    "nf4": Precision.INT4,
    "awq": Precision.INT4,
    "gptq": Precision.INT4,
    "marlin": Precision.INT4,
    "q8": Precision.GGUF_Q8_0,
    "q6": Precision.GGUF_Q8_0,
    "q5": Precision.GGUF_Q4_K_M,
    "q4": Precision.GGUF_Q4_K_M,
}
"""Q5 and Q6 of GGUF count as the nearest that has figures of its own."""

_NOT_TOLD = ("", "-", "auto", "none", "n/a", "default")
_ALL_QUEUED = ("inf", "infinity", "offline", "max", "unlimited")
_SUFFIX = re.compile(
    r"-(instruct|chat|it|hf|base|fp8|fp4|nvfp4|awq|gptq|dynamic|kv|int4|int8|v\d+(\.\d+)?|\d{4})$"
)


def read_cases(
    rows: Iterable[Mapping[str, str]], gpus: Sequence[GpuType], models: Sequence[Model]
) -> tuple[tuple[Case, ...], tuple[RefusedCase, ...]]:
    """The rows that can be answered, and the others with their reasons."""
    found: list[Case] = []
    refused: list[RefusedCase] = []
    for number, row in enumerate(rows, 2):
        told = {name: (text or "").strip() for name, text in row.items() if isinstance(text, str)}
        try:
            found.append(_case(told, gpus, models))
        except ValueError as fault:
            refused.append(RefusedCase(id=told.get("id") or f"line {number}", reason=str(fault)))
    return tuple(found), tuple(refused)


def _case(row: Mapping[str, str], gpus: Sequence[GpuType], models: Sequence[Model]) -> Case:
    metric = _metric(row["metric"])
    return Case(
        id=row["id"],
        replica=_replica(row, known_gpu(row["gpu"], gpus), known_model(row["model"], models)),
        gpu_count=_whole(row, "gpu_count", 1),
        input_tokens=_number(row, "input_tokens"),
        output_tokens=_output(row, metric),
        concurrency=_at_once(row, "concurrency"),
        requests_per_second=_at_once(row, "request_rate"),
        metric=metric,
        value=_number(row, "value") if row.get("value") else None,
        gpu=row["gpu"],
        source=row.get("source", ""),
        quality=row.get("quality", ""),
    )


def _replica(row: Mapping[str, str], gpu: GpuType, model: Model) -> Replica:
    """The replica of a row; without a tensor degree, one GPU where the weights fit into it, else all of them.

    What does not fit is answered all the same: timings of single layers, added up, need no room for the others.
    """
    weights, stages = precision(row["precision_weights"]), _whole(row, "pp", 1)
    alone = stages > 1 or weight_bytes(model, weights) < gpu.memory_bytes
    tensor = _whole(row, "tp", 1 if alone else _whole(row, "gpu_count", 1))
    return Replica(
        gpu=gpu,
        model=model,
        tensor_parallel=tensor,
        pipeline_parallel=stages,
        weights=weights,
        kv=precision(row.get("precision_kv", "")),
        generation=generation(row["engine"], row.get("engine_version", "")),
    )


def known_model(name: str, models: Sequence[Model]) -> Model:
    """The model that a publisher means by a name such as `meta-llama/Llama-3.1-8B-Instruct`.

    Raises:
        ValueError: no model has such a name.
    """
    meant = _stem(name)
    for model in models:
        if name == model.name:
            return model
    for model in models:
        if meant in (_stem(model.name), _stem(model.hub_id)):
            return model
    near = nearest(meant, (m.name for m in models), most=1)
    raise ValueError(f"unknown model {name!r}" + (f", did you mean {near[0]!r}?" if near else ""))


def _stem(name: str) -> str:
    """A name without its owner and without what is done to the weights."""
    stem = name.lower().rpartition("/")[2].replace("_", "-").removeprefix("meta-")
    while short := _SUFFIX.sub("", stem):
        if short == stem:
            break
        stem = short
    return stem


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
    pattern = r"(?<![A-Z])" + "[-_ ]?".join(re.escape(letter) for letter in chip) + r"(?!\d)"
    return re.search(pattern, name.upper()) is not None


def _words(name: str) -> frozenset[str]:
    """Words that tell boards of one chip apart: form factors and memory."""
    words = re.split(r"[-_ ]", name.upper())
    return frozenset(
        re.sub(r"^SXM\d$", "SXM", re.sub(r"^(\d+)GB?$", r"\1GB", word)) for word in words if word
    )


def _joined(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", name.upper())


def precision(text: str) -> Precision:
    """The precision that a publisher means by a word such as `fp8_e4m3` or `gguf-q4_k_m`; 16 bit where none is told.

    Raises:
        ValueError: no such precision.
    """
    word = text.lower()
    if word in _NOT_TOLD:
        return Precision.BF16
    for part in (word, *re.split(r"[-_/ +]", word)):
        if part in _PRECISIONS:
            return _PRECISIONS[part]
    raise ValueError(f"unknown precision {text!r}; known: {', '.join(_PRECISIONS)}")


def _metric(text: str) -> Metric:
    if text not in set(Metric):
        raise ValueError(f"unknown metric {text!r}; known: {', '.join(Metric)}")
    return Metric(text)


def _output(row: Mapping[str, str], metric: Metric) -> float:
    """Output tokens; the first token is one, where only its time was measured."""
    if metric is Metric.TTFT and row["output_tokens"] in ("", "0"):
        return 1.0
    return _number(row, "output_tokens")


def _at_once(row: Mapping[str, str], name: str) -> float:
    """A concurrency or a rate; infinite where all is queued or nothing is told."""
    text = row.get(name, "").lower()
    return math.inf if text in (*_NOT_TOLD, *_ALL_QUEUED) else _number(row, name)


def _number(row: Mapping[str, str], name: str) -> float:
    try:
        value = float(row[name])
    except ValueError:
        raise ValueError(f"{name} must be a number, found {row[name]!r}") from None
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be above zero, found {row[name]!r}")
    return value


def _whole(row: Mapping[str, str], name: str, default: int) -> int:
    if row.get(name, "").lower() in _NOT_TOLD:
        return default
    value = _number(row, name)
    if value < 1 or value != int(value):
        raise ValueError(f"{name} must be a whole number of at least 1, found {row[name]!r}")
    return int(value)
