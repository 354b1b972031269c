"""Pipelines over nodes: every one that a place has nodes for, and none besides."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import pytest

from hetops.catalog import tables
from hetops.configurations.engines import BUILT_IN
from hetops.configurations.enumerate import Enumeration, Rules, Space, Why
from hetops.configurations.pipelines import MOST_GPUS, over_nodes
from hetops.domain.configuration import Configuration, Speculation, StageGpus
from hetops.plugin.engine import EngineNeeds

CATALOG = tables.load()
LLAMACPP = EngineNeeds(
    gpu_vendors=frozenset({"nvidia"}),
    precisions=frozenset({"bf16"}),
    max_sequences=(1,),
    tensor_parallel=(1, 2),
)


def found(places: Iterable[Mapping[str, int]], holds: object = None) -> Enumeration:
    """Those of 16-bit weights on nodes of these sizes."""
    places = tuple(places)
    space = Space(
        model=CATALOG.model("llama-3.1-70b"),
        checkpoints=CATALOG.checkpoints_of("llama-3.1-70b"),
        engines={"vllm": BUILT_IN["vllm"], "llamacpp": LLAMACPP},
        gpus=CATALOG.devices,
        largest_node={gpu: most for nodes in places for gpu, most in nodes.items()},
    )
    speculation = Speculation(draft_tokens=3, acceptance=0.5)
    rules = Rules(max_context_tokens=4096, precisions=("bf16",), speculation=speculation)  # type: ignore[arg-type]
    return over_nodes(space, rules, places, holds or (lambda _: True))  # type: ignore[arg-type]


def shapes(of: Enumeration) -> list[tuple[str, ...]]:
    return [tuple(map(str, one.stages)) for one in of.configurations]


def test_all_pipelines_of_two_types_and_their_order() -> None:
    """H100 is the faster one, and comes first whatever it is called."""
    told = shapes(found([{"L40S": 1, "H100-SXM": 1}]))
    h, s = "H100-SXM:1", "L40S:1"
    assert sorted(told) == sorted([(h, h), (h, h, h), (s, s), (s, s, s), (h, s), (h, h, s), (h, s, s)])


def test_stages_fit_nodes_of_one_place() -> None:
    apart = found([{"H100-SXM": 8}, {"L40S": 4}])
    assert not any(len({stage.gpu for stage in one.stages}) > 1 for one in apart.configurations)
    together = found([{"H100-SXM": 2, "L40S": 4}, {"H100-SXM": 8}])
    for one in together.configurations:
        sizes = {stage.gpu: stage.tensor_parallel for stage in one.stages}
        assert len(sizes) == len(set(one.stages))
        assert one.gpu_count == sum(stage.tensor_parallel for stage in one.stages) <= MOST_GPUS
        if len(sizes) == 2:
            assert sizes["H100-SXM"] <= 2
            assert sizes["L40S"] <= 4
    pairs = {tuple(sorted(dict.fromkeys(shape))) for shape in shapes(together) if len(set(shape)) == 2}
    assert pairs == {(f"H100-SXM:{h}", f"L40S:{s}") for h, s in itertools.product((1, 2), (1, 2, 4))}


def test_vendors_do_not_mix_nor_do_engines_without_pipelines_and_tokens_come_one_a_step() -> None:
    of = found([{"MI300X": 1, "H100-SXM": 1}])
    assert {frozenset(stage.gpu for stage in one.stages) for one in of.configurations} == {
        frozenset({"MI300X"}),
        frozenset({"H100-SXM"}),
    }
    assert {one.engine for one in of.configurations} == {"vllm"}
    assert not any(one.speculation for one in of.configurations)
    assert len({one.id for one in of.configurations}) == len(of.configurations)


def test_what_has_too_little_memory_is_counted() -> None:
    of = found([{"L40S": 1, "H100-SXM": 1}], lambda one: one.gpu == "H100-SXM")
    assert {one.gpu for one in of.configurations} == {"H100-SXM"}
    (refusal,) = of.refusals
    assert (refusal.count, refusal.reason) == (2, Why.MEMORY)


def test_a_configuration_says_its_stages_or_is_none() -> None:
    (one, *_) = found([{"L40S": 2, "H100-SXM": 1}]).configurations
    fields = {name: getattr(one, name) for name in one.__dataclass_fields__}
    assert Configuration(**fields) == one
    first = StageGpus(gpu="T4", tensor_parallel=1)
    for wrong in ({"stages": (first, *one.stages[1:])}, {"pipeline_parallel": 3}):
        with pytest.raises(ValueError, match="configuration: "):
            Configuration(**(fields | wrong))
