"""What runs where as an estimate asks, and what would fit where something does not. Wires catalogue and memory; decides neither."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hetops.catalog.tables import Catalog
from hetops.configurations.engines import ESTIMATED
from hetops.configurations.enumerate import attends, no_kernels, runs
from hetops.domain.configuration import Configuration
from hetops.domain.gpu import GpuType
from hetops.domain.model import Model, Precision
from hetops.performance.generation import Generation, generation
from hetops.performance.memory import fit

SIXTEEN_BIT = (Precision.BF16, Precision.FP16)
_GGUF = (Precision.GGUF_Q8_0, Precision.GGUF_Q4_K_M)
_LIGHTER = (Precision.FP8, Precision.INT8, Precision.INT4, Precision.FP4, *_GGUF)
_TENSOR = (1, 2, 4, 8)


def unstartable(engine: str, gpu: GpuType) -> str:
    """Why today's version does not start on a GPU; empty where it does, and where another version is told."""
    needs = ESTIMATED.get(engine.lower())
    return no_kernels(needs, gpu) if needs else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Whether weights of a precision run on a GPU type."""

    engine: str
    model: Model

    @property
    def of_gguf(self) -> bool:
        """llama.cpp has kernels for its own formats and for 16 bit, on GPUs of every vendor."""
        return generation(self.engine) is Generation.LLAMACPP

    def __call__(self, precision: Precision, gpu: GpuType) -> bool:
        if not attends(self.model, gpu) or unstartable(self.engine, gpu):
            return False
        if gpu.vendor == "cpu":  # llama.cpp runs every format on a host's cores
            return True
        if self.of_gguf:
            return precision in (*SIXTEEN_BIT, *_GGUF)
        return precision not in _GGUF and runs(precision, gpu, self.model.native)


def fitting(configuration: Configuration, model: Model, catalog: Catalog) -> Iterator[str]:
    """What else would fit, the nearest first: more GPUs, other weights, other GPU types; where nothing near does, both."""
    found = tuple(_near(configuration, model, catalog))
    yield from found or _far(configuration, model, catalog)


def _fits(other: Configuration, model: Model, gpu: GpuType) -> bool:
    return (gpu.mig is None or other.gpu_count == 1) and not fit(other, model, gpu).reason


def _over(configuration: Configuration, tensor: int) -> Configuration:
    """The same over so many GPUs; they attend together where the groups do not divide them."""
    groups = configuration.attention_data_parallel
    return replace(
        configuration, tensor_parallel=tensor, attention_data_parallel=1 if tensor % groups else groups
    )


def _near(configuration: Configuration, model: Model, catalog: Catalog) -> Iterator[str]:
    """What fits with one thing changed."""
    here, can_run = catalog.device(configuration.gpu), Runs(engine=configuration.engine, model=model)

    if configuration.attention_data_parallel > 1 and _fits(
        replace(configuration, attention_data_parallel=1), model, here
    ):
        yield f"{configuration.tensor_parallel} x {here.name} ({configuration.weights}) with attention over all of them"
    for tensor in (t for t in _TENSOR if t > configuration.tensor_parallel and model.heads % t == 0):
        other = _over(configuration, tensor)
        if _fits(other, model, here):
            yield f"{tensor} x {here.name} ({configuration.weights})"
            break
    lighter = [p for p in _LIGHTER if can_run(p, here)]
    for weights in (p for p in lighter if p.bytes_per_value < configuration.weights.bytes_per_value):
        if _fits(replace(configuration, weights=weights), model, here):
            yield f"{configuration.tensor_parallel} x {here.name} ({weights})"
            break
    for gpu in sorted(catalog.gpu_types, key=lambda g: (g.memory_gb, g.name)):
        if (
            gpu.vendor == here.vendor
            and gpu.memory_gb > here.memory_gb
            and can_run(configuration.weights, gpu)
        ):
            other = replace(configuration, gpu=gpu.name)
            if _fits(other, model, gpu):
                yield f"{configuration.tensor_parallel} x {gpu.name} ({configuration.weights})"


def _far(configuration: Configuration, model: Model, catalog: Catalog) -> Iterator[str]:
    """So many GPUs of any type of the same vendor, those with the least memory in all first, with such weights."""
    vendor, can_run = (
        catalog.device(configuration.gpu).vendor,
        Runs(engine=configuration.engine, model=model),
    )
    nodes = [
        (tensor * gpu.memory_gb, gpu.name, tensor, gpu)
        for gpu in catalog.gpu_types
        for tensor in _TENSOR
        if gpu.vendor == vendor and model.heads % tensor == 0 and can_run(configuration.weights, gpu)
    ]
    for _, name, tensor, gpu in sorted(nodes, key=lambda node: node[:3]):
        if _fits(replace(_over(configuration, tensor), gpu=name), model, gpu):
            yield f"{tensor} x {name} ({configuration.weights})"
