"""Pipelines over nodes that others take the place of on the same nodes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hetops.domain.configuration import Configuration, StageGpus
from hetops.domain.model import Precision
from hetops.domain.performance import Binding, Evidence, EvidenceLayer, PerformanceRow
from hetops.performance.replaced import irreplaceable
from hetops.performance.table import PerformanceTable

Rates = Mapping[Configuration, tuple[float, float]]
"""Of chat and of long."""


def alone(gpu: str, tensor: int = 1) -> Configuration:
    return Configuration(
        model="m",
        engine="vllm",
        gpu=gpu,
        tensor_parallel=tensor,
        weights=Precision.FP8,
        kv=Precision.BF16,
        checkpoint="m",
        max_sequences=8,
        max_context_tokens=64,
    )


def over(*stages: str, engine: str = "vllm") -> Configuration:
    each = tuple(StageGpus(gpu=one[0], tensor_parallel=int(one[1:])) for one in stages)
    fields = {name: getattr(alone(each[0].gpu), name) for name in Configuration.__dataclass_fields__}
    fields |= {"tensor_parallel": each[0].tensor_parallel, "pipeline_parallel": len(each)}
    return Configuration(**(fields | {"stages": each, "engine": engine}))


def table(rates: Rates) -> PerformanceTable:
    rows = {
        (one.id, name, 0.0): PerformanceRow(
            configuration=one.id,
            workload_class=name,
            requests_per_second=rate,
            requests_per_second_low=rate,
            requests_per_second_high=rate,
            ttft_seconds=1.0,
            tpot_seconds=0.01,
            concurrency=1.0,
            binding=Binding.GIVEN,
            evidence=Evidence(layer=EvidenceLayer.GIVEN, source="by hand"),
        )
        for one, each in rates.items()
        for name, rate in zip(("chat", "long"), each, strict=True)
    }
    return PerformanceTable(rows=rows, step_times={})


def kept(rates: Rates, *lone: str) -> set[Configuration]:
    pipelines = [one for one in rates if one.stages]
    return set(irreplaceable(pipelines, [one for one in rates if not one.stages], table(rates), lone))


@pytest.mark.parametrize(
    ("on_b", "stays"),
    [((1.0, 1.0), False), ((1.0, 0.9), True), ((0.9, 1.0), True)],
    ids=["as much of each", "less of one", "less of the other"],
)
def test_replicas_on_each_type_replace_what_does_no_more_of_any_class(
    on_b: tuple[float, float], stays: bool
) -> None:
    pipeline = over("A1", "B1", "B1")
    rates = {pipeline: (4.0, 3.0), alone("A"): (2.0, 1.0), alone("B"): on_b}
    assert kept(rates) == ({pipeline} if stays else set())


def test_of_a_stage_many_small_replicas_count_but_on_nodes_of_one_engine_and_none_that_are_larger() -> None:
    pipeline = over("A4", "B1")
    small = {pipeline: (4.0, 4.0), alone("A"): (1.0, 1.0)}
    assert kept(small) == set()
    assert kept(small, "A") == {pipeline}
    assert kept({pipeline: (4.0, 4.0), alone("A", 8): (9.0, 9.0)}) == {pipeline}


def test_the_same_stages_with_another_engine_that_does_more_of_all_take_its_place() -> None:
    slow, fast, other = over("A1", "B1"), over("A1", "B1", engine="sglang"), over("A1", "A1")
    assert kept({slow: (1.0, 1.0), fast: (2.0, 1.0), other: (1.0, 1.0)}) == {fast, other}
    assert kept({fast: (2.0, 1.0), slow: (1.0, 1.0)}) == {fast}
    assert kept({slow: (1.0, 2.0), fast: (2.0, 1.0)}) == {slow, fast}


def test_what_serves_nothing_is_of_no_use() -> None:
    assert kept({over("A1", "B1"): (0.0, 0.0)}) == set()
    assert irreplaceable([], [], table({})) == ()
