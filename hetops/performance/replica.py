"""A replica as far as speed goes: one copy of a model on GPUs, and what its kernels are. Pure; reckons nothing."""

from __future__ import annotations

from dataclasses import dataclass

from hetops.domain.gpu import GpuType
from hetops.domain.model import Model, Precision
from hetops.performance.generation import Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One copy of a model on GPUs, as far as speed goes."""

    gpu: GpuType
    model: Model
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    attention_data_parallel: int = 1
    """Groups of a stage's GPUs that each attend to requests of their own, as `Configuration` has them."""
    weights: Precision
    kv: Precision = Precision.BF16
    generation: Generation = Generation.VLLM_NEW
    memory_share: float = 0.9
    """What the engine takes of a GPU's memory for weights, activations and KV together."""
    kv_capacity_tokens: float | None = None
    """Tokens that its KV cache holds; None where that is what its GPUs' memory leaves."""


def family(gpu: GpuType) -> str:
    """The GPU's family: `Blackwell Ultra` is Blackwell."""
    return gpu.architecture.partition(" ")[0]


def tuned(replica: Replica) -> bool:
    """Whether a replica's kernels are tuned as today's are, which on AMD makes the difference: those of all engines but the vLLM of
    2024 and what had its kernels, and those of FP8, which only AMD's own builds had then."""
    of_2024 = (Generation.VLLM_OLD, Generation.VLLM_MID, Generation.TGI)
    return replica.generation not in of_2024 or replica.weights is Precision.FP8


def peak_tflops(gpu: GpuType, weights: Precision) -> float:
    """Dense peak, in tera-operations a second, of the format that the kernels compute in; weight-only formats use 16 bit."""
    native = {Precision.FP8: gpu.fp8_tflops, Precision.INT8: gpu.int8_tops, Precision.FP4: gpu.fp4_tflops}
    return native.get(weights) or gpu.bf16_tflops or gpu.fp16_tflops


def computes_in(r: Replica) -> Precision:
    """The format that weights are multiplied in: 16 bit where the GPU lacks theirs, or only their storage has four bits, as in
    llama.cpp's kernels. Weights that their makers published in FP4 (MXFP4 of gpt-oss) meet activations of eight bits on GPUs with FP4."""
    gpu = r.gpu
    if r.generation is Generation.LLAMACPP:
        return Precision.BF16
    if r.weights is Precision.FP4 and gpu.fp4_tflops:
        return Precision.FP8 if r.model.native is Precision.FP4 else Precision.FP4
    native = {Precision.FP8: gpu.fp8_tflops, Precision.INT8: gpu.int8_tops}
    return r.weights if native.get(r.weights) else Precision.BF16
