"""Which metric a publisher means by a name, in which unit, and of which requests. Pure; `Metric` says what can be predicted.

A name is words in any order: what was measured (`ttft`, `output tok`, `requests`), its unit (`ms`, `/s`, `per GPU`), and of which
requests (`mean`, `p99`). Where several things may be meant, none is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches

from hetops.performance.cases import Metric, MetricName
from hetops.performance.meant import did_you_mean, plain

EXAMPLES = (
    *map(str, Metric),
    "itl_ms",
    "ttft_s",
    "p99_ttft_ms",
    "median_tpot_ms",
    "output_tok_s_per_gpu",
    "tok_s_per_user",
    "prefill_tok_s",
)
"""Names as they may stand in a row, one of a kind."""

_PHRASES = tuple(
    (re.compile(pattern), f" {word} ")
    for pattern, word in (
        (r"\btime (to|until) first( output)? token\b", "ttft"),
        (r"\btime per( output)? token\b", "tpot"),
        (r"\b(inter|between) tokens?( latency)?\b", "itl"),
        (r"(\bper |/ ?)(output )?tok(en)?\b", "tpot"),
        (r"\bend (to|2) end\b|\be2el\b", "e2e"),
        (r"\bprompt (eval|processing)\b", "prefill"),
        (r"\bp(\d\d) (\d)\b", r"p\1.\2"),
        (r"\bp(?:ct|ercentile)? ?(\d\d(?:\.\d)?)\b", r"p\1"),
        (r"\b(\d\d(?:\.\d)?)(?:th)? ?(?:p|pct|percentile)\b", r"p\1"),
        (r"\bmedian\b", "p50"),
        (r"\b(in|input|prompt) ?[+&] ?(out|output)\b", "total"),
        (r"(\bper |/ ?|\b(?=gpu))(gpu|device|accelerator|chip|card)s?\b", "pergpu"),
        (r"(\bper |/ ?)(user|request|sequence|stream)\b", "peruser"),
        (r"(\bper |/ ?)s(ec(ond)?)?\b|(?<=\b[rqt])ps\b", "persecond"),
        (r"(\bper |/ ?)min(ute)?\b|(?<=\b[rqt])pm\b", "perminute"),
    )
)
"""Phrases that one word stands for, in this order."""
_PERCENTILE = re.compile(r"p\d\d(?:\.\d)?")
_WORD = re.compile(rf"{_PERCENTILE.pattern}|[a-z0-9]+")

_LATENCIES: Mapping[str, Metric] = {
    "ttft": Metric.TTFT,
    "tpot": Metric.TPOT,
    "itl": Metric.TPOT,
    "tbt": Metric.TPOT,
    "e2e": Metric.E2E,
}
_MILLISECONDS: Mapping[str, float] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1e3),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1.0),
    **dict.fromkeys(("us", "usec", "microsecond", "microseconds"), 1e-3),
}
_EACH_SECOND: Mapping[str, float] = {
    **dict.fromkeys(("persecond", "s", "sec"), 1.0),
    **dict.fromkeys(("perminute", "min"), 1 / 60.0),
}
_REQUESTS = frozenset(
    {"req", "reqs", "request", "requests", "query", "queries", "sample", "samples", "r", "q"}
)
_TOKENS = frozenset({"tok", "toks", "token", "tokens", "t"})
_OF_TOKENS: Mapping[str, Metric] = {
    **dict.fromkeys(
        ("output", "out", "generation", "generated", "gen", "decode", "completion"), Metric.OUTPUT
    ),
    **dict.fromkeys(("total", "overall"), Metric.TOTAL),
    **dict.fromkeys(("input", "in", "prompt", "prefill"), Metric.INPUT),
}
_GAPS = frozenset({"itl", "tbt"})
"""Single gaps between tokens: their mean is that of TPOT, which is of a whole request; how far apart they lie is not told."""
_RATE = frozenset({"throughput", "rate", "speed", "tput"})
_MEAN = frozenset({"mean", "avg", "average"})
_SAID_ELSEWHERE = _MEAN | {"latency", "time", "peruser", "pergpu"}


def known_metric(text: str, unit: str = "") -> MetricName:
    """What a metric's name means, with its unit where another column tells that.

    Raises:
        ValueError: nothing that can be predicted, or one of several things; names the nearest, or those.
    """
    told = plain(f"{text} {unit}").lower()
    words = _words(told)
    percentiles = {float(word[1:]) for word in words if _PERCENTILE.fullmatch(word)}
    rest = frozenset(word for word in words if not _PERCENTILE.fullmatch(word))
    known = {*_LATENCIES, *_MILLISECONDS, *_EACH_SECOND, *_OF_TOKENS} | _REQUESTS | _TOKENS | _RATE
    if not rest or rest - known - _SAID_ELSEWHERE or len(percentiles) > 1:
        raise ValueError(_unknown(text))
    percentile = next(iter(percentiles), None)
    found = _rate(rest, text) if _is_rate(rest) else _latency(rest, percentile, text)
    if percentile is not None and found.metric.is_throughput:
        raise ValueError(f"{text!r}: a throughput is of the whole, and has no percentiles")
    own = MetricName(metric=found.metric, name=str(found.metric))
    spelled = replace(found, percentile=percentile, name=own.name)
    return own if spelled == own else replace(spelled, name="_".join(re.findall(r"[a-z0-9.]+", told)))


def _words(told: str) -> list[str]:
    told = re.sub(r"[_\-()\[\],:;]+", " ", told)
    for pattern, word in _PHRASES:
        told = pattern.sub(word, told)
    return _WORD.findall(told)


def _is_rate(words: frozenset[str]) -> bool:
    if words & _LATENCIES.keys() or "latency" in words:
        return False
    return bool(words & _RATE or words & (_TOKENS | _REQUESTS))


def _latency(words: frozenset[str], percentile: float | None, text: str) -> MetricName:
    kinds = {_LATENCIES[word] for word in words & _LATENCIES.keys()}
    assumed = (
        f"{text}, which is of single gaps, taken for that of TPOT" if percentile and words & _GAPS else ""
    )
    if not kinds and "latency" in words and not words & _TOKENS:
        kinds = {Metric.E2E}
        assumed = "" if words & _REQUESTS else f"{text} taken for that of whole requests"
    units = {_MILLISECONDS[word] for word in words & _MILLISECONDS.keys()}
    if len(kinds) != 1 or "pergpu" in words:
        raise ValueError(_unknown(text))
    if len(units) != 1:
        name = str(next(iter(kinds))).removesuffix("_ms")
        raise ValueError(f"{text!r} tells no unit: {name}_ms or {name}_s")
    return MetricName(metric=kinds.pop(), name=text, factor=units.pop(), assumed=assumed)


def _rate(words: frozenset[str], text: str) -> MetricName:
    times = {_EACH_SECOND[word] for word in words & _EACH_SECOND.keys()} or (
        {1.0} if words & _RATE else set()
    )
    if len(times) != 1:
        raise ValueError(_unknown(text))
    kinds = {_OF_TOKENS[word] for word in words & _OF_TOKENS.keys()}
    factor, per_gpu = times.pop(), "pergpu" in words
    if "peruser" in words and kinds <= {Metric.OUTPUT} and words & _TOKENS and not per_gpu:
        return MetricName(metric=Metric.TPOT, name=text, factor=factor, inverse=True)
    if not kinds and words & _REQUESTS and not words & _TOKENS:
        kinds = {Metric.REQUESTS}
    if len(kinds) != 1 or "peruser" in words:
        raise ValueError(_several(text, (Metric.OUTPUT, Metric.TOTAL, Metric.INPUT, Metric.REQUESTS)))
    return MetricName(
        metric=kinds.pop(),
        name=text,
        factor=factor,
        per_gpu=per_gpu,
        prompts_alone="prefill" in words,
    )


def _several(text: str, metrics: Iterable[Metric]) -> str:
    return f"{text!r} may be several: name one of {', '.join(metrics)}"


def _unknown(text: str) -> str:
    word = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    near = did_you_mean(tuple(get_close_matches(word, EXAMPLES, n=1)))
    return f"unknown metric {text!r}{near}; known: {', '.join(EXAMPLES)}"
