"""Classes that would hold one another up get pools of their own, where they then keep their targets."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

import pytest

from hetops.app.candidates import Asked
from hetops.app.day import fleet_of
from hetops.app.explain import ExplainAsked, explain
from hetops.app.held_up import held_up
from hetops.app.plan import answer, make_plan, planned, solved
from hetops.app.played_requests import Stretch
from hetops.app.pose import Posed, pose
from hetops.app.simulate import SimulationAsked, simulate
from hetops.domain import codec
from hetops.domain.plan import Plan
from hetops.reports import day as day_report
from hetops.reports import plan as report
from hetops.reports.simulation import SimulatedClass
from hetops.router.config import from_plan
from hetops.solver.highs import OnInterrupt
from hetops.solver.questions.explanation import Question
from hetops.solver.recheck.day import recheck_day
from hetops.solver.recheck.plan import recheck, seal
from hetops.solver.solution import Ended, Solution
from hetops.solver.solve import Effort, solve
from tests.doubles import specs
from tests.doubles.days import planned as planned_day

CHAT_AND_DOCS = """
[deployment]
name = "beside"

[model]
name = "llama-3.1-8b"

[[workload.classes]]
name = "chat"
requests_per_second = 10.0
input_tokens = 200
output_tokens = 200
ttft_seconds = 0.3
tpot_seconds = 0.03

[[workload.classes]]
name = "docs"
requests_per_second = 0.5
input_tokens = 20000
output_tokens = 300
ttft_seconds = 10.0
tpot_seconds = 0.1

[targets]
ttft_percentile = 95
tpot_percentile = 95

[engine]
names = ["vllm"]

[offers]
gpus = ["H100-SXM"]

[providers.aws]
[providers.gcp]
"""
"""On two nodes both find room in all replicas, and a chat often waits for the prompt of a document."""

BATCH = """
[deployment]
name = "batch"

[model]
name = "llama-3.1-70b"

[[workload.classes]]
name = "chat"
requests_per_second = 6.0
input_tokens = 300
output_tokens = 200
tpot_seconds = 0.025

[[workload.classes]]
name = "batch"
requests_per_second = 10.0
input_tokens = 1500
output_tokens = 500
tpot_seconds = 0.2

[targets]
ttft_seconds = 30.0

[engine]
names = ["vllm"]

[offers]
gpus = ["H100-SXM"]

[providers.aws]
[providers.gcp]
"""
"""What may be slow fills replicas until tokens come too slowly for who is in a hurry."""


def together(posed: Posed) -> Plan:
    """The plan with nobody kept apart."""
    found = solve(posed.problem)
    assert isinstance(found, Solution)
    return planned(posed, found)


def played(folder: Path, plan: Plan, name: str, seconds: float = 300.0) -> SimulatedClass:
    """What a class gets of a plan in virtual time."""
    path = folder / "plan.json"
    path.write_bytes(codec.encode(plan))
    asked = SimulationAsked(
        spec=specs.asked(folder, CHAT_AND_DOCS),
        plan_file=path,
        stretch=Stretch(duration_seconds=seconds),
        seed=7,
    )
    return next(c for c in simulate(asked, lambda _: None).classes if c.name == name)


def test_a_class_that_long_prompts_hold_up_gets_a_pool_of_its_own_and_keeps_its_target(
    tmp_path: Path,
) -> None:
    posed = pose(specs.asked(tmp_path, CHAT_AND_DOCS))
    before, plan = together(posed), answer(posed)
    (shared,) = before.pools
    assert any("chat shares" in w and "hold it up" in w for w in before.warnings)
    assert played(tmp_path, before, "chat").late == ("TTFT",)

    own, rest = (
        {s.workload_class: plan.pool(s.pool) for s in plan.shares}[name] for name in ("chat", "docs")
    )
    assert (own.offer, own.configuration) == (rest.offer, rest.configuration)
    assert (rest.name, rest.apart_from) == (shared.name, ())
    assert own.apart_from == ("docs",)
    assert own.name != rest.name
    assert not any("hold it up" in w for w in plan.warnings)
    assert played(tmp_path, plan, "chat").late == ()
    assert played(tmp_path, plan, "docs").late == ()


def test_what_keeping_apart_costs_is_told_and_the_bound_is_that_of_fleets_that_need_not(
    tmp_path: Path,
) -> None:
    posed = pose(specs.asked(tmp_path, CHAT_AND_DOCS))
    before, plan = together(posed), answer(posed)
    (cost,) = plan.term_costs
    assert (cost.usd_per_hour, cost.usd_per_hour_without) == (plan.usd_per_hour, before.usd_per_hour)
    assert cost.text.startswith("keeping chat apart from docs (p95 of its first token would come after 0.")
    assert plan.usd_per_hour == 2 * before.usd_per_hour
    assert plan.certificate.bound == before.certificate.bound <= float(before.usd_per_hour)
    assert plan.certificate.gap == pytest.approx(0.5)
    assert plan.certificate.problem_digest == codec.digest(posed.problem)
    assert not any("the search ended" in w for w in plan.warnings)
    assert recheck(plan) == ()
    text = report.as_text(plan)
    assert "Keeping chat apart from docs" in text
    assert "256 sequences, apart from docs" in text
    assert "of fleets in which all may share, gap 50.00 %" in text


def test_a_class_whose_tokens_come_too_slowly_among_others_is_kept_apart_from_them(tmp_path: Path) -> None:
    posed = pose(specs.asked(tmp_path, BATCH))
    before, plan = together(posed), answer(posed)
    assert played(tmp_path, before, "chat").late == ("TPOT",)
    assert any("p90 of its time per token may be" in w for w in before.warnings)
    assert played(tmp_path, plan, "chat").late == ()
    assert plan.usd_per_hour > before.usd_per_hour
    assert recheck(plan) == ()


def test_one_who_is_late_as_reckoned_and_not_as_played_shares_on(tmp_path: Path) -> None:
    posed = pose(
        specs.asked(
            tmp_path,
            CHAT_AND_DOCS,
            'offers.gpus=["L4"]',
            "workload.classes[0].requests_per_second=2",
            "workload.classes[0].output_tokens=150",
            "workload.classes[0].ttft_seconds=0.4",
            "workload.classes[0].tpot_seconds=0.08",
            "workload.classes[1].requests_per_second=0.05",
            "workload.classes[1].input_tokens=12000",
        )
    )
    before, plan = together(posed), answer(posed)
    assert plan.shares == before.shares
    assert len({s.workload_class for s in plan.shares}) == 2
    assert len(plan.pools) == 1
    assert not any("hold it up" in w for w in plan.warnings)
    assert played(tmp_path, plan, "chat", seconds=1200.0).late == ()


def test_a_question_in_which_nobody_is_held_up_is_not_asked_again(tmp_path: Path) -> None:
    posed = pose(specs.asked(tmp_path))
    asked, found = solved(posed)
    assert asked is posed
    assert held_up(posed, found) == ()
    assert planned(asked, found).pools == together(posed).pools


@pytest.mark.parametrize("limit", ["budget.usd_per_hour=10", "policy.max_pools=1"])
def test_where_no_fleet_keeps_them_apart_the_first_stands_and_is_warned_of(
    limit: str, tmp_path: Path
) -> None:
    plan = make_plan(specs.asked(tmp_path, CHAT_AND_DOCS, limit))
    assert len(plan.pools) == 1
    assert plan.certificate.gap == pytest.approx(0.0, abs=1e-9)
    (told,) = (w for w in plan.warnings if "hold it up" in w)
    assert "beyond its 0.30 s" in told
    assert recheck(plan) == ()


def test_a_fleet_that_runs_so_stays_as_it_is(tmp_path: Path) -> None:
    changes = "[policy.migration]\nusd_per_added_node = 5.0\nusd_per_removed_node = 1.0\nhorizon_hours = 10\n"
    first = make_plan(specs.asked(tmp_path, CHAT_AND_DOCS))
    again = make_plan(replace(specs.asked(tmp_path, CHAT_AND_DOCS + changes), running=first))
    assert again.pools == first.pools
    assert again.shares == first.shares
    assert again.migration is not None
    assert again.migration.usd_per_hour == Decimal(0)
    assert not any("cannot stay" in w for w in again.warnings)
    assert recheck(again) == ()


def test_a_fleet_that_runs_together_is_parted_at_the_cost_of_what_is_added(tmp_path: Path) -> None:
    text = CHAT_AND_DOCS + "[policy.migration]\nusd_per_added_node = 5.0\nhorizon_hours = 10\n"
    before = together(pose(specs.asked(tmp_path, CHAT_AND_DOCS)))
    asked = specs.asked(tmp_path, text)
    plan = make_plan(replace(asked, running=before))
    assert {p.name: p.nodes for p in before.pools}.items() <= plan.nodes.items()
    assert plan.migration is not None
    assert plan.migration.usd_per_hour == Decimal("0.5")
    held = make_plan(replace(asked, running=before, overrides=("policy.migration.max_changed_nodes=0",)))
    assert held.pools == before.pools
    assert any("hold it up" in w for w in held.warnings)


def test_of_a_day_all_periods_keep_them_apart(tmp_path: Path) -> None:
    day = planned_day(tmp_path, text=CHAT_AND_DOCS)
    for period in day.periods:
        to = {s.workload_class: s.pool for s in period.plan.shares}
        assert to["chat"] != to["docs"]
        assert recheck(period.plan) == ()
    (cost,) = (c for c in day.term_costs if c.text.startswith("keeping chat apart from docs"))
    assert cost.usd_per_hour == day.usd_per_hour
    assert cost.usd_per_hour_without is not None
    assert day.certificate.bound <= float(cost.usd_per_hour_without) < float(day.usd_per_hour)
    assert "of fleets in which all may share" in day_report.as_text(day)
    assert not any("of fleets in which" in report.as_text(period.plan) for period in day.periods)
    assert recheck_day(day) == ()
    assert not any("hold it up" in w for w in day.warnings)


def test_a_share_of_a_class_that_keeps_off_a_pool_is_refused(tmp_path: Path) -> None:
    plan = make_plan(specs.asked(tmp_path, CHAT_AND_DOCS))
    (own,) = (p.name for p in plan.pools if p.apart_from)
    moved = tuple(replace(s, pool=own) for s in plan.shares)
    (first, *_) = recheck(seal(replace(plan, shares=moved)))
    assert (first.rule, first.subject) == ("pools", f"docs on {own}")


def test_the_router_gives_each_class_to_its_own_pool(tmp_path: Path) -> None:
    plan = make_plan(specs.asked(tmp_path, CHAT_AND_DOCS))
    config = from_plan(plan, {p.name: (f"http://{p.name}",) for p in plan.pools})
    assert len(config.pools) == 2
    assert {name: set(to) for name, to in config.shares.items()} == {
        s.workload_class: {s.pool} for s in plan.shares
    }


def test_an_explanation_is_of_the_fleet_that_keeps_them_apart(tmp_path: Path) -> None:
    asked: Asked = specs.asked(tmp_path, CHAT_AND_DOCS)
    told = explain(ExplainAsked(spec=asked, question=Question.WHY)).explanation
    assert told.solution is not None
    plan = make_plan(asked)
    assert told.solution.usd_per_hour == plan.usd_per_hour
    (apart,) = (s for s in told.statements if s.text.startswith("Keeping chat apart from docs"))
    assert apart.after == float(plan.usd_per_hour) == 2 * (apart.before or 0.0)


def test_of_many_classes_all_like_those_who_are_late_are_apart_from_all_like_the_others(
    tmp_path: Path,
) -> None:
    head, rest = CHAT_AND_DOCS.split("[[workload.classes]]", 1)
    tail = rest[rest.index("[targets]") :].replace('[offers]\ngpus = ["H100-SXM"]\n', "")
    table = '[[workload.classes]]\nname = "{}"\nrequests_per_second = {}\ninput_tokens = {}\noutput_tokens = {}\nttft_seconds = {}\ntpot_seconds = {}\n'
    chats = (table.format(f"c{i}", 0.5, 200 + i, 200, 0.3, 0.03) for i in range(15))
    documents = (table.format(f"d{i}", 0.1, 15000 + 100 * i, 300, 10.0, 0.1) for i in range(5))
    posed = pose(specs.asked(tmp_path, head + "\n".join((*chats, *documents, tail))))
    before, plan = together(posed), answer(posed)
    of = {pool.name: {s.workload_class[0] for s in plan.shares if s.pool == pool.name} for pool in plan.pools}
    assert sorted(of.values(), key=sorted) == [{"c"}, {"d"}]
    assert before.usd_per_hour < plan.usd_per_hour < 2 * before.usd_per_hour
    assert "apart from d0, d1, d2 and 2 more (c" in plan.term_costs[0].text


def test_of_three_the_two_that_bear_one_another_may_share(tmp_path: Path) -> None:
    third = '[[workload.classes]]\nname = "rag"\nrequests_per_second = 3.0\ninput_tokens = 600\noutput_tokens = 150\n'
    text = CHAT_AND_DOCS.replace("[targets]", f"{third}ttft_seconds = 0.6\ntpot_seconds = 0.05\n\n[targets]")
    rates = "workload.classes[2].ttft_seconds=0.25", "workload.classes[1].requests_per_second=1.0"
    plan = fleet_of(specs.asked(tmp_path, text, *rates))
    to = {name: {s.pool for s in plan.shares if s.workload_class == name} for name in ("chat", "rag", "docs")}
    assert to["chat"] == to["rag"]
    assert to["docs"].isdisjoint(to["chat"])
    (cost,) = plan.term_costs
    assert cost.text.startswith(
        "keeping chat, rag apart from docs (rag: p95 of its first token would come after"
    )


@pytest.mark.parametrize("at", ["held_up", "solve"])
def test_who_stops_it_then_gets_what_was_found_first(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_args: object, **_more: object) -> NoReturn:
        raise KeyboardInterrupt

    posed = pose(specs.asked(tmp_path, CHAT_AND_DOCS))
    before = together(posed)
    monkeypatch.setattr(f"hetops.app.keep_apart.{at}", stop)
    asked, found = solved(posed, Effort(on_interrupt=OnInterrupt.TAKE_BEST))
    assert (asked, found.usd_per_hour, found.ended) == (posed, before.usd_per_hour, Ended.INTERRUPTED)
    with pytest.raises(KeyboardInterrupt):
        solved(posed, Effort(on_interrupt=OnInterrupt.CANCEL))
