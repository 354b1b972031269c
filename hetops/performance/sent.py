"""What a row tells of the requests that were sent: their lengths, how many, and how many at once. Pure.

Where no length is told, requests are taken for conversations of ShareGPT, which clients send unless told otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from hetops.performance import cells
from hetops.performance.cases import REQUESTS, Metric, MetricName
from hetops.performance.cells import LEAST, Row

_ALL_QUEUED = frozenset({"inf", "infinity", "infinite", "offline", "max", "unlimited", "saturation"})
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
_PLACES = re.compile(
    r"\bmax[-_ ](?:num[-_ ]seqs|running[-_ ]requests|batch[-_ ]size)\b(?: of)?[ =:]*(?P<number>\d{1,3}(?:,\d{3})+|\d+)"
    r"(?![\d,/-]*\d| (?:and|or|to) \d)"
)
"""How many requests the engine may run at once, as notes tell it: `max-num-seqs 32` (vLLM), `max_running_requests=64` (SGLang),
`max_batch_size: 128` (TensorRT-LLM). Not one of several numbers."""
_TALK: Mapping[str, float] = {"input_tokens": 220.0, "output_tokens": 200.0}
"""Tokens of a conversation of ShareGPT: a thousand that vLLM's client draws have some 217,000 and 200,000 (its issue 17788)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The requests of a row; numbers and rates are those of the whole system. Fields that `Case` has are as there."""

    input_tokens: float
    output_tokens: float
    concurrency: float
    requests_per_second: float
    requests: float
    requests_told: bool
    unequal: bool
    talks: bool
    max_sequences: float | None
    assumed: tuple[str, ...]

    @classmethod
    def of(cls, row: Row, metric: MetricName) -> Sent:
        """What the row tells.

        Raises:
            ValueError: a cell cannot be read, with the column and why.
        """
        data, note = (row.get(name, "").lower() for name in ("dataset", "note"))
        lone = not metric.metric.is_throughput and not (
            cells.above_none(row, "concurrency") or cells.above_none(row, "request_rate")
        )
        given, wanted = _tokens(row, "input_tokens", least=0.0), _output(row, metric)
        sent = _requests(row)
        untold = [
            name for name, tokens in (("input_tokens", given), ("output_tokens", wanted)) if tokens is None
        ]
        return cls(
            input_tokens=_TALK["input_tokens"] if given is None else given,
            output_tokens=_TALK["output_tokens"] if wanted is None else wanted,
            concurrency=1.0 if lone else _kept(row),
            requests_per_second=_at_once(row, "request_rate"),
            requests=float(sent or REQUESTS),
            requests_told=sent is not None,
            unequal=bool(untold or _OF_UNEQUAL_LENGTHS.search(data) or _BETWEEN.search(f"{data} {note}")),
            talks=bool(_OF_CONVERSATIONS.search(data)),
            max_sequences=_places(note),
            assumed=(
                *(f"{name} not told, taken for {_TALK[name]:g} as of conversations" for name in untold),
                *([f"{metric.metric} without concurrency or rate taken for a lone request"] if lone else []),
            ),
        )


def _kept(row: Row) -> float:
    """Requests kept at once: where all are sent at once, no more than their column tells."""
    kept, queued = _at_once(row, "concurrency"), math.isinf(_at_once(row, "request_rate"))
    return (
        min(kept, float(cells.whole(row, "requests", REQUESTS)))
        if queued and cells.tells(row, "requests")
        else kept
    )


def _requests(row: Row) -> int | None:
    """How many requests were sent, by their column or by the note's words; None where neither tells one number."""
    if cells.tells(row, "requests"):
        return cells.whole(row, "requests", REQUESTS)
    found = _SENT.search(row.get("note", ""))
    if found is None:
        return None
    kept, told = _at_once(row, "concurrency"), float(found["number"].replace(",", ""))
    sent = told * kept if found["times"] else told
    of_each = math.isfinite(kept) and sent < kept
    return int(sent) if told and math.isfinite(sent) and not of_each else None


def _places(note: str) -> float | None:
    """Of each replica, or of each of its parts that attend to requests of their own."""
    found = _PLACES.search(note)
    told = float(found["number"].replace(",", "")) if found else 0.0
    return told if 0 < told <= cells.MOST["concurrency"] else None


def _output(row: Row, told: MetricName) -> float | None:
    """Output tokens; the first token is one, where only its time, or the prompt too, was measured."""
    metric = told.metric
    if told.prompts_alone:
        return 1.0
    may_be_none = metric in (Metric.TTFT, Metric.TOTAL, Metric.INPUT, Metric.REQUESTS)
    found = _tokens(row, "output_tokens", least=0.0 if may_be_none else LEAST)
    return 1.0 if found is None and metric is Metric.TTFT else found


def _tokens(row: Row, name: str, *, least: float) -> float | None:
    """A length, one token at least, which is the least that the form knows; None where none is told."""
    cells.there(row, name)
    return max(cells.number(row, name, least=least), 1.0) if cells.tells(row, name) else None


def _at_once(row: Row, name: str) -> float:
    """A concurrency or a rate; infinite where all is queued or nothing is told."""
    all_queued = not cells.above_none(row, name) or row[name].lower() in _ALL_QUEUED
    return math.inf if all_queued else cells.number(row, name)
