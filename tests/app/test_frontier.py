"""A frontier that is stopped tells what it has, and what it was asked for."""

from __future__ import annotations

import shlex
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.app.frontier import FrontierAsked, frontier
from hetops.app.plan import make_plan
from hetops.errors import CancelledError
from hetops.reports import frontier as report
from tests.doubles import specs


def stop(_text: str) -> None:
    """What Ctrl-C raises."""
    raise KeyboardInterrupt


def test_who_stops_it_gets_the_points_found_until_then(tmp_path: Path) -> None:
    asked = FrontierAsked(spec=specs.asked(tmp_path), target_factors=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0))
    told = frontier(asked, stop)
    assert (len(told.points), told.points_asked, told.stopped) == (5, 7, True)
    assert "Stopped: 5 of 7 points" in report.as_text(told)


def test_one_that_was_not_stopped_says_nothing_of_it(tmp_path: Path) -> None:
    told = frontier(FrontierAsked(spec=specs.asked(tmp_path), target_factors=(1.0, 2.0)), stop)
    assert not told.stopped
    assert "Stopped" not in report.as_text(told)


def test_stopped_before_the_first_point_there_is_nothing_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hetops.app.frontier.solve", lambda *_args, **_more: stop(""))
    with pytest.raises(CancelledError, match="before there was an answer"):
        frontier(FrontierAsked(spec=specs.asked(tmp_path), target_factors=(1.0,)), stop)


def test_what_is_told_of_a_budget_makes_a_plan_within_it(tmp_path: Path) -> None:
    budgets = (Decimal("0.01"), Decimal(4))
    asked = specs.asked(tmp_path, specs.LISTED, "workload.rate_scale=0.5")
    none, point = frontier(FrontierAsked(spec=asked, budgets_usd_per_hour=budgets), stop).points
    assert none.rate_scale is None
    assert point.rate_scale is not None
    assert point.requests_per_second is not None
    plan = make_plan(
        specs.asked(
            tmp_path, specs.LISTED, "budget.usd_per_hour=4", f"workload.rate_scale={point.rate_scale}"
        )
    )
    assert plan.usd_per_hour <= 4
    served = sum(c.requests_per_second for c in plan.workload.classes)
    assert 0.999 * point.requests_per_second <= served <= point.requests_per_second


def test_text_says_how_to_plan_the_last_point(tmp_path: Path) -> None:
    told = frontier(FrontierAsked(spec=specs.asked(tmp_path), budgets_usd_per_hour=(Decimal(4),)), stop)
    text = report.as_text(told)
    assert f"--set workload.rate_scale={told.points[0].rate_scale} " in text
    named = replace(told, spec_file="my spec.toml", overrides=('offers.gpus=["L4"]',))
    plan, up = report.as_text(named).replace("\\\n", "").splitlines()[-2:]
    given = ["-f", "my spec.toml", "-o", "plan.json", "--set", 'offers.gpus=["L4"]']
    assert shlex.split(plan)[: 2 + len(given)] == ["hetops", "plan", *given]
    assert shlex.split(up) == ["hetops", "up", "-f", "my spec.toml", "plan.json"]
