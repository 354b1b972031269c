"""Benchmarks of other tools become evidence for plans, or nothing is recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hetops.app.bench_import import Imports, bench_import
from hetops.app.pose import pose
from hetops.domain.performance import EvidenceLayer
from hetops.errors import HetopsError, UnknownNameError
from hetops.reports import bench as report
from hetops.state import measurements
from tests.app.test_bench import LOCAL, asked, spec
from tests.cli import process
from tests.end_to_end.person import Person
from tests.observations.test_result_files import OWN_CSV, VLLM


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose spec allows emulated L40S only."""
    Person(tmp_path).write(spec('[providers.local]\nemulate = true\n[offers]\ngpus = ["L40S"]'))
    return tmp_path


def result(folder: Path, name: str, **changed: Any) -> Path:
    """A file of `vllm bench serve`."""
    path = folder / name
    path.write_text(json.dumps(VLLM | changed), encoding="utf-8")
    return path


ALONE = {"max_concurrency": 1, "request_throughput": 0.6, "median_tpot_ms": 15.0}


def test_imported_runs_are_the_evidence_of_the_next_plan(folder: Path) -> None:
    files = (result(folder, "1.json", **ALONE), result(folder, "8.json"))
    found = bench_import(asked(folder), Imports(files=files, configuration=LOCAL))
    assert measurements.read(folder / ".hetops" / "measurements") == found.measurements
    assert (found.host, found.tools) == ("L40S", ("vllm bench serve",))
    assert [m.concurrency for m in found.measurements] == [1, 8]
    assert len({m.measured_at for m in found.measurements}) == 1, "one benchmark"
    assert all(rate > 0 for rate in found.estimated_requests_per_second)
    assert any("meta-llama/Llama-3.1-8B-Instruct" in w for w in found.warnings)
    rows = pose(asked(folder)).table.rows.items()
    assert {row.evidence.layer for (of, *_), row in rows if of == LOCAL} == {EvidenceLayer.MEASURED}
    text = report.imported_as_text(found)
    assert "Recorded for planning: 2 measurements" in text
    assert LOCAL in text
    assert report.imported_as_json(found)["format"] == "hetops.bench_import"


def test_a_file_without_a_lone_request_is_recorded_with_a_warning(folder: Path) -> None:
    found = bench_import(asked(folder), Imports(files=(result(folder, "8.json"),), configuration=LOCAL))
    assert any("no run of a lone request" in w for w in found.warnings)


def test_a_csv_may_name_the_configuration_itself(folder: Path) -> None:
    path = folder / "own.csv"
    head, row = OWN_CSV.splitlines()
    path.write_text(f"configuration,{head}\n{LOCAL},{row}\n", encoding="utf-8")
    found = bench_import(asked(folder), Imports(files=(path,)))
    assert {m.configuration for m in found.measurements} == {LOCAL}
    with pytest.raises(HetopsError, match="several configurations"):
        bench_import(asked(folder), Imports(files=(path,), configuration=LOCAL.replace("tp1", "tp2")))


def test_contradicting_files_are_shown_and_nothing_is_recorded(folder: Path) -> None:
    files = (
        result(folder, "a.json"),
        result(folder, "b.json", request_throughput=7.0, median_tpot_ms=9.0),
    )
    with pytest.raises(HetopsError, match="cannot all be evidence") as fault:
        bench_import(asked(folder), Imports(files=files, configuration=LOCAL))
    assert "a.json" in fault.value.details[0]
    assert "b.json" in fault.value.details[0]
    assert not (folder / ".hetops" / "measurements").exists()


def test_an_older_file_than_what_is_recorded_is_said_to_be(folder: Path) -> None:
    newer = result(folder, "newer.json", date="20260301-120000", **ALONE)
    bench_import(asked(folder), Imports(files=(newer,), configuration=LOCAL))
    older = bench_import(
        asked(folder), Imports(files=(result(folder, "older.json", **ALONE),), configuration=LOCAL)
    )
    assert any("a later benchmark" in w for w in older.warnings)


def test_what_was_recorded_otherwise_before_is_shown_beside_it(folder: Path) -> None:
    first = Imports(files=(result(folder, "a.json", **ALONE),), configuration=LOCAL)
    bench_import(asked(folder), first)
    assert not any("recorded before" in w for w in bench_import(asked(folder), first).warnings)
    slower = {**ALONE, "request_throughput": 0.4, "median_tpot_ms": 22.0, "date": "20260401-120000"}
    second = Imports(files=(result(folder, "b.json", **slower),), configuration=LOCAL)
    told = [w for w in bench_import(asked(folder), second).warnings if "recorded before" in w]
    assert any("0.6 requests/s" in w and "b.json" in w for w in told)


def test_a_file_that_is_read_again_is_no_second_benchmark(folder: Path) -> None:
    twice = Imports(files=(result(folder, "a.json", **ALONE),) * 2, configuration=LOCAL)
    for _ in range(2):
        assert any("recorded already" in w for w in bench_import(asked(folder), twice).warnings)
    assert len(measurements.read(folder / ".hetops" / "measurements")) == 1


def test_runs_of_one_time_that_contradict_are_shown_though_one_is_recorded(folder: Path) -> None:
    bench_import(asked(folder), Imports(files=(result(folder, "a.json", **ALONE),), configuration=LOCAL))
    other = result(folder, "b.json", **{**ALONE, "request_throughput": 0.4, "median_tpot_ms": 22.0})
    with pytest.raises(HetopsError, match="cannot all be evidence") as fault:
        bench_import(asked(folder), Imports(files=(other,), configuration=LOCAL))
    assert "recorded before" in fault.value.details[0]
    assert len(measurements.read(folder / ".hetops" / "measurements")) == 1


@pytest.mark.parametrize(
    ("faster", "told"),
    [
        ({"median_ttft_ms": 0.12}, "a first token takes"),
        ({"median_tpot_ms": 0.5, "request_throughput": 40.0}, "a token takes"),
    ],
)
def test_what_no_gpu_can_do_is_no_evidence(folder: Path, faster: dict[str, float], told: str) -> None:
    path = result(folder, "cached.json", p99_ttft_ms=None, p99_tpot_ms=None, **faster)
    with pytest.raises(HetopsError, match="cannot all be evidence") as fault:
        bench_import(asked(folder), Imports(files=(path,), configuration=LOCAL))
    assert told in fault.value.details[0]
    assert "ms at least on L40S" in fault.value.details[0]


def test_runs_with_more_in_flight_than_places_are_left_out(folder: Path) -> None:
    crowded = {"max_concurrency": 300, "request_throughput": 100.0, "median_ttft_ms": 1200.0}
    files = (result(folder, "8.json"), result(folder, "300.json", **crowded))
    found = bench_import(asked(folder), Imports(files=files, configuration=LOCAL))
    assert [m.concurrency for m in found.measurements] == [8]
    assert any("300 in flight, more than the 256 places" in w for w in found.warnings)
    with pytest.raises(HetopsError, match="than the configuration has places"):
        bench_import(asked(folder), Imports(files=files[1:], configuration=LOCAL))


def test_a_line_of_the_record_that_is_none_is_warned_of_once(folder: Path) -> None:
    records = folder / ".hetops" / "measurements"
    records.mkdir(parents=True)
    (records / "measurements.jsonl").write_text('{"torn\n', encoding="utf-8")
    wanted = Imports(files=(result(folder, "1.json", **ALONE),), configuration=LOCAL)
    told = [w for w in bench_import(asked(folder), wanted).warnings if "measurements.jsonl:1: not JSON" in w]
    assert [w.endswith(": left out, delete the line or measure again") for w in told] == [True]


def test_unknown_configurations_and_files_that_are_none_are_errors(folder: Path) -> None:
    file = result(folder, "1.json", **ALONE)
    with pytest.raises(UnknownNameError) as fault:
        bench_import(asked(folder), Imports(files=(file,), configuration=LOCAL[:-1]))
    assert LOCAL in fault.value.hint
    with pytest.raises(HetopsError, match="do not tell what was measured") as untold:
        bench_import(asked(folder), Imports(files=(file,)))
    assert "--configuration llama-3.1-8b/vllm/L40S/" in untold.value.hint
    with pytest.raises(HetopsError, match="cannot be read"):
        bench_import(asked(folder), Imports(files=(folder / "none.json",), configuration=LOCAL))
    (folder / "binary").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(HetopsError, match="is no text"):
        bench_import(asked(folder), Imports(files=(folder / "binary",), configuration=LOCAL))


def test_the_command_prints_what_it_recorded_and_refuses_options_that_exclude_each_other(
    folder: Path,
) -> None:
    result(folder, "1.json", **ALONE)
    done = process.hetops(folder, "bench", "--import", "1.json", "--configuration", LOCAL, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["measurements"][0]["configuration"] == LOCAL
    wrong = process.hetops(folder, "bench", "--import", "1.json", "--endpoint", "http://127.0.0.1:9")
    assert wrong.returncode == 64
    assert "exclude each other" in wrong.stderr
