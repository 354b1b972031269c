"""`hetops estimate` and `hetops calibrate` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from hetops.app.calibrate import SHIPPED
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
    (tmp_path / "cases.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = hetops(tmp_path, "estimate", "--cases", "cases.csv", "--json")
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert [a["id"] for a in answers] == ["0001", "0002", "0003", "9999"]
    assert all(a["low"] < a["value"] < a["high"] for a in answers[:3])
    assert answers[3]["value"] is None
    assert "unknown GPU type 'H900'" in answers[3]["reason"]


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
    assert "no column 'id'" in run.stderr
    assert "No such file" in hetops(tmp_path, "calibrate", "fit", "nothing.csv").stderr
