"""What `hetops estimate` refuses, and what it says of loads that a replica cannot run at once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hetops.app.estimate import Estimated, Subject, estimate
from hetops.catalog import tables
from hetops.domain.configuration import Speculation, StageGpus
from hetops.domain.model import Precision
from hetops.domain.units import BYTES_PER_GB
from hetops.errors import HetopsError, UnknownNameError
from hetops.performance.breakdown import Load
from hetops.reports import estimate as report
from tests.catalog.test_hub_config import LLAMA
from tests.cli.process import hetops

CATALOG = tables.load()
SUBJECT: dict[str, Any] = {
    "model": "llama-3.1-8b",
    "gpu": "L40S",
    "engine": "vllm",
    "tensor_parallel": 1,
    "pipeline_parallel": 1,
    "weights": Precision.BF16,
    "kv": Precision.BF16,
}


def estimated(concurrency: float, tokens: tuple[float, float] = (1000.0, 200.0), **changed: Any) -> Estimated:
    """An 8B model on one L40S unless told otherwise."""
    load = Load(input_tokens=tokens[0], output_tokens=tokens[1], concurrency=concurrency)
    return estimate(Subject(**SUBJECT | changed), load)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--gpu", "L40S", "--input", "inf"), "inf is not a finite number"),
        (("--gpu", "L40S", "--concurrency", "nan"), "nan is not a finite number"),
        (("--stages", ","), "'' is no GPU:TP"),
        (("--stages", "L40S:1,L40S:1", "--tp", "2"), "--tp and --pp go with --gpu"),
        (("--gpu", "L40S", "--draft-share", "0.1"), "goes with --speculate"),
        (("--stages", "L40S:1,L40S:1", "--estimator", "x"), "--estimator is asked about equal stages"),
        (("--cases", "cases.csv", "--estimator", "x"), "not about a file of --cases"),
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
    assert "1000 at once, of which 180 run and the others wait" in report.as_text(crowded)
    assert "wait" not in report.as_text(few)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm", "vllm 0.6.3", "tgi"])
def test_what_runs_is_what_the_memory_that_is_told_holds(engine: str) -> None:
    """Of 70 GB of weights on 80 GB, where engines' rules differ most: one answer, not two."""
    found = estimated(16.0, model="llama-3.1-70b", gpu="H100-SXM", weights=Precision.FP8, engine=engine)
    assert found.memory is not None
    held = min(16.0, max(1.0, found.memory.kv_capacity_tokens / (1000 + 0.6 * 200)))
    assert found.breakdown.in_flight == pytest.approx(held, rel=0.01)
    saturated = found.answer.saturation.output_tokens_per_second.value
    assert (found.breakdown.output_tokens_per_second.value or 0.0) < 1.15 * saturated


@pytest.mark.parametrize(
    "stages", [(), (StageGpus(gpu="L40S", tensor_parallel=1), StageGpus(gpu="L4", tensor_parallel=2))]
)
def test_drafted_tokens_stay_below_the_roofline_and_are_reckoned_over_stages_too(
    stages: tuple[StageGpus, ...],
) -> None:
    asked = {"stages": stages, "gpu": "" if stages else "L40S", "pipeline_parallel": 1}
    plain = estimated(2.0, **asked).breakdown
    found = estimated(2.0, **asked, speculation=Speculation(draft_tokens=8, acceptance=0.95)).breakdown
    assert (found.tpot.value or 0.0) < 0.4 * (plain.tpot.value or 0.0)
    line, decode = found.roofline, found.roofline.decode
    assert decode.operations_per_second / decode.operations_per_byte < line.bandwidth_bytes_per_second
    if not stages:
        assert decode.operations_per_byte > 4 * plain.roofline.decode.operations_per_byte, (
            "nine are checked at once"
        )
        assert line.reached_bytes_per_second == pytest.approx(plain.roofline.reached_bytes_per_second)


def test_tensorrt_takes_nine_tenths_of_what_weights_leave() -> None:
    theirs = estimated(
        16.0, model="llama-3.1-70b", gpu="H100-SXM", weights=Precision.FP8, engine="tensorrt-llm"
    ).memory
    assert theirs is not None
    whole = CATALOG.gpu("H100-SXM").memory_bytes / BYTES_PER_GB
    left = whole - theirs.weights_gb - theirs.reserve_gb
    assert theirs.kv_gb == pytest.approx(0.9 * left)
    assert theirs.usable_gb == pytest.approx(whole - 0.1 * left)


def test_those_who_wait_take_no_memory_and_are_answered_for_however_many() -> None:
    some, many = estimated(2_000.0), estimated(1e9)
    assert some.memory == many.memory
    assert some.breakdown.in_flight == many.breakdown.in_flight
    waits = [one.answer.under_load.ttft.p50.value for one in (some, many)]
    assert waits[1] / waits[0] == pytest.approx(1e9 / 2_000.0, rel=0.15)
    assert many.answer.under_load.in_flight == 1e9


def test_an_answer_of_one_token_has_no_tpot_and_less_than_a_token_a_second_is_told() -> None:
    text = report.as_text(estimated(16.0, (130_000.0, 1.0), gpu="H100-SXM"))
    assert "TPOT  " not in text
    assert re.search(r"output tokens a second +0\.0\d+ ", text)


@pytest.mark.parametrize(("file", "name"), [("config.json", "folder"), ("mine.json", "mine"), ("", "folder")])
def test_a_model_of_ones_own_is_called_as_its_file_or_folder(tmp_path: Path, file: str, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / (file or "config.json")).write_text(json.dumps(LLAMA), encoding="utf-8")
    assert estimated(1.0, model=str(folder / file)).breakdown.configuration.startswith(f"{name}/")


@pytest.mark.parametrize(
    ("engine", "gpu", "told"),
    [
        ("vllm", "V100-32GB-SXM2", "vllm of today has no kernels for V100-32GB-SXM2: compute capability 7.0"),
        ("sglang", "T4", "compute capability 7.5, it wants 8.0 or more"),
        ("sglang", "MI250", "architecture gfx90a, it has those for gfx942, gfx950"),
        ("TensorRT-LLM", "T4", "compute capability 7.5, it wants 8.0 or more"),
    ],
)
def test_a_gpu_that_todays_engine_does_not_start_on_is_refused_and_an_older_version_is_not(
    engine: str, gpu: str, told: str
) -> None:
    asked = {"gpu": gpu, "tensor_parallel": 2, "weights": Precision.FP16}
    with pytest.raises(HetopsError, match=re.escape(told)) as fault:
        estimated(1.0, engine=engine, **asked)
    assert f"--engine '{engine} VERSION'" in fault.value.hint
    assert estimated(1.0, engine=f"{engine} 0.5", **asked).breakdown.step_seconds > 0


def test_gpus_that_the_engine_does_not_start_on_are_not_told_as_what_would_fit() -> None:
    with pytest.raises(HetopsError, match="does not fit") as fault:
        estimated(1.0, gpu="RTX3060", engine="sglang", model="qwen2.5-7b")
    assert fault.value.details
    assert not any(name in " ".join(fault.value.details) for name in ("T4", "V100", "Turing"))


@pytest.mark.parametrize(
    ("engine", "share"),
    [("vllm", 0.92), ("vLLM", 0.92), ("vllm 0.25", 0.92), ("vllm 0.20.1", 0.9), ("sglang 0.5", 0.88)],
)
def test_an_engine_takes_of_the_memory_what_its_version_takes_by_itself(engine: str, share: float) -> None:
    memory = estimated(1.0, engine=engine).memory
    assert memory is not None
    assert memory.usable_gb == pytest.approx(share * CATALOG.gpu("L40S").memory_bytes / BYTES_PER_GB)
