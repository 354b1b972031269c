"""`hetops plan` as a user calls it: what if, and what is written."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema

from hetops.app.schema import schema_of
from hetops.domain import codec
from hetops.domain.plan import Plan
from hetops.reports.what_if import WhatIf
from hetops.solver.recheck.plan import recheck
from tests.cli.process import hetops, told
from tests.doubles import specs


def test_both_plans_are_shown_side_by_side_and_the_restricted_one_is_written(tmp_path: Path) -> None:
    specs.written(tmp_path)
    run = hetops(tmp_path, "plan", "--offline", "--without", "gpu=L40S", "-o", "plan.json")
    assert run.returncode == 0, run.stderr
    assert "chat: --without gpu=L40S" in run.stdout
    assert "$/HOUR AS IT IS  $/HOUR CHANGED" in run.stdout
    assert " /h more (+" in run.stdout
    written = codec.decode(Plan, (tmp_path / "plan.json").read_bytes(), source="test")
    assert "L40S" not in {p.offer.gpu for p in written.pools}
    assert recheck(written) == ()


def test_json_holds_both_plans_and_the_difference(tmp_path: Path) -> None:
    specs.written(tmp_path)
    raw = told(hetops(tmp_path, "plan", "--offline", "--only", "gpu=L4,H100", "--json"))
    jsonschema.Draft202012Validator(schema_of("what_if")).validate(raw)
    both = codec.decode(WhatIf, json.dumps(raw), source="test")
    assert both.restrictions == ("--only gpu=L4,H100",)
    assert raw["difference_usd_per_hour"] == str(both.plan.usd_per_hour - both.instead_of.usd_per_hour)


def test_the_problem_that_is_written_is_the_restricted_one(tmp_path: Path) -> None:
    specs.written(tmp_path)
    run = hetops(tmp_path, "plan", "--offline", "--only", "gpu=L4", "--write-problem", "problem.json")
    assert run.returncode == 0, run.stderr
    problem = json.loads((tmp_path / "problem.json").read_text(encoding="utf-8"))
    assert {o["gpu"] for o in problem["offers"]} == {"L4"}


def test_restrictions_that_leave_nothing_end_with_exit_code_6(tmp_path: Path) -> None:
    specs.written(tmp_path)
    run = hetops(tmp_path, "plan", "--offline", "--only", "gpu=A6000", "--json")
    assert run.returncode == 6
    assert any("the cheapest fleet costs" in d for d in told(run)["details"])


def test_a_field_that_is_set_is_compared_with_the_spec_as_it_stands(tmp_path: Path) -> None:
    specs.written(tmp_path)
    run = hetops(
        tmp_path, "plan", "--offline", "--set", "policy.headroom=0.6", "--compare", "-o", "plan.json"
    )
    assert run.returncode == 0, run.stderr
    assert "chat: --set policy.headroom=0.6" in run.stdout
    assert " /h more (+" in run.stdout
    written = codec.decode(Plan, (tmp_path / "plan.json").read_bytes(), source="test")
    assert written.certificate.limits.headroom == 0.6


def test_what_is_compared_may_be_cheaper_too(tmp_path: Path) -> None:
    specs.written(tmp_path)
    free = ("--set", "policy.headroom=0.0", "--set", "workload.rate_scale=0.2")
    raw = told(hetops(tmp_path, "plan", "--offline", *free, "--compare", "--json"))
    assert float(raw["difference_usd_per_hour"]) < 0
    assert raw["restrictions"] == ["--set policy.headroom=0.0", "--set workload.rate_scale=0.2"]


def test_a_field_without_a_fleet_tells_what_the_spec_as_it_stands_costs(tmp_path: Path) -> None:
    specs.written(tmp_path)
    run = hetops(tmp_path, "plan", "--offline", "--set", "budget.usd_per_hour=0.01", "--compare", "--json")
    assert run.returncode == 6
    said = told(run)["details"]
    assert any(d.startswith("without --set budget.usd_per_hour=0.01 the cheapest fleet costs") for d in said)


def test_what_is_left_out_is_compared_whether_or_not_that_is_asked_for(tmp_path: Path) -> None:
    specs.written(tmp_path)
    without = ("plan", "--offline", "--without", "gpu=H200-SXM", "--json")
    asked, unasked = (told(hetops(tmp_path, *without, *more)) for more in (("--compare",), ()))
    assert asked["restrictions"] == unasked["restrictions"] == ["--without gpu=H200-SXM"]


def test_comparing_without_a_change_is_a_usage_error(tmp_path: Path) -> None:
    run = hetops(tmp_path, "plan", "--compare")
    assert (run.returncode, "name a field with --set" in run.stderr) == (64, True)
