"""The shape of a plain model as a `config.json`, which aiconfigurator reads from a folder. Pure; writes nothing.

aiconfigurator measured kernels, not models: of a transformer that is alike in all layers it needs the shape alone. What is not, such as
mixtures, windows, latent KV and states, it knows by the checkpoints that its wheel describes.
"""

from __future__ import annotations

from typing import Any

from hetops.plugin import Model

_GRANULE = 128
"""Feed-forward layers are this many values wide, or a multiple of it: parameters are known to three digits."""


def is_plain(model: Model) -> bool:
    """Whether each layer is full attention with KV heads and one feed-forward network."""
    return not (
        model.experts or model.latent_kv or model.windowed_layers or model.state_bytes or model.selection
    )


def plain_config(model: Model) -> dict[str, Any]:
    """The `config.json` of a plain model, with a gated feed-forward network as wide as its parameters leave.

    Raises:
        ValueError: its parameters leave nothing for it.
    """
    width = _feed_forward(model)
    if width < _GRANULE:
        raise ValueError(f"{model.parameters_b} B parameters leave nothing for feed-forward layers")
    return {
        "architectures": ["LlamaForCausalLM"],
        "num_hidden_layers": model.layers,
        "hidden_size": model.hidden,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "head_dim": model.head_size,
        "intermediate_size": width,
        "vocab_size": model.vocabulary,
        "max_position_embeddings": model.context_tokens,
    }


def _feed_forward(model: Model) -> int:
    """Of three matrices; where there are two, as many parameters lie in them."""
    tables = 1 if model.tied_embeddings else 2
    a_layer = (model.parameters_b * 1e9 - tables * model.vocabulary * model.hidden) / model.layers
    attention = 2 * model.hidden * model.head_size * (model.heads + model.kv_heads)
    return round((a_layer - attention) / (3 * model.hidden) / _GRANULE) * _GRANULE
