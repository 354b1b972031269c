"""A spec to a certified plan, through the real catalogue, model and solver."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.app import plan as planning
from hetops.app.candidates import Asked, candidates
from hetops.app.plan import make_plan, pool_name, solved, write_plan, write_problem
from hetops.app.pose import pose
from hetops.app.solve import solve_file
from hetops.domain import codec
from hetops.domain.performance import EvidenceLayer, Measurement
from hetops.domain.plan import Plan
from hetops.errors import HetopsError, InfeasibleError
from hetops.solver.certify import certify
from hetops.solver.pruned import pruning_of
from hetops.state import host, measurements
from hetops.state.home import home
from tests.doubles import specs


def test_a_plan_serves_every_class_whole_and_costs_what_its_pools_cost(tmp_path: Path) -> None:
    plan = make_plan(specs.asked(tmp_path))
    for c in plan.workload.classes:
        shares = [s for s in plan.shares if s.workload_class == c.name]
        assert math.fsum(s.share for s in shares) == pytest.approx(1.0, abs=1e-12)
        assert math.fsum(s.requests_per_second for s in shares) == pytest.approx(c.requests_per_second)
    assert plan.usd_per_hour == sum(p.offer.total_usd_per_hour * p.nodes for p in plan.pools)
    assert float(plan.usd_per_hour) == pytest.approx(plan.certificate.objective)
    assert plan.certificate.gap <= 1e-3
    assert {s.pool for s in plan.shares} == {p.name for p in plan.pools}


def test_what_is_forecast_keeps_the_targets(tmp_path: Path) -> None:
    plan = make_plan(specs.asked(tmp_path))
    targets = {c.name: c.target for c in plan.workload.classes}
    assert {f.workload_class for f in plan.forecasts} == set(targets)
    for forecast in plan.forecasts:
        target = targets[forecast.workload_class]
        assert 0 < forecast.ttft_seconds <= (target.ttft_seconds or math.inf)
        assert 0 < forecast.tpot_seconds <= (target.tpot_seconds or math.inf)


def test_the_losers_are_told_and_none_is_cheaper(tmp_path: Path) -> None:
    plan = make_plan(specs.asked(tmp_path))
    priced = [a.usd_per_hour for a in plan.alternatives if a.usd_per_hour is not None]
    assert priced
    assert min(priced) >= plan.usd_per_hour
    assert any(a.description.startswith("without ") for a in plan.alternatives)


def test_what_is_left_out_before_the_search_adds_up_to_the_problem(tmp_path: Path) -> None:
    posed = pose(specs.asked(tmp_path))
    configurations, columns = planning.answer(posed).pruning
    used = {column.configuration for column in posed.problem.columns}
    assert (configurations.of, configurations.kept) == ("configuration", len(used))
    assert configurations.count == len(posed.candidates.enumeration.configurations) > configurations.kept
    assert columns == pruning_of(posed.problem)


def test_the_same_spec_gives_the_same_fleet_under_the_same_names(tmp_path: Path) -> None:
    first, second = make_plan(specs.asked(tmp_path)), make_plan(specs.asked(tmp_path))
    assert first.pools == second.pools
    assert first.shares == second.shares
    assert all(p.name == pool_name(p.offer, p.configuration) for p in first.pools)


def test_a_plan_reads_back_as_it_was_written(tmp_path: Path) -> None:
    plan = make_plan(specs.asked(tmp_path))
    write_plan(plan, tmp_path / "plan.json")
    assert codec.decode(Plan, (tmp_path / "plan.json").read_bytes(), source="test") == plan


def test_the_written_problem_solves_to_the_same_cost(tmp_path: Path) -> None:
    posed = pose(specs.asked(tmp_path))
    write_problem(posed, tmp_path / "problem.json")
    alone = solve_file(tmp_path / "problem.json")
    assert alone.solution.usd_per_hour == solved(posed)[1].usd_per_hour
    assert certify(alone.problem, alone.solution) == ()


def test_an_excluded_offer_is_not_chosen(tmp_path: Path) -> None:
    plan = make_plan(specs.asked(tmp_path))
    chosen = plan.pools[0].offer.id
    without = make_plan(specs.asked(tmp_path, specs.LISTED, stock={chosen: 0}))
    assert chosen not in {p.offer.id for p in without.pools}
    assert without.usd_per_hour >= plan.usd_per_hour


def test_of_an_offer_no_more_is_taken_than_is_known_to_be_left(tmp_path: Path) -> None:
    text = specs.LISTED.replace("requests_per_second = 8.0", "requests_per_second = 40.0")
    most = max(make_plan(specs.asked(tmp_path, text)).pools, key=lambda p: p.nodes)
    assert most.nodes > 1
    fewer = make_plan(specs.asked(tmp_path, text, stock={most.offer.id: 1}))
    assert sum(p.nodes for p in fewer.pools if p.offer.id == most.offer.id) <= 1
    assert all(p.offer.limits.max_count == 1 for p in fewer.pools if p.offer.id == most.offer.id)


def test_a_budget_below_the_cheapest_fleet_names_the_budget_that_suffices(tmp_path: Path) -> None:
    cheapest = make_plan(specs.asked(tmp_path)).usd_per_hour
    with pytest.raises(InfeasibleError) as caught:
        make_plan(specs.asked(tmp_path, specs.LISTED, f"budget.usd_per_hour={cheapest / 2:.4f}"))
    told = next(d for d in (caught.value.hint, *caught.value.details) if d.startswith("raise the budget"))
    needed = Decimal(told.split(" to ")[1].split()[0])
    enough = make_plan(specs.asked(tmp_path, specs.LISTED, f"budget.usd_per_hour={needed}"))
    assert enough.usd_per_hour <= needed


def test_targets_that_one_class_cannot_meet_name_it_and_a_factor_that_suffices(tmp_path: Path) -> None:
    with pytest.raises(InfeasibleError) as caught:
        make_plan(specs.asked(tmp_path, specs.LISTED, 'offers.gpus=["L4"]', "targets.ttft_seconds=0.02"))
    assert "short" in caught.value.message
    assert any(d.startswith("short: nearest is llama-3.1-8b/vllm/L4/") for d in caught.value.details)
    factor = float(caught.value.hint.split("factor of ")[1].split()[0])
    looser = f"targets.ttft_seconds={0.02 * factor}"
    longer = specs.LISTED.replace("ttft_seconds = 4.0", f"ttft_seconds = {4.0 * factor}")
    loosened = (looser, f"targets.tpot_seconds={0.08 * factor}", 'offers.gpus=["L4"]')
    assert make_plan(specs.asked(tmp_path, longer, *loosened)).pools


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ('offers.regions=["mars"]', "no offer may be chosen"),
        ('model.precisions=["q8_0"]', "no configuration of llama-3.1-8b runs"),
        ("targets.tpot_seconds=0.0001", "serves a single class"),
    ],
)
def test_what_leaves_nothing_to_choose_says_what_did(tmp_path: Path, override: str, words: str) -> None:
    text = specs.LISTED.replace("ttft_seconds = 4.0", "")
    with pytest.raises(InfeasibleError) as caught:
        make_plan(specs.asked(tmp_path, text, override))
    assert words in caught.value.message
    assert caught.value.details
    assert caught.value.hint


@pytest.mark.parametrize(
    ("overrides", "hint"),
    [
        (('model.precisions=["int4"]', "model.quality_floor=1.0"), "lower the quality floor"),
        (('offers.gpus=["L4:1"]', "model.name=llama-3.1-70b"), "[engine.across_nodes]"),
    ],
)
def test_where_nothing_runs_the_hint_names_the_field_that_lets_something(
    tmp_path: Path, overrides: tuple[str, ...], hint: str
) -> None:
    with pytest.raises(InfeasibleError) as caught:
        make_plan(specs.asked(tmp_path, specs.LISTED, *overrides))
    assert "no configuration of llama-3.1" in caught.value.message
    assert hint in caught.value.hint


def test_weights_of_eight_bits_alone_come_from_what_the_engine_reads(tmp_path: Path) -> None:
    alone = 'model.precisions=["w8a16"]'
    plan = make_plan(specs.asked(tmp_path, specs.LISTED, 'model.name="llama-3-8b"', alone))
    read = "RedHatAI/Meta-Llama-3-8B-Instruct-quantized.w8a16"
    assert {(p.configuration.weights, p.configuration.checkpoint) for p in plan.pools} == {("w8a16", read)}
    with pytest.raises(InfeasibleError) as caught:
        make_plan(specs.asked(tmp_path, specs.LISTED, 'model.name="llama-3.3-70b"', alone))
    assert any("does not read weights of bitsandbytes" in one for one in caught.value.details)


def test_measurements_of_other_hardware_do_not_count(tmp_path: Path) -> None:
    asked = specs.asked(
        tmp_path,
        specs.LISTED.replace("llama-3.1-8b", "gemma-3-270m")
        .replace('"vllm"', '"llamacpp"')
        .replace("[providers.aws]\n[providers.gcp]", "[providers.local]"),
        "workload.length_scale=0.02",
        "workload.rate_scale=0.02",
    )
    one = candidates(asked).enumeration.configurations[0]
    own = Measurement(
        configuration=one.id,
        offer_sku="cpu-1",
        host=host.fingerprint(),
        input_tokens=20,
        output_tokens=10,
        concurrency=1,
        requests=20,
        requests_per_second=5.0,
        ttft_seconds=(0.02,) * 4,
        tpot_seconds=(0.01,) * 4,
        measured_at="2026-11-24T00:00:00Z",
    )
    folder = home(asked.environment, beside=tmp_path).measurements
    measurements.append(folder, [replace(own, host="another machine")])
    assert evidence(asked, one.id) is EvidenceLayer.PRIOR
    measurements.append(folder, [own])
    assert evidence(asked, one.id) is EvidenceLayer.MEASURED
    with (folder / "measurements.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"format": NaN}\n')
    warned = [w for w in make_plan(asked).warnings if "measurements.jsonl:3: not JSON" in w]
    assert len(warned) == 1
    assert warned[0].endswith(": left out, delete the line or measure again")


def evidence(asked: Asked, configuration: str) -> EvidenceLayer:
    return pose(asked).table.row(configuration, "short").evidence.layer


def test_a_plan_beyond_the_arithmetic_of_its_gpus_is_never_shown(tmp_path: Path) -> None:
    c = candidates(specs.asked(tmp_path))
    plan = planning.answer(pose(specs.asked(tmp_path)))
    planning.hold_against_arithmetic(plan, c)
    assert {use.pool for use in plan.peak_uses} == {pool.name for pool in plan.pools}
    assert all(0 < use.compute < 1 and 0 < use.bandwidth < 1 for use in plan.peak_uses)
    impossible = replace(
        plan, shares=tuple(replace(s, requests_per_second=s.requests_per_second * 1000) for s in plan.shares)
    )
    with pytest.raises(HetopsError, match="than they can do"):
        planning.hold_against_arithmetic(impossible, c)


def test_a_trace_is_planned_for(tmp_path: Path) -> None:
    plan = make_plan(specs.asked(tmp_path, specs.TRACED))
    assert plan.workload.source == "azure_llm_2023_conv.csv"
    assert {p.offer.provider for p in plan.pools} <= {"lambda", "runpod"}
    assert "list prices are for planning only: up needs live offers" in plan.warnings


def test_a_node_that_runs_one_engine_is_planned_with_one_replica_however_many_gpus_it_has(
    tmp_path: Path,
) -> None:
    spec = specs.LISTED.replace("[providers.aws]\n[providers.gcp]", "[providers.runpod]\n[providers.lambda]")
    columns = pose(specs.asked(tmp_path, spec)).problem.columns
    most = {
        name: max(c.replicas_per_node for c in columns if c.offer.startswith(name))
        for name in ("runpod", "lambda")
    }
    assert most == {"runpod": 1, "lambda": 8}
