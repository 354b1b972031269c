"""Use case: what one configuration does under one load, and why. Wires catalogue and closed form; decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

from hetops.catalog import tables
from hetops.domain.configuration import Configuration
from hetops.domain.model import Precision
from hetops.errors import HetopsError
from hetops.performance.breakdown import Breakdown, Load, explain
from hetops.performance.estimate import calibration, replica_of
from hetops.performance.memory import MemoryFit, fit
from hetops.plugin import manager


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A configuration as the user names its parts."""

    model: str
    gpu: str
    engine: str
    tensor_parallel: int
    pipeline_parallel: int
    weights: Precision
    kv: Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated:
    """A configuration under a load, and how it lies in memory."""

    breakdown: Breakdown
    memory: MemoryFit


def estimate(subject: Subject, load: Load) -> Estimated:
    """The estimate, explained.

    Raises:
        UnknownNameError: no such GPU type or model, with the nearest.
        HetopsError: it does not fit into memory, or the model cannot be split so.
    """
    plugins = manager.load()
    catalog = tables.load(plugins.gpu_types, plugins.models, plugins.checkpoints)
    model, gpu = catalog.model(subject.model), catalog.gpu(subject.gpu)
    if model.heads % subject.tensor_parallel:
        raise HetopsError(
            f"{model.name} has {model.heads} heads, which {subject.tensor_parallel} GPUs cannot share",
            hint="set --tp to a divisor of the heads: 1, 2, 4 or 8",
        )
    if model.layers < subject.pipeline_parallel:
        raise HetopsError(
            f"{model.name} has {model.layers} layers, fewer than {subject.pipeline_parallel} stages"
        )
    longest = int(load.input_tokens + load.output_tokens)
    if longest > model.context_tokens:
        raise HetopsError(
            f"requests of {longest:,} tokens exceed the {model.context_tokens:,} that {model.name} takes",
            hint="ask with a smaller --input or --output",
        )
    configuration = Configuration(
        model=model.name,
        engine=subject.engine,
        gpu=gpu.name,
        tensor_parallel=subject.tensor_parallel,
        pipeline_parallel=subject.pipeline_parallel,
        weights=subject.weights,
        kv=subject.kv,
        checkpoint="",
        max_sequences=max(1, int(load.concurrency)),
        max_context_tokens=longest,
    )
    memory = fit(configuration, model, gpu)
    if memory.reason:
        raise HetopsError(
            f"it does not fit: {memory.reason}", hint="more GPUs (--tp), another --precision, a larger GPU"
        )
    replica = replica_of(configuration, model, gpu)
    return Estimated(breakdown=explain(configuration.id, replica, load, calibration()), memory=memory)
