"""Several models in one spec: planned together, each class by its own model; what does not say so is refused with its line."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hetops.app.bench import measurable
from hetops.app.candidates import Candidates, candidates
from hetops.app.day import find_day
from hetops.app.frontier import FrontierAsked, frontier
from hetops.app.models import checkpoints_for
from hetops.app.plan import make_plan
from hetops.app.played_requests import Stretch
from hetops.app.pose import pose
from hetops.app.preconditions import check_whole_nodes
from hetops.app.simulate import SimulationAsked, simulate
from hetops.catalog import tables
from hetops.configurations.engines import BUILT_IN
from hetops.domain import codec
from hetops.domain.day import Day
from hetops.domain.model import Precision
from hetops.domain.plan import Plan
from hetops.errors import HetopsError, InfeasibleError, PolicyError, SpecError, UnknownNameError
from hetops.reports import plan as report
from hetops.reports import what_if
from hetops.reports.diff import as_text
from hetops.reports.what_if import WhatIf
from hetops.router.config import from_plan
from hetops.solver.recheck.day import recheck_day
from hetops.solver.recheck.plan import recheck, seal
from hetops.solver.solve import Effort
from hetops.stack.changes import Changes
from hetops.stack.diff import fleet_diff
from tests.doubles import specs, tiny_gguf
from tests.doubles.two_models import FOURS, TWO, alone

LLAMA, QWEN = "llama-3.1-8b", "qwen3-32b"
SHARED = "policy.share_nodes=true"

LONG_AND_SHORT = """
[deployment]
name = "one"

[model]
name = "llama-3.1-8b"

[[workload.classes]]
name = "short"
requests_per_second = 20
input_tokens = 300
output_tokens = 150

[[workload.classes]]
name = "long"
requests_per_second = 0.6
input_tokens = 12000
output_tokens = 600
ttft_seconds = 6.0

[targets]
ttft_seconds = 2.0
tpot_seconds = 0.08

[engine]
names = ["vllm"]

[offers]
gpus = ["L4:8"]

[providers.gcp]
"""
"""One model on nodes of eight GPUs."""


@cache
def planned(*overrides: str, text: str = TWO) -> Plan:
    """The plan of the spec with other fields."""
    with TemporaryDirectory() as folder:
        return make_plan(specs.asked(Path(folder), text, *overrides))


def test_a_model_that_runs_nowhere_is_named_with_the_reason_and_the_field(tmp_path: Path) -> None:
    """The other model is served: it is not what hinders."""
    text = TWO.replace(f'name = "{QWEN}"', f'name = "{QWEN}"\nkv_precision = "fp8"')
    with pytest.raises(InfeasibleError) as caught:
        make_plan(specs.asked(tmp_path, text, 'offers.gpus=["A100"]'))
    assert "serves code within" in caught.value.message
    first, *reasons = caught.value.details
    assert first == f"no configuration of {QWEN} runs on any GPU type on offer"
    assert any("the GPU has no FP8 arithmetic for the KV cache" in one for one in reasons)
    assert "models[].precisions" in caught.value.hint
    assert "quality floor" not in caught.value.hint


def test_every_pool_serves_the_model_that_its_classes_ask_for() -> None:
    plan = planned()
    assert (plan.model, plan.models) == (f"{LLAMA}, {QWEN}", (LLAMA, QWEN))
    model_of = {pool.name: pool.configuration.model for pool in plan.pools}
    assert {(s.workload_class, model_of[s.pool]) for s in plan.shares} == {("chat", LLAMA), ("code", QWEN)}
    assert {(row.workload_class, row.configuration.partition("/")[0]) for row in plan.performance} == {
        ("chat", LLAMA),
        ("code", QWEN),
    }
    assert recheck(plan) == ()
    told = report.as_text(plan)
    assert told.startswith(f"two: {LLAMA}, {QWEN}, 2 classes")
    assert all(f"{pool.configuration.model} vllm" in told for pool in plan.pools)


def _alone() -> list[Decimal]:
    """What each of the models costs by itself."""
    return [planned(text=alone(model)).usd_per_hour for model in (LLAMA, QWEN)]


def test_models_that_share_nothing_scarce_cost_what_each_costs_alone() -> None:
    assert planned().usd_per_hour == sum(_alone())


def test_one_budget_is_for_all_models_together() -> None:
    cost = planned().usd_per_hour
    assert planned(f"budget.usd_per_hour={cost}").usd_per_hour == cost
    with pytest.raises(InfeasibleError) as caught:
        planned(f"budget.usd_per_hour={cost - Decimal('0.01')}")
    assert f"to {cost} usd_per_hour" in caught.value.hint


def test_one_stock_is_for_all_models_together(tmp_path: Path) -> None:
    """Each model alone takes nodes of the one offer; of both together there are too few, and one must go elsewhere."""
    only = 'offers.gpus=["L40S:1"]'
    each = {model: planned(only, text=alone(model)).pools for model in (LLAMA, QWEN)}
    offers = {pool.offer.id for pools in each.values() for pool in pools}
    assert len(offers) == 1
    needed = sum(pool.nodes for pools in each.values() for pool in pools)
    (offer,) = offers
    enough, short = (
        make_plan(specs.asked(tmp_path, TWO, only, stock={offer: nodes})) for nodes in (needed, needed - 1)
    )
    assert enough.usd_per_hour == planned(only).usd_per_hour < short.usd_per_hour
    taken = [sum(pool.nodes for pool in plan.pools if pool.offer.id == offer) for plan in (enough, short)]
    assert taken == [needed, needed - 1]


def test_one_model_in_a_list_is_the_one_model(tmp_path: Path) -> None:
    text = alone(LLAMA)
    listed = text.replace("[model]", "[[models]]")
    problems = [pose(specs.asked(tmp_path, one)).problem for one in (text, listed)]
    assert codec.digest(problems[0]) == codec.digest(problems[1])
    assert problems[0].columns[0].model == ""


def test_models_have_rules_of_their_own(tmp_path: Path) -> None:
    text = TWO.replace(
        'name = "qwen3-32b"\n\n', 'name = "qwen3-32b"\nprecisions = ["fp8"]\nquality_floor = 0.9\n\n'
    )
    found = candidates(specs.asked(tmp_path, text))
    weights = {m.model.name: {str(c.weights) for c in m.enumeration.configurations} for m in found.models}
    assert weights[QWEN] == {"fp8"}
    assert len(weights[LLAMA]) > 1
    assert [(floor.workload_class, floor.share) for floor in found.floors] == [("code", 0.9)]
    assert {r.subject.partition(" on ")[0] for r in found.enumeration.refusals} == {LLAMA, QWEN}


@pytest.mark.parametrize(
    ("old", "new", "kind", "told"),
    [
        ('model = "qwen3-32b"\n', "", SpecError, "hetops.toml:18: workload.classes[1]: class code does not say which model"),
        ('model = "qwen3-32b"', 'model = "qwen"', UnknownNameError, "unknown model of this spec 'qwen' at "),
        ('model = "qwen3-32b"', f'model = "{LLAMA}"', SpecError, "hetops.toml:9: models[1].name: no class asks for qwen3-32b"),
        ('name = "qwen3-32b"', f'name = "{LLAMA}"', SpecError, f"hetops.toml:9: models[1].name: there is another model {LLAMA}"),
        ('name = "qwen3-32b"', 'name = "qwen3-33b"', UnknownNameError, "unknown model of this spec 'qwen3-32b' at "),
        ("qwen3-32b", "qwen3-33b", UnknownNameError, "unknown model 'qwen3-33b' at "),
        ("[[models]]\n", f'[model]\nname = "{LLAMA}"\n\n[[models]]\n', SpecError, "give either [model], or [[models]] for several"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_told_with_its_line(
    old: str, new: str, kind: type[HetopsError], told: str, tmp_path: Path
) -> None:
    count = -1 if old == "qwen3-32b" else 1
    with pytest.raises(kind) as caught:
        candidates(specs.asked(tmp_path, TWO.replace(old, new, count)))
    assert told in caught.value.message
    assert caught.value.hint or kind is UnknownNameError or "either" in told


LOCAL = (
    TWO.replace(LLAMA, "one")
    .replace(QWEN, "other")
    .replace('"vllm"', '"llamacpp"')
    .replace('gpus = ["L4:1", "L40S:1"]', "")
    .replace("[providers.aws]\n[providers.gcp]", "[providers.local]")
)


def own(folder: Path, gguf: str) -> Candidates:
    """The candidates where the llama.cpp engine is set so."""
    text = f"{LOCAL}\n[engine.settings.llamacpp]\ngguf = {gguf}\n"
    return candidates(specs.asked(folder, text, "workload.length_scale=0.02"))


def test_models_of_the_users_own_have_a_file_each(tmp_path: Path) -> None:
    for name in ("a", "b"):
        tiny_gguf.write(tmp_path / f"{name}.gguf")
    found = own(tmp_path, '{ one = "./a.gguf", other = "./b.gguf" }')
    each = {m.model.name: {c.checkpoint for c in m.enumeration.configurations} for m in found.models}
    assert each == {"one": {f"file:{tmp_path}/a.gguf"}, "other": {f"file:{tmp_path}/b.gguf"}}
    with pytest.raises(
        SpecError, match=r"models\[1\]\.name: one and other are one checkpoint, file:.*a\.gguf"
    ):
        own(tmp_path, '"./a.gguf"')
    measured = {b.family.started.model: {t.workload_class for t in b.trials} for b in measurable(found)}
    assert measured == {"one": {"chat"}, "other": {"code"}}
    with pytest.raises(HetopsError, match=r"gguf\.other must be a path, not 7"):
        own(tmp_path, '{ one = "./a.gguf", other = 7 }')


SERVICE = """
[[overflow]]
name = "elsewhere"
url = "https://api.example.com/v1"
usd_per_million_input_tokens = 0.1
usd_per_million_output_tokens = 0.4
requests_per_minute = 600
ttft_seconds = 0.5
tpot_seconds = 0.02
"""


def test_a_service_serves_one_model(tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=rf"overflow\[0\]: elsewhere serves one model, its classes ask for {LLAMA} and {QWEN}"
    ):
        pose(specs.asked(tmp_path, TWO + SERVICE))
    posed = pose(specs.asked(tmp_path, f'{TWO}{SERVICE}classes = ["code"]\n'))
    (one,) = posed.overflow
    assert (one.service.model, [k.name for k in one.classes]) == (QWEN, ["code"])


def test_an_address_that_sells_both_models_is_a_service_for_each(tmp_path: Path) -> None:
    """Nothing else tells requests apart in a simulation but which model they ask for; a limit holds for each by itself."""
    other = SERVICE.replace('"elsewhere"', '"there"')
    both = f'{TWO}{SERVICE}classes = ["code"]\n{other}classes = ["chat"]\n'
    free = both.replace("million_input_tokens = 0.1", "million_input_tokens = 0.0001").replace(
        "= 0.4", "= 0.0001"
    )
    plan = make_plan(specs.asked(tmp_path, free))
    assert {s.workload_class: s.pool for s in plan.shares} == {"code": "elsewhere", "chat": "there"}
    assert recheck(plan) == ()
    config = from_plan(plan, {})
    assert [e for pool in config.pools for e in pool.endpoints] == [
        "https://api.example.com/v1#elsewhere", "https://api.example.com/v1#there",
    ]  # fmt: skip
    asked = SimulationAsked(spec=specs.asked(tmp_path, free), stretch=Stretch(duration_seconds=60.0))
    found = simulate(asked, lambda _: None)
    asked_for = {c.name: c.requests for c in found.classes}
    assert {p.name: p.requests for p in found.pools} == {
        "elsewhere": asked_for["code"],
        "there": asked_for["chat"],
    }
    assert [m.usd for m in found.models] == [
        p.usd for p in sorted(found.pools, key=lambda p: p.name, reverse=True)
    ]
    twice = both.replace('classes = ["chat"]', 'classes = ["code"]')
    with pytest.raises(
        SpecError, match=rf"overflow\[1\]\.url: elsewhere is {QWEN} at https://api\.example\.com/v1 already"
    ):
        pose(specs.asked(tmp_path, twice))


def test_models_share_a_node_by_its_gpus() -> None:
    """Whole nodes of four GPUs are one for each model; three of the four GPUs of one node have room for both."""
    whole, shared = planned(FOURS), planned(FOURS, SHARED)
    assert [pool.nodes for pool in whole.pools] == [1, 1]
    (rental,) = shared.rentals
    parts = {p.configuration.model: (p.nodes, p.parts_per_node, p.replicas) for p in shared.pools}
    assert parts == {LLAMA: (1, 4, 1), QWEN: (1, 2, 1)}
    assert (rental.nodes, shared.idle_nodes(rental)) == (1, Fraction(1, 4))
    assert 2 * shared.usd_per_hour == 2 * rental.usd_per_hour == whole.usd_per_hour
    assert recheck(shared) == ()
    told = report.as_text(shared)
    assert " 1/4  " in told
    assert "(shared by models), 0.75 in use, 0.25 idle" in told
    beside = what_if.as_text(WhatIf(restrictions=("--set x=1",), plan=shared, instead_of=whole)).splitlines()
    counts = sorted(tuple(line.split("on_demand")[1].split()[:2]) for line in beside if "on_demand  " in line)
    assert counts == [("1", "1/2"), ("1", "1/4")]
    assert [line.split()[1:3] for line in beside if line.startswith("total")] == [["2", "1"]]


def test_a_frontier_counts_nodes_that_models_share_once(tmp_path: Path) -> None:
    """With looser targets there are pools that the plan could not have."""
    fours, both = (
        frontier(FrontierAsked(spec=specs.asked(tmp_path, TWO, gpus, SHARED), target_factors=(2.0,)), print)
        for gpus in (FOURS, 'offers.gpus=["L40S:4","L4:4"]')
    )
    assert [point.nodes for point in fours.points] == [{"L40S:4": 1}]
    assert all(point.usd_per_hour for point in both.points)


def test_a_shared_node_that_was_tampered_with_is_found_out() -> None:
    shared = planned(FOURS, SHARED)
    small, large = sorted(shared.pools, key=lambda pool: -pool.parts_per_node)
    crowded = seal(replace(shared, pools=(small, replace(large, nodes=2))))
    assert "more nodes in use than paid for: 1 nodes" in {v.message for v in recheck(crowded)}
    unpaid = seal(replace(shared, rentals=()))
    assert "its nodes are shared, and nothing says how many are paid for" in {
        v.message for v in recheck(unpaid)
    }
    thirds = seal(replace(shared, pools=(replace(small, parts_per_node=3), large)))
    assert any("do not fit on one of 3 parts" in v.message for v in recheck(thirds))


def test_a_class_on_a_pool_of_another_model_is_found_out() -> None:
    plan = planned()
    other = {s.workload_class: s.pool for s in plan.shares}
    swapped = tuple(replace(s, pool=other["code"]) if s.workload_class == "chat" else s for s in plan.shares)
    found = recheck(seal(replace(plan, shares=swapped)))
    assert any(v.message == f"asks for {LLAMA}, the pool serves {QWEN}" for v in found)


def test_shared_nodes_are_for_planning_only() -> None:
    shared = planned(FOURS, SHARED)
    check_whole_nodes(planned(FOURS))
    with pytest.raises(PolicyError, match="nodes that pools share can only be planned with"):
        check_whole_nodes(shared)


def test_from_nodes_that_run_whole_a_plan_keeps_the_parts_that_it_uses(tmp_path: Path) -> None:
    """A whole node is all its parts: half of either stays on the one that is left, though a quarter would do for one of them."""
    terms = "[policy.migration]\nusd_per_added_node = 3\nusd_per_removed_node = 2\nhorizon_hours = 10\n"
    asked = specs.asked(tmp_path, TWO + terms, FOURS, SHARED)
    plan = make_plan(replace(asked, running=planned(FOURS)))
    assert recheck(plan) == ()
    assert plan.migration is not None
    assert sorted(plan.migration.parts_per_node.values()) == [2, 4]
    assert (plan.migration.whole(plan.migration.running), plan.migration.added(plan.nodes)) == (2, 0)
    assert plan.migration.removed(plan.nodes) == 1
    assert plan.migration.usd_per_hour == Decimal("0.2")
    assert "keeps 1 of 2 nodes, adds 0, removes 1;" in report.as_text(plan)
    wholly = replace(plan.migration, parts_per_node={})
    assert "changes" in {v.rule for v in recheck(seal(replace(plan, migration=wholly)))}
    dear = terms.replace("usd_per_removed_node = 2", "usd_per_removed_node = 110")
    kept = make_plan(replace(specs.asked(tmp_path, TWO + dear, FOURS, SHARED), running=planned(FOURS)))
    assert kept.migration is not None
    assert (kept.migration.removed(kept.nodes), kept.usd_per_hour) == (0, planned(FOURS).usd_per_hour)


def test_unlike_replicas_of_one_model_may_share_nodes_too() -> None:
    """Short chats are served best by one GPU, long texts by four; of whole nodes of eight one more is needed."""
    whole, shared = (planned(*more, text=LONG_AND_SHORT) for more in ((), (SHARED,)))
    assert (recheck(whole), recheck(shared)) == ((), ())
    parts = [sum(Fraction(p.nodes, p.parts_per_node) for p in plan.pools) for plan in (whole, shared)]
    assert parts == [3, 2]
    assert shared.usd_per_hour * 3 == whole.usd_per_hour * 2
    assert sorted({pool.parts_per_node for pool in shared.pools}) == [2, 8]
    check_whole_nodes(whole)
    with pytest.raises(PolicyError, match="nodes that pools share can only be planned with"):
        check_whole_nodes(shared)


def test_a_model_of_several_that_nothing_runs_is_told_by_its_own_field() -> None:
    text = TWO
    for model in (LLAMA, QWEN):
        text = text.replace(f'name = "{model}"\n', f'name = "{model}"\nprecisions = ["q8_0"]\n')
    with pytest.raises(InfeasibleError) as caught:
        planned(text=text)
    assert "models[].precisions" in caught.value.hint


def test_the_router_of_a_plan_knows_which_class_asks_for_which_model() -> None:
    config = from_plan(planned(), {})
    assert config.models == (LLAMA, QWEN)
    assert {c.name: c.model for c in config.classes} == {"chat": LLAMA, "code": QWEN}
    serves = {pool.configuration.partition("/")[0]: pool.serves for pool in config.pools}
    assert serves == {LLAMA: ("chat",), QWEN: ("code",)}


def test_a_simulation_sends_each_request_to_a_pool_of_its_model(tmp_path: Path) -> None:
    """The classes are alike in length: nothing but the model tells them apart."""
    alike = "workload.classes=" + str(
        [{"name": c, "model": m, "requests_per_second": 1.0, "input_tokens": 300, "output_tokens": 100}
         for c, m in (("chat", LLAMA), ("code", QWEN))]
    ).replace("': ", "' = ").replace("'", '"').replace('"name" =', "name =")  # fmt: skip
    asked = SimulationAsked(spec=specs.asked(tmp_path, TWO, alike), stretch=Stretch(duration_seconds=60.0))
    found = simulate(asked, lambda _: None)
    pools = {pool.name: pool.requests for pool in found.pools}
    classes = {one.name: one.requests for one in found.classes}
    assert sorted(pools.values()) == sorted(classes.values())
    assert min(pools.values()) > 30


DAY = """
[policy.day]
boot_minutes = 5
periods = [
    { name = "night", hours = 12, factor = 0.4 },
    { name = "noon", hours = 12, requests_per_second = { code = 3.0 } },
]
"""


def test_a_day_of_two_models_starts_parts_of_nodes_for_their_part_of_the_price(tmp_path: Path) -> None:
    posed = pose(specs.asked(tmp_path, TWO + DAY, FOURS, SHARED))
    found = find_day(posed, Effort(limit_seconds=60.0)).document
    assert isinstance(found, Day)
    (start,) = found.starts
    pool = found.period("noon").plan.pool(start.pool)
    assert start.period == "noon"
    assert pool.parts_per_node > 1
    assert 0 < start.nodes <= pool.nodes
    assert start.usd == round(pool.offer.total_usd_per_hour * 5 / 60, 6)
    assert recheck_day(found) == ()


def test_a_diff_says_which_model_each_pool_serves() -> None:
    two, one = planned(), planned(text=alone(LLAMA))
    told = as_text(fleet_diff(None, two, Changes(steps=())))
    assert f"{LLAMA} on L4" in told
    assert f"{QWEN} on L40S" in told
    assert " on L4" not in as_text(fleet_diff(None, one, Changes(steps=())))
    served = {s.what: (s.before, s.after) for s in fleet_diff(one, two, Changes(steps=())).served}
    assert served["model"] == ((LLAMA,), (LLAMA, QWEN))


def test_an_engine_gets_the_formats_that_it_reads_and_gguf_is_no_matter_of_gpu_engines() -> None:
    known = tables.load().checkpoints_of("llama-3.1-8b")
    formats = {c.precision for c in known}
    assert {"fp8", "int8", "int4", "fp4", "q4_k_m"} <= formats
    read = {c.precision for c in checkpoints_for(BUILT_IN["vllm"], known)}
    assert read == formats - {Precision.GGUF_Q4_K_M}
