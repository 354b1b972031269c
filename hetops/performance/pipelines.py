"""Pipelines whose stages are of different GPU types, within one network: the split of the layers and the step times. Pure.

Each stage is a share of the replica that the whole model would be on its GPUs. Between stages a hidden state of 2 bytes a value
goes over the link for every token.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hetops.domain.configuration import Configuration, StageGpus
from hetops.domain.gpu import GpuType
from hetops.domain.model import Model
from hetops.domain.performance import StepTimes
from hetops.domain.units import BYTES_PER_GB
from hetops.performance import estimate
from hetops.performance.memory import draft_share, kv_bytes_per_token, room_bytes, weight_bytes
from hetops.performance.speculation import speculative
from hetops.performance.stages import Stage, head_layers, split

_HIDDEN_BYTES = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What lies between stages."""

    gb_per_second: float
    """In one direction."""
    latency_seconds: float = 20e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class StageShare:
    """What a stage carries: its layers, its time for a micro-batch, and its memory."""

    gpus: StageGpus
    layers: int
    seconds: float
    kv_capacity_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A replica over stages, and its step times."""

    stages: tuple[StageShare, ...]
    times: StepTimes


def holds(configuration: Configuration, model: Model, gpus: Mapping[str, GpuType]) -> bool:
    """Whether the stages have memory for all layers together, with the KV of one request of the longest context, and each for
    one at least."""
    each = [_alone(configuration, stage) for stage in configuration.each_stage]
    rooms = [_layers_held(one, model, gpus[one.gpu]) for one in each]
    return min(rooms) >= 1 and sum(rooms) >= model.layers >= len(rooms)


def step_times(
    configurations: Sequence[Configuration], network: Network, model: Model, gpus: Mapping[str, GpuType]
) -> tuple[StepTimes, ...]:
    """Step times of one replica of each configuration, which has stages; errors as `pipeline`."""
    each = [[_alone(one, stage) for stage in one.each_stage] for one in configurations]
    distinct = tuple(dict.fromkeys(itertools.chain.from_iterable(each)))
    times = dict(zip(distinct, estimate.plain_step_times(distinct, model, gpus), strict=True))
    laid = (
        _Laid(base=one, whole=tuple(whole), times=tuple(times[w] for w in whole), model=model, gpus=gpus)
        for one, whole in zip(configurations, each, strict=True)
    )
    return tuple(_over(one, network).times for one in laid)


def pipeline(
    base: Configuration,
    stages: Sequence[StageGpus],
    network: Network,
    model: Model,
    gpus: Mapping[str, GpuType],
) -> Pipeline:
    """The pipeline that is fastest with the base's sequences in flight, at its context. Of the base, only what is not said
    of the stages counts.

    Raises:
        ValueError: the stages have too little memory, or there are more of them than layers.
    """
    whole = tuple(_alone(base, one) for one in stages)
    times = estimate.plain_step_times(whole, model, gpus)
    return _over(_Laid(base=base, whole=whole, times=times, model=model, gpus=gpus), network)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Laid:
    """A replica over stages: the whole model on the GPUs of each, and what it would take there."""

    base: Configuration
    whole: tuple[Configuration, ...]
    times: tuple[StepTimes, ...]
    model: Model
    gpus: Mapping[str, GpuType]


def _over(laid: _Laid, network: Network) -> Pipeline:
    base, whole, times, model, gpus = laid.base, laid.whole, laid.times, laid.model, laid.gpus
    stages = tuple(StageGpus(gpu=one.gpu, tensor_parallel=one.tensor_parallel) for one in whole)
    batch = max(1.0, base.max_sequences / len(stages))
    seconds = [t.decode_seconds(batch, base.max_context_tokens) / model.layers for t in times]
    head = head_layers(model)
    rooms = [_layers_held(c, model, gpus[c.gpu]) for c in whole]
    last = len(stages) - 1
    parts = [
        Stage(seconds_per_layer=s, fixed_seconds=head * s * (i == last), most_layers=min(room, model.layers))
        for i, (s, room) in enumerate(zip(seconds, rooms, strict=True))
    ]
    layers = split(model.layers, parts)
    shares = tuple(
        StageShare(
            gpus=one,
            layers=n,
            seconds=part.seconds(n),
            kv_capacity_tokens=_tokens_held(c, n, model, gpus[c.gpu]),
        )
        for one, n, part, c in zip(stages, layers, parts, whole, strict=True)
    )
    carried = [(n + head * (i == last)) / (model.layers + head) for i, n in enumerate(layers)]
    decoding = max(range(len(stages)), key=lambda i: shares[i].seconds)
    prompt = base.max_context_tokens
    filling = max(range(len(stages)), key=lambda i: times[i].prefill_seconds(prompt) * carried[i])
    paced = _decoding(times[decoding], carried[decoding], len(stages))
    paced = _filling(paced, times[filling], carried[filling], len(stages))
    held = min(share.kv_capacity_tokens for share in shares)
    linked = replace(_linked(paced, network, model), kv_capacity_tokens=held)
    drafted = speculative(linked, base.speculation) if base.speculation else linked
    return Pipeline(stages=shares, times=drafted)


def _alone(base: Configuration, stage: StageGpus) -> Configuration:
    """The whole model on one stage's GPUs, whether they have memory for it or not."""
    return replace(base, gpu=stage.gpu, tensor_parallel=stage.tensor_parallel, pipeline_parallel=1, stages=())


def _layers_held(whole: Configuration, model: Model, gpu: GpuType) -> int:
    """Layers that a stage's GPUs hold with the KV of one request of the longest context."""
    weights = _weights(whole, model) / model.layers
    kv = kv_bytes_per_token(model, whole, gpu) / model.layers * whole.max_context_tokens
    return max(0, int(room_bytes(whole, model, gpu) / (weights + kv)))


def _weights(whole: Configuration, model: Model) -> float:
    """Bytes of all weights, and of a draft's, on each GPU that would hold all layers of its part."""
    return weight_bytes(model, whole.weights) * (1.0 + draft_share(whole)) / whole.tensor_parallel


def _tokens_held(whole: Configuration, layers: int, model: Model, gpu: GpuType) -> int:
    """Tokens whose KV of so many layers a stage holds beside their weights."""
    share = layers / model.layers
    weights = _weights(whole, model) * share
    return int((room_bytes(whole, model, gpu) - weights) / (kv_bytes_per_token(model, whole, gpu) * share))


def _decoding(stage: StepTimes, carried: float, count: int) -> StepTimes:
    """Steps at the pace of the stage that is slowest at them and carries this share of the model: a micro-batch for each stage
    passes it."""
    return replace(
        stage,
        weights_seconds=stage.weights_seconds * carried * count,
        compute_seconds_per_sequence=stage.compute_seconds_per_sequence * carried,
        kv_seconds_per_token=stage.kv_seconds_per_token * carried,
        overhead_seconds=stage.overhead_seconds * carried * count,
        overhead_seconds_per_sequence=stage.overhead_seconds_per_sequence * carried,
        pipeline_stages=count,
    )


def _filling(times: StepTimes, stage: StepTimes, carried: float, count: int) -> StepTimes:
    """Prompts at the pace of the stage that is slowest at those, which need not be the one that is at steps."""
    return replace(
        times,
        prefill_seconds_per_token=stage.prefill_seconds_per_token * carried * count,
        prefill_seconds_per_token_squared=stage.prefill_seconds_per_token_squared * carried * count,
    )


def _linked(times: StepTimes, network: Network, model: Model) -> StepTimes:
    """With what goes over the network between the stages."""
    hops = times.pipeline_stages - 1
    per_token = model.hidden * _HIDDEN_BYTES / (network.gb_per_second * BYTES_PER_GB)
    per_sequence = hops / times.pipeline_stages * per_token
    return replace(
        times,
        overhead_seconds=times.overhead_seconds + hops * network.latency_seconds,
        overhead_seconds_per_sequence=times.overhead_seconds_per_sequence + per_sequence,
        prefill_seconds_per_token=times.prefill_seconds_per_token + hops * per_token,
    )
