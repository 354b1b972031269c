"""What if something may not be rented, or nothing else: both plans, and what is left to choose from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hetops.app.plan import planned, solved
from hetops.app.pose import pose
from hetops.app.what_if import Sense, answer_under, pose_under, restriction, restrictions
from hetops.errors import InfeasibleError, UnknownNameError, UsageError
from hetops.reports.what_if import WhatIf
from hetops.solver.certify import certify
from hetops.solver.recheck.plan import recheck
from hetops.solver.solution import Ended
from hetops.solver.solve import Effort, solve
from tests.doubles import specs


def compared(folder: Path, *, without: tuple[str, ...] = (), only: tuple[str, ...] = ()) -> WhatIf:
    """Both plans of the small listed spec."""
    question = pose_under(specs.asked(folder), restrictions(without, only))
    told = answer_under(question, Effort()).what_if
    assert told
    return told


def test_what_is_left_out_is_in_one_plan_and_not_in_the_other(tmp_path: Path) -> None:
    told = compared(tmp_path, without=("gpu=L40S",))
    assert {p.offer.gpu for p in told.instead_of.pools} == {"L40S"}
    assert "L40S" not in {p.offer.gpu for p in told.plan.pools}
    assert told.difference_usd_per_hour == told.plan.usd_per_hour - told.instead_of.usd_per_hour > 0
    assert recheck(told.plan) == recheck(told.instead_of) == ()


@pytest.mark.parametrize(
    ("only", "kept"),
    [
        (("gpu=L4,A100",), lambda o: o.gpu == "L4" or o.gpu.startswith("A100-")),
        (("gpu=l4", "gpu=T4"), lambda o: o.gpu in ("L4", "T4")),
        (("provider=gcp",), lambda o: o.provider == "gcp"),
        (("provider=gcp", "gpu=L4"), lambda o: (o.provider, o.gpu) == ("gcp", "L4")),
        (("region=*-central1",), lambda o: o.region.endswith("-central1")),
        (("offer=g6e.xlarge",), lambda o: o.sku == "g6e.xlarge"),
    ],
)
def test_only_what_is_named_is_left(only: tuple[str, ...], kept: object, tmp_path: Path) -> None:
    question = pose_under(specs.asked(tmp_path), restrictions((), only))
    left = set(question.posed.offers)
    everything = question.free.offers
    assert left == {name for name, offer in everything.items() if kept(offer)}  # type: ignore[operator]
    assert left < set(everything)


def test_an_engine_can_be_left_out(tmp_path: Path) -> None:
    asked = specs.asked(tmp_path, specs.LISTED.replace('["vllm"]', '["vllm", "sglang"]'))
    question = pose_under(asked, restrictions(("engine=vllm",), ()))
    assert {c.engine for c in question.posed.configurations.values()} == {"sglang"}


def test_looser_targets_of_a_restricted_question_keep_the_restriction(tmp_path: Path) -> None:
    question = pose_under(specs.asked(tmp_path), restrictions((), ("gpu=L4",)))
    looser = question.posed.loosened(2.0)
    assert {o.gpu for o in looser.offers} == {"L4"}
    outcome = solve(looser)
    assert certify(looser, outcome) == ()  # type: ignore[arg-type]


def test_without_restrictions_there_is_one_plan_and_nothing_beside_it(tmp_path: Path) -> None:
    answered = answer_under(pose_under(specs.asked(tmp_path), ()), Effort())
    assert answered.what_if is None
    assert answered.plan.pools


def test_restrictions_that_leave_no_fleet_tell_what_the_fleet_without_them_costs(tmp_path: Path) -> None:
    with pytest.raises(InfeasibleError) as caught:
        compared(tmp_path, without=("provider=aws",), only=("gpu=L40S",))
    assert any(
        d.startswith("without --without provider=aws --only gpu=L40S the cheapest fleet costs")
        for d in caught.value.details
    )


@pytest.mark.parametrize(
    ("without", "left", "hint"),
    [
        ("provider=aws,gcp", "no offer", "offers without it are of aws, gcp"),
        ("engine=vllm", "no engine", "engines are vllm"),
    ],
)
def test_what_a_restriction_alone_takes_away_is_told_as_that(
    tmp_path: Path, without: str, left: str, hint: str
) -> None:
    with pytest.raises(InfeasibleError, match=f"--without {without} leaves {left}") as caught:
        compared(tmp_path, without=(without,))
    assert hint in caught.value.hint


@pytest.mark.parametrize("text", ["gpu", "gpu=", "gpu=,", "colour=red", "", "=L4"])
def test_what_is_no_restriction_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="wants KEY=NAME"):
        restriction(Sense.ONLY, text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("provider=awz", "did you mean 'aws'?"),
        ("gpu=L4O", "L40"),
        ("engine=vlm", "did you mean 'vllm'?"),
        ("gpu=H999", "known: "),
    ],
)
def test_a_name_that_nothing_has_is_answered_with_a_near_one(text: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        pose_under(specs.asked(tmp_path), restrictions((text,), ()))
    assert hint in caught.value.hint


def test_a_gpu_type_that_is_known_and_not_on_offer_can_be_left_out(tmp_path: Path) -> None:
    told = compared(tmp_path, without=("gpu=A6000",))
    assert told.plan.usd_per_hour == told.instead_of.usd_per_hour


def test_who_stopped_the_search_gets_the_plan_at_once_with_its_gap_in_a_warning(tmp_path: Path) -> None:
    posed = pose(specs.asked(tmp_path))
    posed, found = solved(posed)
    bound = found.objective * 0.9
    stopped = replace(found, ended=Ended.INTERRUPTED, bound=bound, gap=0.1, within_gap=False)
    plan = planned(posed, stopped)
    assert plan.alternatives == ()
    assert any(w.startswith("the search ended at a gap of 10.00 %") for w in plan.warnings)
    assert recheck(plan) == ()
