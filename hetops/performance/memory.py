"""Memory model of one replica: weights, reserves and what is left for the KV cache. Explicit, in bytes per GPU. Pure.

Sources: what engines take of a card by themselves (`generation.memory_share`); non-torch memory 0.15 GiB alone and 0.6 GiB with tensor parallelism (inference-sim `kv_capacity.go`). Quantized
checkpoints keep embeddings and output head in 16 bit. The tight case, 70 GB of FP8 weights on one 80 GB card, is known
to run with a short context, so activations are reckoned from their shapes rather than as a flat reserve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hetops.domain.configuration import Configuration
from hetops.domain.gpu import GpuType
from hetops.domain.model import Model, Precision, Selection
from hetops.domain.units import BYTES_PER_GB, BYTES_PER_GIB
from hetops.performance.generation import PASS_TOKENS, TENSORRT, Generation, generation, memory_share

_OF_THE_REST = 0.9
"""Share that TensorRT-LLM takes for KV of what weights and reserves leave (`KvCacheConfig.free_gpu_memory_fraction`)."""
_GGUF = (Precision.GGUF_Q4_K_M, Precision.GGUF_Q8_0)
_MXFP4_BYTES = 0.53125
Q8_0_BYTES = 1.0625
"""Of a value in llama.cpp's format of eight bits, 32 values of which share a scale."""
_ACTIVATION_COPIES = 8
"""Live 16-bit copies of the hidden state while a layer runs: residual, QKV, attention output, gate, up, down."""
_FORGOTTEN = {Generation.VLLM_NEW: 1.0, Generation.LLAMACPP: 1.0, Generation.SGLANG: 0.2}
"""Share of the KV beyond the window of windowed layers that an engine does not keep: vLLM (hybrid KV cache manager, 0.10 and
later) and llama.cpp all of it, SGLang a fifth (`--swa-full-tokens-ratio` 0.8 sizes both pools at its start). vLLM before, and
TensorRT-LLM where nobody sets `max_attention_window`, keep everything."""
_GRAPHS_BYTES = 0.5 * BYTES_PER_GIB
_CPU_RESERVE_BYTES = 0.2 * BYTES_PER_GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFit:
    """What a replica needs of each GPU, in GB; `reason` says why it does not fit, empty where it does."""

    weights_gb: float
    reserve_gb: float
    kv_gb: float
    usable_gb: float
    kv_capacity_tokens: int
    """Tokens that the whole replica's KV cache holds."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Bytes of a model's weights by who reads them."""

    looked_up: float
    """Embeddings, of which a token reads a row; none where they are the output head too."""
    passed: float
    """What every token passes."""
    experts: float

    @property
    def streamed(self) -> float:
        """What a step of many tokens reads."""
        return self.passed + self.experts


def weights(model: Model, precision: Precision, unquantized_bytes: float = 2.0) -> Weights:
    """A model's weights as checkpoints of that precision hold them. Quantized ones other than GGUF keep embeddings and head in
    16 bit, those of four bits the attention that the model says too; `unquantized_bytes` are those of such a value."""
    total, of_experts = model.parameters_b * 1e9, expert_parameters(model)
    each, table = _bytes_per_value(model, precision), float(model.vocabulary * model.hidden)
    wide = each if precision in _GGUF else max(each, unquantized_bytes)
    kept = table if model.tied_embeddings else 2.0 * table
    kept = min(kept + kept_in_16_bit(model, precision), total - of_experts)
    passed = (total - of_experts - kept) * each + kept * wide
    looked_up = 0.0 if model.tied_embeddings else min(table * wide, 0.8 * passed)
    return Weights(looked_up=looked_up, passed=passed - looked_up, experts=of_experts * each)


def weight_bytes(model: Model, precision: Precision) -> float:
    """Bytes of all weights."""
    found = weights(model, precision)
    return found.looked_up + found.streamed


def _bytes_per_value(model: Model, precision: Precision) -> float:
    """Those of MXFP4, 32 values of which share a scale, where the makers published it; those of NVFP4 where others made it."""
    return _MXFP4_BYTES if precision is model.native is Precision.FP4 else precision.bytes_per_value


def kept_in_16_bit(model: Model, precision: Precision) -> float:
    """Parameters of attention that checkpoints of that precision keep in 16 bit."""
    return model.attention_16bit_b * 1e9 if precision in (Precision.FP4, Precision.INT4) else 0.0


def expert_parameters(model: Model) -> float:
    """Parameters of all experts that not every token passes."""
    if not 0 < model.active_experts < model.experts:
        return 0.0
    chosen = model.active_experts / model.experts
    return min((model.parameters_b - model.active_parameters_b) / (1.0 - chosen), model.parameters_b) * 1e9


def forgotten_share(model: Model, engine: Generation) -> float:
    """Share of a sequence's KV that an engine does not keep beyond the window of windowed layers. Where the window is none, there
    is no KV that an engine could keep."""
    kept_no_more = _FORGOTTEN.get(engine, 0.0) if model.window_tokens else 1.0
    return model.windowed_layers / model.layers * kept_no_more


def kv_bytes(model: Model, kv: Precision) -> float:
    """Bytes of a token's KV, all layers, and of what an index keeps of it."""
    index = model.selection.index_bytes if model.selection else 0.0
    return model.kv_bytes_per_token_16bit * kv.bytes_per_value / 2.0 + index


class Layout(Protocol):
    """How GPUs share a model, as a configuration and a replica say it."""

    @property
    def tensor_parallel(self) -> int:
        """GPUs of a stage."""
        ...

    @property
    def attention_data_parallel(self) -> int:
        """Groups of these that attend to requests of their own."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """What is read and computed of the tokens within a window, or of those chosen, alone."""

    tokens: int
    of_kv: float
    """Share of a token's bytes that steps read so."""
    of_prompts: float
    """Share of what attention computes for a pair of a prompt's tokens."""

    def attended(self, context: float) -> float:
        """Tokens whose KV a step reads, by the mean of all bytes."""
        return context - self.of_kv * max(context - self.tokens, 0.0)


def within(model: Model, kv: Precision, layout: Layout) -> Within:
    """The windows of a model, or what its tokens choose; shares of 0 where they attend to all."""
    chosen = model.selection
    if chosen is None:
        share = model.windowed_layers / model.layers
        return Within(tokens=model.window_tokens, of_kv=share, of_prompts=share)
    everything = kv_bytes(model, kv)
    return Within(
        tokens=chosen.tokens,
        of_kv=chosen.kv_share * (everything - chosen.index_bytes) / everything,
        of_prompts=chosen.attention / (chosen.attention + _of_all_pairs(model, chosen, layout)),
    )


def attention(model: Model, layout: Layout) -> float:
    """Heads times head size that all ranks together compute for a pair of a prompt's tokens, of sparse attention with its index."""
    chosen = model.selection
    return (
        chosen.attention + _of_all_pairs(model, chosen, layout)
        if chosen
        else float(model.heads * model.head_size)
    )


def _of_all_pairs(model: Model, chosen: Selection, layout: Layout) -> float:
    """Over latent KV the index is no matter of heads that could be divided: every rank that attends to the same requests computes it
    (vLLM's and SGLang's indexers are `ReplicatedLinear`)."""
    together = layout.tensor_parallel // layout.attention_data_parallel
    return chosen.other_attention * (together if model.latent_kv else 1)


def kv_shards(model: Model, gpu: GpuType, layout: Layout) -> int:
    """Ranks, each on a device, that the KV cache is divided over. Fewer KV heads than ranks are held several times, and latent KV,
    which has no heads, by every rank that attends to the same requests; threads of a host share one."""
    if gpu.vendor == "cpu":
        return layout.tensor_parallel
    groups = layout.attention_data_parallel
    together = layout.tensor_parallel * gpu.devices // groups
    return groups * (1 if model.latent_kv else min(together, max(model.kv_heads, 1)))


def state_tokens(model: Model, kv: Precision, gpu: GpuType, layout: Layout) -> float:
    """A sequence's state of constant size, in tokens that all layers keep: all ranks that attend to it share it."""
    a_token = kv_bytes(model, kv) * layout.tensor_parallel * gpu.devices / kv_shards(model, gpu, layout)
    return model.state_bytes / a_token


def kv_bytes_per_token(model: Model, configuration: Configuration, gpu: GpuType) -> float:
    """Bytes that one token takes on each GPU of a stage."""
    all_layers = kv_bytes(model, configuration.kv) * (1.0 + draft_share(configuration))
    shards = kv_shards(model, gpu, configuration)
    return all_layers * gpu.devices / shards / configuration.pipeline_parallel


def draft_share(configuration: Configuration) -> float:
    """What a draft model takes beside the model, in weights and KV."""
    return configuration.speculation.draft_share if configuration.speculation else 0.0


def fit(configuration: Configuration, model: Model, gpu: GpuType) -> MemoryFit:
    """Whether and how a replica lies in memory: one sequence of the longest context must fit, of llama.cpp on a GPU as many as it has
    slots, for it takes their KV as it starts."""
    on_cpu = gpu.vendor == "cpu"
    # Threads share one copy of the weights and one KV cache in the host's memory.
    shards, copies = (1, configuration.gpu_count) if on_cpu else (configuration.gpu_count, 1)
    weights = _held_bytes(configuration, model) * (1.0 + draft_share(configuration)) / shards
    reserve = _CPU_RESERVE_BYTES if on_cpu else _reserve_bytes(configuration, model)
    usable = _usable_bytes(configuration.engine, gpu.memory_bytes, weights + reserve) * copies
    kv = usable - weights - reserve
    per_token = kv_bytes(model, Precision.BF16) if on_cpu else kv_bytes_per_token(model, configuration, gpu)
    capacity = int(max(kv, 0.0) / per_token)
    if on_cpu:  # llama.cpp takes memory for its slots only
        capacity = min(capacity, configuration.max_sequences * configuration.max_context_tokens)
    found = MemoryFit(
        weights_gb=weights / BYTES_PER_GB,
        reserve_gb=reserve / BYTES_PER_GB,
        kv_gb=max(kv, 0.0) / BYTES_PER_GB,
        usable_gb=usable / BYTES_PER_GB,
        kv_capacity_tokens=capacity,
    )
    beyond = max(configuration.max_context_tokens - model.window_tokens, 0)
    engine = generation(configuration.engine)
    forgotten = forgotten_share(model, engine) * beyond
    whole = (
        configuration.max_context_tokens
        - forgotten
        + state_tokens(model, configuration.kv, gpu, configuration)
    )
    if engine is Generation.LLAMACPP and not on_cpu:
        whole *= configuration.max_sequences
    return (
        found
        if capacity // configuration.attention_data_parallel >= whole
        else _refused(found, configuration, gpu)
    )


def _usable_bytes(engine: str, memory: float, taken: float) -> float:
    """What an engine takes of a GPU for weights, reserves, which take so much of it, and KV: most rules are of all memory."""
    if generation(engine) in TENSORRT:
        return memory - (1.0 - _OF_THE_REST) * max(memory - taken, 0.0)
    return memory * memory_share(engine)


def _held_bytes(configuration: Configuration, model: Model) -> float:
    """Bytes of weights in all GPUs of a replica: what every token passes lies in each group that attends to requests of its own."""
    found = weights(model, configuration.weights)
    return found.experts + (found.passed + found.looked_up) * configuration.attention_data_parallel


def _reserve_bytes(configuration: Configuration, model: Model) -> float:
    """Activations, logits, graphs and what the driver and NCCL keep, per GPU."""
    together = configuration.tensor_parallel // configuration.attention_data_parallel
    activations = PASS_TOKENS * model.hidden * 2.0 * _ACTIVATION_COPIES / together
    if model.experts:
        activations *= 1.5  # routed copies of the hidden state
    logits = configuration.max_sequences * model.vocabulary * 4.0 / configuration.tensor_parallel
    non_torch = (0.15 if configuration.tensor_parallel == 1 else 0.6) * BYTES_PER_GIB
    return activations + logits + non_torch + _GRAPHS_BYTES


def room_bytes(configuration: Configuration, model: Model, gpu: GpuType) -> float:
    """What one GPU has for weights and KV."""
    usable = gpu.memory_bytes * memory_share(configuration.engine)
    return usable - _reserve_bytes(configuration, model)


def _refused(found: MemoryFit, configuration: Configuration, gpu: GpuType) -> MemoryFit:
    lacking = found.usable_gb - found.weights_gb - found.reserve_gb
    room = f"{lacking:.1f} GB are left for KV" if lacking > 0 else f"{-lacking:.1f} GB are lacking"
    reason = (
        f"weights of {found.weights_gb:.1f} GB and {found.reserve_gb:.1f} GB of reserves per GPU in {found.usable_gb:.1f} GB"
        f" usable of {gpu.name}: {room}, {configuration.max_context_tokens:,} tokens of context do not fit"
    )
    return MemoryFit(
        weights_gb=found.weights_gb,
        reserve_gb=found.reserve_gb,
        kv_gb=found.kv_gb,
        usable_gb=found.usable_gb,
        kv_capacity_tokens=found.kv_capacity_tokens,
        reason=reason,
    )
