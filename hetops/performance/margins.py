"""Half widths of 80 % intervals, and the margins as which evidence carries them. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hetops.domain.performance import Evidence, EvidenceLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfWidths:
    """Half the width of an 80 % interval of each metric, in natural logarithms."""

    throughput: float
    tpot: float
    ttft: float


def founded_on(layer: EvidenceLayer, source: str, widths: HalfWidths) -> Evidence:
    """Evidence whose margins take each metric to the lower end of its interval."""
    return Evidence(
        layer=layer,
        source=source,
        margin=-math.expm1(-widths.throughput),
        tpot_margin=-math.expm1(-widths.tpot),
        ttft_margin=-math.expm1(-widths.ttft),
    )


def widths_of(known: Evidence) -> HalfWidths:
    """The half widths that evidence carries as margins."""
    return HalfWidths(
        throughput=-math.log1p(-known.margin),
        tpot=-math.log1p(-known.tpot_margin),
        ttft=-math.log1p(-known.ttft_margin),
    )
