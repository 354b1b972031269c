"""The estimator over aiconfigurator: one suite for its double and, where it is installed, for the package itself."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from hetops_aiconfigurator.estimator import AiConfigurator, Package, installed
from hetops_aiconfigurator.shape import is_plain, plain_config

from hetops.catalog import tables
from hetops.domain.benchmark import Benchmark, BenchmarkAnswer
from hetops.domain.configuration import Configuration, Speculation
from hetops.domain.model import Precision
from hetops.errors import HetopsError
from hetops.performance.estimate import step_times
from hetops.performance.measured import closed_loop
from hetops.plugin import Estimator
from tests.doubles.aiconfigurator import Tables

CATALOG = tables.load()
GPUS = {g.name: g for g in CATALOG.gpu_types}
PACKAGE = "aiconfigurator"


def _double() -> Callable[[], Package]:
    return Tables().package


def _real() -> Callable[[], Package]:
    pytest.importorskip(PACKAGE, reason="aiconfigurator is an extra of its own, 750 MB: not installed")
    return installed


@pytest.fixture(params=[_double, pytest.param(_real, marks=pytest.mark.slow)], ids=["double", "package"])
def estimator(request: pytest.FixtureRequest) -> AiConfigurator:
    return AiConfigurator(request.param())


def asked(model: str = "llama-3.1-8b", **changed: object) -> Benchmark:
    """A benchmark of 16 requests of 1,000 tokens in and 200 out on an H100, with what is changed of it or of its configuration."""
    own = {
        name: changed.pop(name)
        for name in ("concurrency", "input_tokens", "output_tokens")
        if name in changed
    }
    weights = changed.get("weights", Precision.BF16)
    known = {c.precision: c.reference for c in CATALOG.checkpoints_of(model)}
    configuration = Configuration(
        model=model,
        engine="vllm",
        gpu="H100-SXM",
        weights=Precision.BF16,
        kv=Precision.BF16,
        checkpoint=known.get(weights, ""),  # type: ignore[call-overload]
        max_sequences=256,
        max_context_tokens=131_072,
    )
    configuration = replace(configuration, **changed)  # type: ignore[arg-type]
    plain = Benchmark(
        configuration=configuration,
        model=CATALOG.model(model),
        gpu=GPUS.get(configuration.gpu, GPUS["H100-SXM"]),
        input_tokens=1000,
        output_tokens=200,
        concurrency=16,
    )
    return replace(plain, **own)  # type: ignore[arg-type]


def refusal(estimator: AiConfigurator, question: Benchmark) -> HetopsError:
    with pytest.raises(HetopsError) as caught:
        estimator.answer(question)
    assert caught.value.hint
    assert "site-packages" not in caught.value.message
    return caught.value


def closed_form(question: Benchmark) -> tuple[float, float]:
    """TTFT and TPOT by hetops itself."""
    times = step_times([question.configuration], question.model, GPUS)[0]
    loop = closed_loop(times, question.input_tokens, question.output_tokens, question.concurrency)
    return loop.ttft_seconds, loop.tpot_seconds


@pytest.mark.parametrize(
    "question",
    [
        partial(asked),
        partial(asked, weights=Precision.FP8, concurrency=64),
        partial(asked, "llama-3.3-70b", tensor_parallel=4, gpu="H200-SXM"),
        partial(asked, "qwen2.5-32b", tensor_parallel=2, engine="sglang"),
        partial(asked, "mistral-7b", engine="tensorrt-llm", weights=Precision.FP8),
        partial(asked, gpu="B200", weights=Precision.FP4),
        partial(asked, gpu="L40S", tensor_parallel=2),
    ],
)
def test_answers_are_of_the_size_that_the_closed_form_has(
    estimator: AiConfigurator, question: Callable[[], Benchmark]
) -> None:
    benchmark = question()
    found = estimator.answer(benchmark)
    _, tpot = closed_form(benchmark)
    assert found.tpot_seconds == pytest.approx(tpot, rel=0.7)
    cycle = found.ttft_seconds + (benchmark.output_tokens - 1) * found.tpot_seconds
    assert found.requests_per_second == pytest.approx(benchmark.concurrency / cycle)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_a_lone_prompt_waits_for_no_other(estimator: AiConfigurator, engine: str) -> None:
    question = asked(engine=engine, concurrency=1, input_tokens=4000)
    ttft, _ = closed_form(question)
    assert estimator.answer(question).ttft_seconds == pytest.approx(ttft, rel=0.35)


def test_stages_work_on_as_many_requests_each(estimator: AiConfigurator) -> None:
    one = estimator.answer(asked("llama-3.1-70b", gpu="H200-SXM", tensor_parallel=4))
    two = estimator.answer(
        asked("llama-3.1-70b", gpu="H200-SXM", tensor_parallel=4, pipeline_parallel=2, concurrency=32)
    )
    assert two.tpot_seconds == pytest.approx(one.tpot_seconds, rel=0.1)
    assert two.requests_per_second == pytest.approx(2 * one.requests_per_second, rel=0.1)


@pytest.mark.parametrize(
    "question",
    [
        partial(asked, "qwen3-30b-a3b"),
        partial(asked, "qwen3-30b-a3b", engine="sglang", weights=Precision.FP8, tensor_parallel=2),
        partial(
            asked, "deepseek-r1", engine="sglang", weights=Precision.FP8, tensor_parallel=8, gpu="H200-SXM"
        ),
    ],
)
def test_mixtures_are_known_by_their_checkpoints(
    estimator: AiConfigurator, question: Callable[[], Benchmark]
) -> None:
    _, tpot = closed_form(question())
    assert estimator.answer(question()).tpot_seconds == pytest.approx(tpot, rel=0.7)


def test_groups_that_attend_by_themselves_have_a_share_of_the_requests(estimator: AiConfigurator) -> None:
    def answer(groups: int) -> BenchmarkAnswer:
        layout = partial(
            asked, tensor_parallel=8, attention_data_parallel=groups, gpu="H200-SXM", concurrency=256
        )
        return estimator.answer(layout("deepseek-r1", engine="sglang", weights=Precision.FP8))

    together, apart = answer(1), answer(8)
    assert apart.tpot_seconds == pytest.approx(together.tpot_seconds, rel=0.8)
    assert apart.requests_per_second != together.requests_per_second


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (
            partial(asked, weights=Precision.INT8),
            "PerfDataNotAvailableError: GEMM perf data missing for quant 'sq'",
        ),
        (partial(asked, weights=Precision.FP4), "GEMM perf data missing"),
        (partial(asked, "llama-3.1-70b"), "16 requests at once do not fit"),
        (
            partial(asked, "mixtral-8x7b"),
            "models like mistralai/Mixtral-8x7B-Instruct-v0.1 are known by name",
        ),
        (partial(asked, "gemma-3-27b"), "models like google/gemma-3-27b-it are known by name"),
        (partial(asked, gpu="L4"), "nothing is measured of GPU type L4"),
        (partial(asked, engine="llamacpp"), "nothing is measured of engine llamacpp"),
        (partial(asked, kv=Precision.INT8), "nothing is measured of KV precision int8"),
        (partial(asked, "qwen3-30b-a3b", weights=Precision.INT8), "weight precision of experts int8"),
        (partial(asked, gpu="L40S", tensor_parallel=4), "not believed on 4 L40S at once"),
        (partial(asked, "qwen3-30b-a3b", weights=Precision.FP8), "not believed on fp8 experts under vllm"),
        (partial(asked, speculation=Speculation(draft_tokens=3, acceptance=0.8)), "speculative decoding"),
    ],
)
def test_what_it_has_no_answer_for_says_why(
    estimator: AiConfigurator, question: Callable[[], Benchmark], said: str
) -> None:
    assert said in refusal(estimator, question()).message


def test_of_a_checkpoint_in_its_makers_format_that_format_is_asked_about_and_else_the_precision() -> None:
    tables_ = Tables()
    estimator = AiConfigurator(tables_.package)
    fp8 = partial(asked, "qwen3-30b-a3b", engine="sglang", weights=Precision.FP8)
    estimator.answer(fp8())
    estimator.answer(fp8(checkpoint="Qwen/Qwen3-30B-A3B"))
    stored, made = tables_.asked
    assert (stored["model_path"], "gemm_quant_mode" in stored) == ("Qwen/Qwen3-30B-A3B-FP8", False)
    assert (made["model_path"], made["gemm_quant_mode"]) == ("Qwen/Qwen3-30B-A3B", "fp8")


def test_it_is_an_estimator_that_says_when_its_package_is_not_installed() -> None:
    assert isinstance(AiConfigurator(), Estimator)
    if importlib.util.find_spec(PACKAGE):
        pytest.skip("aiconfigurator is installed")
    error = refusal(AiConfigurator(), asked())
    assert "not installed" in error.message
    assert "hetops[aiconfigurator]" in error.hint


def test_a_plain_models_feed_forward_layers_are_as_wide_as_its_parameters_leave() -> None:
    told = {row["model"]: row for row in tables.rows("models")}
    plain = [
        m for m in CATALOG.models if is_plain(m) and m.name.startswith(("llama", "qwen", "mistral", "yi"))
    ]
    assert len(plain) > 30
    for model in plain:
        width = plain_config(model)["intermediate_size"]
        assert width == pytest.approx(int(told[model.name]["ffn"]), rel=0.03), model.name


@pytest.mark.slow
def test_the_package_says_nothing_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    AiConfigurator(_real()).answer(asked(engine="tensorrt-llm"))
    assert capfd.readouterr() == ("", "")
