"""Mistakes as a shell meets them: in the call, the spec, a trace, what is asked for. Each names its place and what to do."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.cli.process import hetops, spec, told

FAULTS = {
    "no such command": (("ofers",), 64, "did you mean 'offers'?"),
    "nothing like a command": (("xyzzy",), 64, "hetops --help lists them"),
    "no such option": (("offers", "--gpus", "L4"), 64, "hetops offers --help"),
    "no such option of hetops": (("--gpus", "offers"), 64, "--gpus"),
    "an option without its value": (("offers", "--gpu"), 64, "hetops offers --help"),
    "a value that is no choice": (("offers", "--market", "gray"), 64, "'gray' is not one of"),
    "too many arguments": (("doctor", "clock", "moon"), 64, "'moon' is not one of"),
    "no spec": (("offers", "-f", "none.toml"), 1, "no spec: none.toml does not exist"),
    "no file": (("solve", "none.json"), 1, "problem none.json cannot be read: No such file or directory"),
    "a folder for a file": (("solve", "."), 1, "problem . cannot be read: Is a directory"),
    "unknown GPU type": (("offers", "--gpu", "H100-SMX"), 1, "did you mean 'H100-SXM'"),
    "unknown provider": (("offers", "--provider", "awss"), 1, "did you mean 'aws'"),
    "unknown model": (("init", "--model", "llama-3.1-8"), 1, "did you mean 'llama-3.1-8b'"),
    "unknown format": (("schema", "plam"), 1, "did you mean 'plan'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_mistake_has_its_exit_code_and_says_what_to_do(fault: str, tmp_path: Path) -> None:
    arguments, code, says = FAULTS[fault]
    run = hetops(tmp_path, *arguments)
    assert run.returncode == code
    assert run.stderr.startswith("Error: ")
    assert says in run.stderr
    assert run.stdout == ""


@pytest.mark.parametrize("fault", FAULTS)
def test_every_mistake_is_a_document_where_json_was_asked_for(fault: str, tmp_path: Path) -> None:
    arguments, code, says = FAULTS[fault]
    run = hetops(tmp_path, "--json", *arguments)
    document = told(run)
    assert run.returncode == document["exit_code"] == code
    assert says in f"{document['message']} {document['hint']}"
    assert document["format"] == "hetops.error"
    assert f"Error: {document['message']}" in run.stderr


TOML_FAULTS = {
    "not TOML": ("[model]", "[model", "hetops.toml:8: not TOML"),
    "unknown key": (
        "requests_per_second = 12",
        "request_per_second = 12",
        "did you mean 'requests_per_second'?",
    ),
    "unknown table": ("[policy]", "[polcy]", "did you mean 'policy'?"),
    "a wrong type": ("port = 8080", 'port = "8080"', "router.port: expected int, got str, found '8080'"),
    "an impossible value": ("headroom = 0.15", "headroom = 1.5", "policy.headroom: expected float < 1.0"),
    "no choice": ('markets = ["on_demand"]', 'markets = ["on-demand"]', "did you mean 'on_demand'?"),
    "a budget of zero": ("# [budget]", "[budget]\nusd_per_hour = 0 #", "a budget must be above zero"),
    "unknown GPU type": ('# gpus = ["L4", ', 'gpus = ["L44", ', "offers.gpus[0]"),
    "unknown provider": ("# [providers.aws]", "[providers.awz]", "did you mean 'aws'"),
    "a secret": ('name = "chat"', 'name = "${env:API_KEY}"', "looks like a secret"),
    "a variable that is not set": ('name = "chat"', 'name = "${env:NOT_SET}"', "NOT_SET is not set"),
}


@pytest.mark.parametrize("fault", TOML_FAULTS)
def test_every_mistake_in_the_spec_names_its_place(fault: str, tmp_path: Path) -> None:
    old, new, says = TOML_FAULTS[fault]
    path = spec(tmp_path, (old, new))
    line = 1 + path.read_text().partition(new.partition("\n")[0])[0].count("\n")
    run = hetops(tmp_path, "offers", "--offline", "--json")
    assert run.returncode == 1
    assert says in run.stderr
    assert re.search(rf"hetops\.toml:({line}|{line + 1})\b", run.stderr), run.stderr
    assert told(run)["exit_code"] == 1


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"[deployment]\nname = 'x'"], ids=["empty", "not text", "half"]
)
def test_a_spec_that_is_none_is_an_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "hetops.toml").write_bytes(content)
    run = hetops(tmp_path, "offers", "--offline")
    assert run.returncode == 1
    assert "hetops.toml" in run.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_spec_is_an_error(tmp_path: Path) -> None:
    spec(tmp_path).chmod(0)
    run = hetops(tmp_path, "offers", "--offline")
    assert run.returncode == 1
    assert "cannot be read: Permission denied" in run.stderr


PLAN_FAULTS = {
    "unknown model": (
        ("--set", "model.name=llama-3.1-8"),
        1,
        ["unknown model 'llama-3.1-8' at --set model.name=llama-3.1-8: model.name", "did you mean"],
    ),
    "unknown engine": (("--set", 'engine.names=["vlm"]'), 1, ["unknown engine 'vlm'", "did you mean 'vllm'"]),
    "targets that nothing meets": (
        ("--set", "targets.ttft_seconds=0.001"),
        6,
        ["try: loosen the latency targets by a factor of"],
    ),
    "a budget that is too small": (
        ("--set", "budget.usd_per_hour=0.1"),
        6,
        ["try: raise the budget from 0.1 to"],
    ),
    "a budget of zero": (("--set", "budget.usd_per_hour=0"), 1, ["a budget must be above zero"]),
    "nothing but what is not sold": (
        ("--set", 'offers.gpus=["H100-SXM"]', "--set", 'offers.regions=["mars-*"]'),
        6,
        ["no offer may be chosen", "hetops offers --refused"],
    ),
    "an override that is none": (("--set", "budget"), 64, ["is no key.path=value"]),
    "a trace that is not there": (
        ("--set", "workload.classes=[]", "--set", "workload.trace=none.csv"),
        1,
        ["none.csv"],
    ),
}


@pytest.mark.parametrize("fault", PLAN_FAULTS)
def test_every_plan_that_cannot_be_made_says_why_and_what_would_do(fault: str, tmp_path: Path) -> None:
    options, code, says = PLAN_FAULTS[fault]
    spec(tmp_path)
    run = hetops(tmp_path, "plan", *options, "--json")
    assert run.returncode == told(run)["exit_code"] == code, run.stderr
    for words in says:
        assert words in run.stderr
    assert "  try: " in run.stderr or "override" in fault or "zero" in fault or "not there" in fault


def test_the_smallest_relaxation_that_is_named_does_make_a_plan(tmp_path: Path) -> None:
    spec(tmp_path)
    refused = hetops(tmp_path, "plan", "--set", "budget.usd_per_hour=0.1")
    enough = re.search(r"raise the budget from 0\.1 to ([0-9.]+) usd_per_hour", refused.stderr)
    assert enough
    assert hetops(tmp_path, "plan", "--set", f"budget.usd_per_hour={enough.group(1)}").returncode == 0


TRACES = {
    "one request": ("TIMESTAMP,ContextTokens,GeneratedTokens\n2026-01-01 00:00:00,100,20\n", 1),
    "no request": ("TIMESTAMP,ContextTokens,GeneratedTokens\n", 1),
    "empty": ("", 1),
    "a column is missing": ("TIMESTAMP,ContextTokens\n2026-01-01 00:00:00,100\n", 1),
    "a negative length": (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2026-01-01 00:00:00,-1,20\n2026-01-01 00:00:01,5,5\n",
        1,
    ),
}


@pytest.mark.parametrize("fault", TRACES)
def test_a_trace_that_no_rate_can_be_made_of_is_an_error_with_its_file(fault: str, tmp_path: Path) -> None:
    content, code = TRACES[fault]
    path = spec(tmp_path)
    text = path.read_text()
    head, _, rest = text.partition("[[workload.classes]]")
    path.write_text(head + '[workload]\ntrace = "requests.csv"\n\n' + rest[rest.index("[targets]") :])
    (tmp_path / "requests.csv").write_text(content)
    run = hetops(tmp_path, "plan", "--json")
    assert run.returncode == told(run)["exit_code"] == code, run.stdout
    assert "requests.csv" in run.stderr
    assert told(run)["kind"] == "TraceError"


def test_a_package_of_an_extra_that_is_missing_is_named_with_the_extra(tmp_path: Path) -> None:
    missing = tmp_path / "httptools.py"
    missing.write_text("raise ModuleNotFoundError(\"No module named 'httptools'\", name='httptools')\n")
    (tmp_path / "router.json").write_text("{}")
    run = hetops(tmp_path, "route", "--config", "router.json", variables={"PYTHONPATH": str(tmp_path)})
    assert run.returncode == 1
    assert "not installed: httptools\n  try: pip install 'hetops[router]'\n" in run.stderr


OF_A_SPEC = ("offers", "bench", "plan", "explain", "diff", "up", "status", "replay", "down", "plugins")


@pytest.mark.parametrize("name", OF_A_SPEC)
def test_a_spec_that_is_not_there_is_said_by_every_command_that_reads_one(name: str, tmp_path: Path) -> None:
    run = hetops(tmp_path, name, "-f", "none.toml", "--json")
    assert run.returncode == told(run)["exit_code"] == 1
    assert told(run)["message"] == "no spec: none.toml does not exist"
    assert list(tmp_path.iterdir()) == []
