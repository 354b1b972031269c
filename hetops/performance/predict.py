"""Predictions for cases, each with its 80 % interval and what it rests on. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from hetops.domain.performance import EvidenceLayer
from hetops.performance.calibrate import sorts_of
from hetops.performance.cases import Case, Cases, Metric, RefusedCase, predict
from hetops.performance.estimate import Calibration

ASSUMED_HALF_WIDTH = 0.5
"""What an assumption adds to a half width, as an independent error, in natural logarithms. With every model of the shipped
measurements taken for the shape of one of like size, estimates moved by less in 96 % of rows of throughput, 97 % of TPOT and
93 % of TTFT, and 93, 88 and 90 % of the measured values lay within."""
PLAYED_HALF_WIDTH = 0.25
"""The same for a percentile: how far apart a queue's latencies lie rests on lengths and on a beginning that rows do not tell."""
NOTHING_PLAYED: Mapping[int, float] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a case would measure, in its metric's unit. `reason` says why there is no value."""

    FORMAT: ClassVar[str] = "hetops.prediction"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    id: str
    metric: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    evidence: str = ""
    reason: str = ""


def predictions(
    cases: Sequence[Case], calibration: Calibration, over_mean: Mapping[int, float] = NOTHING_PLAYED
) -> tuple[Prediction, ...]:
    """A prediction for every case, in order, in its metric's own unit. `over_mean` says, by the `place` of a case of a percentile, how
    many times the mean that is; one that it lacks is taken for the mean."""
    if not cases:
        return ()
    of = Cases.of(cases)
    values = predict(of, calibration.values)
    first = predict(replace(of, metric=np.full(len(of), str(Metric.TTFT))), calibration.values)
    return tuple(
        _prediction(c, _Found(float(v) * over_mean.get(c.place, 1.0), float(t / v)), calibration)
        for c, v, t in zip(cases, values, first, strict=True)
    )


def as_told(case: Case, found: Prediction) -> Prediction:
    """A prediction in the unit of the case's row, under its name."""
    if case.told is None or found.value is None or found.low is None or found.high is None:
        return found
    value, *ends = (case.told.as_told(v, case.gpu_count) for v in (found.value, found.low, found.high))
    return replace(found, metric=case.told.name, value=value, low=min(ends), high=max(ends))


def refusal(refused: RefusedCase) -> Prediction:
    """The answer to a row that cannot be answered."""
    return Prediction(id=refused.id, reason=refused.reason)


@dataclass(frozen=True, slots=True)
class _Found:
    """A predicted value, and the share of it that the first token takes, where it is a latency end to end."""

    value: float
    first: float


def _prediction(case: Case, found: _Found, calibration: Calibration) -> Prediction:
    layer = EvidenceLayer.PRIOR if case.assumed else calibration.layer(case.replica, case.concurrency)
    half_width = _half_width(case, layer, found.first, calibration)
    if case.assumed:
        half_width = math.hypot(half_width, ASSUMED_HALF_WIDTH)
    if case.percentile is not None:
        half_width = math.hypot(half_width, PLAYED_HALF_WIDTH)
    factor, value = math.exp(half_width), found.value
    return Prediction(
        id=case.id,
        metric=str(case.metric),
        value=value,
        low=value / factor,
        high=value * factor,
        evidence="; ".join((str(layer), *case.assumed, *case.noted)),
    )


def _half_width(case: Case, layer: EvidenceLayer, first: float, calibration: Calibration) -> float:
    """Of a metric; end to end as if its first token and the others were off together, each by its share."""
    widths = calibration.half_width[layer]
    if case.metric is Metric.E2E:
        return first * widths["ttft"] + (1.0 - first) * widths["tpot"]
    if not case.metric.is_throughput:
        return widths[str(case.metric).partition("_")[0]]
    return _of_throughput(case, widths["throughput"], calibration)


def _of_throughput(case: Case, of_layer: float, calibration: Calibration) -> float:
    """The wider of the load's and the model's, with what the layer adds to that of measured families as an independent error."""
    measured = calibration.half_width[EvidenceLayer.CALIBRATED]["throughput"]
    told = [calibration.throughput.get(sort, measured) for sort in sorts_of(case)]
    return math.sqrt(max(told) ** 2 + of_layer**2 - measured**2)
