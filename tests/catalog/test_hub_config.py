"""A model's shape out of a config.json: the catalogue's own models are found again, and what is wrong is named."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from hetops.catalog import tables
from hetops.catalog.hub_config import read
from hetops.domain.model import Precision, Selection
from hetops.errors import HetopsError

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


TURNS = "layers of Mamba, of experts or of MLPs, and of attention in turn"
KINDS = "layers without KV of a kind that has no columns"
UNCOUNTED = {
    "tiny-llama": "made by whoever tests: nobody published its size",
    "nemotron-3-nano-30b-a3b": TURNS,
    "nemotron-3-super-120b-a12b": TURNS,
    "nemotron-3-ultra-550b-a55b": TURNS,
    "nemotron-h-56b": TURNS,
    "nemotron-nano-9b-v2": TURNS,
    "kimi-k3": KINDS,
    "kimi-linear-48b-a3b": KINDS,
    "minimax-text-01": KINDS,
    "minimax-m1": KINDS,
    "granite-4.0-h-small": KINDS,
    "granite-4.0-h-tiny": KINDS,
    "deepseek-v4-flash": "compressed KV",
    "deepseek-v4-pro": "compressed KV",
    "llama-3.3-nemotron-super-49b": "layers of unlike width, some without attention",
}
"""Models whose parameters do not follow from one shape of a layer."""
BESIDE = {
    "gemma-3-4b": "a vision tower of 0.42",
    "gemma-3-12b": "a vision tower of 0.42",
    "gemma-4-31b": "wider heads in global layers, a vision tower",
    "gemma-4-26b-a4b": "wider heads in global layers, a vision tower",
    "mimo-7b": "a draft layer of 0.2",
}
"""What the published total counts besides, where that is more than 2 %."""
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


def config_of(row: dict[str, str]) -> dict[str, Any]:
    """A config.json that tells what a row of the catalogue does."""
    config: dict[str, Any] = {key: int(row[column]) for key, column in COLUMNS.items() if row[column]}
    config["tie_word_embeddings"] = row["tied_embeddings"] == "1"
    if "non-gated" in row["note"]:
        config["model_type"] = "opt"
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


def written(folder: Path, config: Any) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("llama-3.1-8b", LLAMA),
        ("mixtral-8x7b", MIXTRAL),
        ("deepseek-v3", DEEPSEEK),
        ("qwen3-next-80b-a3b", QWEN3_NEXT),
        ("nemotron-3-nano-30b-a3b", NEMOTRON),
        ("kimi-k3", KIMI_K3),
        ("minimax-text-01", MINIMAX_TEXT_01),
        ("granite-4.0-h-small", GRANITE),
        ("deepseek-v4-flash", DEEPSEEK_V4),
        ("deepseek-v3.2", DEEPSEEK_V32),
        ("glm-5.2", GLM_52),
        ("minimax-m3", MINIMAX_M3),
    ],
)
def test_the_catalogues_models_of_every_kind_are_found_again(
    tmp_path: Path, name: str, config: dict[str, Any]
) -> None:
    found, known = read(written(tmp_path, config), name).model, tables.load().model(name)
    for field in ("parameters_b", "active_parameters_b", "kv_bytes_per_token_16bit"):
        assert getattr(found, field) == pytest.approx(getattr(known, field), rel=0.02)
    for field in ("layers", "hidden", "heads", "vocabulary", "experts", "active_experts", "latent_kv"):
        assert getattr(found, field) == getattr(known, field)
    for field in ("windowed_layers", "window_tokens", "state_bytes"):
        assert getattr(found, field) == getattr(known, field)
    assert alike(found.selection, known.selection)
    assert known.parameters_b == pytest.approx(float(ROWS[name]["published_b"]), rel=0.02)


def alike(found: Selection | None, known: Selection | None) -> bool:
    """Whether two are the same but for digits that a table has no room for."""
    if found is None or known is None:
        return found is known
    return asdict(found) == pytest.approx(asdict(known), rel=1e-5)


@pytest.mark.parametrize(
    ("config", "by_hand"),
    [
        (LLAMA, 0),
        (QWEN3_NEXT, 36 * (32 * 128 * 128 * 2 + 3 * (2 * 16 * 128 + 32 * 128) * 2)),
        (
            {**QWEN3_NEXT, "mamba_ssm_dtype": "float32"},
            36 * (32 * 128 * 128 * 4 + 3 * (2 * 16 * 128 + 32 * 128) * 2),
        ),
        (NEMOTRON, 23 * (64 * 64 * 128 * 4 + 3 * (64 * 64 + 2 * 8 * 128) * 2)),
        (KIMI_K3, 69 * (96 * 128 * 128 * 4 + 3 * 3 * 96 * 128 * 2)),
        (MINIMAX_TEXT_01, 70 * 64 * 128 * 128 * 2),
        (GRANITE, 36 * (128 * 64 * 128 * 2 + 3 * (128 * 64 + 2 * 128) * 2)),
        (DEEPSEEK_V4, 43 * 128 * 512 * 2),
    ],
)
def test_the_state_of_layers_without_kv_follows_from_their_heads(
    tmp_path: Path, config: dict[str, Any], by_hand: int
) -> None:
    assert read(written(tmp_path, config), "mine").model.state_bytes == by_hand


def test_compressed_kv_grows_by_the_part_of_an_entry_that_a_token_is(tmp_path: Path) -> None:
    found = read(written(tmp_path, DEEPSEEK_V4), "mine").model
    assert found.kv_bytes_per_token_16bit == 21 * 512 * 2 / 4 + 20 * 512 * 2 / 128
    assert found.native is Precision.FP4


@pytest.mark.parametrize(
    ("config", "by_hand"),
    [
        (LLAMA, None),
        ({**DEEPSEEK, "index_topk": None}, None),
        (
            DEEPSEEK_V32,
            Selection(
                tokens=2048,
                index_bytes=61 * (128 + 4),
                attention=128 * (512 + 64 + 512) / 2,
                other_attention=64 * 128 / 4,
            ),
        ),
        (
            GLM_52,
            Selection(
                tokens=2048,
                index_bytes=21 * (128 + 4),
                attention=64 * (512 + 64 + 512) / 2,
                other_attention=32 * 128 / 4 * 21 / 78,
            ),
        ),
        (
            MINIMAX_M3,
            Selection(
                tokens=16 * 128,
                index_bytes=57 * 128 * 2,
                kv_share=57 / 60,
                attention=57 / 60 * 64 * 128,
                other_attention=3 / 60 * 64 * 128 + 57 / 60 * 4 * 128 / 2,
            ),
        ),
        (
            DEEPSEEK_V4,
            Selection(
                tokens=4 * 512,
                index_bytes=21 * (128 + 4) / 4,
                kv_share=(21 / 4) / (21 / 4 + 20 / 128),
                attention=21 / 4 * 64 * 512 / 43,
                other_attention=(20 / 128 * 64 * 512 + 21 / 4 * 64 * 128 / 4) / 43,
            ),
        ),
    ],
)
def test_what_sparse_attention_reads_and_computes_follows_from_its_index(
    tmp_path: Path, config: dict[str, Any], by_hand: Selection | None
) -> None:
    assert alike(read(written(tmp_path, config), "mine").model.selection, by_hand)


def test_an_index_has_parameters_in_the_layers_that_have_one(tmp_path: Path) -> None:
    plain, indexed = (read(written(tmp_path, c), "mine").model for c in (DEEPSEEK, DEEPSEEK_V32))
    each = 1536 * 64 * 128 + 7168 * (128 + 64)
    assert indexed.parameters_b - plain.parameters_b == pytest.approx(61 * each / 1e9)
    assert indexed.active_parameters_b - plain.active_parameters_b == pytest.approx(61 * each / 1e9)


@pytest.mark.parametrize("missing", ["index_n_heads", "index_head_dim"])
def test_an_index_that_lacks_a_size_is_named(tmp_path: Path, missing: str) -> None:
    with pytest.raises(HetopsError, match=missing):
        read(written(tmp_path, {**DEEPSEEK_V32, missing: None}), "mine")


@pytest.mark.parametrize("name", [name for name in ROWS if name not in UNCOUNTED])
def test_every_model_has_the_parameters_that_its_shape_tells_and_its_makers_print(
    tmp_path: Path, name: str
) -> None:
    row, known = ROWS[name], tables.load().model(name)
    found = read(written(tmp_path, {"text_config": config_of(row)}).parent, name)
    assert found.model.parameters_b == pytest.approx(known.parameters_b, rel=0.01)
    assert found.model.active_parameters_b == pytest.approx(known.active_parameters_b, rel=0.01)
    assert found.model.kv_bytes_per_token_16bit == pytest.approx(known.kv_bytes_per_token_16bit)
    for field in ("windowed_layers", "window_tokens", "state_bytes", "tied_embeddings", "latent_kv"):
        assert getattr(found.model, field) == getattr(known, field)
    assert alike(found.model.selection, known.selection)
    off = abs(found.model.parameters_b / float(row["published_b"]) - 1.0)
    assert (off > 0.02) == (name in BESIDE), f"{off:.1%}"
    assert found.checkpoint.precision is Precision.BF16


WINDOW = {"sliding_window": 1024}


@pytest.mark.parametrize(
    ("told", "windowed", "window"),
    [
        ({"sliding_window": None}, 0, 0),
        (WINDOW, 32, 1024),
        ({**WINDOW, "use_sliding_window": False}, 0, 0),
        ({**WINDOW, "use_sliding_window": True, "max_window_layers": 20}, 12, 1024),
        ({"sliding_window": 131072}, 0, 0),
        ({**WINDOW, "model_type": "gemma2"}, 16, 1024),
        ({**WINDOW, "model_type": "gemma3_text"}, 27, 1024),
        ({**WINDOW, "sliding_window_pattern": 4}, 24, 1024),
        ({**WINDOW, "layer_types": ["sliding_attention", "full_attention"] * 16}, 16, 1024),
        ({**WINDOW, "layer_types": ["full_attention"] * 32}, 0, 0),
        ({**WINDOW, "hybrid_layer_pattern": [0, 1, 1, 1] * 8}, 24, 1024),
        ({"attention_chunk_size": 8192, "model_type": "llama4_text"}, 24, 8192),
        ({"layer_types": ["linear_attention"] * 24 + ["full_attention"] * 8}, 24, 0),
        ({"full_attention_interval": 4}, 24, 0),
    ],
)
def test_windows_are_those_that_the_file_or_its_architecture_tells(
    tmp_path: Path, told: dict[str, Any], windowed: int, window: int
) -> None:
    found = read(written(tmp_path, {**LLAMA, **told}), "mine").model
    assert (found.windowed_layers, found.window_tokens) == (windowed, window)


def test_attention_that_is_not_converted_stays_in_16_bit(tmp_path: Path) -> None:
    left = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]}
    found = read(written(tmp_path, {**LLAMA, "quantization_config": left}), "mine").model
    assert found.native is Precision.FP4
    assert found.attention_16bit_b == pytest.approx(32 * 2 * 4096 * 128 * 40 / 1e9)
    left["modules_to_not_convert"] = ["lm_head"]
    assert (
        read(written(tmp_path, {**LLAMA, "quantization_config": left}), "mine").model.attention_16bit_b == 0
    )


def test_layers_with_experts_may_be_told_one_by_one(tmp_path: Path) -> None:
    experts = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 1024}
    listed, every_second = (
        read(written(tmp_path, {**LLAMA, **experts, **told}), "mine").model.parameters_b
        for told in (
            {"moe_layer_freq": [0, 1] * (LLAMA["num_hidden_layers"] // 2)},
            {"decoder_sparse_step": 2},
        )
    )
    assert listed == every_second


def group(bits: int, kind: str, activations: object = None) -> dict[str, Any]:
    weights = {"num_bits": bits, "type": kind}
    return {"config_groups": {"group_0": {"weights": weights, "input_activations": activations}}}


@pytest.mark.parametrize(
    ("quantization", "stored"),
    [
        ({"quant_method": "compressed-tensors", **group(4, "int")}, Precision.INT4),
        ({"quant_method": "compressed-tensors", **group(8, "int", {"num_bits": 8})}, Precision.INT8),
        ({"quant_method": "compressed-tensors", **group(8, "int")}, Precision.INT8_WEIGHTS),
        ({"quant_method": "compressed-tensors", **group(8, "float")}, Precision.FP8),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", **group(4, "float")}, Precision.FP4),
        ({"quant_method": "gptq", "bits": 8}, Precision.INT8_WEIGHTS),
        ({"quant_method": "awq", "bits": 4}, Precision.INT4),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, Precision.INT4),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, Precision.INT8_WEIGHTS),
        ({"quant_method": "fp8", "config_groups": []}, Precision.FP8),
    ],
)
def test_quantized_weights_have_the_bits_that_the_file_tells(
    tmp_path: Path, quantization: dict[str, Any], stored: Precision
) -> None:
    found = read(written(tmp_path, {**LLAMA, "quantization_config": quantization}), "mine")
    assert found.checkpoint.precision is stored


@pytest.mark.parametrize("told", ["int4", [4], {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"}])
def test_bits_that_the_file_does_not_tell_are_not_guessed(tmp_path: Path, told: object) -> None:
    with pytest.raises(HetopsError, match="no config_groups tell its bits"):
        read(written(tmp_path, {**LLAMA, "quantization_config": told}), "mine")


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size"])
def test_a_key_that_is_missing_or_no_number_is_named_with_the_file(tmp_path: Path, key: str) -> None:
    file = written(tmp_path, {k: v for k, v in LLAMA.items() if k != key})
    with pytest.raises(HetopsError, match=f"config.json: the key {key} is missing"):
        read(file, "mine")
    with pytest.raises(HetopsError, match=f"{key} must be a whole number"):
        read(written(tmp_path, {**LLAMA, key: "many"}), "mine")


def test_what_is_no_config_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(HetopsError, match="no such file"):
        read(tmp_path / "absent.json", "mine")
    (tmp_path / "text.json").write_text("{", encoding="utf-8")
    with pytest.raises(HetopsError, match="no JSON"):
        read(tmp_path / "text.json", "mine")
    with pytest.raises(HetopsError, match="not an object"):
        read(written(tmp_path, [1]), "mine")
    with pytest.raises(HetopsError, match="num_experts_per_tok"):
        read(written(tmp_path, {**LLAMA, "num_experts": 8}), "mine")
    with pytest.raises(HetopsError, match="quant_method 'hqq' is not known"):
        read(written(tmp_path, {**LLAMA, "quantization_config": {"quant_method": "hqq"}}), "mine")
