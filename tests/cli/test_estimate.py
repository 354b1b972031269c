"""`hetops estimate` and `hetops calibrate` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hetops.app.calibrate import SHIPPED
from tests.catalog.test_hub_config import LLAMA
from tests.cli.process import hetops, told


def test_a_configuration_is_explained(tmp_path: Path) -> None:
    asked = ("estimate", "--model", "llama-3.1-70b", "--gpu", "H100-SXM", "--tp", "4", "--precision", "fp8")
    run = hetops(tmp_path, *asked, "--plot", "roof.svg")
    assert run.returncode == 0
    assert "weight bandwidth" in run.stdout
    assert "Evidence: calibrated" in run.stdout
    assert ElementTree.parse(tmp_path / "roof.svg").getroot().tag.endswith("svg")
    found = told(hetops(tmp_path, *asked, "--json"))
    assert found["format"] == "hetops.estimate"
    assert found["tpot"]["low"] < found["tpot"]["value"] < found["tpot"]["high"]
    assert {p["name"] for p in found["parts"]} >= {
        "weight bandwidth",
        "compute",
        "KV bandwidth",
        "all-reduce",
    }


def test_cases_are_answered_one_line_each_and_the_impossible_with_a_reason(tmp_path: Path) -> None:
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()[:4]
    lines.append(lines[1].replace("H100-SXM", "H900").replace("0001", "9999", 1))
    lines[0] += ",batch_size"
    (tmp_path / "cases.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = hetops(tmp_path, "estimate", "--cases", "cases.csv", "--json")
    assert "cases.csv: batch_size not read; columns are id, " in run.stderr
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert [a["id"] for a in answers] == ["0001", "0002", "0003", "9999"]
    assert all(a["low"] < a["value"] < a["high"] for a in answers[:3])
    assert answers[3]["value"] is None
    assert "unknown GPU type 'H900'" in answers[3]["reason"]


def test_a_case_on_a_gpu_that_todays_engine_does_not_start_on_is_answered(tmp_path: Path) -> None:
    header = "id,gpu,gpu_count,model,precision_weights,engine,input_tokens,output_tokens,request_rate,metric"
    row = "1,V100-32GB-SXM2,1,llama-3.1-8b,fp16,vLLM,500,150,inf,output_tok_s"
    (tmp_path / "cases.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    (answer,) = hetops(tmp_path, "estimate", "--cases", "cases.csv", "--json").stdout.splitlines()
    assert json.loads(answer)["value"] > 0


def test_what_does_not_fit_or_is_not_known_says_so(tmp_path: Path) -> None:
    large = hetops(tmp_path, "estimate", "--model", "llama-3.1-70b", "--gpu", "L4")
    assert (large.returncode, "GB are lacking" in large.stderr) == (1, True)
    unknown = hetops(tmp_path, "estimate", "--model", "llama-3.1-70b", "--gpu", "H100")
    assert "H100-SXM" in unknown.stderr
    assert hetops(tmp_path, "estimate").returncode == 64
    assert (
        hetops(
            tmp_path, "estimate", "--model", "llama-3.1-8b", "--gpu", "L4", "--precision", "int3"
        ).returncode
        == 64
    )
    split = hetops(tmp_path, "estimate", "--model", "llama-3.1-8b", "--gpu", "L4", "--tp", "3")
    assert "which 3 GPUs cannot share" in split.stderr
    long = hetops(tmp_path, "estimate", "--model", "llama-3.1-8b", "--gpu", "L4", "--input", "900000")
    assert "exceed" in long.stderr


def test_a_score_is_printed_and_parses(tmp_path: Path) -> None:
    run = hetops(tmp_path, "calibrate", "score", str(SHIPPED))
    assert "1,099 measured rows, 28 left out" in run.stdout
    assert "ranked right" in run.stdout
    found = told(hetops(tmp_path, "calibrate", "score", str(SHIPPED), "--json"))
    assert {m["subject"] for m in found["metrics"]} == {"throughput", "tpot", "ttft"}


def test_a_file_of_other_columns_is_an_error_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    run = hetops(tmp_path, "calibrate", "score", "x.csv")
    assert run.returncode == 1
    assert "no column 'gpu'" in run.stderr
    assert "No such file" in hetops(tmp_path, "calibrate", "fit", "nothing.csv").stderr


ASKED = ("estimate", "--model", "llama-3.1-70b", "--precision", "fp8")
ON_FOUR = (*ASKED, "--gpu", "H100-SXM", "--tp", "4")


def test_prefix_cache_and_speculation_make_it_faster_and_a_link_sets_prefill_and_decode_apart(
    tmp_path: Path,
) -> None:
    plain = told(hetops(tmp_path, *ON_FOUR, "--json"))
    cached = told(hetops(tmp_path, *ON_FOUR, "--prefix-share", "0.8", "--json"))
    drafted = told(hetops(tmp_path, *ON_FOUR, "--speculate", "4", "0.8", "--link", "50", "--json"))
    assert cached["ttft"]["value"] < 0.5 * plain["ttft"]["value"]
    assert drafted["tpot"]["value"] < 0.6 * plain["tpot"]["value"]
    assert drafted["prefill_and_decode_apart"]["transfer_seconds"] > 0
    assert "prefill_and_decode_apart" not in plain


def test_prefill_and_decode_apart_are_held_against_the_targets(tmp_path: Path) -> None:
    loose, tight = (
        hetops(tmp_path, *ON_FOUR, "--link", "50", "--ttft", "60", "--tpot", tpot).stdout
        for tpot in ("1", "0.0001")
    )
    assert "; within what is asked for. The rate within targets is that of a replica that does both" in loose
    assert "; TPOT is over the 0.1 ms asked for. The rate" in tight


def test_a_version_of_an_engine_that_is_none_is_an_error(tmp_path: Path) -> None:
    assert "'x.y' is no version of an engine" in hetops(tmp_path, *ON_FOUR, "--engine", "vllm x.y").stderr
    assert hetops(tmp_path, *ON_FOUR, "--engine", "tensorrt-llm 0.17").returncode == 0


def test_requests_that_come_at_a_rate_are_told_with_percentiles_and_the_largest_rate_within_targets(
    tmp_path: Path,
) -> None:
    run = hetops(tmp_path, *ON_FOUR, "--rate", "3", "--spread", "0.5", "--ttft", "1", "--tpot", "0.05")
    assert "3 /s requests" in run.stdout
    assert "P99" in run.stdout
    assert "Within TTFT p90 of 1.00 s and TPOT p90 of 50 ms: " in run.stdout
    many = hetops(tmp_path, *ON_FOUR, "--rate", "3000")
    assert (many.returncode, "more than one replica completes" in many.stderr) == (1, True)


def test_a_pipeline_shows_its_layers_and_unlike_stages_say_that_nobody_measured_them(tmp_path: Path) -> None:
    even = hetops(tmp_path, *ASKED, "--gpu", "H100-SXM", "--pp", "4")
    assert "Layers by stage: 21 + 20 + 20 + 19" in even.stdout
    run = hetops(tmp_path, *ASKED, "--stages", "H100-SXM:2,L40S:4", "--link", "12.5")
    assert "2 x H100-SXM" in run.stdout
    assert "Evidence: prior" in run.stdout
    assert hetops(tmp_path, *ASKED, "--stages", "H100-SXM:many").returncode == 64
    small = hetops(tmp_path, *ASKED, "--stages", "L4:1,L4:1")
    assert (small.returncode, "memory for" in small.stderr) == (1, True)


def test_what_would_fit_is_told_and_what_a_gpu_runs(tmp_path: Path) -> None:
    large = hetops(tmp_path, "estimate", "--model", "llama-3.1-70b", "--gpu", "H100-SXM").stderr
    assert "would fit: 2 x H100-SXM (bf16)" in large
    assert "would fit: 1 x H100-SXM (fp8)" in large
    assert "would fit: 1 x B200 (bf16)" in large
    volta = ("--gpu", "V100-32GB-SXM2", "--engine", "vllm 0.14")
    old = hetops(tmp_path, *ASKED[:3], *volta, "--precision", "fp4").stderr
    assert "cannot run fp4 weights" in old
    assert "it runs fp16, bf16, w8a16" in old
    sparse = hetops(tmp_path, "estimate", "--model", "glm-5", "--gpu", "L40S", "--tp", "8").stderr
    assert "no engine has a kernel for glm-5's sparse attention on L40S" in sparse
    far = hetops(tmp_path, "estimate", "--model", "llama-3.1-405b", "--gpu", "L4").stderr
    assert "would fit: 8 x H200-SXM (bf16)" in far
    assert "would fit: 8 x L4" not in far
    own = hetops(tmp_path, *ASKED[:3], "--gpu", "RTX4090", "--engine", "llamacpp", "--precision", "q4_k_m")
    assert "would fit: 4 x RTX4090 (q4_k_m)" in own.stderr
    other = hetops(
        tmp_path, *ASKED[:3], "--gpu", "RTX4090", "--engine", "llamacpp", "--precision", "fp8"
    ).stderr
    assert "cannot run fp8 weights with llamacpp" in other
    new = hetops(tmp_path, *ASKED[:3], "--gpu", "B200", "--precision", "int8").stderr
    assert "it runs fp16, bf16, fp8, w8a16, int4, fp4" in new
    assert "config.json" in hetops(tmp_path, "estimate", "--model", "llama-9", "--gpu", "L4").stderr


def test_the_checkpoint_its_size_and_what_the_gpu_multiplies_it_in_are_told(tmp_path: Path) -> None:
    run = hetops(tmp_path, *ASKED[:3], "--gpu", "A100-80GB-SXM", "--precision", "int4", "--json")
    told = json.loads(run.stdout)["weights"]
    assert told["checkpoint"] == "RedHatAI/Meta-Llama-3.1-70B-Instruct-quantized.w4a16"
    assert told["multiplied_in"] == "bf16"
    assert 37 < told["gigabytes"] < 42
    old = hetops(tmp_path, "estimate", "--model", "llama-3.1-8b", "--gpu", "T4", "--tp", "2").stdout
    assert "multiplied in fp16" in old
    native = hetops(tmp_path, *ASKED[:3], "--gpu", "B200", "--precision", "fp4").stdout
    assert "multiplied in fp4: no checkpoint of this precision is known" in native
    assert "Weights: " not in hetops(tmp_path, *ASKED, "--stages", "H100-SXM:2,L40S:4").stdout


@pytest.mark.parametrize(
    ("model", "checkpoint", "format"),
    [
        ("llama-3-8b", "RedHatAI/Meta-Llama-3-8B-Instruct-quantized.w8a16", None),
        ("llama-3.3-70b", "lierseleow/Llama-3.3-70B-Instruct-bnb-8bit", "bitsandbytes"),
    ],
)
def test_bitsandbytes_is_told_as_such_and_only_where_there_is_nothing_else(
    tmp_path: Path, model: str, checkpoint: str, format: str | None
) -> None:
    args = ("estimate", "--model", model, "--gpu", "H200-SXM", "--precision", "w8a16")
    told = json.loads(hetops(tmp_path, *args, "--json").stdout)["weights"]
    assert (told["checkpoint"], told["format"]) == (checkpoint, format)
    shown = hetops(tmp_path, *args).stdout
    assert ("(bitsandbytes, which is slower than this" in shown) == bool(format)


def test_weights_that_nobody_tells_are_those_that_the_makers_published(tmp_path: Path) -> None:
    run = hetops(tmp_path, "estimate", "--model", "gpt-oss-120b", "--gpu", "H100-SXM")
    assert run.stdout.startswith("gpt-oss-120b/vllm/H100-SXM/tp1/fp4/")
    run = hetops(tmp_path, "estimate", "--model", "llama-3.1-8b", "--gpu", "H100-SXM")
    assert run.stdout.startswith("llama-3.1-8b/vllm/H100-SXM/tp1/bf16/")


def test_a_model_is_read_from_its_config_json(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA), encoding="utf-8")
    own = told(hetops(tmp_path, "estimate", "--model", "config.json", "--gpu", "L40S", "--json"))
    known = told(hetops(tmp_path, "estimate", "--model", "llama-3.1-8b", "--gpu", "L40S", "--json"))
    assert own["tpot"]["value"] / known["tpot"]["value"] == pytest.approx(1, rel=0.01)


def test_attention_in_data_parallel_is_asked_for_and_mistakes_say_what_to_do(tmp_path: Path) -> None:
    asked = ("estimate", "--model", "deepseek-r1", "--gpu", "H200-SXM", "--tp", "8", "--concurrency", "512")
    found = [
        json.loads(hetops(tmp_path, *asked, "--output", "2000", "--json", *more).stdout)
        for more in ((), ("--attention-dp", "8"))
    ]
    kept = [one["memory_per_gpu"]["kv_capacity_tokens"] for one in found]
    assert kept[1] > 4 * kept[0]
    assert found[1]["configuration"].startswith("deepseek-r1/vllm/H200-SXM/tp8adp8/")
    odd = hetops(tmp_path, *asked, "--attention-dp", "3").stderr
    assert "set --attention-dp to a divisor of --tp: 1, 2, 4, 8" in odd
    dense = hetops(
        tmp_path, "estimate", "--model", "llama-3.1-8b", "--gpu", "L4", "--tp", "2", "--attention-dp", "2"
    ).stderr
    assert "has no experts" in dense
