"""Estimators as plugins bring them: one that answers by known step times, one that knows nothing, one without its package."""

from __future__ import annotations

from hetops.domain.performance import StepTimes
from hetops.errors import HetopsError, PluginError
from hetops.performance.measured import closed_loop
from hetops.plugin import Benchmark, BenchmarkAnswer


class Known:
    """Answers for one GPU type, as an engine with these step times would."""

    name = "known"
    margin = 0.3

    def __init__(self, times: StepTimes, gpu: str) -> None:
        self.times, self.gpu = times, gpu
        self.asked: list[Benchmark] = []

    def answer(self, asked: Benchmark) -> BenchmarkAnswer:
        self.asked.append(asked)
        if asked.gpu.name != self.gpu:
            raise HetopsError(f"known has measured nothing of {asked.gpu.name}", hint="ask for another")
        loop = closed_loop(self.times, asked.input_tokens, asked.output_tokens, asked.concurrency)
        return BenchmarkAnswer(
            requests_per_second=loop.requests_per_second,
            ttft_seconds=loop.ttft_seconds,
            tpot_seconds=loop.tpot_seconds,
        )


class Broken:
    """Fails as third parties' code does."""

    name = "broken"
    margin = 0.3

    def answer(self, asked: Benchmark) -> BenchmarkAnswer:
        raise KeyError(asked.gpu.name)


class Absent:
    """Cannot be used at all."""

    name = "absent"
    margin = 0.3

    def __init__(self) -> None:
        self.asked: list[Benchmark] = []

    def answer(self, asked: Benchmark) -> BenchmarkAnswer:
        self.asked.append(asked)
        raise PluginError("its package is not installed", hint="pip install it")
