"""Configurations of models as their makers publish them, and the config.json that a row of the catalogue would have."""

from __future__ import annotations

import re
from typing import Any

from hetops.catalog import tables

ROWS = {row["model"]: row for row in tables.rows("models")}

LLAMA = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16",
}

MIXTRAL = {
    **LLAMA,
    "vocab_size": 32000,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 32768,
}

DEEPSEEK = {
    "hidden_size": 7168,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 3,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "vocab_size": 129280,
    "max_position_embeddings": 163840,
    "quantization_config": {"quant_method": "fp8"},
}

NEMOTRON = {
    "model_type": "nemotron_h",
    "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
    "hidden_size": 2688,
    "num_attention_heads": 32,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "mamba_num_heads": 64,
    "mamba_head_dim": 64,
    "ssm_state_size": 128,
    "n_groups": 8,
    "conv_kernel": 4,
    "mamba_ssm_cache_dtype": "float32",
    "n_routed_experts": 128,
    "num_experts_per_tok": 6,
    "intermediate_size": 1856,
    "moe_intermediate_size": 1856,
    "moe_shared_expert_intermediate_size": 3712,
    "vocab_size": 131072,
    "max_position_embeddings": 262144,
}

GRANITE = {
    "layer_types": (["mamba"] * 9 + ["attention"]) * 4,
    "hidden_size": 4096,
    "num_hidden_layers": 40,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "mamba_n_heads": 128,
    "mamba_d_head": 64,
    "mamba_d_state": 128,
    "mamba_n_groups": 1,
    "mamba_d_conv": 4,
    "intermediate_size": 768,
    "shared_intermediate_size": 1536,
    "num_local_experts": 72,
    "num_experts_per_tok": 10,
    "tie_word_embeddings": True,
    "vocab_size": 100352,
    "max_position_embeddings": 131072,
}

LFM2 = {
    "hidden_size": 2048,
    "num_hidden_layers": 24,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 7168,
    "moe_intermediate_size": 1792,
    "num_experts": 32,
    "num_experts_per_tok": 4,
    "num_dense_layers": 2,
    "conv_L_cache": 3,
    "layer_types": ["full_attention" if i in (2, 6, 10, 14, 18, 21) else "conv" for i in range(24)],
    "vocab_size": 65536,
    "tie_word_embeddings": True,
    "max_position_embeddings": 128000,
}

NEMOTRON_NANO = {
    "model_type": "nemotron_h",
    "hidden_size": 3136,
    "intermediate_size": 12544,
    "hybrid_override_pattern": "M-M-M-MM-M-M*-M-M*-M-M-M*-M-M-MM*-MMM-M-M-",
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "mamba_num_heads": 96,
    "mamba_head_dim": 80,
    "n_groups": 8,
    "ssm_state_size": 128,
    "conv_kernel": 4,
    "mamba_ssm_cache_dtype": "float32",
    "vocab_size": 131072,
    "max_position_embeddings": 262144,
}

HY3 = {
    "hidden_size": 4096,
    "intermediate_size": 13312,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "num_experts": 192,
    "num_experts_per_tok": 8,
    "num_shared_experts": 1,
    "moe_intermediate_size": 1536,
    "mlp_layer_types": ["dense"] + ["sparse"] * 79,
    "vocab_size": 120832,
    "max_position_embeddings": 262144,
}

COLUMNS = {
    "hidden_size": "hidden",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "num_key_value_heads": "kv_heads",
    "head_dim": "head_dim",
    "intermediate_size": "ffn",
    "vocab_size": "vocab",
    "max_position_embeddings": "context",
    "num_experts": "moe_experts",
    "num_experts_per_tok": "moe_active",
    "moe_intermediate_size": "moe_ffn",
    "n_shared_experts": "moe_shared",
    "first_k_dense_replace": "dense_layers",
    "kv_lora_rank": "mla_kv_lora",
    "q_lora_rank": "mla_q_lora",
    "qk_rope_head_dim": "mla_rope",
    "qk_nope_head_dim": "mla_nope",
    "v_head_dim": "mla_v",
}

QWEN3_NEXT = {
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "attn_output_gate": True,
    "full_attention_interval": 4,
    "linear_num_key_heads": 16,
    "linear_key_head_dim": 128,
    "linear_num_value_heads": 32,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
    "num_experts": 512,
    "num_experts_per_tok": 10,
    "moe_intermediate_size": 512,
    "shared_expert_intermediate_size": 512,
    "vocab_size": 151936,
    "max_position_embeddings": 262144,
}

KIMI_K3 = {
    "hidden_size": 7168,
    "num_hidden_layers": 93,
    "num_attention_heads": 96,
    "num_key_value_heads": 96,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "mla_use_output_gate": True,
    "linear_attn_config": {
        "num_heads": 96,
        "head_dim": 128,
        "short_conv_kernel_size": 4,
        "use_full_rank_gate": True,
        "kda_layers": [layer for layer in range(1, 93) if layer % 4],
    },
    "num_experts": 896,
    "num_experts_per_token": 16,
    "num_shared_experts": 2,
    "first_k_dense_replace": 1,
    "intermediate_size": 33792,
    "moe_intermediate_size": 3072,
    "routed_expert_hidden_size": 3584,
    "vocab_size": 163840,
    "max_position_embeddings": 1048576,
}

MINIMAX_TEXT_01 = {
    "attn_type_list": ([0] * 7 + [1]) * 10,
    "hidden_size": 6144,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 9216,
    "num_local_experts": 32,
    "num_experts_per_tok": 2,
    "vocab_size": 200064,
    "max_position_embeddings": 4194304,
}

DEEPSEEK_V32 = {**DEEPSEEK, "index_n_heads": 64, "index_head_dim": 128, "index_topk": 2048}

GLM_52 = {
    "hidden_size": 6144,
    "num_hidden_layers": 78,
    "num_attention_heads": 64,
    "num_key_value_heads": 64,
    "intermediate_size": 12288,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 3,
    "kv_lora_rank": 512,
    "q_lora_rank": 2048,
    "qk_nope_head_dim": 192,
    "qk_rope_head_dim": 64,
    "v_head_dim": 256,
    "index_n_heads": 32,
    "index_head_dim": 128,
    "index_topk": 2048,
    "indexer_types": ["full"] * 3 + (["shared"] * 3 + ["full"]) * 18 + ["shared"] * 3,
    "vocab_size": 154880,
    "max_position_embeddings": 1048576,
}

MINIMAX_M3 = {
    "hidden_size": 6144,
    "num_hidden_layers": 60,
    "num_attention_heads": 64,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "intermediate_size": 3072,
    "dense_intermediate_size": 12288,
    "shared_intermediate_size": 3072,
    "num_local_experts": 128,
    "num_experts_per_tok": 4,
    "moe_layer_freq": [0] * 3 + [1] * 57,
    "sparse_attention_config": {
        "use_sparse_attention": True,
        "sparse_attention_freq": [0] * 3 + [1] * 57,
        "sparse_block_size": 128,
        "sparse_index_dim": 128,
        "sparse_num_index_heads": 4,
        "sparse_topk_blocks": 16,
    },
    "vocab_size": 200064,
    "max_position_embeddings": 1048576,
}

DEEPSEEK_V4 = {
    "compress_ratios": [0, 0, *[4, 128] * 20, 4, 0],
    "sliding_window": 128,
    "hidden_size": 4096,
    "num_hidden_layers": 43,
    "num_attention_heads": 64,
    "num_key_value_heads": 1,
    "head_dim": 512,
    "index_n_heads": 64,
    "index_head_dim": 128,
    "index_topk": 512,
    "q_lora_rank": 1024,
    "o_lora_rank": 1024,
    "o_groups": 8,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 6,
    "moe_intermediate_size": 2048,
    "vocab_size": 129280,
    "max_position_embeddings": 1048576,
    "expert_dtype": "fp4",
    "quantization_config": {"quant_method": "fp8"},
}


def config_of(row: dict[str, str]) -> dict[str, Any]:
    """A config.json that tells what a row of the catalogue does."""
    config: dict[str, Any] = {key: int(row[column]) for key, column in COLUMNS.items() if row[column]}
    config["tie_word_embeddings"] = row["tied_embeddings"] == "1"
    if "non-gated" in row["note"]:
        config["model_type"] = "opt"
    config["attn_output_gate"] = "with a gate" in row["note"]
    windowed, window = int(row["windowed_layers"] or 0), int(row["window_tokens"] or 0)
    kinds = ["sliding_attention" if window else "linear_attention"] * windowed
    config["layer_types"] = [*kinds, *["full_attention"] * (int(row["layers"]) - windowed)]
    config["sliding_window"] = window or None
    if row["linear_attention"]:
        keys, key_size, values, value_size, *dtype = re.split("[x ]", row["linear_attention"])
        keys, key_size, values, value_size = map(int, (keys, key_size, values, value_size))
        config["mamba_ssm_dtype"] = next(iter(dtype), None)
        config |= {"linear_num_key_heads": keys, "linear_key_head_dim": key_size, "attn_output_gate": True}
        config |= {"linear_num_value_heads": values, "linear_value_head_dim": value_size}
    if row["indexer"]:
        heads, size, indexed = map(int, re.split("[x ]", row["indexer"]))
        config |= _indexed(row, heads, size, indexed)
    return config


def _indexed(row: dict[str, str], heads: int, size: int, layers: int) -> dict[str, Any]:
    """The keys of sparse attention over latent KV, else of that over blocks."""
    tokens, beside = int(row["selected_tokens"]), int(row["layers"]) - layers
    if row["mla_kv_lora"]:
        own = ["full"] * layers + ["shared"] * beside
        told = {"index_n_heads": heads, "index_head_dim": size, "index_topk": tokens}
        return told | {"indexer_types": own}
    blocks = {"sparse_num_index_heads": heads, "sparse_index_dim": size, "sparse_block_size": 128}
    blocks |= {"sparse_topk_blocks": tokens // 128, "sparse_attention_freq": [1] * layers + [0] * beside}
    return {"sparse_attention_config": {"use_sparse_attention": True, **blocks}}
