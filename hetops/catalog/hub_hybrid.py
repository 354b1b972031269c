"""Layers without KV, as a `config.json` tells them: how many, their parameters, and the state that they keep of a sequence. Pure.

Three kinds keep a matrix for each head and the newest inputs of their convolutions: the gated delta rule (Qwen3-Next, Qwen3.5; with
a decay for each channel Kimi Linear's), Mamba 2 (Nemotron, Granite 4, Bamba), and lightning attention (MiniMax-01), which has no
convolution. A fourth, the short convolutions of LFM2, keeps the newest inputs alone. The matrix has 32 bits where the file says so and in Kimi's, whose kernels know no other; else as many as the model
(vLLM `mamba_utils.py`, `MambaStateDtypeCalculator`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hetops.catalog.hub_shape import Shape

_LETTERS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
"""Of `hybrid_override_pattern`."""
_LINEAR = ("linear_attention", "mamba", "conv")
_KERNEL = 4
"""Inputs that a convolution sees, where the file does not tell."""
_WIDE, _NARROW = 4, 2
"""Bytes of a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """One layer: heads that each keep a matrix, what is convolved, and which matrices make both of the hidden state."""

    heads: int
    keys: int
    values: int
    convolved: int
    projected: int
    """Values made of the hidden state."""
    kernel: int
    state_value_bytes: int


def blocks(shape: Shape) -> Counter[str] | None:
    """How many blocks of each kind (`mamba`, `attention`, `mlp`, `moe`) a model has whose blocks are one of them each; None for any
    other, whose layers have attention and an MLP both."""
    listed = shape.keys.get("layers_block_type")
    if isinstance(listed, list):
        return Counter(map(str, listed))
    pattern = shape.keys.get("hybrid_override_pattern")
    return Counter(_LETTERS.get(letter, letter) for letter in pattern) if isinstance(pattern, str) else None


def without_kv(shape: Shape, listed: Counter[str] | None) -> int:
    """Layers whose attention, if they have any, is linear."""
    if listed:
        return listed["mamba"]
    kinds = shape.keys.get("layer_types")
    if isinstance(kinds, list):
        return sum(kind in _LINEAR for kind in kinds)
    lightning = shape.keys.get("attn_type_list")
    if isinstance(lightning, list):
        return sum(kind == 0 for kind in lightning)
    if "kda_layers" in _delta(shape):
        return len(_delta(shape)["kda_layers"])
    interval = shape.number("full_attention_interval", otherwise=0)
    layers = shape.number("num_hidden_layers")
    return layers - layers // interval if interval else 0


def parameters(shape: Shape) -> int:
    """Parameters of one such layer; 0 where the file tells none."""
    kind = _kind(shape)
    hidden = shape.number("hidden_size")
    return hidden * kind.projected + kind.heads * kind.values * hidden if kind else 0


def state_bytes(shape: Shape) -> float:
    """Bytes that one such layer keeps of a sequence; 0 where the file tells none."""
    kind = _kind(shape)
    if kind is None:
        return 0.0
    matrices = kind.heads * kind.keys * kind.values * kind.state_value_bytes
    return float(matrices + (kind.kernel - 1) * kind.convolved * _NARROW)


def _kind(shape: Shape) -> _Kind | None:
    if shape.keys.get("linear_num_value_heads"):
        return _gated_delta(shape)
    if _delta(shape):
        return _kimi_delta(Shape(file=shape.file, keys=_delta(shape)))
    if shape.keys.get("mamba_num_heads") or shape.keys.get("mamba_n_heads"):
        return _mamba(shape)
    if shape.keys.get("conv_L_cache"):
        return _short_convolution(shape)
    return _lightning(shape) if shape.keys.get("attn_type_list") else None


def _delta(shape: Shape) -> Mapping[str, Any]:
    told = shape.keys.get("linear_attn_config")
    return told if isinstance(told, dict) else {}


def _told_bytes(shape: Shape) -> int:
    told = (shape.keys.get(name) for name in ("mamba_ssm_dtype", "mamba_ssm_cache_dtype"))
    return _WIDE if "float32" in told else _NARROW


def _gated_delta(shape: Shape) -> _Kind:
    heads, values = shape.number("linear_num_value_heads"), shape.number("linear_value_head_dim")
    keys = shape.number("linear_key_head_dim")
    convolved = 2 * shape.number("linear_num_key_heads") * keys + heads * values
    return _Kind(
        heads=heads,
        keys=keys,
        values=values,
        convolved=convolved,
        projected=convolved + heads * values + 2 * heads,
        kernel=shape.number("linear_conv_kernel_dim", otherwise=_KERNEL),
        state_value_bytes=_told_bytes(shape),
    )


def _kimi_delta(told: Shape) -> _Kind:
    """Its gate is as wide as its values where the file says so, else of low rank, as its decay is."""
    heads, size = told.number("num_heads"), told.number("head_dim")
    wide = heads * size
    return _Kind(
        heads=heads,
        keys=size,
        values=size,
        convolved=3 * wide,
        projected=(4 if told.keys.get("use_full_rank_gate") else 3) * wide + heads + 2 * size,
        kernel=told.number("short_conv_kernel_size", otherwise=_KERNEL),
        state_value_bytes=_WIDE,
    )


def _mamba(shape: Shape) -> _Kind:
    heads = shape.number("mamba_num_heads", "mamba_n_heads")
    size = shape.number("mamba_head_dim", "mamba_d_head")
    state = shape.number("ssm_state_size", "mamba_d_state")
    groups = shape.number("mamba_n_groups", "n_groups")
    convolved = heads * size + 2 * groups * state
    return _Kind(
        heads=heads,
        keys=state,
        values=size,
        convolved=convolved,
        projected=convolved + heads * size + heads,
        kernel=shape.number("conv_kernel", "mamba_d_conv", otherwise=_KERNEL),
        state_value_bytes=_told_bytes(shape),
    )


def _lightning(shape: Shape) -> _Kind:
    heads, size = shape.number("num_attention_heads"), shape.number("head_dim")
    return _Kind(
        heads=heads,
        keys=size,
        values=size,
        convolved=0,
        projected=4 * heads * size,
        kernel=1,
        state_value_bytes=_NARROW,
    )


def _short_convolution(shape: Shape) -> _Kind:
    """What is convolved is gated before and after: three values are made of each of the hidden state, and one of them is kept."""
    hidden = shape.number("hidden_size")
    return _Kind(
        heads=1,
        keys=0,
        values=hidden,
        convolved=hidden,
        projected=3 * hidden,
        kernel=shape.number("conv_L_cache"),
        state_value_bytes=_NARROW,
    )
