"""A quality floor, or a mean, in the spec: what it removes, from which class, and what the plan says it costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hetops.app.plan import make_plan
from hetops.app.pose import pose
from hetops.catalog import tables
from hetops.domain.model import Precision
from hetops.domain.percent import percent
from hetops.errors import HetopsError, InfeasibleError
from hetops.reports.plan import as_text
from hetops.solver.formulate import at_rate
from hetops.solver.solution import Solution
from hetops.solver.solve import solve
from tests.app.test_bench import asked, spec
from tests.end_to_end.person import Person
from tests.simulate.engines import MODEL

EMULATED = '[providers.local]\nemulate = true\n[offers]\ngpus = ["L40S"]'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose spec sets no floor."""
    Person(tmp_path).write(spec(EMULATED))
    return tmp_path


def write(folder: Path, *, model: str = "", short: str = "") -> None:
    """The spec with floors, as lines of the model's table and of the class `short`."""
    text = spec(EMULATED).replace("output_tokens = 6\n", f"output_tokens = 6\n{short}\n")
    Person(folder).write(text.replace("[model]\n", f"[model]\n{model}\n"))


def test_a_floor_of_the_model_removes_what_loses_more_and_the_plan_says_so_and_what_it_costs(
    folder: Path,
) -> None:
    free = make_plan(asked(folder))
    assert not any("quality floor" in w for w in free.warnings)
    write(folder, model="quality_floor = 0.999")
    plan = make_plan(asked(folder))
    assert {p.configuration.weights for p in plan.pools} <= {Precision.BF16, Precision.FP16}
    assert any("fp8: keeps 98.5 % of the 16-bit score" in r.reason for r in plan.refusals)
    (told,) = (w for w in plan.warnings if "quality floor" in w)
    assert str(plan.usd_per_hour) in told
    assert plan.usd_per_hour >= free.usd_per_hour


def test_a_floor_of_one_class_keeps_a_precision_from_it_and_from_no_other(folder: Path) -> None:
    write(folder, short='task = "knowledge"\nquality_floor = 0.99')
    posed = pose(asked(folder))
    rates = {(of, name): row for (of, name, _), row in posed.table.rows.items() if "/fp8/" in of}
    assert rates
    short = [row for (_, name), row in rates.items() if name == "short"]
    assert all(row.requests_per_second == 0 and "98.5 %" in row.reason for row in short)
    assert any(row.requests_per_second > 0 for (_, name), row in rates.items() if name == "long")
    plan = make_plan(asked(folder))
    of = {p.name: p.configuration.weights for p in plan.pools}
    served = {of[s.pool] for s in plan.shares if s.workload_class == "short" and s.share > 0}
    assert served
    assert Precision.FP8 not in served


def test_where_a_floor_of_one_class_leaves_it_nothing_the_hint_names_the_floor(folder: Path) -> None:
    write(folder, model='precisions = ["int4"]', short="quality_floor = 0.999")
    with pytest.raises(InfeasibleError, match="serves short within the targets") as caught:
        make_plan(asked(folder))
    assert "the quality floor of short is 99.9 %" in caught.value.details[0]
    lower = "lower the quality floor (model.quality_floor, or that of a class)"
    assert caught.value.hint == f"{lower}, or allow other precisions (model.precisions)"
    text = (folder / "hetops.toml").read_text(encoding="utf-8")
    Person(folder).write(text.replace("output_tokens = 12\n", "output_tokens = 12\nttft_seconds = 1e-6\n"))
    with pytest.raises(InfeasibleError, match="serves a single class within the targets") as caught:
        make_plan(asked(folder))
    assert caught.value.hint.startswith(lower)


def test_a_precision_that_nobody_scored_is_told_with_who_may_get_it(folder: Path) -> None:
    write(folder, model='precisions = ["fp8"]\nquality_floor = 0.9')
    assert not any("no score of" in w for w in make_plan(asked(folder)).warnings)
    assert not any(row["model"] == "qwen2.5-7b" for row in tables.rows("quality"))
    text = (folder / "hetops.toml").read_text(encoding="utf-8")
    Person(folder).write(text.replace(MODEL, "qwen2.5-7b"))
    (told,) = (w for w in make_plan(asked(folder)).warnings if "no score of" in w)
    assert told.startswith(
        "no score of qwen2.5-7b at fp8 is known: the quality floor says nothing of it, and "
    )
    assert {"short", "long"} <= set(told.replace(",", "").split())


def test_a_task_that_was_never_tested_is_not_said_to_have_been(folder: Path) -> None:
    write(folder, model='precisions = ["fp8"]', short='task = "knowlegde"\nquality_floor = 0.999')
    with pytest.raises(InfeasibleError) as caught:
        make_plan(asked(folder))
    assert "keeps 98.5 % of the 16-bit score in its worst task" in caught.value.details[0]


def test_a_floor_above_one_or_of_nothing_is_an_error_of_its_field(folder: Path) -> None:
    write(folder, model="quality_floor = 1.5")
    with pytest.raises(HetopsError, match="quality_floor"):
        make_plan(asked(folder))


def test_a_mean_of_the_model_lets_some_requests_go_where_less_is_kept(folder: Path) -> None:
    """Of 98.5 % and of all, the least cost of many requests takes as much of the first as keeps 99 % on average."""
    write(folder, model='mean_quality = 0.99\nprecisions = ["bf16", "fp8", "int4"]')
    posed = pose(asked(folder))
    assert {c.mean_quality for c in posed.problem.classes} == {0.99}
    weights = {c.key: posed.configurations[c.configuration].weights for c in posed.problem.columns}
    kept = {weights[c.key]: c.quality for c in posed.problem.columns}
    assert kept[Precision.BF16] == {}
    assert kept[Precision.FP8] == {"short": 0.985, "long": 0.985}
    assert kept[Precision.INT4] == {"short": 0.93, "long": 0.93}
    many = at_rate(posed.problem, 400.0)
    outcome = solve(replace(many, offers=tuple(replace(o, max_nodes=99) for o in many.offers)))
    assert isinstance(outcome, Solution)
    used = {weights[pool.key] for pool in outcome.pools}
    assert len(used) > 1
    assert not used <= {Precision.BF16, Precision.FP16}


def test_a_plan_for_a_mean_says_what_it_costs_and_a_class_may_have_its_own(folder: Path) -> None:
    write(folder, model="mean_quality = 0.5", short="mean_quality = 0.999")
    plan = make_plan(asked(folder))
    of = {p.name: p.configuration.weights for p in plan.pools}
    served = {of[s.pool] for s in plan.shares if s.workload_class == "short" and s.share > 0.1}
    assert served & {Precision.BF16, Precision.FP16}
    assert any(w.startswith("the mean quality costs") for w in plan.warnings)
    kept = {Precision.BF16: 1.0, Precision.FP16: 1.0, Precision.FP8: 0.985, Precision.INT8: 0.985}
    for forecast in plan.forecasts:
        shares = [s for s in plan.shares if s.workload_class == forecast.workload_class and s.share > 0]
        if {of[s.pool] for s in shares} <= kept.keys():
            assert forecast.mean_quality == pytest.approx(sum(s.share * kept[of[s.pool]] for s in shares))
        assert forecast.mean_quality is not None
        assert forecast.least_mean_quality is not None
        assert forecast.mean_quality >= forecast.least_mean_quality - 1e-9
        told = f"Quality: {forecast.workload_class} gets {percent(forecast.mean_quality, 2)} of the 16-bit score on average"
        assert told in as_text(plan)


def test_a_plan_without_a_mean_says_nothing_of_quality(folder: Path) -> None:
    write(folder, model="quality_floor = 0.9")
    plan = make_plan(asked(folder))
    assert {f.mean_quality for f in plan.forecasts} == {None}
    assert "Quality: " not in as_text(plan)
