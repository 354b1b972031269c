"""Physics: what the formulas need of replicas, as arrays of one length. Pure; holds no coefficient.

One place turns a GPU type, a model and a layout into numbers, for planning, for scoring cases and for fitting alike.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from hetops.domain.gpu import GpuType
from hetops.domain.model import Precision
from hetops.performance.generation import Generation
from hetops.performance.memory import (
    Q8_0_BYTES,
    attention,
    expert_parameters,
    forgotten_share,
    kept_in_16_bit,
    kv_bytes,
    kv_shards,
    state_tokens,
    weights,
    within,
)
from hetops.performance.replica import Replica, computes_in, family, peak_tflops, tuned

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Names = NDArray[np.str_]

WATT_PER_TFLOP = {
    "Volta": 2.4,
    "Turing": 2.0,
    "Ampere": 1.28,
    "Ada": 0.97,
    "Hopper": 0.708,
    "Blackwell": 0.444,
    "CDNA2": 1.55,
    "CDNA3": 0.574,
    "CDNA4": 0.556,
}
"""Board power over dense 16-bit peak of each family's best-supplied part, from the vendors' datasheets: V100 SXM2 300/125,
Quadro RTX 8000 260/130, A100 SXM 400/312, L40S 350/362, H100 SXM 700/989, B200 1000/2250, MI250 560/362, MI300X 750/1307,
MI355X 1400/2516. A part with less power for its peak (PCIe and NVL boards, L4, T4) cannot hold that peak."""

_TIMES_16_BIT = {Precision.FP8: 2.0, Precision.INT8: 2.0, Precision.FP4: 4.0}
"""How many times as fast as 16 bit matrix units multiply a format."""

_FREE_SHARE = 0.92
"""TensorRT-LLM's `kv_cache_free_gpu_mem_fraction`, 0.9 unless told, 0.95 in its makers' tables: of what the weights leave.
On 70 GB of weights in 80 GB that is five times what the other rule leaves."""
_RESERVE_BYTES = 1.5e9
"""Of each GPU: activations of a pass, the CUDA context, and what NCCL keeps."""
_VLLM_MID_SEQUENCE_SHARE = 0.2
"""Of what a sequence cost the older vLLM. 0.6 has 2.7 times the throughput of 0.5.3, whose GPU was at work 38 % of the time (Llama 3 8B on
an H100, vLLM's blog of 5 September 2024): several steps a schedule leave nearly nothing of that cost, and without them a fifth is assumed."""
_TILE_ROWS = 16.0
"""The fewest rows of a product on NVIDIA's and AMD's matrix units in Triton, to which vLLM's and SGLang's `fused_moe` pads an expert's
tokens where they are few. llama.cpp multiplies few rows one by one."""
_LATENT = 512.0 + 64.0 + 512.0
"""Values of latent KV that a head multiplies for a token of context: those kept, their positions, and those kept again (DeepSeek V2,
arXiv 2405.04434, and all that have it since)."""
_POPULARITY = 1.36
"""Standard deviation of how many tokens choose an expert, over its mean: over 32 devices of 8 of DeepSeek-R1's experts each those of a
device had 0.48 (TensorRT-LLM, `examples/wide_ep/ep_load_balancer/README.md`, mean of 58 layers), without its load balancer."""
_NODE_GPUS = 8
_RACK_GPUS = 72
_BRIDGE = re.compile(r"bridge(?: of (\d+))?")
_ADAPTER_GB_PER_SECOND = 100.0
"""Both directions of the 400 Gbit/s adapter that each GPU of a node has: what is left of a tensor group over several nodes."""
_SLOT_GB_PER_SECOND = 128.0
"""The same of a PCIe 5.0 slot: what is left over more cards than a bridge joins."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Physics:
    """Replicas as columns. Bytes, bytes/s, operations/s, counts, of a device each; peaks are the vendors' dense ones."""

    bandwidth: Floats
    flops: Floats
    """Of the format that the matrix kernels run in; of several the mean over the parameters that a token passes."""
    flops_16: Floats
    power: Floats
    """Board power over what the family's best-supplied part would have for this peak; at most 1."""
    spare: Floats
    """What the matrix units would do in the format that they multiply in, over the peak that the vendor lets them have; at least 1."""
    memory: Floats
    link: Floats
    fast_link: Bools
    through_host: Bools
    """GPUs of a node exchange through the host's memory, which they share."""
    amd: Bools
    tuned: Bools
    """Kernels as good as today's; see `tuned`."""
    host: Bools
    """Cores of a host: threads share one memory."""
    stacked_memory: Bools
    """HBM."""
    graphics_memory: Bools
    """GDDR."""
    family: Names
    generation: Names
    """Whose coefficients the engine has."""
    sequence_share: Floats
    """Of what these have a sequence cost in a step."""
    tensor: Floats
    """Devices that a stage is divided over."""
    stages: Floats
    groups: Floats
    """Of these devices, that each attend to requests of their own: attention in data parallel. Each holds all that every token
    passes, and the experts lie whole on one device each; 1 divides all of it over all devices."""
    active: Floats
    """Parameters that a token passes as it comes out: all but the embeddings, which are looked up."""
    prompted: Floats
    """Parameters that a token of a prompt passes: none but the last needs the output head."""
    layers: Floats
    hidden: Floats
    attention: Floats
    """Heads times head size, of sparse attention with its index."""
    weight_bytes: Floats
    """All weights that a pass streams, read once."""
    stored_bytes: Floats
    """All weights as they lie in memory, the table of embeddings among them."""
    shared: Floats
    """Share of the weights that every token passes."""
    expert_share: Floats
    """Chance that a token passes a given expert; 1 for dense models."""
    chosen_experts: Floats
    """That a token passes in a layer; 0 for dense models."""
    expert_parameters: Floats
    """Of all experts that not every token passes."""
    fullest: Floats
    """What the device whose experts most tokens choose has of them, over the mean; 1 where all devices share each expert."""
    expert_rows: Floats
    """Rows that kernels compute at least for an expert that has a token."""
    kv_bytes: Floats
    """Of one token, all layers, an index's among them."""
    kv_reads: Floats
    """How many times a step reads them."""
    kv_operations: Floats
    """What a step computes for a token of context, all layers: of latent KV, which all heads share; elsewhere reading takes longer."""
    kv_flops: Floats
    """Peak of the format that does so."""
    window_share: Floats
    """Share of the KV that is read of the newest tokens, or of those chosen, alone."""
    prompt_window_share: Floats
    """Share of a prompt's attention that is computed so."""
    window_tokens: Floats
    """How many these are."""
    forgotten_share: Floats
    """Share of the KV that the engine does not keep beyond them."""
    state_bytes: Floats
    """Of one sequence, all layers: what is read and written again in every step."""
    state_tokens: Floats
    """The same in tokens that all layers keep."""
    kv_shards: Floats
    """Ranks that the KV cache is divided over."""
    memory_share: Floats
    """What the engine takes of all memory, before the weights; of TensorRT-LLM another rule holds."""
    told_capacity: Floats
    """Tokens that the KV cache is told to hold; not a number where memory says it."""
    fp8: Bools
    fp4: Bools
    weight_only_4bit: Bools
    mixture: Bools

    def __len__(self) -> int:
        return len(self.bandwidth)

    def rows(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Physics:
        """Some of the replicas."""
        return Physics(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    def kept(self, tokens: Floats) -> Floats:
        """Of the KV of a sequence of so many tokens, what its engine keeps, in tokens of all layers."""
        beyond = np.maximum(tokens - self.window_tokens, 0.0)
        found: Floats = self.state_tokens + tokens - self.forgotten_share * beyond
        return found

    @property
    def kv_capacity_tokens(self) -> Floats:
        """Tokens, kept by all layers, that the KV cache of a replica holds; may be below zero."""
        gpus = self.tensor * self.stages
        free = gpus * (self.memory - _RESERVE_BYTES) - self.stored_bytes
        of_all = free - gpus * self.memory * (1.0 - self.memory_share)
        left = np.where(np.strings.startswith(self.generation, "trtllm"), _FREE_SHARE * free, of_all)
        held_once = self.kv_bytes * self.tensor / self.kv_shards
        capacity: Floats = np.where(np.isnan(self.told_capacity), left / held_once, self.told_capacity)
        return capacity


def physics(replicas: Sequence[Replica]) -> Physics:
    """Replicas as arrays, in their order."""
    columns = [_column(r) for r in replicas]
    return Physics(**{f.name: np.array([c[f.name] for c in columns]) for f in fields(Physics)})


def _column(r: Replica) -> dict[str, object]:
    gpu, model, host, devices = r.gpu, r.model, r.gpu.vendor == "cpu", r.gpu.devices
    peak_16 = (gpu.bf16_tflops or gpu.fp16_tflops) * 1e12
    apart = r.tensor_parallel > _joined_gpus(gpu)
    stored, multiplied = weights(model, r.weights, _unquantized_bytes(r)), computes_in(r)
    near, active = within(model, r.kv, r), model.active_parameters_b * 1e9
    table = min(float(model.vocabulary * model.hidden), 0.4 * active)
    return {
        "bandwidth": gpu.bandwidth_gb_per_second * 1e9 / devices,
        "flops": _flops(r, multiplied, peak_16) / devices,
        "flops_16": peak_16 / devices,
        "power": _power(gpu),
        "spare": _spare(gpu, multiplied),
        "memory": gpu.memory_bytes / devices,
        "link": (_beyond(r) if apart else gpu.interconnect_gb_per_second) * 1e9,
        "fast_link": gpu.nvlink and not apart,
        "through_host": not gpu.peer_to_peer,
        "amd": gpu.vendor == "amd",
        "tuned": tuned(r),
        "host": host,
        "stacked_memory": gpu.memory_type.startswith("HBM"),
        "graphics_memory": gpu.memory_type.startswith("GDDR"),
        "family": family(gpu),
        "generation": r.generation.coefficients,
        "sequence_share": _VLLM_MID_SEQUENCE_SHARE if r.generation is Generation.VLLM_MID else 1.0,
        "tensor": float(r.tensor_parallel * devices),
        "stages": float(r.pipeline_parallel),
        "groups": float(r.attention_data_parallel),
        "active": active - (0.0 if model.tied_embeddings else table),
        "prompted": active - (table if model.tied_embeddings else 2.0 * table),
        "layers": float(model.layers),
        "hidden": float(model.hidden),
        "attention": attention(model, r),
        "weight_bytes": stored.streamed,
        "stored_bytes": stored.experts + (stored.passed + stored.looked_up) * r.attention_data_parallel,
        "shared": stored.passed / stored.streamed,
        "expert_share": model.active_experts / model.experts if model.experts else 1.0,
        "chosen_experts": float(model.active_experts if model.experts else 0),
        "expert_parameters": expert_parameters(model),
        "fullest": _fullest(r),
        "expert_rows": 1.0 if host or r.generation is Generation.LLAMACPP else _TILE_ROWS,
        "kv_bytes": kv_bytes(model, r.kv),
        "kv_reads": _kv_reads(r),
        "kv_operations": 2.0 * model.layers * model.heads * _LATENT if model.latent_kv else 0.0,
        "kv_flops": (_kv_tflops(r) or peak_16 / 1e12) * 1e12 / devices,
        "window_share": near.of_kv,
        "prompt_window_share": near.of_prompts,
        "window_tokens": float(near.tokens),
        "forgotten_share": forgotten_share(model, r.generation),
        "state_bytes": model.state_bytes,
        "state_tokens": state_tokens(model, r.kv, gpu, r),
        "kv_shards": float(kv_shards(model, gpu, r)),
        "memory_share": r.memory_share,
        "told_capacity": np.nan if r.kv_capacity_tokens is None else r.kv_capacity_tokens,
        "fp8": multiplied is Precision.FP8,
        "fp4": multiplied is Precision.FP4,
        "weight_only_4bit": r.weights.bytes_per_value < 0.7 and multiplied is Precision.BF16,
        "mixture": model.experts > 0,
    }


def _unquantized_bytes(r: Replica) -> float:
    """llama.cpp's files of MXFP4 keep in eight bits what other engines' checkpoints keep in 16: gpt-oss's are 12.1 and 63.4 GB large."""
    return Q8_0_BYTES if r.generation is Generation.LLAMACPP else 2.0


def _kv_reads(r: Replica) -> float:
    """Paged attention as vLLM had it for AMD before 0.6.2 has a block of threads for each query head, and reads the KV that query heads
    share once for each of them (`csrc/attention/attention_kernels.cuh`); NVIDIA's ran FlashAttention, which reads it once, and so does
    AMD's own since (`csrc/rocm/attention.cu`)."""
    model = r.model
    old = r.gpu.vendor == "amd" and not tuned(r) and r.generation is not Generation.VLLM_MID
    return model.heads / max(model.kv_heads, 1) if old and not model.latent_kv else 1.0


def _fullest(r: Replica) -> float:
    """The largest of so many normal deviates (Blom 1958, by Tukey's lambda of 0.14), each the mean of a device's experts."""
    devices = r.tensor_parallel * r.gpu.devices
    if r.attention_data_parallel == 1 or not r.model.experts:
        return 1.0
    below = (devices - 0.375) / (devices + 0.25)
    largest: float = 4.91 * (below**0.14 - (1.0 - below) ** 0.14)
    return 1.0 + _POPULARITY * math.sqrt(devices / r.model.experts) * largest


def _kv_tflops(r: Replica) -> float | None:
    """FP8 latent KV is multiplied as it is on Blackwell (trtllm-gen, FlashInfer), unpacked to 16 bit on Hopper (FlashMLA): None."""
    return r.gpu.fp8_tflops if r.kv is Precision.FP8 and family(r.gpu) == "Blackwell" else None


def _joined_gpus(gpu: GpuType) -> int:
    """GPUs that talk over their own links: those of one node, of a GB200's or GB300's rack, of a bridge; a GH200 has a node alone."""
    if gpu.form_factor == "Superchip":
        return _RACK_GPUS if family(gpu) == "Blackwell" else 1
    bridge = _BRIDGE.search(gpu.interconnect)
    return int(bridge.group(1) or 2) if bridge else _NODE_GPUS


def _beyond(r: Replica) -> float:
    """GB a second of a tensor group's GPUs where their own links do not join all of them."""
    bridged = _BRIDGE.search(r.gpu.interconnect) and r.tensor_parallel <= _NODE_GPUS
    return min(_SLOT_GB_PER_SECOND if bridged else _ADAPTER_GB_PER_SECOND, r.gpu.interconnect_gb_per_second)


def _flops(r: Replica, multiplied: Precision, peak_16: float) -> float:
    """Mean peak over the parameters that a token passes, some of which may be kept in 16 bit."""
    active = r.model.active_parameters_b * 1e9
    kept = min(kept_in_16_bit(r.model, r.weights), active)
    return active / (kept / peak_16 + (active - kept) / (peak_tflops(r.gpu, multiplied) * 1e12))


def _spare(gpu: GpuType, multiplied: Precision) -> float:
    """A GeForce sums products of 16 bit in 32 at half of what its units do, but multiplies integers at all of it."""
    if gpu.units_tflops is None:
        return 1.0
    return max(1.0, gpu.units_tflops * _TIMES_16_BIT.get(multiplied, 1.0) / peak_tflops(gpu, multiplied))


def _power(gpu: GpuType) -> float:
    reference = WATT_PER_TFLOP.get(family(gpu))
    if gpu.board_watts is None or reference is None:
        return 1.0
    return min(1.0, gpu.board_watts / (gpu.bf16_tflops or gpu.fp16_tflops) / reference)
