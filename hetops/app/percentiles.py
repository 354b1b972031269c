"""How far a percentile of a latency lies from its mean in a case: its requests in virtual time. Wires; decides no step time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hetops.app import virtual_replica
from hetops.domain.performance import StepTimes
from hetops.performance.breakdown import Load
from hetops.performance.cases import Case, Metric
from hetops.performance.estimate import Calibration, times_of
from hetops.performance.physics import physics
from hetops.performance.under_load import Replayed

_LONGEST = 2.0**20
"""No model takes more tokens: longer ones are played as long as this."""


def over_mean(cases: Sequence[Case], calibration: Calibration) -> Mapping[int, float]:
    """By the `place` of each case that asks for a percentile: that percentile over the mean. Rows of one load are played once."""
    asked = [c for c in cases if c.percentile is not None]
    found: dict[int, float] = {}
    played: dict[Case, Replayed] = {}
    for case in asked:
        load = _load_of(case)
        if load not in played:
            played[load] = _played(case, calibration)
        found[case.place] = _ratio(case, played[load])
    return found


def _load_of(case: Case) -> Case:
    """The case without what does not change its requests' way through the queue."""
    return replace(case, id="", metric=Metric.TTFT, value=None, place=0, told=None, assumed=(), noted=())


def _played(case: Case, calibration: Calibration) -> Replayed:
    replica = case.replica
    replicas = max(1.0, case.gpu_count / (replica.tensor_parallel * replica.pipeline_parallel))
    load = Load(
        input_tokens=min(case.input_tokens, _LONGEST),
        output_tokens=min(case.output_tokens, _LONGEST),
        concurrency=min(case.concurrency, case.requests) / replicas,
    )
    times = times_of([replica], [int(case.places)], calibration)[0]
    return virtual_replica.as_a_client_measures(
        _roomy(case, times), load, case.requests_per_second / replicas, case.requests / replicas
    )


def _roomy(case: Case, times: StepTimes) -> StepTimes:
    """With the memory that the replica has, for one request at least."""
    longest = min(case.input_tokens, _LONGEST) + min(case.output_tokens, _LONGEST)
    held = max(float(physics([case.replica]).kv_capacity_tokens[0]), math.ceil(times.kept(longest)) + 2.0)
    return replace(times, kv_capacity_tokens=int(held))


def _ratio(case: Case, played: Replayed) -> float:
    seconds = _seconds(case, played)
    mean = float(seconds.mean()) if seconds.size else 0.0
    assert case.percentile is not None
    return float(np.percentile(seconds, case.percentile)) / mean if mean else 1.0


def _seconds(case: Case, played: Replayed) -> NDArray[np.float64]:
    """Of each request; those of one token have nothing after it."""
    if case.metric is Metric.TTFT or not played.tpot.size:
        return played.ttft
    if case.metric is Metric.TPOT:
        return played.tpot
    found: NDArray[np.float64] = played.ttft + (case.output_tokens - 1.0) * played.tpot
    return found
