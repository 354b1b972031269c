"""Rows as people write them: what a cell tells, what a row does not, and that a bad row costs itself alone."""

from __future__ import annotations

import csv
import io
import math
import random
from pathlib import Path

import pytest

from hetops.app.calibrate import SHIPPED, predict_file, score_file
from hetops.catalog import tables
from hetops.domain.model import Precision
from hetops.errors import DocumentError
from hetops.performance.cases import Case, Metric
from hetops.performance.estimate import calibration
from hetops.performance.predict import ASSUMED_HALF_WIDTH, predictions
from hetops.performance.rows import read_cases
from hetops.performance.sheet import BEYOND, read_sheet

CATALOG = tables.load()
SHIPPED_ROWS = tables.rows("perf_calibration")
COLUMNS = tuple(SHIPPED_ROWS[0])
ROW = SHIPPED_ROWS[0]


def read(**cells: str) -> Case:
    """The case of the first shipped row with some cells of its own."""
    cases, refused = read_cases([{**ROW, **cells}], CATALOG.gpu_types, CATALOG.models)
    assert refused == ()
    return cases[0]


def refusal(row: dict[str, str]) -> str:
    cases, refused = read_cases([row], CATALOG.gpu_types, CATALOG.models)
    assert cases == ()
    return refused[0].reason


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "cases.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("gpu", "H900", "gpu: unknown GPU type 'H900'"),
        ("gpu", "", "gpu: nothing told"),
        ("model", "llama-9", "model: unknown model 'llama-9'"),
        ("precision_weights", "octal", "precision_weights: unknown precision 'octal'"),
        ("precision_kv", "octal", "precision_kv: unknown precision 'octal'"),
        ("output_tokens", "0", "output_tokens must be above zero"),
        ("input_tokens", "many", "input_tokens must be a number"),
        ("input_tokens", "1e300", "input_tokens must be at most 1e+08"),
        ("input_tokens", "-5", "input_tokens must be above zero"),
        ("concurrency", "several", "concurrency must be a number"),
        ("request_rate", "1e30", "request_rate must be at most"),
        ("tp", "1.5", "tp must be a whole number"),
        ("tp", "0", "tp must be above zero"),
        ("pp", "33", "pp: llama-3.1-8b has 32 layers, fewer than 33 stages"),
        ("gpu_count", "8x", "gpu_count must be a number"),
        ("metric", "joules", "metric: unknown metric 'joules'"),
        ("metric", "", "metric: nothing told"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_column_and_the_reason(
    column: str, cell: str, reason: str
) -> None:
    assert reason in refusal({**ROW, "params_b": "", column: cell})


def test_a_row_that_ends_too_soon_names_the_first_cell_that_it_lacks() -> None:
    for column in ("gpu", "model", "input_tokens", "output_tokens", "metric"):
        short = {name: cell for name, cell in ROW.items() if name != column}
        assert refusal(short).startswith(f"{column}: no such cell in this row")
    assert refusal({**ROW, BEYOND: "16"}).startswith("more cells than columns ('16')")


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        ("27,792.16", 27792.16),
        ("1 000", 1000.0),
        ("1'234'567", 1234567.0),
        ("1e3", 1000.0),
        ("1.5E+2", 150.0),
        (" 8\u00a0", 8.0),
        (".5", 0.5),
        ("\uff11\uff12", 12.0),
    ],
)
def test_numbers_are_read_as_people_write_them(cell: str, meant: float) -> None:
    assert read(value=cell).value == meant


@pytest.mark.parametrize(
    "cell", ["1,2", "27.792,16", "1_0,0", "0x10", "1/2", "~500", "12 ms", "\u221e", "1,23,456"]
)
def test_a_number_that_may_mean_two_things_is_refused(cell: str) -> None:
    assert "input_tokens must be a number" in refusal({**ROW, "input_tokens": cell})


@pytest.mark.parametrize("cell", ["OOM", "-5", "tbd", "1e300"])
def test_a_value_that_is_none_is_answered_all_the_same_and_neither_fitted_nor_scored(
    cell: str, tmp_path: Path
) -> None:
    found, sound = read(value=cell), read()
    assert found.value is None
    (answer,), (expected,) = (predictions([c], calibration()) for c in (found, sound))
    assert (answer.value, answer.low, answer.high) == (expected.value, expected.low, expected.high)
    assert "value must be" in answer.evidence
    plain = {**ROW, "note": "", "source": ""}
    lines = [",".join(plain), *(",".join({**plain, "value": v}.values()) for v in ("100", cell))]
    scored = score_file(written(tmp_path, "\n".join(lines)))
    assert (scored.rows, scored.left_out, scored.refused) == (1, 0, 1)


def test_two_columns_of_one_name_are_no_guess(tmp_path: Path) -> None:
    text = f"{','.join(ROW)},GPU\n{','.join(ROW.values())},L4\n"
    with pytest.raises(DocumentError, match="two columns are called 'gpu'"):
        predict_file(written(tmp_path, text))


def test_case_blanks_dashes_and_words_of_metrics_do_not_matter() -> None:
    plain = read(model="llama-3.1-8b", gpu="H100-SXM", metric="ttft_ms", engine="vllm", concurrency="4")
    written_so = read(
        model=" Llama\u20113.1\u20118B ",
        gpu="h100\u2013sxm",
        metric="TTFT (ms)",
        engine="vLLM",
        concurrency="\t4.0",
    )
    assert (written_so.replica, written_so.metric) == (plain.replica, plain.metric)
    assert written_so.concurrency == plain.concurrency


@pytest.mark.parametrize("word", ["Output tokens/s", "output_tokens_per_second", "output tok/sec"])
def test_tokens_a_second_are_written_in_many_ways(word: str) -> None:
    assert read(metric=word).metric is Metric.OUTPUT


def test_what_a_row_does_not_tell_is_taken_as_its_publisher_most_likely_meant_it() -> None:
    bare = {"tp": "", "pp": "", "gpu_count": "8", "precision_kv": "", "request_rate": "offline"}
    small, large = (read(**bare, model=model) for model in ("llama-3.1-8b", "llama-3.1-405b"))
    assert small.replica.tensor_parallel == 1
    assert large.replica.tensor_parallel == 8
    assert math.isinf(small.requests_per_second)
    assert read(gpu_count="", tp="4").gpu_count == 4
    assert read(metric="ttft_ms", output_tokens="", concurrency="1").output_tokens == 1
    assert read(metric="total_tok_s", output_tokens="0").output_tokens == 1
    assert read(input_tokens="0").input_tokens == 1
    assert read(model="Llama-3.1-8B-Instruct-AWQ", precision_weights="").replica.weights is Precision.INT4
    assert read(model="llama-3.1-8b", precision_weights="").replica.weights is Precision.BF16


@pytest.mark.parametrize("none", ["", "0", "0.00", "0E0", "-", "n/a", "nan", "inf", "None"])
def test_no_limit_on_requests_at_once_is_all_queued(none: str) -> None:
    assert math.isinf(read(concurrency=none).concurrency)
    assert math.isinf(read(request_rate=none).requests_per_second)
    assert none == "inf" or read(value=none).value is None


def test_a_latency_without_a_load_is_that_of_a_lone_request_and_says_so() -> None:
    case = read(metric="tpot_ms", concurrency="0", request_rate="")
    assert case.concurrency == 1
    assert "lone request" in case.assumed[0]
    assert math.isinf(read(metric="tpot_ms", concurrency="", request_rate="inf").concurrency)


def test_no_column_but_those_that_are_needed_must_be_there() -> None:
    needed = {name: ROW[name] for name in ("gpu", "model", "input_tokens", "output_tokens", "metric")}
    cases, refused = read_cases([needed], CATALOG.gpu_types, CATALOG.models)
    assert refused == ()
    assert cases[0].id == "line 2"
    assert cases[0].value is None


def test_what_was_assumed_is_told_in_the_evidence_and_widens_the_interval() -> None:
    plain, guessed = (read(model=name, params_b="") for name in ("llama-3.1-8b", "foo-8b"))
    sure, unsure = predictions([plain, guessed], calibration())
    assert sure.evidence == "calibrated"
    assert unsure.evidence.startswith("prior; model foo-8b taken for the shape of ")
    known, guess = (math.log(one.high / one.low) / 2 for one in (sure, unsure) if one.high and one.low)
    width = calibration().half_width
    unmeasured = width["prior"]["throughput"] ** 2 - width["calibrated"]["throughput"] ** 2
    assert guess == pytest.approx(math.sqrt(known**2 + unmeasured + ASSUMED_HALF_WIDTH**2))


def test_weights_that_the_gpus_cannot_hold_are_taken_as_if_and_said_so_but_for_sums_of_single_layers() -> (
    None
):
    heavy = {"gpu": "H100-SXM", "model": "llama-3.1-70b", "precision_weights": "bf16", "tp": "1"}
    assert read(**heavy).assumed == ("141 GB of weights taken as if 1 x H100-SXM held them, which 2 would",)
    assert read(**{**heavy, "tp": "2"}).assumed == ()
    assert read(**{**heavy, "precision_weights": "fp8"}).assumed == ()
    assert read(**heavy, engine="vllm (layer profile)", engine_version="").assumed == ()


def test_an_assumption_costs_as_much_as_models_of_like_size_differ() -> None:
    """Every shipped model taken for another of its size, as if the catalogue lacked it: what the half width is founded on."""
    rows = [{**row, "model": f"foo-{row['params_b']}b"} for row in SHIPPED_ROWS]
    others = {
        m.name: tuple(o for o in CATALOG.models if o.parameters_b != m.parameters_b) for m in CATALOG.models
    }
    own, like = [], []
    for name in sorted({row["model"] for row in SHIPPED_ROWS}):
        mine = [row for row in SHIPPED_ROWS if row["model"] == name]
        active = CATALOG.model(name).active_parameters_b
        named = f"foo-{mine[0]['params_b']}b" + (f"-a{active}b" if CATALOG.model(name).experts else "")
        own += read_cases(mine, CATALOG.gpu_types, CATALOG.models)[0]
        like += read_cases([{**row, "model": named} for row in mine], CATALOG.gpu_types, others[name])[0]
    assert len(own) == len(like) == len(rows)
    pairs = zip(predictions(own, calibration()), predictions(like, calibration()), strict=True)
    moved = sorted(abs(math.log((b.value or 0) / (a.value or 0))) for a, b in pairs)
    assert moved[int(0.8 * len(moved))] < ASSUMED_HALF_WIDTH < moved[int(0.99 * len(moved))]


HEAD = ",".join(COLUMNS)
FIRST = ",".join(ROW[name].replace(",", ";").replace('"', "") for name in COLUMNS)


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}\n{FIRST}\n",
        f"{HEAD}\r\n{FIRST}\r\n",
        f"{HEAD}\r{FIRST}",
        f"\ufeff{HEAD}\n\n,,,\n{FIRST}",
        f"{HEAD}\n{FIRST}\n".replace(";", " ").replace(",", ";"),
        f"{HEAD}\n{FIRST}\n".replace(";", " ").replace(",", "\t"),
        f"{HEAD.upper().replace('_', ' ')}\n{FIRST.replace(',', ' , ')}\n",
        f"{HEAD},\n{FIRST},\n",
        f"{HEAD}\n{FIRST},,\n",
        f"{HEAD}\n{FIRST}\n".encode("utf-16"),
        f"{HEAD}\n{FIRST}\n".encode().replace(b"offline", b"\xe9\xff"),
    ],
)
def test_a_file_is_read_whatever_wrote_it(tmp_path: Path, text: str | bytes) -> None:
    (answer,) = predict_file(written(tmp_path, text))
    (expected,) = predictions([read()], calibration())
    assert (answer.id, answer.value, answer.reason) == ("0001", expected.value, "")


def test_answers_stand_in_the_order_of_the_file_and_a_bad_row_costs_itself_alone(tmp_path: Path) -> None:
    good = ["", *(FIRST.replace("0001", name, 1) for name in "abcde")]
    bad_quote = FIRST.replace("0001", "q", 1).replace("synthetic-fixed", '"synthetic-fixed', 1)
    cut_short = ",".join(FIRST.split(",")[:9])
    unquoted = FIRST.replace("0001", "u", 1).replace("27792.16", "27,792.16")
    quoted = FIRST.replace("0001", "v", 1).replace("27792.16", '"27,792.16"')
    over_lines = FIRST.replace("0001", "w", 1).replace("synthetic-fixed", '"synthetic\nfixed"', 1)
    lines = [good[1], bad_quote, good[2], cut_short, unquoted, good[3], quoted, over_lines, "", good[4]]
    found = predict_file(written(tmp_path, "\n".join([HEAD, *lines])))
    assert [a.id for a in found] == ["a", "q", "b", "0001", "u", "c", "v", "w", "d"]
    assert [a.id for a in found if a.reason] == ["q", "0001", "u"]
    assert found[1].reason.startswith("metric: no such cell")
    assert found[4].reason.startswith("more cells than columns")


def test_an_id_is_given_back_as_it_was_written(tmp_path: Path) -> None:
    name = "H100\u2013SXM  \u00bd (run 2)"
    (answer,) = predict_file(written(tmp_path, f"{HEAD}\n{FIRST.replace('0001', f' {name} ', 1)}"))
    assert answer.id == name


def test_rows_of_one_id_are_scored_each_by_its_own_answer(tmp_path: Path) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    for row in rows:
        row["id"] = "same"
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    assert score_file(written(tmp_path, out.getvalue())) == score_file(SHIPPED)


@pytest.mark.parametrize("text", ["", "\n\n", "a,b\n1,2\n", "\x00\x01\x02", "gpu,model\nH100,llama"])
def test_a_file_without_the_columns_names_the_first_that_it_lacks(tmp_path: Path, text: str) -> None:
    with pytest.raises(DocumentError, match=r"no column '(gpu|input_tokens)'"):
        predict_file(written(tmp_path, text))


def test_a_quote_that_is_never_closed_costs_its_own_line() -> None:
    sheet = read_sheet('id,a,b\n1,"x,y\n2,p,q\n3,r,24" s\n4,t,u\n5,"v\nw",z\n')
    assert [row["id"] for row in sheet.rows] == ["1", "2", "3", "4", "5"]
    assert sheet.rows[4] == {"id": "5", "a": "v\nw", "b": "z"}
    assert "b" not in sheet.rows[0]


JUNK = (
    *(
        "",
        "-",
        "\u2013",
        "n/a",
        "0",
        "-1",
        "1e300",
        "nan",
        "inf",
        "1e3",
        "27,792.16",
        "1 000",
        "1.5",
        "abc",
        "\u0661\u0662",
    ),
    *(
        "\u00bd",
        "1e-300",
        "99999999999",
        "\x00",
        "\u200b",
        "a" * 3000,
        "1.2.3",
        "1_000",
        "+5",
        "\u221e",
        '"',
        'a"b',
        "x\ny",
    ),
    *(
        ";",
        "\t",
        "B200 PCIe",
        "fp4",
        "foo-13b",
        "0b",
        "0x0b",
        "999999999b",
        "a0b-1b",
        "1b-a0b",
        "\U0001f600",
    ),
)


def spoilt(chance: random.Random, rows: list[dict[str, str]]) -> str:
    """A shipped row as a line, with one to three cells changed at random, and now and then cut short."""
    row = dict(chance.choice(rows))
    for _ in range(chance.choice((1, 1, 2, 3))):
        column = chance.choice(COLUMNS)
        cell = row[column]
        letters = [chr(chance.randrange(32, 0x3000)) if chance.random() < 0.1 else letter for letter in cell]
        others = (chance.choice(JUNK), chance.choice(rows)[chance.choice(COLUMNS)], cell.upper(), cell * 9)
        row[column] = chance.choice((*others, "".join(letters), f" {cell} ", cell[::-1], cell[:-1]))
    out = io.StringIO()
    csv.writer(out).writerow(row[name] for name in COLUMNS)
    line = out.getvalue()
    return line if chance.random() < 0.95 else line[: chance.randrange(len(line))] + "\n"


def test_a_spoilt_row_gets_an_answer_or_a_reason_that_names_its_column(tmp_path: Path) -> None:
    chance = random.Random(20251)
    text = HEAD + "\n" + "".join(spoilt(chance, SHIPPED_ROWS) for _ in range(1500))
    found = predict_file(written(tmp_path, text))
    answers = [p for p in found if p.value is not None]
    assert len(found) > 1400
    assert len(answers) > 600
    for p in answers:
        assert p.low
        assert p.high
        assert p.value
        assert 0 < p.low < p.value < p.high < math.inf, p
    for p in found:
        if p.value is None:
            assert p.reason.startswith((*COLUMNS, "more cells than columns")), p
    assert {row["metric"] for row in SHIPPED_ROWS} == {p.metric for p in answers}


@pytest.mark.parametrize(
    ("model", "weights", "meant", "noted"),
    [
        ("gpt-oss-120b", "", Precision.FP4, "weights in fp4, as gpt-oss-120b is published"),
        ("DeepSeek-R1", "auto", Precision.FP8, "weights in fp8, as deepseek-r1 is published"),
        ("Kimi-K2-Instruct", "native", Precision.FP8, "weights in fp8, as kimi-k2 is published"),
        ("DeepSeek-R1-0528-FP4", "", Precision.FP4, ""),
        ("DeepSeek-R1", "int4-awq", Precision.INT4, ""),
        ("Qwen3-235B-A22B-FP8", "", Precision.FP8, ""),
        ("Llama-3.1-8B", "", Precision.BF16, ""),
    ],
)
def test_weights_that_nobody_told_are_those_that_the_makers_published(
    model: str, weights: str, meant: Precision, noted: str
) -> None:
    eight = {"gpu": "B200", "gpu_count": "8", "tp": "8", "engine_version": "1.1.0"}
    found = read(**eight, model=model, precision_weights=weights)
    assert found.replica.weights is meant
    answer = predictions([found], calibration())[0]
    assert answer.evidence == "; ".join(filter(None, ("prior", noted)))
    assert math.log(answer.high / answer.value) < 1.1 * ASSUMED_HALF_WIDTH, "nothing is assumed"


def test_16_bit_that_does_not_fit_is_taken_for_what_the_makers_published_and_said_so() -> None:
    found = read(gpu="H200", gpu_count="8", tp="8", model="DeepSeek-R1", precision_weights="bf16")
    assert found.replica.weights is Precision.FP8
    assert found.assumed == ("weights of bf16 taken for fp8, as deepseek-r1 is published",)
    fits = read(gpu="B300", gpu_count="8", tp="8", model="DeepSeek-R1", precision_weights="bf16")
    assert (fits.replica.weights, fits.assumed) == (Precision.BF16, ())


def test_a_kv_cache_s_precision_is_read_where_that_of_the_weights_tells_it() -> None:
    assert read(precision_weights="bf16-kvfp8").replica.kv is Precision.FP8
    assert read(model="amd/Llama-3.1-8B-Instruct-FP8-KV").replica.kv is Precision.FP8
    assert read(precision_weights="bf16-kvfp8", precision_kv="fp16").replica.kv is Precision.FP16


def test_a_row_may_tell_how_many_requests_were_sent_and_that_their_lengths_differ() -> None:
    told = read(requests="320", dataset="ShareGPT")
    assert (told.requests, told.unequal) == (320.0, True)
    silent = read(dataset="random")
    assert (silent.requests, silent.unequal) == (1000.0, False)
    assert (told.requests_told, silent.requests_told) == (True, False)
    assert (told.talks, silent.talks) == (True, False)
    assert read(dataset="random", note="range ratio 0.8; means").unequal
    for alike in ("range ratio 1.0", "random-range-ratio=0", "ratio 0.0", "a ratio of 2.5 to 1"):
        assert not read(dataset="random", note=alike).unequal, (
            "0 makes all alike in one client, and none in another"
        )
    assert refusal({**ROW, "requests": "many"}).startswith("requests must be a number")
    assert refusal({**ROW, "requests": "3.5"}).startswith("requests must be a whole number")


@pytest.mark.parametrize(
    ("note", "places"),
    [
        ("server with --max-num-seqs 32", 32.0),
        ("max_running_requests=64, chunked", 64.0),
        ("Max batch size: 1,024", 1024.0),
        ("max batch size as given", None),
        ("max-num-seqs 0", None),
        ("max-num-seqs 32,64", None),
        ("max-num-seqs 64 and 128", None),
        (f"max-num-seqs {'9' * 400}", None),
        ("32 at once", None),
    ],
)
def test_a_note_may_tell_how_many_run_at_once(note: str, places: float | None) -> None:
    found = read(concurrency="", request_rate="inf", note=note)
    assert found.max_sequences == places
    told, silent = (predictions([case], calibration())[0].value for case in (found, read(note="")))
    assert ((told or 0.0) < 0.8 * (silent or 0.0)) == (places in (32.0, 64.0))


@pytest.mark.parametrize("blank", ["", "n/a"])
def test_lengths_that_are_not_told_are_those_of_conversations_and_cost_width(blank: str) -> None:
    both, one = read(input_tokens=blank, output_tokens=blank), read(output_tokens=blank)
    assert (both.input_tokens, both.output_tokens, both.unequal) == (220.0, 200.0, True)
    assert (one.input_tokens, one.output_tokens) == (128.0, 200.0)
    assert [*one.assumed] == ["output_tokens not told, taken for 200 as of conversations"]
    told, taken = (predictions([case], calibration())[0] for case in (read(), both))
    assert (taken.evidence.split("; ")[0], told.evidence) == ("prior", "calibrated")
    assert (taken.high or 0) / (taken.low or 1) > 1.5 * (told.high or 0) / (told.low or 1)
    first = read(metric="ttft_ms", concurrency="8", output_tokens=blank)
    assert (first.output_tokens, first.assumed) == (1.0, ()), "the first token is one"


@pytest.mark.parametrize(
    ("note", "sent"),
    [
        ("1,000 requests of ShareGPT at once", 1000.0),
        ("warm-up; 320 prompts", 320.0),
        ("conc*10 requests; KV format not told", 160.0),
        ("concurrency x 4 prompts", 64.0),
        ("3 requests a level and client", None),
        ("16 to 96 requests a level", None),
        ("5, 20, 100, 200 requests", None),
        ("at 20 requests per second", None),
        ("nothing of it", None),
    ],
)
def test_a_note_may_tell_how_many_requests_were_sent(note: str, sent: float | None) -> None:
    found = read(concurrency="16", note=note)
    assert found.requests_told == (sent is not None)
    assert found.requests == (sent or 1000.0)
    assert read(concurrency="16", note=note, requests="48").requests == 48.0, "a column counts for more"


def test_of_requests_sent_at_once_no_more_are_kept_than_there_are() -> None:
    assert read(concurrency="", request_rate="inf", requests="48").concurrency == 48.0
    assert read(concurrency="16", request_rate="inf", requests="48").concurrency == 16.0
    assert math.isinf(read(concurrency="", request_rate="2", requests="48").concurrency), (
        "they come one by one"
    )
    assert math.isinf(read(concurrency="", request_rate="inf", note="48 requests a rate").concurrency)


def test_heads_that_do_not_divide_over_the_gpus_are_told_but_for_a_mixture() -> None:
    dense = {"model": "llama-3.1-8b", "params_b": "8", "gpu_count": "3", "tp": "3"}
    assert read(**dense).assumed == ("32 heads taken as if 3 GPUs could share them",)
    assert read(**{**dense, "tp": "2", "gpu_count": "2"}).assumed == ()
    assert read(model="qwen3-30b-a3b", params_b="30", gpu_count="3", tp="3").assumed == ()


@pytest.mark.parametrize(
    ("engine", "version", "share"),
    [
        ("vllm", "0.20.2", 0.9),
        ("vLLM 0.6.3", "", 0.9),
        ("vllm", "2026-04", 0.9),
        ("vllm", "0.21.0", 0.92),
        ("vllm", "rocm7.0_vllm_0.25.1", 0.92),
        ("vLLM", "", 0.92),
        ("sglang", "0.5.23", 0.9),
        ("an engine of ours", "", 0.9),
    ],
)
def test_memory_is_counted_on_as_the_version_of_the_engine_takes_it(
    engine: str, version: str, share: float
) -> None:
    case = read(engine=engine, engine_version=version)
    assert case.replica.memory_share == share


def test_more_memory_holds_more_requests_where_weights_leave_little() -> None:
    tight = {
        "model": "llama-3.1-70b",
        "precision_weights": "fp8",
        "gpu": "H100-SXM",
        "engine": "vllm",
        "concurrency": "64",
        "input_tokens": "8192",
        "output_tokens": "1024",
    }
    before, since = (read(**tight, engine_version=version) for version in ("0.20", "0.21"))
    old, new = (found.value or 0.0 for found in predictions((before, since), calibration()))
    assert new > 1.1 * old > 0
