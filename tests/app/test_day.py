"""A day in a spec: what each period's plan keeps, what ties them together, and which specs are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from hetops.app.day import fleet_of
from hetops.app.day_file import in_period, read_plan
from hetops.app.explain import ExplainAsked, explain
from hetops.app.plan import make_plan
from hetops.app.played_requests import Stretch
from hetops.app.pose import pose
from hetops.app.simulate import SimulationAsked, simulate
from hetops.domain import codec
from hetops.domain.day import Day
from hetops.domain.model import Precision
from hetops.domain.offer import Market
from hetops.errors import HetopsError, UnknownNameError, UsageError
from hetops.reports import day as report
from hetops.solver.questions.explanation import Question
from hetops.solver.recheck.day import recheck_day
from hetops.solver.recheck.plan import recheck
from hetops.solver.solution import Infeasible
from hetops.solver.solve import solve
from hetops.solver.waiting import window
from hetops.workloads.reader import read_trace
from tests.app.test_overflow import CHEAP
from tests.cli.process import hetops, told
from tests.doubles import specs
from tests.doubles.days import BATCH, PERIODS, WAITING, planned


@pytest.fixture(name="free", scope="module")
def _free(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """A day without any rule."""
    return planned(tmp_path_factory.mktemp("free"))


def test_each_period_has_a_plan_for_its_own_rates_and_the_whole_costs_their_mean_with_starts(
    free: Day,
) -> None:
    day, night = free.periods
    assert night.arrivals == pytest.approx({name: 0.2 * rate for name, rate in day.arrivals.items()})
    for period in free.periods:
        assert {c.name: c.requests_per_second for c in period.plan.workload.classes} == period.arrivals
        assert {f.workload_class for f in period.plan.forecasts} == {"short", "long"}
    assert night.plan.usd_per_hour < day.plan.usd_per_hour
    started = sum((Fraction(s.usd) for s in free.starts), Fraction())
    cost = (16 * Fraction(day.plan.usd_per_hour) + 8 * Fraction(night.plan.usd_per_hour) + started) / 24
    assert float(free.usd_per_hour) == pytest.approx(float(cost), abs=2e-6)
    assert started > 0
    assert free.certificate.objective == pytest.approx(float(free.usd_per_hour), abs=3e-6)
    assert free.certificate.bound <= free.certificate.objective


def test_each_period_tells_what_the_search_for_the_whole_day_was_spared(free: Day) -> None:
    day, night = (period.plan.pruning for period in free.periods)
    assert day == night
    configurations, columns = day
    assert configurations.kept < configurations.count
    assert 0 < columns.kept < columns.count
    text = report.as_text(free)
    assert (
        f"Of {columns.count} columns (each a configuration on an offer) the search begins with {columns.kept};"
        in text
    )


def test_no_plan_of_a_period_costs_less_than_what_is_proven_of_it_alone(free: Day) -> None:
    for period in free.periods:
        certificate = period.plan.certificate
        assert 0 < certificate.bound <= certificate.objective == float(period.plan.usd_per_hour)


def test_what_one_fleet_all_day_would_cost_is_the_plan_of_the_spec_without_a_day(
    free: Day, tmp_path: Path
) -> None:
    assert free.busiest_usd_per_hour == make_plan(specs.asked(tmp_path)).usd_per_hour
    assert free.steady_usd_per_hour is not None
    assert free.usd_per_hour < free.steady_usd_per_hour <= free.busiest_usd_per_hour


def test_bounds_of_pools_are_the_least_and_most_nodes_of_all_periods(free: Day) -> None:
    for one in free.pools:
        counts = [period.plan.nodes.get(one.pool, 0) for period in free.periods]
        assert (one.least_nodes, one.most_nodes) == (min(counts), max(counts))
        assert one.boot_seconds == 360


def test_starts_that_take_long_are_not_worth_it(tmp_path: Path) -> None:
    slow = planned(tmp_path, "policy.day.boot_minutes=1440")
    assert slow.starts == ()
    assert {one.least_nodes for one in slow.pools} == {one.most_nodes for one in slow.pools}
    assert slow.usd_per_hour == slow.steady_usd_per_hour


def test_weights_take_their_time_to_be_fetched(tmp_path: Path) -> None:
    day = planned(tmp_path, "policy.day.download_gb_per_second=0.01")
    weights = {p.name: p.configuration.weights for period in day.periods for p in period.plan.pools}
    for one in day.pools:
        least, most = (500, 1500) if weights[one.pool] is not Precision.BF16 else (1500, 2500)
        assert least < one.boot_seconds - 360 < most, "8 billion parameters at 10 MB a second"


def test_headroom_stays_free_in_each_period(free: Day, tmp_path: Path) -> None:
    day = planned(tmp_path, "policy.headroom=0.6")
    for period in day.periods:
        assert max(period.plan.certificate.utilisation.values()) <= 0.4 + 1e-6
    for loose, tight in zip(free.periods, day.periods, strict=True):
        assert max(loose.plan.certificate.utilisation.values()) > 0.4
        assert tight.plan.usd_per_hour > loose.plan.usd_per_hour


def test_a_quality_floor_holds_in_each_period_and_what_it_costs_is_told(tmp_path: Path) -> None:
    day = planned(tmp_path, "model.quality_floor=0.999")
    weights = {p.configuration.weights for period in day.periods for p in period.plan.pools}
    assert weights <= {Precision.BF16, Precision.FP16}
    assert any("the quality floor costs" in w and str(day.usd_per_hour) in w for w in day.warnings)


def test_each_period_bears_the_loss_of_a_provider(free: Day, tmp_path: Path) -> None:
    rule = '[[policy.survive]]\nlosing = "provider"\nkept_share = 0.8\n'
    day = planned(tmp_path, more=rule)
    for period in day.periods:
        assert len({pool.offer.provider for pool in period.plan.pools}) == 2
        assert {cover.lost for cover in period.plan.covers} == {("aws",), ("gcp",)}
    assert min(len({p.offer.provider for p in period.plan.pools}) for period in free.periods) == 1
    assert any("Bearing losing any provider" in line for line in report.as_text(day).splitlines())


SPOT = '[offers]\nmarkets = ["on_demand", "spot"]\n'


def spot_share(day: Day, name: str, *periods: str) -> float:
    """Share of a class that spot nodes serve in some periods."""
    within, whole = 0.0, 0.0
    for period in (p for p in day.periods if p.name in periods):
        spot = {p.name for p in period.plan.pools if p.offer.market is Market.SPOT}
        for share in (s for s in period.plan.shares if s.workload_class == name):
            whole += period.hours * share.requests_per_second
            within += period.hours * share.requests_per_second * (share.pool in spot)
    return within / whole


def test_a_share_of_spot_holds_in_each_period_and_over_the_day_for_what_waits(tmp_path: Path) -> None:
    free = planned(tmp_path, more=SPOT, text=WAITING)
    rule = '[[policy.shares]]\nof = "market"\nnames = ["spot"]\nat_most = 0.3\n'
    day = planned(tmp_path, more=SPOT + rule, text=WAITING)
    for name in ("day", "night"):
        assert spot_share(day, "short", name) <= 0.3 + 1e-6 < spot_share(free, "short", name)
    assert spot_share(day, "long", "day", "night") <= 0.3 + 1e-6 < spot_share(free, "long", "day", "night")
    (of_day,) = day.certificate.shares
    assert of_day.classes == ("long",)
    for period in day.periods:
        assert period.plan.certificate.limits is not None
        assert [one.classes for one in period.plan.certificate.limits.shares] == [("short",)]


def test_an_overflow_service_takes_what_it_may_in_each_period(free: Day, tmp_path: Path) -> None:
    day = planned(tmp_path, more=CHEAP)
    for period in day.periods:
        taken = sum(s.requests_per_second for s in period.plan.shares if s.pool == "paygo")
        assert 0 < taken <= 120 / 60 * 0.85 + 1e-6
        (service,) = period.plan.services
        assert service.usd_per_hour > 0
    assert day.usd_per_hour < free.usd_per_hour
    assert "paygo for $" in report.as_text(day)


def test_reserved_nodes_are_paid_for_in_each_period_and_start_for_nothing(tmp_path: Path) -> None:
    rule = '[[reserved]]\noffer = "g6.xlarge"\nnodes = 3\nusd_per_hour = 0.40\n'
    day = planned(tmp_path, more=rule)
    for period in day.periods:
        (rental,) = period.plan.rentals
        assert (rental.nodes, rental.usd_per_hour) == (3, Decimal("1.20"))
    reserved = {p.name for d in day.periods for p in d.plan.pools if p.offer.market is Market.RESERVED}
    assert all(start.usd == 0 for start in day.starts if start.pool in reserved)
    assert "idle" in report.as_text(day), "at night they are too many"


def test_a_budget_holds_in_each_period_and_a_mean_one_over_the_day(free: Day, tmp_path: Path) -> None:
    dearest = max(period.plan.usd_per_hour for period in free.periods)
    for field, least in (("usd_per_hour", dearest), ("mean_usd_per_hour", free.usd_per_hour)):
        below = specs.asked(tmp_path, specs.LISTED + PERIODS, f"budget.{field}={least * Decimal('0.98')}")
        assert isinstance(solve(pose(below).problem), Infeasible), field
    day = planned(tmp_path, f"budget.mean_usd_per_hour={free.usd_per_hour + Decimal('0.01')}")
    assert day.certificate.mean_budget_usd_per_hour == free.usd_per_hour + Decimal("0.01")


def test_batch_work_waits_for_the_valley_within_its_deadline_and_costs_less_for_it(tmp_path: Path) -> None:
    at_once = planned(tmp_path, text=BATCH)
    day = planned(tmp_path, text=WAITING)
    assert day.usd_per_hour < at_once.usd_per_hour
    assert at_once.waits == ()
    moved = [w for w in day.waits if w.arrived == "day" and w.served == "night"]
    assert moved
    night = day.period("night")
    served = {c.name: c.requests_per_second for c in night.plan.workload.classes}
    assert served["long"] > night.arrivals["long"]
    assert served["short"] == night.arrivals["short"]
    (saved,) = day.term_costs
    assert saved.text == "letting long wait"
    assert saved.usd_per_hour_without == at_once.usd_per_hour
    text = report.as_text(day)
    assert "Letting long wait saves" in text
    assert "BATCH CLASS" in text
    short = planned(tmp_path, text=WAITING.replace("deadline_hours = 24", "deadline_hours = 20"))
    assert all(w.arrived == w.served for w in short.waits), (
        "at 20 h what comes first by day is late at the night's end"
    )


def test_work_waits_after_a_loss_as_before_it_and_each_period_bears_one(tmp_path: Path) -> None:
    free = planned(tmp_path, text=WAITING)
    day = planned(tmp_path, text=WAITING, more='[[policy.survive]]\nlosing = "provider"\nkept_share = 0.5\n')
    assert day.usd_per_hour > free.usd_per_hour
    assert [w for w in day.waits if w.arrived == "day" and w.served == "night"]
    night = day.period("night")
    served = {c.name: c.requests_per_second for c in night.plan.workload.classes}
    assert served["long"] > night.arrivals["long"], "the loss is borne with what waited"
    assert {s.workload_class for cover in night.plan.covers for s in cover.shares} == {"short", "long"}
    assert "bearing losing any provider" in " ".join(one.text for one in day.term_costs)
    cover = night.plan.covers[0]
    less = replace(
        cover,
        shares=tuple(replace(s, share=0.4 * s.share * (s.workload_class == "long")) for s in cover.shares),
    )
    plan = replace(night.plan, covers=(less, *night.plan.covers[1:]))
    broken = recheck_day(replace(day, periods=(day.periods[0], replace(night, plan=plan))))
    assert "losses" in {one.rule for one in broken}


def test_a_deadline_of_a_day_is_kept_where_its_parts_add_up_to_a_little_more(tmp_path: Path) -> None:
    hours = 24 / 13
    tables = "".join(
        f'[[policy.day.periods]]\nname = "p{i}"\nhours = {hours!r}\nfactor = {1.0 if i < 8 else 0.1}\n'
        for i in range(13)
    )
    problem = pose(specs.asked(tmp_path, WAITING + "[policy.day]\nboot_minutes = 6\n" + tables)).problem
    assert sum(Fraction(repr(hours)) for _ in range(13)) > 24
    assert len(window(problem.stretches, 0, 24.0)) == 13


def test_a_deadline_of_a_range_is_that_of_the_batch_classes_in_it(tmp_path: Path) -> None:
    ranged = (
        BATCH + '[[targets.overrides]]\nmin_input_tokens = 2000\npriority = "batch"\ndeadline_hours = 24\n'
    )
    posed = pose(specs.asked(tmp_path, ranged + PERIODS))
    assert {k.name: k.deadline_hours for k in posed.problem.classes} == {"short": None, "long": 24}


def test_a_period_in_which_nothing_comes_has_no_fleet_and_says_so(tmp_path: Path) -> None:
    night = PERIODS.replace("factor = 0.2", "factor = 0")
    specs.written(tmp_path, specs.LISTED + night)
    asked = specs.asked(tmp_path, specs.LISTED + night)
    with pytest.raises(UsageError, match="nothing is served in night"):
        fleet_of(replace(asked, period="night"))
    assert recheck(fleet_of(replace(asked, period="day"))) == ()


def test_a_trace_is_told_apart_by_its_stretches_named_by_the_clock_or_by_hours(tmp_path: Path) -> None:
    table = "[policy.day]\nboot_minutes = 5\n"
    posed = pose(specs.asked(tmp_path, specs.TRACED + table, "policy.day.hours=24"))
    assert [(p.name, p.hours) for p in posed.problem.periods] == [("0h", 8), ("8h", 8), ("16h", 8)]
    for k in posed.candidates.workload.classes:
        rates = tuple(p.requests_per_second[k.name] for p in posed.problem.periods)
        assert rates == k.requests_per_second_by_period
    clocked = ("policy.day.hours=24", 'policy.day.begins="20:30"')
    posed = pose(specs.asked(tmp_path, specs.TRACED + table, *clocked))
    assert [p.name for p in posed.problem.periods] == ["20:30", "04:30", "12:30"]
    recorded = read_trace(specs.TRACE).seconds / 3600
    posed = pose(specs.asked(tmp_path, specs.TRACED + table, "workload.rate_scale=4.0"))
    assert [p.hours for p in posed.problem.periods] == pytest.approx([recorded / 3] * 3), (
        "four times as many requests in as long"
    )
    with pytest.raises(HetopsError, match=r"policy\.day\.begins: it needs 24 hours in all"):
        pose(specs.asked(tmp_path, specs.TRACED + table + 'begins = "20:30"\n'))


def test_the_plan_of_a_command_is_that_of_the_period_asked_for_or_that_is_now(tmp_path: Path) -> None:
    asked = specs.asked(tmp_path, specs.LISTED + PERIODS, 'policy.day.begins="06:00"')
    morning = fleet_of(replace(asked, now=datetime(2026, 11, 24, 9, 0, tzinfo=UTC)))
    assert morning.workload.requests_per_second == pytest.approx(9)
    late = replace(asked, now=datetime(2026, 11, 24, 23, 0, tzinfo=UTC))
    assert fleet_of(late).workload.requests_per_second == pytest.approx(1.8)
    assert fleet_of(replace(late, period="day")).pools == morning.pools


def test_a_period_is_played_with_requests_of_its_own_rates(tmp_path: Path) -> None:
    asked = replace(specs.asked(tmp_path, specs.LISTED + PERIODS), period="night")
    found = simulate(SimulationAsked(spec=asked, stretch=Stretch(duration_seconds=600)), lambda _: None)
    assert found.requests == pytest.approx(1.8 * 600, rel=0.15)


def test_an_explanation_of_a_day_speaks_of_all_periods(tmp_path: Path) -> None:
    asked = specs.asked(tmp_path, specs.LISTED + PERIODS)
    said = explain(ExplainAsked(spec=asked, question=Question.CLASS, subject="long", limit_seconds=12))
    (without,) = (s for s in said.explanation.statements if "no long" in s.text)
    assert without.after is not None
    assert without.after < without.before, "a day without the class is searched for, not the same one again"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (specs.LISTED + "[policy.day]\n", "policy.day: missing boot_minutes"),
        (specs.LISTED + "[policy.day]\nboot_minutes = 5\n", "need two periods at least"),
        (specs.LISTED + PERIODS + 'name = "day"\n', "not TOML"),
        (specs.LISTED + PERIODS.replace('"night"', '"day"'), "the names of periods must differ"),
        (specs.LISTED + PERIODS.replace("hours = 16", "hours = 0"), "policy.day.periods[0].hours"),
        (specs.LISTED + PERIODS + "requests_per_second = { shrot = 1 }\n", "unknown class 'shrot'"),
        (specs.LISTED + PERIODS.replace("[policy.day]", "[policy.day]\nhours = 12"), "add up to 24"),
        (specs.LISTED + PERIODS.replace("hours = 16", "hours = 4") .replace("[policy.day]", '[policy.day]\nbegins = "06:00"'), "begins needs periods of 24 hours"),
        (WAITING, "without periods there is nothing to wait for"),
        (specs.LISTED + "[budget]\nmean_usd_per_hour = 4\n", "budget.mean_usd_per_hour"),
        (specs.LISTED.replace("ttft_seconds = 4.0", "deadline_hours = 8"), 'set priority = "batch"'),
        (specs.LISTED + PERIODS.replace("factor = 0.2", "factor = 0").replace("hours = 16", "hours = 16\nfactor = 0"), "nothing is asked for"),
        (specs.TRACED + PERIODS, "a trace has its own rates"),
        (specs.TRACED.replace("periods = 3", "") + "[policy.day]\nboot_minutes = 5\n", "the trace is one period"),
    ],
)  # fmt: skip
def test_a_slip_of_the_pen_is_told_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(HetopsError) as caught:
        pose(specs.asked(tmp_path, text))
    assert message in f"{caught.value.message} {caught.value.hint}"
    assert "hetops.toml:" in caught.value.message


def test_the_command_shows_a_day_writes_it_and_takes_a_period_of_it(tmp_path: Path) -> None:
    specs.written(tmp_path, specs.LISTED + PERIODS)
    run = hetops(tmp_path, "plan", "--offline", "-o", "day.json")
    assert run.returncode == 0, run.stderr
    assert "PERIOD" in run.stdout
    assert "One fleet kept all day that serves every period costs" in run.stdout
    refused = hetops(tmp_path, "up", "day.json", "--period", "night", "-y", "--json")
    assert refused.returncode == 5, "list prices are for planning"
    raw = json.loads((tmp_path / "day.json").read_text(encoding="utf-8"))
    assert [p["name"] for p in raw["periods"]] == ["day", "night"]
    raw["periods"][1]["plan"]["pools"][0]["nodes"] += 1
    (tmp_path / "day.json").write_text(json.dumps(raw), encoding="utf-8")
    touched = hetops(tmp_path, "diff", "day.json", "--period", "day", "--json")
    assert touched.returncode == 5, "whichever period is asked for"
    assert "does not check" in told(touched)["message"]


def test_a_file_of_a_day_is_asked_which_period_is_meant(free: Day, tmp_path: Path) -> None:
    path, asked = tmp_path / "day.json", specs.asked(tmp_path)
    path.write_bytes(codec.encode(free))
    assert read_plan(path, replace(asked, period="night")) == free.period("night").plan
    with pytest.raises(UsageError, match="say which") as unsaid:
        read_plan(path, asked)
    assert "--period day: 16 h" in unsaid.value.details
    with pytest.raises(UnknownNameError) as unknown:
        read_plan(path, replace(asked, period="nigth"))
    assert unknown.value.hint == "did you mean 'night'?"


def test_a_plan_has_no_periods_to_choose_from(free: Day, tmp_path: Path) -> None:
    asked = replace(specs.asked(tmp_path), period="night")
    with pytest.raises(UsageError, match="has no periods"):
        in_period(free.periods[0].plan, asked)
