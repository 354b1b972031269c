"""Rows of files of measurements, read as cases: what each column tells. Pure; what names mean is said in the modules of names.

What a row does not tell is taken as its publisher most likely meant it (16 bit, all GPUs one replica where a GPU cannot hold
the model); what it tells and cannot be read is refused, that row alone, with the column and the reason. What had to be taken
for something else is kept with the case: it costs width of the interval.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

from hetops.domain.gpu import GpuType
from hetops.domain.model import Model, Precision
from hetops.performance import cells
from hetops.performance.attention_names import groups_told
from hetops.performance.cases import Case, MetricName, RefusedCase
from hetops.performance.cells import Row
from hetops.performance.generation import Generation, generation, is_known, memory_share
from hetops.performance.gpu_names import known_gpu
from hetops.performance.meant import Meant, plain
from hetops.performance.memory import weight_bytes
from hetops.performance.metric_names import known_metric
from hetops.performance.model_names import ModelNames
from hetops.performance.precision_names import known_precision, kv_told_of, told_of
from hetops.performance.replica import Replica
from hetops.performance.sent import Sent
from hetops.performance.sheet import BEYOND

NEEDED = ("gpu", "model", "input_tokens", "output_tokens", "metric")
"""Columns that a file must have; only of the lengths may nothing be told."""

_NAMES_KEPT = 4096

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """What the cells of a column of names mean. Files repeat them: each is looked up once."""

    gpu: Callable[[str], Meant[GpuType]]
    model: Callable[[str, float | None], Meant[Model]]

    @classmethod
    def of(cls, gpus: Sequence[GpuType], models: Sequence[Model]) -> _Names:
        kept = lru_cache(_NAMES_KEPT)
        return cls(gpu=kept(lambda name: known_gpu(name, gpus)), model=kept(ModelNames.of(models).meant))


def read_cases(
    rows: Iterable[Mapping[str, str]], gpus: Sequence[GpuType], models: Sequence[Model]
) -> tuple[tuple[Case, ...], tuple[RefusedCase, ...]]:
    """The rows that can be answered, and the others with their reasons; each says where it stood among the rows."""
    names = _Names.of(gpus, models)
    found: list[Case] = []
    refused: list[RefusedCase] = []
    for place, row in enumerate(rows):
        told = {name: plain(cell) for name, cell in row.items() if isinstance(cell, str)}
        name = (row.get("id") or "").strip() or f"line {place + 2}"
        try:
            found.append(_case({**told, "id": name}, place, names))
        except ValueError as fault:
            refused.append(RefusedCase(id=name, reason=str(fault), place=place))
    return tuple(found), tuple(refused)


def _case(row: Row, place: int, names: _Names) -> Case:
    if BEYOND in row:
        raise ValueError(f"more cells than columns ({row[BEYOND]!r}): put a cell with a separator in quotes")
    told = _metric(row)
    replica, assumed, noted = _replica(row, names)
    sent = Sent.of(row, told)
    gpus = cells.whole(row, "gpu_count", replica.tensor_parallel * replica.pipeline_parallel)
    measured, unread = _measured(row)
    return Case(
        id=row["id"],
        replica=replica,
        gpu_count=gpus,
        input_tokens=sent.input_tokens,
        output_tokens=sent.output_tokens,
        concurrency=sent.concurrency,
        requests_per_second=sent.requests_per_second,
        metric=told.metric,
        value=None if measured is None else told.in_metric(measured, gpus),
        unread=unread,
        gpu=row["gpu"],
        source=row.get("source", ""),
        quality=row.get("quality", "").upper(),
        assumed=tuple(filter(None, (*assumed, *sent.assumed, told.assumed))),
        noted=tuple(
            filter(None, (*noted, _too_long(replica.model, sent.input_tokens + sent.output_tokens), unread))
        ),
        requests=sent.requests,
        requests_told=sent.requests_told,
        unequal=sent.unequal,
        talks=sent.talks,
        max_sequences=sent.max_sequences,
        place=place,
        told=told,
    )


def _measured(row: Row) -> tuple[float | None, str]:
    """What was measured, and why what stands there is no such number: an estimate needs none."""
    if not cells.above_none(row, "value"):
        return None, ""
    try:
        return cells.number(row, "value"), ""
    except ValueError as fault:
        return None, str(fault)


def _replica(row: Row, names: _Names) -> tuple[Replica, tuple[str, ...], tuple[str, ...]]:
    """The replica of a row, what was assumed of it, and what is known of it untold, some of it empty; without a tensor degree, one
    GPU where the weights fit into it, else all of them."""
    gpu = _meant("gpu", cells.told(row, "gpu"), names.gpu)
    model = _meant("model", cells.told(row, "model"), lambda name: names.model(name, _size(row)))
    weights, noted = _weights(row, model.thing)
    kv = _kv(row)
    stages = cells.whole(row, "pp", 1)
    if stages > model.thing.layers:
        raise ValueError(
            f"pp: {model.thing.name} has {model.thing.layers} layers, fewer than {stages} stages"
        )
    alone = stages > 1 or weight_bytes(model.thing, weights.thing) < gpu.thing.memory_bytes
    tensor = cells.whole(row, "tp", 1 if alone else cells.whole(row, "gpu_count", 1))
    apart = _apart(row, model.thing, tensor)
    engine = row.get("engine", "")
    replica = Replica(
        gpu=gpu.thing,
        model=model.thing,
        tensor_parallel=apart.tensor,
        pipeline_parallel=stages,
        attention_data_parallel=apart.groups,
        weights=weights.thing,
        kv=kv.thing,
        generation=generation(engine, row.get("engine_version", "")),
        memory_share=_memory_share(engine, row.get("engine_version", "")),
    )
    kin = str(replica.generation).partition("_")[0]
    like = "" if is_known(engine) else f"engine {engine or '(none told)'} taken for one like {kin}"
    replica, lighter = _as_published(replica)
    assumed = (
        gpu.assumed,
        model.assumed,
        weights.assumed,
        kv.assumed,
        like,
        lighter,
        apart.assumed,
        _too_heavy(replica),
        _unshared(replica),
    )
    return replica, assumed, (noted, apart.noted)


def _memory_share(engine: str, version: str) -> float:
    """SGLang's 0.88 is of weights and KV alone: with what the form reserves besides, that is 0.9."""
    return max(memory_share(engine, version), 0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Apart:
    """How many GPUs a stage has, and of them groups that attend to requests of their own."""

    tensor: int
    groups: int = 1
    assumed: str = ""
    noted: str = ""


def _apart(row: Row, model: Model, tensor: int) -> _Apart:
    """The layout, with attention in data parallel where the row's words tell it. vLLM's tensor degree is that of one group, the others'
    that of all of them, which the number of GPUs tells apart."""
    told = _groups_told(row)
    if told in (None, 1):
        return _Apart(tensor=tensor)
    if not model.experts:
        return _Apart(tensor=tensor, assumed=f"{model.name} has no experts: attention taken as over all GPUs")
    gpus = cells.whole(row, "gpu_count", tensor * (told or 1)) // cells.whole(row, "pp", 1)
    if tensor == 1 or (told and gpus == tensor * told):
        tensor = max(gpus, tensor)
    groups = told or tensor
    if tensor % groups:
        groups, odd = tensor, f"attention in {groups} groups taken for {tensor}, one a GPU"
    else:
        odd = ""
    noted = f"attention in data parallel over {groups} groups of GPUs" if groups > 1 else ""
    return _Apart(tensor=tensor, groups=groups, assumed=odd, noted=noted)


def _groups_told(row: Row) -> int | None:
    if cells.tells(row, "attention_dp"):
        return groups_told(f"attention dp {row['attention_dp']}")
    return groups_told(" ".join(row.get(name, "") for name in ("engine", "engine_version", "note")))


def _unshared(r: Replica) -> str:
    """What is assumed of a tensor degree that no engine starts, because heads lie whole on a GPU; a mixture's columns may tell experts'."""
    if r.model.heads % r.tensor_parallel == 0 or r.model.experts:
        return ""
    return f"{r.model.heads} heads taken as if {r.tensor_parallel} GPUs could share them"


def _too_long(model: Model, tokens: float) -> str:
    """What is said of requests that the model does not take: some stretch it, and the form knows no limit."""
    if tokens <= model.context_tokens + 1:
        return ""
    return f"{tokens:,.0f} tokens exceed the {model.context_tokens:,} that {model.name} takes"


def _as_published(r: Replica) -> tuple[Replica, str]:
    """The replica with the weights that its makers published, where those of 16 bit that are told do not lie in the GPUs: what a
    publisher told is then the format of activations."""
    gpus, native = r.tensor_parallel * r.pipeline_parallel, r.model.native
    memory = gpus * r.gpu.memory_bytes
    if weight_bytes(r.model, r.weights) <= memory or r.weights.bytes_per_value != 2.0:
        return r, ""
    if weight_bytes(r.model, native) > memory:
        return r, ""
    return replace(
        r, weights=native
    ), f"weights of {r.weights} taken for {native}, as {r.model.name} is published"


def _too_heavy(r: Replica) -> str:
    """What is assumed where the weights do not lie in the GPUs; timings of single layers, added up, need no room for the others."""
    gpus, heavy = r.tensor_parallel * r.pipeline_parallel, weight_bytes(r.model, r.weights)
    if r.generation is Generation.LAYERS or heavy <= gpus * r.gpu.memory_bytes:
        return ""
    enough = math.ceil(heavy / r.gpu.memory_bytes)
    return (
        f"{heavy / 1e9:,.0f} GB of weights taken as if {gpus} x {r.gpu.name} held them, which {enough} would"
    )


def _weights(row: Row, model: Model) -> tuple[Meant[Precision], str]:
    """The precision of the weights; where its column is empty, what the model's name tells (`...-AWQ`), else how its makers
    published it, and that this is so where it is not 16 bit."""
    if cells.tells(row, "precision_weights"):
        return _meant("precision_weights", row["precision_weights"], known_precision), ""
    in_name = told_of(re.split(r"[^a-z0-9]+", row["model"].lower()))
    if in_name:
        return in_name, ""
    noted = (
        "" if model.native is Precision.BF16 else f"weights in {model.native}, as {model.name} is published"
    )
    return Meant(thing=model.native), noted


def _kv(row: Row) -> Meant[Precision]:
    """The precision of the KV cache; where its column is empty, what stands beside that of the weights or the model's name."""
    if cells.tells(row, "precision_kv"):
        return _meant("precision_kv", row["precision_kv"], known_precision)
    found = (kv_told_of(row.get(name, "")) for name in ("precision_weights", "model"))
    return Meant(thing=next(filter(None, found), Precision.BF16))


def _meant(column: str, text: str, meaning: Callable[[str], Meant[T]]) -> Meant[T]:
    """What a cell means; a refusal names its column."""
    try:
        return meaning(text)
    except ValueError as fault:
        raise ValueError(f"{column}: {fault}") from None


def _size(row: Row) -> float | None:
    """Billions of parameters, which only a model that the catalogue lacks needs; None where they are not told as a number."""
    told = {**row, "params_b": row.get("params_b", "").lower().removesuffix("b").strip()}
    try:
        return cells.number(told, "params_b")
    except ValueError:
        return None


def _metric(row: Row) -> MetricName:
    try:
        return known_metric(cells.told(row, "metric"), row["unit"] if cells.tells(row, "unit") else "")
    except ValueError as fault:
        raise ValueError(f"metric: {str(fault).removeprefix('metric: ')}") from None
