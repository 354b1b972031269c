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
from hetops.performance.attention_names import groups_told
from hetops.performance.cases import REQUESTS, Case, Metric, MetricName, RefusedCase
from hetops.performance.generation import Generation, generation, is_known
from hetops.performance.gpu_names import known_gpu
from hetops.performance.meant import NOT_TOLD, Meant, plain
from hetops.performance.memory import weight_bytes
from hetops.performance.metric_names import known_metric
from hetops.performance.model_names import ModelNames
from hetops.performance.precision_names import known_precision, kv_told_of, told_of
from hetops.performance.replica import Replica
from hetops.performance.sheet import BEYOND

NEEDED = ("gpu", "model", "input_tokens", "output_tokens", "metric")
"""Columns without which no row can be answered."""

_ALL_QUEUED = frozenset({"inf", "infinity", "infinite", "offline", "max", "unlimited", "saturation"})
_NUMBER = re.compile(r"[+-]?(\d+|\d{1,3}([,' _]\d{3})+)(\.\d*)?(e[+-]?\d+)?|[+-]?\.\d+(e[+-]?\d+)?")
"""27792.16, 27,792.16, 1e3: separators between thousands, and a point before the rest."""
_ZERO = re.compile(r"[+-]?(0+(\.0*)?|\.0+)(e[+-]?\d+)?", re.IGNORECASE)
_MOST: Mapping[str, float] = {
    "gpu_count": 1e5,
    "tp": 1e3,
    "pp": 1e3,
    "params_b": 1e5,
    "input_tokens": 1e8,
    "output_tokens": 1e8,
    "concurrency": 1e7,
    "request_rate": 1e7,
    "requests": 1e9,
    "value": 1e12,
}
"""More is a slip of the pen: nothing that was ever measured comes near."""
_LEAST = 1e-6
_OF_UNEQUAL_LENGTHS = re.compile(
    r"sharegpt|llmperf|alpaca|lmsys|wildchat|longbench|arxiv|azure|mooncake|burstgpt|speed.?bench|conversation"
)
"""Data sets and clients whose requests differ in length."""
_OF_CONVERSATIONS = re.compile(r"sharegpt|alpaca|lmsys|wildchat|burstgpt|conversation")
"""Of these such whose answers are mostly short and a few many times as long."""
_BETWEEN = re.compile(r"\bratio\b[ =:]*(?:of )?0?\.\d*[1-9]")
"""Lengths between a part of those told and all of these (SGLang's client and AMD's), or as far to both sides (vLLM's): neither makes all
alike but for 0 or 1."""
_SENT = re.compile(
    r"(?<!to )(?<!, )(?<!and )(?<!or )\b(?P<times>conc(?:urrency)? ?[*x] ?)?(?P<number>\d[\d,]*) (?:requests|prompts)\b(?! (?:a|per) second)"
)
"""How many requests a benchmark sent, as notes tell it: `1,000 requests`, `conc*10 requests`. Not the last of several numbers."""
_NAMES_KEPT = 4096

T = TypeVar("T")
Row = Mapping[str, str]


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
    metric = told.metric
    replica, assumed, noted = _replica(row, names)
    alone = not metric.is_throughput and not (
        _above_none(row, "concurrency") or _above_none(row, "request_rate")
    )
    lone = f"{metric} without concurrency or rate taken for a lone request" if alone else ""
    given, wanted = _tokens(row, "input_tokens", least=0.0), _output(row, told)
    gpus = _whole(row, "gpu_count", replica.tensor_parallel * replica.pipeline_parallel)
    measured, unread = _measured(row)
    sent = _requests(row)
    return Case(
        id=row["id"],
        replica=replica,
        gpu_count=gpus,
        input_tokens=given,
        output_tokens=wanted,
        concurrency=1.0 if alone else _kept(row),
        requests_per_second=_at_once(row, "request_rate"),
        metric=metric,
        value=None if measured is None else told.in_metric(measured, gpus),
        unread=unread,
        gpu=row["gpu"],
        source=row.get("source", ""),
        quality=row.get("quality", "").upper(),
        assumed=tuple(filter(None, (*assumed, lone, told.assumed))),
        noted=tuple(filter(None, (*noted, _too_long(replica.model, given + wanted), unread))),
        requests=float(sent or REQUESTS),
        requests_told=sent is not None,
        unequal=_lengths_differ(row),
        talks=bool(_OF_CONVERSATIONS.search(row.get("dataset", "").lower())),
        place=place,
        told=told,
    )


def _measured(row: Row) -> tuple[float | None, str]:
    """What was measured, and why what stands there is no such number: an estimate needs none."""
    if not _above_none(row, "value"):
        return None, ""
    try:
        return _number(row, "value"), ""
    except ValueError as fault:
        return None, str(fault)


def _kept(row: Row) -> float:
    """Requests kept at once: where all are sent at once, no more than their column tells."""
    kept, queued = _at_once(row, "concurrency"), math.isinf(_at_once(row, "request_rate"))
    return min(kept, float(_whole(row, "requests", REQUESTS))) if queued and _tells(row, "requests") else kept


def _requests(row: Row) -> int | None:
    """How many requests were sent, by their column or by the note's words; None where neither tells one number."""
    if _tells(row, "requests"):
        return _whole(row, "requests", REQUESTS)
    found = _SENT.search(row.get("note", ""))
    if found is None:
        return None
    kept, number = _at_once(row, "concurrency"), float(found["number"].replace(",", ""))
    sent = number * kept if found["times"] else number
    of_each = math.isfinite(kept) and sent < kept
    return int(sent) if number and math.isfinite(sent) and not of_each else None


def _lengths_differ(row: Row) -> bool:
    """Whether requests are known to differ in length; of others no word tells whether they do."""
    data, note = row.get("dataset", "").lower(), row.get("note", "").lower()
    return bool(_OF_UNEQUAL_LENGTHS.search(data) or _BETWEEN.search(f"{data} {note}"))


def _replica(row: Row, names: _Names) -> tuple[Replica, tuple[str, ...], tuple[str, ...]]:
    """The replica of a row, what was assumed of it, and what is known of it untold, some of it empty; without a tensor degree, one
    GPU where the weights fit into it, else all of them."""
    gpu = _meant("gpu", _told(row, "gpu"), names.gpu)
    model = _meant("model", _told(row, "model"), lambda name: names.model(name, _size(row)))
    weights, noted = _weights(row, model.thing)
    kv = _kv(row)
    stages = _whole(row, "pp", 1)
    if stages > model.thing.layers:
        raise ValueError(
            f"pp: {model.thing.name} has {model.thing.layers} layers, fewer than {stages} stages"
        )
    alone = stages > 1 or weight_bytes(model.thing, weights.thing) < gpu.thing.memory_bytes
    tensor = _whole(row, "tp", 1 if alone else _whole(row, "gpu_count", 1))
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
    gpus = _whole(row, "gpu_count", tensor * (told or 1)) // _whole(row, "pp", 1)
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
    if _tells(row, "attention_dp"):
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
    if _tells(row, "precision_weights"):
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
    if _tells(row, "precision_kv"):
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
        return _number(told, "params_b")
    except ValueError:
        return None


def _metric(row: Row) -> MetricName:
    try:
        return known_metric(_told(row, "metric"), row["unit"] if _tells(row, "unit") else "")
    except ValueError as fault:
        raise ValueError(f"metric: {str(fault).removeprefix('metric: ')}") from None


def _told(row: Row, name: str) -> str:
    """A cell that must be there."""
    if name not in row:
        raise ValueError(f"{name}: no such cell in this row: it ends too soon, or lacks a separator")
    if not _tells(row, name):
        raise ValueError(f"{name}: nothing told")
    return row[name]


def _tells(row: Row, name: str) -> bool:
    return row.get(name, "").lower() not in NOT_TOLD


def _output(row: Row, told: MetricName) -> float:
    """Output tokens; the first token is one, where only its time, or the prompt too, was measured."""
    metric = told.metric
    if told.prompts_alone:
        return 1.0
    if metric is Metric.TTFT and "output_tokens" in row and not _tells(row, "output_tokens"):
        return 1.0
    may_be_none = metric in (Metric.TTFT, Metric.TOTAL, Metric.INPUT, Metric.REQUESTS)
    return _tokens(row, "output_tokens", least=0.0 if may_be_none else _LEAST)


def _tokens(row: Row, name: str, *, least: float) -> float:
    """A length; one token is the least that the form knows."""
    _told(row, name)
    return max(_number(row, name, least=least), 1.0)


def _at_once(row: Row, name: str) -> float:
    """A concurrency or a rate; infinite where all is queued or nothing is told."""
    all_queued = not _above_none(row, name) or row[name].lower() in _ALL_QUEUED
    return math.inf if all_queued else _number(row, name)


def _above_none(row: Row, name: str) -> bool:
    """Whether a cell tells something other than 0, which tools write where there is no limit or nothing was measured."""
    return _tells(row, name) and not _ZERO.fullmatch(row[name])


def _whole(row: Row, name: str, default: int) -> int:
    if not _tells(row, name):
        return default
    value = _number(row, name)
    if value < 1 or value != int(value):
        raise ValueError(f"{name} must be a whole number of at least 1, found {row[name]!r}")
    return int(value)


def _number(row: Row, name: str, *, least: float = _LEAST) -> float:
    text = row[name].lower()
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name} must be a number such as 1234.5 or 1e3, found {row[name]!r}")
    value = float(re.sub("[,' _]", "", text))
    if value < least:
        raise ValueError(f"{name} must be above zero, found {row[name]!r}")
    if value > _MOST[name]:
        raise ValueError(f"{name} must be at most {_MOST[name]:g}, found {row[name]!r}")
    return value
