"""A model that the catalogue does not know is planned from its config.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hetops.app.plan import make_plan
from hetops.errors import HetopsError
from tests.app.test_bench import asked
from tests.catalog.test_hub_config import LLAMA

SPEC = """\
[deployment]
name = "chat"

[model]
name = "house-8b"
{config}

[[workload.classes]]
name = "short"
requests_per_second = 1.0
input_tokens = 100
output_tokens = 20

[targets]
ttft_seconds = 2.0

[providers.local]
emulate = true

[offers]
gpus = ["L40S"]
"""


def write(folder: Path, config: str) -> None:
    (folder / "hetops.toml").write_text(SPEC.format(config=config), encoding="utf-8")


def test_a_config_json_beside_the_spec_is_the_model(tmp_path: Path) -> None:
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / "config.json").write_text(json.dumps(LLAMA), encoding="utf-8")
    for path in ("house/config.json", "house"):
        write(tmp_path, f'config = "{path}"')
        plan = make_plan(asked(tmp_path))
        assert plan.model == "house-8b"
        assert {p.configuration.checkpoint for p in plan.pools} == {"house-8b"}


def test_an_unknown_model_is_told_how_to_describe_it_and_a_wrong_file_by_its_key(tmp_path: Path) -> None:
    write(tmp_path, "")
    with pytest.raises(HetopsError, match="unknown model 'house-8b'") as caught:
        make_plan(asked(tmp_path))
    assert "model.config" in caught.value.hint
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, "vocab_size": None}), encoding="utf-8")
    write(tmp_path, 'config = "config.json"')
    with pytest.raises(HetopsError, match="the key vocab_size is missing"):
        make_plan(asked(tmp_path))


def test_a_class_longer_than_the_models_context_is_named_with_both_numbers(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({**LLAMA, "max_position_embeddings": 96}), encoding="utf-8"
    )
    write(tmp_path, 'config = "config.json"')
    with pytest.raises(
        HetopsError, match="class short: requests of 120 tokens exceed the 96 that house-8b takes"
    ):
        make_plan(asked(tmp_path))
