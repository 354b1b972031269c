"""Pipelines over several nodes, of like or unlike GPUs: all that are worth estimating, within one network. Pure.

Of one or two GPU types of one vendor, in two or three stages; the stages of a type are alike, and the fastest come first. More
types and stages make many times as many pipelines.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from hetops.configurations.enumerate import Enumeration, Rules, Space, Why, enumerate_configurations
from hetops.domain.configuration import Configuration, StageGpus
from hetops.domain.gpu import GpuType
from hetops.domain.plan import Refusal

MOST_GPUS = 16
"""Of one replica: two nodes of eight."""
_STAGES = (2, 3)

Nodes = Mapping[str, int]
"""By GPU type, the most GPUs that a node has."""


def over_nodes(
    space: Space, rules: Rules, places: Iterable[Nodes], holds: Callable[[Configuration], bool]
) -> Enumeration:
    """Every pipeline over GPU types that nodes of one place have enough of for each stage, and whose memory holds the model.

    `places` are what each network has on offer.
    """
    kinds: dict[Configuration, list[Configuration]] = defaultdict(list)
    for one in _alone(space, rules):
        kinds[replace(one, gpu="", tensor_parallel=1)].append(one)
    networks = tuple(places)
    found = [
        pipeline
        for alike in kinds.values()
        for stages in _stages(space, alike)
        if any(all(_has(nodes, stage) for stage in stages) for nodes in networks)
        for pipeline in _pipelines(stages)
    ]
    kept = tuple(one for one in found if holds(one))
    left_out = len(found) - len(kept)
    refusal = Refusal(subject="pipelines over nodes", reason=Why.MEMORY, count=left_out)
    return Enumeration(configurations=kept, refusals=(refusal,) if left_out else ())


def _alone(space: Space, rules: Rules) -> Sequence[Configuration]:
    """The model on the GPUs of every stage there can be, whether they have memory for it or not; tokens come one a step,
    and everything is divided over all of its GPUs."""
    engines = {n: e for n, e in space.engines.items() if max(e.pipeline_parallel) >= max(_STAGES)}
    single = {name: replace(needs, pipeline_parallel=(1,)) for name, needs in engines.items()}
    whole = {name: most for name, most in space.largest_node.items() if space.gpus[name].mig is None}
    every = replace(space, engines=single, largest_node=whole)
    found = enumerate_configurations(every, replace(rules, speculation=None), _somehow).configurations
    return tuple(one for one in found if one.attention_data_parallel == 1)


def _somehow(_configuration: Configuration, _gpu: GpuType) -> str:
    """Of the memory all stages are asked, not one."""
    return ""


def _stages(space: Space, alike: Sequence[Configuration]) -> Iterator[tuple[Configuration, ...]]:
    """Stages on one type, or on two of one vendor with the faster first."""

    def speed(one: Configuration) -> tuple[float, str]:
        return -space.gpus[one.gpu].bandwidth_gb_per_second * one.tensor_parallel, one.gpu

    yield from ((one,) for one in alike)
    for pair in itertools.combinations(sorted(alike, key=speed), 2):
        vendors = {space.gpus[one.gpu].vendor for one in pair}
        if pair[0].gpu != pair[1].gpu and len(vendors) == 1:
            yield pair


def _has(nodes: Nodes, stage: Configuration) -> bool:
    return nodes.get(stage.gpu, 0) >= stage.tensor_parallel


def _pipelines(stages: tuple[Configuration, ...]) -> Iterator[Configuration]:
    gpus = [StageGpus(gpu=one.gpu, tensor_parallel=one.tensor_parallel) for one in stages]
    for most in _STAGES:
        for each in itertools.combinations_with_replacement(gpus, most):
            if len(set(each)) == len(gpus) and sum(stage.tensor_parallel for stage in each) <= MOST_GPUS:
                yield replace(stages[0], pipeline_parallel=most, stages=each)
