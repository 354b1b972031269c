"""Names of metrics as performance engineers write them: what each means, and that what may mean several things is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from hetops.app.calibrate import SHIPPED, fit_file, predict_file, score_file
from hetops.catalog import tables
from hetops.performance.cases import Metric
from hetops.performance.metric_names import EXAMPLES, known_metric
from hetops.performance.predict import Prediction

HEAD = "id,gpu,gpu_count,model,engine,input_tokens,output_tokens,concurrency,request_rate,metric,value"


def answers(tmp_path: Path, *rows: str, head: str = HEAD) -> tuple[Prediction, ...]:
    path = tmp_path / "cases.csv"
    path.write_text("\n".join((head, *rows)), encoding="utf-8")
    return predict_file(path)


def values(tmp_path: Path, load: str, *metrics: str) -> list[float]:
    """Of one replica of Llama 3.1 8B on so many GPUs under a load."""
    found = answers(tmp_path, *(f"{m},H100-SXM,{load},{m}," for m in metrics))
    assert all(p.value is not None for p in found), found
    return [p.value or math.nan for p in found]


@pytest.mark.parametrize(
    ("name", "metric", "factor", "percentile"),
    [
        ("req_s", Metric.REQUESTS, 1, None),
        ("requests_per_second", Metric.REQUESTS, 1, None),
        ("Request throughput (req/s)", Metric.REQUESTS, 1, None),
        ("rps", Metric.REQUESTS, 1, None),
        ("requests/min", Metric.REQUESTS, 1 / 60, None),
        ("Output token throughput (tok/s)", Metric.OUTPUT, 1, None),
        ("Total Token throughput (tok/s)", Metric.TOTAL, 1, None),
        ("input + output tok/s", Metric.TOTAL, 1, None),
        ("prompt_tok_s", Metric.INPUT, 1, None),
        ("itl_ms", Metric.TPOT, 1, None),
        ("Mean TPOT (ms)", Metric.TPOT, 1, None),
        ("ms/token", Metric.TPOT, 1, None),
        ("per-token latency (s)", Metric.TPOT, 1e3, None),
        ("ttft_s", Metric.TTFT, 1e3, None),
        ("median_ttft_ms", Metric.TTFT, 1, 50),
        ("P99 TTFT (ms)", Metric.TTFT, 1, 99),
        ("ttft_p95_s", Metric.TTFT, 1e3, 95),
        ("p99_9_ttft_ms", Metric.TTFT, 1, 99.9),
        ("90th percentile time to first token (s)", Metric.TTFT, 1e3, 90),
        ("p99_e2el_ms", Metric.E2E, 1, 99),
        ("end-to-end latency [s]", Metric.E2E, 1e3, None),
        ("request_latency_ms", Metric.E2E, 1, None),
    ],
)
def test_a_name_tells_what_was_measured_its_unit_and_of_which_requests(
    name: str, metric: Metric, factor: float, percentile: float | None
) -> None:
    found = known_metric(name)
    assert (found.metric, found.percentile, found.assumed) == (metric, percentile, "")
    assert found.factor == pytest.approx(factor)
    assert found.as_told(found.in_metric(7.0, 4), 4) == pytest.approx(7.0)


def test_the_unit_may_stand_in_a_column_of_its_own(tmp_path: Path) -> None:
    row = "a,H100-SXM,1,llama-3.1-8b,vllm,1000,200,8,,{},{},"
    found = answers(
        tmp_path,
        row.format("TTFT", "ms"),
        row.format("TTFT", "s"),
        head=HEAD.replace("metric,", "metric,unit,"),
    )
    assert found[0].value == pytest.approx(1e3 * (found[1].value or math.nan))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_name_that_a_refusal_offers_is_known(name: str) -> None:
    assert known_metric(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("throughput", "may be several: name one of output_tok_s, total_tok_s"),
        ("tok_s", "may be several"),
        ("tokens per second per GPU", "may be several"),
        ("ttft", "tells no unit: ttft_ms or ttft_s"),
        ("itl_p95", "tells no unit: tpot_ms or tpot_s"),
        ("ttfts_ms", "did you mean 'ttft_ms'?"),
        ("max_ttft_ms", "unknown metric"),
        ("goodput", "unknown metric 'goodput'"),
        ("p99_output_tok_s", "has no percentiles"),
        ("p50_p99_ttft_ms", "unknown metric"),
        ("ttft_tpot_ms", "unknown metric"),
    ],
)
def test_what_may_mean_several_things_or_none_is_refused(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re_of(reason)):
        known_metric(name)


def re_of(text: str) -> str:
    return "".join(f"[{c}]" if c in "?.()" else c for c in text)


def test_an_unknown_metric_costs_its_row_alone_and_is_told_with_the_nearest(tmp_path: Path) -> None:
    row = "{0},H100-SXM,1,llama-3.1-8b,vllm,100,100,,,{0},"
    bad, good = answers(tmp_path, row.format("ttfs_ms"), row.format("req_s"))
    assert bad.reason.startswith("metric: unknown metric 'ttfs_ms', did you mean 'ttft_ms'?")
    assert good.value


@pytest.mark.parametrize("load", ["1,llama-3.1-8b,vllm,1000,200,16,", "8,llama-3.1-8b,vllm,1000,200,,"])
def test_metrics_of_one_benchmark_hang_together(tmp_path: Path, load: str) -> None:
    gpus = float(load[0])
    names = ("output_tok_s", "total_tok_s", "input_tok_s", "req_s", "output_tok_s_per_gpu", "requests/min")
    output, total, given, requests, each, a_minute = values(tmp_path, load, *names)
    assert output == pytest.approx(200 * requests)
    assert given == pytest.approx(1000 * requests)
    assert total == pytest.approx(output + given)
    assert each == pytest.approx(output / gpus)
    assert a_minute == pytest.approx(60 * requests)


def test_latencies_of_one_benchmark_hang_together(tmp_path: Path) -> None:
    load = "1,llama-3.1-8b,vllm,1000,200,16,"
    names = ("ttft_ms", "tpot_ms", "e2e_ms", "e2e_s", "tok_s_per_user", "itl_ms", "req_s")
    ttft, tpot, whole, in_seconds, speed, gap, requests = values(tmp_path, load, *names)
    assert whole == pytest.approx(ttft + 199 * tpot)
    assert in_seconds == pytest.approx(whole / 1e3)
    assert speed == pytest.approx(1e3 / tpot)
    assert gap == tpot
    assert requests * whole / 1e3 == pytest.approx(16, rel=0.1)  # Little's law


def test_the_speed_of_prompts_alone_is_above_their_share_of_a_whole_load(tmp_path: Path) -> None:
    alone, share = values(tmp_path, "1,llama-3.1-8b,vllm,1000,200,64,", "prefill_tok_s", "input_tok_s")
    assert alone > 2 * share


@pytest.mark.parametrize(
    "load",
    ["1,llama-3.1-8b,vllm,1000,200,32,", "1,llama-3.1-8b,vllm,1000,200,,4", "1,llama-3.1-8b,vllm,1000,200,,"],
)
def test_percentiles_rise_about_the_mean(tmp_path: Path, load: str) -> None:
    for metric in ("ttft_ms", "tpot_ms", "e2e_ms"):
        names = [f"{p}_{metric}" for p in ("p10", "p50", "p90", "p95", "p99")]
        low, *_, high = found = values(tmp_path, load, *names)
        assert found == sorted(found)
        (mean,) = values(tmp_path, load, metric)
        assert low <= mean * 1.001
        assert high >= mean * 0.999


def test_who_waits_for_the_client_to_send_it_waits_for_no_token(tmp_path: Path) -> None:
    """A client that sends at a rate and keeps no more than so many under way starts each one's clock as it sends it."""
    load = "1,llama-3.1-8b,vllm,3500,1500,{},10"
    capped, of_all = (values(tmp_path, load.format(n), "p50_ttft_ms", "p90_ttft_ms") for n in ("64", ""))
    (alone,) = values(tmp_path, "1,llama-3.1-8b,vllm,3500,1500,1,", "ttft_ms")
    assert 0.8 * alone < capped[0] < capped[1] < 20.0 * alone
    assert of_all[1] > 5.0 * capped[1]


def test_a_percentile_has_a_wider_interval_and_the_ends_of_a_speed_change_places(tmp_path: Path) -> None:
    row = "a,H100-SXM,1,llama-3.1-8b,vllm,1000,200,32,,{},"
    mean, late, tpot, speed = answers(
        tmp_path, *(row.format(m) for m in ("ttft_ms", "p99_ttft_ms", "tpot_ms", "tok_s_per_user"))
    )
    assert (late.high or 0) / (late.low or 1) > (mean.high or 0) / (mean.low or 1)
    assert speed.low == pytest.approx(1e3 / (tpot.high or math.nan))
    assert speed.high == pytest.approx(1e3 / (tpot.low or math.nan))
    assert (late.metric, speed.metric) == ("p99_ttft_ms", "tok_s_per_user")


def test_lengths_that_no_model_takes_are_answered_in_time_and_said(tmp_path: Path) -> None:
    (found,) = answers(tmp_path, "a,H100-SXM,1,llama-3.1-8b,vllm,90000000,1000,64,,p99_ttft_ms,")
    assert found.value
    assert found.evidence.endswith("90,001,000 tokens exceed the 131,072 that llama-3.1-8b takes")


def test_values_count_in_the_metrics_own_unit_when_scored(tmp_path: Path) -> None:
    row = "{0},H100-SXM,8,llama-3.1-8b,vllm,1000,200,64,,{0},"
    names = ("req_s", "output_tok_s_per_gpu", "ttft_s", "p90_e2e_s", "tok_s_per_user", "median_itl_ms")
    found = answers(tmp_path, *map(row.format, names))
    told = "\n".join((HEAD, *(f"{row.format(p.id)}{p.value}" for p in found)))
    (tmp_path / "told.csv").write_text(told, encoding="utf-8")
    scored = score_file(tmp_path / "told.csv")
    assert (scored.rows, scored.refused, scored.covered) == (6, 0, 1.0)
    assert {m.subject: m.rows for m in scored.metrics} == {
        "throughput": 2,
        "tpot": 2,
        "ttft": 1,
        "end to end": 1,
    }
    assert max(m.median_error for m in scored.metrics) < 1e-6


def test_percentiles_and_whole_latencies_change_no_coefficient(tmp_path: Path) -> None:
    shipped = SHIPPED.read_text(encoding="utf-8").splitlines()
    columns, some = shipped[0].split(","), "\n".join(shipped[:30])
    extra = dict.fromkeys(columns, "") | {
        "id": "z", "gpu": "H100-SXM", "model": "llama-3.1-8b", "input_tokens": "128", "output_tokens": "128",
        "concurrency": "4", "metric": "p99_ttft_ms", "value": "1", "source": "x", "quality": "A",
    }  # fmt: skip
    whole = extra | {"id": "y", "metric": "e2e_s"}
    more = "\n".join((some, *(",".join(row.values()) for row in (extra, whole))))
    found = []
    for name, text in (("some.csv", some), ("more.csv", more)):
        (tmp_path / name).write_text(text + "\n", encoding="utf-8")
        found.append(fit_file(tmp_path / name))
    assert found[0].calibration.values == found[1].calibration.values
    assert (found[0].score.rows, found[1].score.rows) == (29, 31)


def test_all_that_is_shipped_is_read_as_it_was() -> None:
    for row in tables.rows("perf_calibration"):
        found = known_metric(row["metric"])
        assert (str(found.metric), found.factor, found.percentile) == (row["metric"], 1.0, None)
