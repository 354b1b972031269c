"""Edge: a model's shape out of its `config.json`, as Hugging Face has them: dense, mixtures of experts, latent attention.

Parameters are counted from the shape: embeddings and head, attention, gated MLPs, experts with their router. Norms and biases
are left out: they are a thousandth. Of a model of several kinds the text part counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hetops.catalog import hub_compressed as compressed
from hetops.catalog.hub_hybrid import blocks, parameters, state_bytes, without_kv
from hetops.catalog.hub_shape import Shape
from hetops.catalog.hub_sparse import parameters as index_parameters
from hetops.catalog.hub_sparse import selection
from hetops.domain.model import Checkpoint, Model, Precision
from hetops.errors import HetopsError

_EXPERTS = ("num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts")
_ACTIVE = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "top_k_experts")
_SHARED = (
    "shared_expert_intermediate_size",
    "moe_shared_expert_intermediate_size",
    "shared_intermediate_size",
)
_DTYPES = {"bfloat16": Precision.BF16, "float16": Precision.FP16, "float32": Precision.FP32}
_QUANTIZED = {
    "fp8": Precision.FP8,
    "awq": Precision.INT4,
    "gptq": Precision.INT4,
    "mxfp4": Precision.FP4,
    "bitsandbytes": Precision.INT8_WEIGHTS,
}
_STORED = {
    ("int", "4"): Precision.INT4,
    ("int", "8"): Precision.INT8,
    ("float", "4"): Precision.FP4,
    ("float", "8"): Precision.FP8,
}
"""Type and bits of weights, as `compressed-tensors` and `modelopt` write them."""
_PLAIN_MLP = ("opt", "gpt_neox", "starcoder2", "phi", "nemotron", "nemotron_h")
"""Architectures whose MLP has two matrices rather than three."""
_WINDOW_EVERY = {"gemma2": 2, "gemma3": 6, "gemma3_text": 6, "llama4_text": 4, "cohere2": 4}
"""Every so many layers one has no window, where the file leaves it to the architecture."""
_NOT_CONVERTED = ("modules_to_not_convert", "ignore", "exclude_modules")
"""Where methods of quantization list what they leave in 16 bit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A model that a file describes, and the checkpoint that it belongs to."""

    model: Model
    checkpoint: Checkpoint


def read(path: Path, name: str) -> Described:
    """The model of that name out of a `config.json`, or of a folder that holds one.

    Raises:
        HetopsError: no such file, no JSON, or a key that is missing or no number; names the file and the key.
    """
    file = path / "config.json" if path.is_dir() else path
    try:
        loaded = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as fault:
        raise HetopsError(
            f"{file}: no such file", hint="give the path of the model's config.json, or of its folder"
        ) from fault
    except (OSError, ValueError) as fault:
        raise HetopsError(f"{file}: no JSON: {fault}", hint="fetch the model's config.json again") from fault
    if not isinstance(loaded, dict):
        raise HetopsError(f"{file}: not an object with keys", hint="fetch the model's config.json again")
    shape = Shape(file=file, keys={**loaded, **(loaded.get("text_config") or {})})
    return Described(model=_model(shape, name), checkpoint=_checkpoint(shape, name))


def _model(shape: Shape, name: str) -> Model:
    listed = blocks(shape)
    layers = listed.total() if listed else shape.number("num_hidden_layers")
    hidden = shape.number("hidden_size")
    heads, vocabulary = shape.number("num_attention_heads"), shape.number("vocab_size")
    kv_heads = shape.number("num_key_value_heads", otherwise=heads)
    head_size = shape.number("head_dim", otherwise=hidden // max(heads, 1))
    latent = shape.number("kv_lora_rank", otherwise=0)
    experts = shape.number(*_EXPERTS, otherwise=0)
    active_experts = shape.number(*_ACTIVE) if experts else 0
    tied = bool(shape.keys.get("tie_word_embeddings"))
    tables = vocabulary * hidden * (1 if tied else 2)
    without = without_kv(shape, listed)
    windowed, window = (layers - listed["attention"], 0) if listed else _windows(shape, layers, without)
    of_attention = listed["attention"] if listed else layers - without
    attention = of_attention * _attention(shape, hidden, heads, head_size) + without * parameters(shape)
    attention += index_parameters(shape)
    everything, passed = _mlps(shape, listed["mlp"] + listed["moe"] if listed else layers, hidden)
    values = head_size if latent else shape.number("v_head_dim", otherwise=head_size)
    cached = latent + shape.number("qk_rope_head_dim") if latent else kv_heads * (head_size + values)
    try:
        return Model(
            name=name,
            hub_id=str(shape.keys.get("_name_or_path") or name),
            parameters_b=(tables + attention + everything) / 1e9,
            active_parameters_b=(tables + attention + passed) / 1e9,
            layers=layers,
            hidden=hidden,
            heads=heads,
            kv_heads=kv_heads,
            head_size=head_size,
            vocabulary=vocabulary,
            kv_bytes_per_token_16bit=compressed.kv_bytes_per_token(shape) or float(layers * cached * 2),
            context_tokens=shape.number("max_position_embeddings", "n_positions", "seq_length"),
            experts=experts,
            active_experts=active_experts,
            latent_kv=latent > 0,
            tied_embeddings=tied,
            windowed_layers=windowed,
            window_tokens=window,
            selection=selection(shape),
            state_bytes=compressed.window_bytes(shape) or without * state_bytes(shape),
            attention_16bit_b=attention / 1e9 if _keeps_attention(shape) else 0.0,
            native=_checkpoint(shape, name).precision,
            source=str(shape.file),
        )
    except ValueError as fault:
        raise HetopsError(f"{shape.file}: {fault}", hint="fetch the model's config.json again") from fault


def _attention(shape: Shape, hidden: int, heads: int, head_size: int) -> int:
    """Parameters of one layer's attention."""
    latent = shape.number("kv_lora_rank", otherwise=0)
    if compressed.ratios(shape):
        return compressed.attention(shape)
    if not latent:
        kv_heads = shape.number("num_key_value_heads", otherwise=heads)
        out = heads * shape.number("v_head_dim", otherwise=head_size)
        gate = heads * head_size if shape.keys.get("attn_output_gate") else 0
        return hidden * ((heads + kv_heads) * head_size + out + kv_heads * out // heads + gate)
    own, rope = shape.number("qk_nope_head_dim"), shape.number("qk_rope_head_dim")
    values, narrowed = shape.number("v_head_dim"), shape.number("q_lora_rank", otherwise=0)
    wide = heads * (own + rope)
    queries = narrowed * (hidden + wide) if narrowed else hidden * wide
    out = heads * values * hidden * (2 if shape.keys.get("mla_use_output_gate") else 1)
    return queries + hidden * (latent + rope) + latent * heads * (own + values) + out


def _windows(shape: Shape, layers: int, without: int) -> tuple[int, int]:
    """Layers that attend to the newest tokens alone, and to how many; 0 of these where they are linear. Chunks (Llama 4) count
    as windows of their length, which is the most that they come to."""
    if without or compressed.ratios(shape):
        return without, 0
    window = 0
    if shape.keys.get("use_sliding_window") is not False:
        window = shape.number("sliding_window", otherwise=0)
    window = window or shape.number("attention_chunk_size", otherwise=0)
    if window >= shape.number("max_position_embeddings", otherwise=window + 1):
        return 0, 0
    kinds = shape.keys.get("layer_types")
    if isinstance(kinds, list):
        windowed = sum(kind != "full_attention" for kind in kinds)
        return (windowed, window) if windowed and window else (0, 0)
    return (_windowed(shape, layers), window) if window else (0, 0)


def _windowed(shape: Shape, layers: int) -> int:
    """Layers with a window where no list names their kinds: those of a pattern, else all."""
    listed = shape.keys.get("hybrid_layer_pattern")
    if isinstance(listed, list):
        return sum(bool(windowed) for windowed in listed)
    first = shape.number("max_window_layers", otherwise=0)
    every = shape.number(
        "sliding_window_pattern", otherwise=_WINDOW_EVERY.get(str(shape.keys.get("model_type")), 0)
    )
    return layers - (layers // every if every else min(first, layers))


def _keeps_attention(shape: Shape) -> bool:
    """Whether the quantized weights leave attention in 16 bit."""
    told = shape.keys.get("quantization_config")
    keys: Mapping[str, Any] = told if isinstance(told, dict) else {}
    listed = (keys.get(name) for name in _NOT_CONVERTED)
    return any("self_attn" in str(name) for names in listed if isinstance(names, list) for name in names)


def _mlps(shape: Shape, layers: int, hidden: int) -> tuple[int, int]:
    """Parameters of all layers' MLPs, and of those that a token passes."""
    matrices = 2 if shape.keys.get("model_type") in _PLAIN_MLP else 3
    experts = shape.number(*_EXPERTS, otherwise=0)
    dense = matrices * hidden * shape.number("intermediate_size", otherwise=0 if experts else None)
    if not experts:
        return layers * dense, layers * dense
    mixed = _mixed_layers(shape, layers)
    width = shape.number("moe_intermediate_size", "intermediate_size")
    narrow = shape.number("moe_latent_size", "routed_expert_hidden_size", otherwise=0)
    one, router = matrices * (narrow or hidden) * width, hidden * experts + 2 * hidden * narrow
    number = shape.number("n_shared_experts", "num_shared_experts", otherwise=0)
    shared = matrices * hidden * shape.number(*_SHARED, otherwise=width * number)
    own = shape.number("intermediate_size_mlp", "dense_intermediate_size", otherwise=0)
    dense = matrices * hidden * own if own else dense
    around = (layers - mixed) * dense + mixed * (router + shared)
    return around + mixed * experts * one, around + mixed * shape.number(*_ACTIVE) * one


def _mixed_layers(shape: Shape, layers: int) -> int:
    """Layers that have experts: all but the first ones, every second, or those that a list names, as the file says."""
    listed = blocks(shape)
    if listed:
        return listed["moe"]
    by_layer = shape.keys.get("moe_layer_freq")
    if isinstance(by_layer, list):
        return sum(bool(mixed) for mixed in by_layer)
    kinds = shape.keys.get("mlp_layer_types")
    if isinstance(kinds, list):
        return sum(kind == "sparse" for kind in kinds)
    first = shape.number("first_k_dense_replace", "num_dense_layers", otherwise=0)
    every = max(
        1, shape.number("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq", otherwise=1)
    )
    named = shape.keys.get("mlp_only_layers") or ()
    return (layers - first) // every - len(named)


def _checkpoint(shape: Shape, name: str) -> Checkpoint:
    """The weights that the file belongs to, in its precision."""
    quantized = shape.keys.get("quantization_config")
    dtype = str(shape.keys.get("torch_dtype") or shape.keys.get("dtype") or "bfloat16")
    return Checkpoint(
        model=name,
        precision=_quantized(shape, quantized) if quantized else _DTYPES.get(dtype, Precision.BF16),
        format="bitsandbytes" if _method(quantized) == "bitsandbytes" else "",
        reference=str(shape.keys.get("_name_or_path") or name),
        source=str(shape.file),
    )


def _method(told: Any) -> str:
    """What quantized the weights, as the file calls it."""
    return str(told.get("quant_method", "")).lower() if isinstance(told, dict) else ""


def _quantized(shape: Shape, told: Any) -> Precision:
    """How quantized weights are stored: by the bits of their first group, else of all, else as the method has it."""
    keys: Mapping[str, Any] = told if isinstance(told, dict) else {}
    groups = keys.get("config_groups")
    first = next(iter(groups.values()), None) if isinstance(groups, dict) else None
    weights = first.get("weights") if isinstance(first, dict) else None
    if isinstance(first, dict) and isinstance(weights, dict):
        stored = str(weights.get("type", "")), str(weights.get("num_bits", ""))
        alone = not first.get("input_activations")
    else:
        stored = "int", "4" if keys.get("load_in_4bit") else str(keys.get("bits", ""))
        alone = True
    if shape.keys.get("expert_dtype") == "fp4":
        return Precision.FP4
    method = _method(keys)
    precision = _STORED.get(stored) or _QUANTIZED.get(method)
    if precision is Precision.INT8 and alone:
        return Precision.INT8_WEIGHTS
    if precision is None:
        raise HetopsError(
            f"{shape.file}: quantization_config.quant_method {method!r} is not known, and no config_groups tell its bits",
            hint=f"known are {', '.join(_QUANTIZED)}; give the config.json of the 16-bit model instead",
        )
    return precision
