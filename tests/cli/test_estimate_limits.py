"""What `hetops estimate` refuses, and what it says of loads that a replica cannot run at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hetops.app.estimate import Estimated, Subject, estimate
from hetops.domain.model import Precision
from hetops.errors import HetopsError, UnknownNameError
from hetops.performance.breakdown import Load
from hetops.reports import estimate as report
from tests.catalog.test_hub_config import LLAMA
from tests.cli.process import hetops

SUBJECT: dict[str, Any] = {
    "model": "llama-3.1-8b",
    "gpu": "L40S",
    "engine": "vllm",
    "tensor_parallel": 1,
    "pipeline_parallel": 1,
    "weights": Precision.BF16,
    "kv": Precision.BF16,
}


def estimated(concurrency: float, **changed: Any) -> Estimated:
    """An 8B model on one L40S unless told otherwise, 1000 tokens in and 200 out."""
    load = Load(input_tokens=1000.0, output_tokens=200.0, concurrency=concurrency)
    return estimate(Subject(**SUBJECT | changed), load)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--gpu", "L40S", "--input", "inf"), "inf is not a finite number"),
        (("--gpu", "L40S", "--concurrency", "nan"), "nan is not a finite number"),
        (("--stages", ","), "'' is no GPU:TP"),
        (("--stages", "L40S:1,L40S:1", "--tp", "2"), "--tp and --pp go with --gpu"),
        (("--gpu", "L40S", "--draft-share", "0.1"), "goes with --speculate"),
    ],
)
def test_what_means_nothing_is_a_usage_error(tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    run = hetops(tmp_path, "estimate", "--model", "llama-3.1-8b", *options)
    assert (run.returncode, told in run.stderr) == (64, True), run.stderr


def test_an_engine_that_nobody_knows_is_answered_with_a_near_one() -> None:
    with pytest.raises(UnknownNameError) as fault:
        estimated(1.0, engine="vlm")
    assert "did you mean 'vllm'" in fault.value.hint
    assert estimated(1.0, engine="TensorRT-LLM").breakdown.step_seconds > 0


def test_a_host_that_is_too_small_is_told_what_would_fit() -> None:
    with pytest.raises(HetopsError, match="does not fit") as fault:
        estimated(1.0, gpu="CPU", engine="llamacpp", weights=Precision.INT4)
    assert "would fit: 2 x CPU (int4)" in fault.value.details


@pytest.mark.parametrize(("gpu", "kv"), [("A100-80GB-SXM", Precision.FP8), ("L40S", Precision.FP4)])
def test_a_kv_cache_that_no_engine_keeps_there_is_refused(gpu: str, kv: Precision) -> None:
    with pytest.raises(HetopsError, match=f"keeps no {kv} KV cache"):
        estimated(1.0, gpu=gpu, kv=kv)


def test_a_step_is_that_of_what_runs_and_what_waits_is_told() -> None:
    crowded, few = estimated(1000.0), estimated(16.0)
    found = crowded.breakdown
    assert few.breakdown.in_flight == 16.0
    assert crowded.memory is not None
    assert 100 < found.in_flight <= crowded.memory.kv_capacity_tokens / 1100
    assert found.step_seconds * 1e3 < (found.tpot.value or 0.0), "the prompts of others come on top"
    assert "1000 at once, of which 175 run and the others wait" in report.as_text(crowded)
    assert "wait" not in report.as_text(few)


@pytest.mark.parametrize(("file", "name"), [("config.json", "folder"), ("mine.json", "mine"), ("", "folder")])
def test_a_model_of_ones_own_is_called_as_its_file_or_folder(tmp_path: Path, file: str, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / (file or "config.json")).write_text(json.dumps(LLAMA), encoding="utf-8")
    assert estimated(1.0, model=str(folder / file)).breakdown.configuration.startswith(f"{name}/")
