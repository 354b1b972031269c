"""Pipelines: which stage gets how many layers, and what the slowest stage makes of a replica's step times. Pure.

A pipeline of S stages gives a token to each of B sequences once every S times its slowest stage's time for B/S of them, so
the layers are split to make the slowest stage fastest, under each stage's memory. A stage's time grows by the layer; the last
one computes the output head besides, which has as many parameters as the embedding table. Handing layers out one by one, each
to the stage that is soonest done with it, is optimal: no stage is given a layer that another could take in less time.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hetops.domain.model import Model
from hetops.domain.performance import StepTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a stage takes: seconds a layer and besides, and the most layers that it has memory for."""

    seconds_per_layer: float
    fixed_seconds: float = 0.0
    most_layers: int

    def seconds(self, layers: int) -> float:
        """Of a stage with so many layers."""
        return self.fixed_seconds + self.seconds_per_layer * layers


def split(layers: int, stages: Sequence[Stage]) -> tuple[int, ...]:
    """Layers of each stage, at least one, so that the slowest stage is as fast as can be; of equals the first gets more.

    Raises:
        ValueError: fewer layers than stages, or more than the stages have memory for.
    """
    if layers < len(stages):
        raise ValueError(f"{layers} layers are fewer than {len(stages)} stages")
    room = sum(stage.most_layers for stage in stages)
    if room < layers or any(stage.most_layers < 1 for stage in stages):
        most = ", ".join(str(stage.most_layers) for stage in stages)
        raise ValueError(f"{layers} layers are more than the stages have memory for ({most})")
    given = [1] * len(stages)
    soonest = [(stage.seconds(2), i) for i, stage in enumerate(stages) if stage.most_layers > 1]
    heapq.heapify(soonest)
    for _ in range(layers - len(stages)):
        _, i = heapq.heappop(soonest)
        given[i] += 1
        if given[i] < stages[i].most_layers:
            heapq.heappush(soonest, (stages[i].seconds(given[i] + 1), i))
    return tuple(given)


def head_layers(model: Model) -> float:
    """The output head in layers: its parameters over those that a token passes in one."""
    table = float(model.vocabulary * model.hidden)
    active = model.active_parameters_b * 1e9
    return table * model.layers / max(active - 2.0 * table, active / 2.0)


def even(model: Model, stages: int) -> tuple[int, ...]:
    """The split over equal stages with memory enough."""
    head = head_layers(model)
    fixed = [0.0] * (stages - 1) + [head]
    return split(
        model.layers,
        [Stage(seconds_per_layer=1.0, fixed_seconds=f, most_layers=model.layers) for f in fixed],
    )


def slowest_over_mean(model: Model, layers: Sequence[int]) -> float:
    """By how much the slowest of equal stages is slower than their mean; 1 is perfect balance."""
    head = head_layers(model)
    slowest = max(*layers[:-1], layers[-1] + head) if len(layers) > 1 else layers[0] + head
    return len(layers) * slowest / (model.layers + head)


def at_the_pace_of_the_slowest(times: StepTimes, factor: float) -> StepTimes:
    """Step times of a replica whose slowest stage takes so many times the mean; what engines add is not split."""
    return replace(
        times,
        weights_seconds=times.weights_seconds * factor,
        compute_seconds_per_sequence=times.compute_seconds_per_sequence * factor,
        kv_seconds_per_token=times.kv_seconds_per_token * factor,
        prefill_seconds_per_token=times.prefill_seconds_per_token * factor,
        prefill_seconds_per_token_squared=times.prefill_seconds_per_token_squared * factor,
    )
