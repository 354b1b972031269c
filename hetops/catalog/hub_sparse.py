"""Sparse attention, as a `config.json` tells it: what a token attends to is chosen by an index over all before it. Pure.

Three kinds: DeepSeek V3.2's, of single tokens over latent KV, whose index some layers take over from the one before (GLM-5.2);
DeepSeek V4's, of compressed entries in the layers of its lower ratio; MiniMax M3's, of blocks of tokens. Keys of DeepSeek's indexes
have eight bits and a scale of four bytes (vLLM `DeepseekV32IndexerCache`), MiniMax's have sixteen bits.

The index multiplies queries with keys and no values: half of what attention does, in eight bits at twice the speed a quarter. Over
latent KV chosen tokens are attended to in its own space, by every head, in prompts as in steps (FlashMLA's sparse kernels).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetops.catalog import hub_compressed as compressed
from hetops.catalog.hub_shape import Shape
from hetops.domain.model import Selection

_SCALE_BYTES = 4
_WIDE = 2
"""Bytes of a key of sixteen bits."""
_KEYS_ALONE, _IN_EIGHT_BITS = 1 / 2, 1 / 2
_SHARED = "shared"


def selection(shape: Shape) -> Selection | None:
    """How a model chooses; None where it attends to all."""
    if compressed.ratios(shape):
        return _of_entries(shape) if shape.keys.get("index_topk") else None
    if shape.keys.get("index_topk") and shape.keys.get("kv_lora_rank"):
        return _of_tokens(shape)
    return _of_blocks(_blocks(shape), shape) if _blocks(shape) else None


def parameters(shape: Shape) -> int:
    """Parameters of all layers' indexes: queries, one key, and a weight for each head."""
    hidden = shape.number("hidden_size")
    if blocks := _blocks(shape):
        told = Shape(file=shape.file, keys=blocks)
        each = (told.number("sparse_num_index_heads") + 1) * told.number("sparse_index_dim") * hidden
        return _choosing(blocks, shape) * each
    if compressed.ratios(shape) or not shape.keys.get("index_topk"):
        return 0
    heads, size = shape.number("index_n_heads"), shape.number("index_head_dim")
    queries = shape.number("q_lora_rank", otherwise=hidden) * heads * size
    return _indexed(shape) * (queries + hidden * (size + heads))


def _of_tokens(shape: Shape) -> Selection:
    layers, size = shape.number("num_hidden_layers"), shape.number("index_head_dim")
    latent, rope = shape.number("kv_lora_rank"), shape.number("qk_rope_head_dim")
    index = shape.number("index_n_heads") * size * _KEYS_ALONE * _IN_EIGHT_BITS
    return Selection(
        tokens=shape.number("index_topk"),
        index_bytes=float(_indexed(shape) * (size + _SCALE_BYTES)),
        attention=shape.number("num_attention_heads") * (2 * latent + rope) / 2.0,
        other_attention=index * _indexed(shape) / layers,
    )


def _indexed(shape: Shape) -> int:
    """Layers with an index of their own."""
    kinds = shape.keys.get("indexer_types")
    if isinstance(kinds, list):
        return sum(kind != _SHARED for kind in kinds)
    return shape.number("num_hidden_layers")


def _of_entries(shape: Shape) -> Selection:
    """An entry stands for so many tokens; keys are values."""
    layers, told = shape.number("num_hidden_layers"), compressed.ratios(shape)
    fine = min(ratio for ratio in told if ratio)
    size, wide = (
        shape.number("index_head_dim"),
        shape.number("num_attention_heads") * shape.number("head_dim"),
    )
    choosing = told.count(fine) / fine
    others = sum(1 / ratio for ratio in told if ratio > fine)
    index = shape.number("index_n_heads") * size * _KEYS_ALONE * _IN_EIGHT_BITS
    return Selection(
        tokens=shape.number("index_topk") * fine,
        index_bytes=choosing * (size + _SCALE_BYTES),
        kv_share=choosing / (choosing + others),
        attention=choosing * wide / layers,
        other_attention=(others * wide + choosing * index) / layers,
    )


def _of_blocks(blocks: Mapping[str, Any], shape: Shape) -> Selection:
    told = Shape(file=shape.file, keys=blocks)
    size, share = (
        told.number("sparse_index_dim"),
        _choosing(blocks, shape) / shape.number("num_hidden_layers"),
    )
    wide = shape.number("num_attention_heads") * shape.number("head_dim")
    index = told.number("sparse_num_index_heads") * size * _KEYS_ALONE
    return Selection(
        tokens=told.number("sparse_topk_blocks") * told.number("sparse_block_size"),
        index_bytes=float(_choosing(blocks, shape) * size * _WIDE),
        kv_share=share,
        attention=share * wide,
        other_attention=(1.0 - share) * wide + share * index,
    )


def _blocks(shape: Shape) -> Mapping[str, Any]:
    told = shape.keys.get("sparse_attention_config")
    return told if isinstance(told, dict) and told.get("use_sparse_attention") else {}


def _choosing(blocks: Mapping[str, Any], shape: Shape) -> int:
    """Layers that choose blocks."""
    by_layer = blocks.get("sparse_attention_freq")
    if isinstance(by_layer, list):
        return sum(bool(choosing) for choosing in by_layer)
    return shape.number("num_hidden_layers")
