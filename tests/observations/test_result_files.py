"""Result files of other benchmark tools, in the shapes that they publish, and files that are none."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest

from hetops.errors import HetopsError
from hetops.observations.imports import contradictions
from hetops.observations.result_files import read

VLLM: dict[str, Any] = {
    "date": "20260110-120000",
    "backend": "vllm",
    "model_id": "meta-llama/Llama-3.1-8B-Instruct",
    "num_prompts": 80,
    "request_rate": "inf",
    "burstiness": 1.0,
    "max_concurrency": 8,
    "duration": 20.0,
    "completed": 80,
    "total_input_tokens": 80 * 1000,
    "total_output_tokens": 80 * 101,
    "request_throughput": 4.0,
    "mean_ttft_ms": 130.0,
    "median_ttft_ms": 120.0,
    "p99_ttft_ms": 300.0,
    "mean_tpot_ms": 18.5,
    "median_tpot_ms": 18.0,
    "p99_tpot_ms": 25.0,
}


def distribution(median: float, **percentiles: float) -> dict[str, Any]:
    """A metric as guidellm writes it."""
    return {"successful": {"mean": median, "median": median, "percentiles": {"p50": median, **percentiles}}}


def guidellm(*strategies: dict[str, Any]) -> dict[str, Any]:
    """A report of one benchmark a strategy."""
    metrics = {
        "request_totals": {"successful": 40, "errored": 0, "incomplete": 0, "total": 40},
        "prompt_token_count": distribution(512.0),
        "output_token_count": distribution(101.0),
        "requests_per_second": {"successful": {"mean": 0.5}},
        "time_to_first_token_ms": distribution(50.0, p90=60.0, p95=70.0, p99=80.0),
        "time_per_output_token_ms": distribution(20.3),
        "inter_token_latency_ms": distribution(19.5, p90=20.0, p95=21.0, p99=22.0),
    }
    one = {"start_time": 1_700_000_000.0, "metrics": metrics}
    return {"benchmarks": [{**one, "config": {"strategy": s}} for s in strategies]}


def aiperf(**config: Any) -> dict[str, Any]:
    """What aiperf and genai-perf write; the configuration is theirs."""
    return {
        "input_config": config,
        "request_count": {"unit": "requests", "avg": 64},
        "request_throughput": {"unit": "requests/sec", "avg": 4.0},
        "time_to_first_token": {"unit": "ms", "avg": 130, "p50": 120, "p90": 150, "p95": 170, "p99": 300},
        "inter_token_latency": {"unit": "ms", "avg": 18, "p50": 18, "p90": 19, "p95": 20, "p99": 25},
        "output_sequence_length": {"unit": "tokens", "avg": 101},
        "input_sequence_length": {"unit": "tokens", "avg": 1000},
    }


GENAI_CSV = """Metric,avg,min,max,p99,p95,p90,p75,p50,p25
Time To First Token (ms),23.94,22.92,30.75,30.10,27.51,24.26,23.38,23.20,23.02
Inter Token Latency (ms),11.54,11.45,11.70,11.69,11.64,11.58,11.55,11.53,11.52
Request Latency (ms),"5,919.16","5,912.73","5,934.45","5,933.31","5,928.74","5,923.03","5,920.17","5,918.56","5,915.29"
Output Sequence Length,511.90,505.00,516.00,515.91,515.55,515.10,512.75,512.00,511.25
Input Sequence Length,"1,127.50",126.00,128.00,128.00,128.00,128.00,128.00,128.00,127.00

Metric,Value
Output Token Throughput (per sec),86.48
Request Throughput (per sec),0.17
Request Count (count),30.00
"""

OWN_CSV = (
    "input_tokens,output_tokens,concurrency,requests,requests_per_second,ttft_p50_seconds,tpot_p50_seconds\n"
    "1000,101,8,80,4.0,0.12,0.018\n"
)


def test_a_vllm_result_is_read_in_our_units_as_far_as_its_percentiles_go() -> None:
    (run,) = read("v.json", json.dumps(VLLM)).runs
    assert (run.tool, run.input_tokens, run.output_tokens) == ("vllm bench serve", 1000.0, 101.0)
    assert (run.concurrency, run.requests, run.requests_per_second) == (8, 80, 4.0)
    assert run.ttft_seconds == pytest.approx((0.12,)), "p90 and p95 were not told: p99 does not follow"
    assert run.measured_at == datetime(2026, 1, 10, 12, tzinfo=UTC)
    asked = VLLM | {"p50_ttft_ms": 120.0, "p90_ttft_ms": 150.0, "p95_ttft_ms": 200.0}
    assert read("v.json", json.dumps(asked)).runs[0].ttft_seconds == pytest.approx((0.12, 0.15, 0.2, 0.3))


def test_appended_vllm_results_are_all_read_and_open_loops_among_them_left_out_with_a_note() -> None:
    lines = [VLLM, VLLM | {"max_concurrency": 1}, VLLM | {"request_rate": 4.0}]
    found = read("v.json", "\n".join(json.dumps(one) for one in lines))
    assert [run.concurrency for run in found.runs] == [8, 1]
    assert found.notes == ("v.json: requests came at a rate of 4.0 /s",)


def test_a_guidellm_sweep_gives_its_closed_loops_and_our_tpot_is_its_inter_token_latency() -> None:
    report = guidellm(
        {"type_": "synchronous"}, {"type_": "concurrent", "streams": 4}, {"type_": "constant", "rate": 2.0}
    )
    found = read("g.json", json.dumps(report))
    assert [run.concurrency for run in found.runs] == [1, 4]
    assert found.runs[0].tpot_seconds == pytest.approx((0.0195, 0.020, 0.021, 0.022))
    assert found.runs[0].requests == 40
    assert "benchmark 3" in found.notes[0]


@pytest.mark.parametrize(
    "config",
    [
        {"loadgen": {"concurrency": 8}},
        {"perf_analyzer": {"stimulus": {"concurrency": 8}}},
        {"concurrency": [8]},
        {"phases": [{"name": "profiling", "concurrency": 8}]},
        {
            "phases": [
                {"name": "warmup", "exclude_from_results": True, "concurrency": 2},
                {"name": "profiling", "concurrency": 8},
            ]
        },
    ],
)
def test_genai_perf_and_aiperf_tell_their_concurrency_in_several_places(config: dict[str, Any]) -> None:
    (run,) = read("a.json", json.dumps(aiperf(**config))).runs
    assert run.concurrency == 8
    assert run.ttft_seconds == pytest.approx((0.12, 0.15, 0.17, 0.3))


def test_phases_at_a_rate_and_phases_that_differ_tell_no_number_in_flight() -> None:
    rate = aiperf(phases=[{"name": "profiling", "type": "poisson", "rate": 4.0, "concurrency": 64}])
    with pytest.raises(HetopsError, match="no run kept a number") as fault:
        read("a.json", json.dumps(rate))
    assert fault.value.details == ("a.json: requests came at a rate of 4.0 /s",)
    with pytest.raises(HetopsError, match="4 and 8 requests were in flight"):
        read("a.json", json.dumps(aiperf(phases=[{"concurrency": 4}, {"concurrency": 8}])))


@pytest.mark.parametrize("kind", ["replay", "incremental", "poisson"])
def test_a_strategy_that_keeps_no_number_in_flight_is_none_though_it_has_a_limit(kind: str) -> None:
    report = guidellm({"kind": "concurrent", "streams": 4}, {"kind": kind, "max_concurrency": 512})
    found = read("g.json", json.dumps(report))
    assert [run.concurrency for run in found.runs] == [4]
    assert f"benchmark 2: its strategy {kind} keeps no number" in found.notes[0]


def test_runs_that_failed_often_contradict_what_was_to_be_in_flight() -> None:
    report = guidellm({"type_": "concurrent", "streams": 1})
    report["benchmarks"][0]["metrics"]["request_totals"]["errored"] = 30
    errors = aiperf(concurrency=8) | {"error_request_count": {"unit": "requests", "avg": 60.0}}
    texts = [json.dumps(one) for one in (VLLM | {"failed": 40}, report, errors)]
    runs = [read("r.json", text).runs[0] for text in texts]
    assert [run.failed for run in runs] == [40, 30, 60]
    assert sum("requests failed besides" in told for told in contradictions(runs)) == 3
    few = read("v.json", json.dumps(VLLM | {"failed": 4})).runs
    assert contradictions(few) == ()


def test_a_genai_perf_csv_needs_the_concurrency_that_it_does_not_tell() -> None:
    with pytest.raises(HetopsError, match="requests were in flight") as fault:
        read("g.csv", GENAI_CSV)
    assert "--concurrency" in fault.value.hint
    (run,) = read("g.csv", GENAI_CSV, 1).runs
    assert (run.input_tokens, run.output_tokens, run.requests) == (1127.5, 511.9, 30)
    assert run.ttft_seconds == pytest.approx((0.0232, 0.02426, 0.02751, 0.0301))


def test_our_own_csv_is_read_line_by_line() -> None:
    (run,) = read("own.csv", OWN_CSV).runs
    assert (run.concurrency, run.ttft_seconds, run.tpot_seconds) == (8, (0.12,), (0.018,))


def test_a_comma_is_no_part_of_a_number_but_between_thousands() -> None:
    (run,) = read("own.csv", OWN_CSV.replace("1000,101", '"1,000",101')).runs
    assert run.input_tokens == 1000.0
    with pytest.raises(
        HetopsError, match="line 2: ttft_p50_seconds must be a number above zero, found '0,12'"
    ):
        read("own.csv", OWN_CSV.replace("0.12", '"0,12"'))


def test_half_a_request_a_file_of_a_header_and_a_column_of_nobodys_are_told() -> None:
    with pytest.raises(HetopsError, match=r"line 2: requests must be a whole number, found 0\.5"):
        read("own.csv", OWN_CSV.replace("80,4.0", "0.5,4.0"))
    with pytest.raises(HetopsError, match="no row below its header"):
        read("own.csv", OWN_CSV.splitlines()[0])
    head, row = OWN_CSV.splitlines()
    assert read("own.csv", f"{head},ttft_p99\n{row},0.3\n").notes == (
        "own.csv: column 'ttft_p99', which is none of ours",
    )


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", '{"some": 1}', "[1, 2]"])
def test_an_unknown_format_is_told_with_those_that_are_known(text: str) -> None:
    with pytest.raises(HetopsError, match="no known format") as fault:
        read("x", text)
    assert any("guidellm" in line for line in fault.value.details)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"median_ttft_ms": None}, "median_ttft_ms is missing"),
        ({"median_tpot_ms": math.nan}, "median_tpot_ms must be a number above zero, found nan"),
        ({"request_throughput": "fast"}, "request_throughput must be a number above zero, found 'fast'"),
        ({"total_output_tokens": 0}, "total_output_tokens must be a number above zero"),
        ({"request_rate": 3.5}, "no run kept a number of requests in flight"),
        ({"max_concurrency": None}, "no run kept a number of requests in flight"),
        ({"date": "yesterday"}, "date is no time"),
        ({"max_concurrency": 2.5}, "2.5 requests were in flight"),
    ],
)
def test_what_a_vllm_result_lacks_or_says_wrongly_is_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(HetopsError, match=told):
        read("v.json", json.dumps(VLLM | change))


def test_torn_json_and_rows_of_another_width_are_errors_of_their_file() -> None:
    with pytest.raises(HetopsError, match=r"v\.json is not JSON"):
        read("v.json", json.dumps(VLLM)[:-20])
    with pytest.raises(HetopsError, match=r"own\.csv, line 2: 6 cells under 7 columns"):
        read("own.csv", OWN_CSV.replace(",0.018", ""))
    with pytest.raises(HetopsError, match="8 requests were in flight, not 4"):
        read("own.csv", OWN_CSV, 4)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a": ' + "9" * 5000 + "}", json.dumps(VLLM)[:-1], "a," + "x" * 200_000],
    ids=["nested deeply", "many digits", "torn", "a wide cell"],
)
def test_what_no_reader_takes_is_an_error_of_its_file(text: str) -> None:
    with pytest.raises(HetopsError, match=r"^odd is no"):
        read("odd", text)


def test_percentiles_that_fall_contradict_themselves() -> None:
    (run,) = read(
        "v.json", json.dumps(VLLM | {"median_ttft_ms": 200.0, "p90_ttft_ms": 20.0, "p99_ttft_ms": 30.0})
    ).runs
    (told,) = contradictions([run])
    assert "a percentile is below a lower one" in told


@pytest.mark.parametrize("unit", [None, [], {}, "minutes"])
def test_latencies_without_a_unit_are_not_guessed_at(unit: object) -> None:
    bare = aiperf(concurrency=8)
    bare["time_to_first_token"]["unit"] = unit
    with pytest.raises(HetopsError, match=r"time_to_first_token\.unit must be one of"):
        read("a.json", json.dumps(bare))


def test_runs_of_one_load_that_differ_contradict_each_other_and_both_are_shown() -> None:
    faster = VLLM | {"request_throughput": 6.0, "median_tpot_ms": 12.0, "completed": 80}
    runs = [read(f"{name}.json", json.dumps(one)).runs[0] for name, one in (("a", VLLM), ("b", faster))]
    (told,) = contradictions(runs)
    assert "a.json" in told
    assert "b.json" in told
    assert "4 requests/s" in told
    assert "6 requests/s" in told


def test_repeats_that_differ_a_little_and_other_loads_do_not_contradict() -> None:
    repeat = VLLM | {"request_throughput": 4.1, "median_tpot_ms": 17.5}
    other = VLLM | {"max_concurrency": 1, "request_throughput": 0.6, "median_tpot_ms": 15.0}
    runs = [read("v.json", json.dumps(one)).runs[0] for one in (VLLM, repeat, other)]
    assert contradictions(runs) == ()


def test_milliseconds_taken_for_seconds_contradict_the_rate() -> None:
    (run,) = read("own.csv", OWN_CSV.replace("0.12,0.018", "120,18")).runs
    (told,) = contradictions([run])
    assert "own.csv, line 2" in told
