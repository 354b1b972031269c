"""A model's shape out of a config.json: the catalogue's own models are found again, and what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hetops.catalog import tables
from hetops.catalog.hub_config import read
from hetops.domain.model import Precision
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


PLAIN = ("gpt-j", "opt", "falcon", "phi-2")
"""Models of the catalogue whose MLP has two matrices."""


def written(folder: Path, config: Any) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("name", "config"), [("llama-3.1-8b", LLAMA), ("mixtral-8x7b", MIXTRAL), ("deepseek-v3", DEEPSEEK)]
)
def test_the_catalogues_dense_mixed_and_latent_models_are_found_again(
    tmp_path: Path, name: str, config: dict[str, Any]
) -> None:
    found, known = read(written(tmp_path, config), name).model, tables.load().model(name)
    for field in ("parameters_b", "active_parameters_b", "kv_bytes_per_token_16bit"):
        assert getattr(found, field) == pytest.approx(getattr(known, field), rel=0.02)
    for field in ("layers", "hidden", "heads", "vocabulary", "experts", "active_experts", "latent_kv"):
        assert getattr(found, field) == getattr(known, field)


@pytest.mark.parametrize(
    "name", [name for name, row in ROWS.items() if not row["moe_experts"] and row["ffn"]]
)
def test_every_dense_model_has_the_parameters_that_its_shape_tells(tmp_path: Path, name: str) -> None:
    row = ROWS[name]
    keys = {
        "hidden_size": "hidden",
        "num_hidden_layers": "layers",
        "num_attention_heads": "heads",
        "num_key_value_heads": "kv_heads",
        "head_dim": "head_dim",
        "intermediate_size": "ffn",
        "vocab_size": "vocab",
        "max_position_embeddings": "context",
    }
    config = {key: int(row[column]) for key, column in keys.items()}
    if name.startswith(PLAIN):
        config["model_type"] = "opt"
    config["tie_word_embeddings"] = row["tied_embeddings"] == "1"
    found = read(written(tmp_path, {"text_config": config}).parent, name)
    assert found.model.parameters_b == pytest.approx(float(row["params_b"]), rel=0.02)
    assert found.checkpoint.precision is Precision.BF16


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


def group(bits: int, kind: str) -> dict[str, Any]:
    return {"config_groups": {"group_0": {"weights": {"num_bits": bits, "type": kind}}}}


@pytest.mark.parametrize(
    ("quantization", "stored"),
    [
        ({"quant_method": "compressed-tensors", **group(4, "int")}, Precision.INT4),
        ({"quant_method": "compressed-tensors", **group(8, "int")}, Precision.INT8),
        ({"quant_method": "compressed-tensors", **group(8, "float")}, Precision.FP8),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", **group(4, "float")}, Precision.FP4),
        ({"quant_method": "gptq", "bits": 8}, Precision.INT8),
        ({"quant_method": "awq", "bits": 4}, Precision.INT4),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, Precision.INT4),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, Precision.INT8),
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
