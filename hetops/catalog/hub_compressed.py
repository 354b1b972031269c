"""Attention over compressed KV, as a `config.json` tells it (DeepSeek V4): its parameters, its KV, its windows. Pure.

Every layer keeps the newest tokens whole, and of the others one entry for so many, by the layer's ratio; keys are values. So KV
grows by a fraction of an entry a token, and the windows are of constant size. What layers of the lower ratio choose among entries
is told by `hub_sparse.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from hetops.catalog.hub_shape import Shape

_BYTES = 2
"""Of a value."""


def ratios(shape: Shape) -> Sequence[int]:
    """Of each layer, the tokens of an entry, 0 where there is but the window; empty where KV is not compressed."""
    told = shape.keys.get("compress_ratios")
    if not isinstance(told, list):
        return ()
    return [ratio for ratio in told if isinstance(ratio, int)][: shape.number("num_hidden_layers")]


def kv_bytes_per_token(shape: Shape) -> float:
    """Of all layers, on average over many tokens, what an index keeps of them apart."""
    entries = sum(1 / ratio for ratio in ratios(shape) if ratio > 0)
    return _BYTES * shape.number("head_dim") * entries if entries else 0.0


def window_bytes(shape: Shape) -> float:
    """Of all layers' windows, full."""
    if not ratios(shape):
        return 0.0
    entry = shape.number("num_key_value_heads", otherwise=1) * shape.number("head_dim")
    return float(len(ratios(shape)) * shape.number("sliding_window") * entry * _BYTES)


def attention(shape: Shape) -> int:
    """Parameters of one layer: queries and the output pass a narrow space, the output group by group; keys are values."""
    hidden, wide = shape.number("hidden_size"), shape.number("num_attention_heads") * shape.number("head_dim")
    narrow, out = shape.number("q_lora_rank"), shape.number("o_lora_rank")
    queries = narrow * (hidden + wide)
    entries = hidden * shape.number("num_key_value_heads", otherwise=1) * shape.number("head_dim")
    return queries + entries + wide * out + shape.number("o_groups") * out * hidden
