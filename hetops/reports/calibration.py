"""A calibration's score as text and as JSON."""

from __future__ import annotations

from typing import Any

from hetops.domain import codec
from hetops.domain.percent import percent, signed_percent
from hetops.performance.score import Score, Spread
from hetops.reports import quantities as q

_HEADERS = ("rows", "median error", "within 25 %", "bias", "in interval")


def as_json(score: Score) -> dict[str, Any]:
    """The score document."""
    return codec.to_builtins(score)


def as_text(score: Score) -> str:
    """By metric, by GPU type, the order of GPU types, and how often the 80 % intervals held."""
    left = f", {score.left_out} left out (quality C or not measured)" if score.left_out else ""
    refused = f", {score.refused} refused (`hetops estimate --cases` says why)" if score.refused else ""
    order = (
        "no two GPU types on the same job"
        if score.ordered_right is None
        else f"{percent(score.ordered_right, 1)} of {score.pairs:,} pairs of GPU types more than a fifth apart ranked right"
    )
    parts = (
        f"{score.rows:,} measured rows{left}{refused}",
        _table("metric", score.metrics),
        _table("throughput on", score.gpus) if score.gpus else "",
        f"{order}\n{percent(score.covered, 1)} of all rows lie within their 80 % interval",
    )
    return "\n\n".join(p for p in parts if p) + "\n"


def _table(what: str, spreads: tuple[Spread, ...]) -> str:
    rows = [
        (
            s.subject,
            f"{s.rows:,}",
            percent(s.median_error, 1),
            percent(s.within_a_quarter),
            signed_percent(s.bias, 1),
            percent(s.covered),
        )
        for s in spreads
    ]
    return q.table((what, *_HEADERS), rows, right=(1, 2, 3, 4, 5))
