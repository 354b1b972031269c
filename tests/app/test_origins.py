"""Where a spec's requests come from: classes by origin, what round trips and egress do to a plan, which specs are refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.app.plan import make_plan
from hetops.app.played_requests import Stretch
from hetops.app.pose import pose
from hetops.app.simulate import SimulationAsked, simulate
from hetops.domain import codec
from hetops.domain.network import BYTES_PER_OUTPUT_TOKEN
from hetops.domain.plan import Plan
from hetops.errors import HetopsError
from hetops.reports import plan as report
from hetops.router.config import RouterConfig, RouterSettings, from_plan
from hetops.solver.recheck.day import recheck_day, seal_day
from hetops.solver.recheck.plan import recheck, seal
from tests.doubles import days, specs

TWO = '[[origins]]\nname = "eu"\nshare = 0.75\n\n[[origins]]\nname = "us"\nshare = 0.25\n\n'
ONE = '[[origins]]\nname = "eu"\nshare = 1.0\n\n'


def way(places: str, round_trip_seconds: float = 0.0, usd_per_gb: float = 0.0, origins: str = "") -> str:
    """A table of `[[network]]`."""
    names = f'origins = ["{origins}"]\n' if origins else ""
    figures = f"round_trip_seconds = {round_trip_seconds}\nusd_per_gb = {usd_per_gb}\n"
    return f'[[network]]\nplaces = ["{places}"]\n{names}{figures}\n'


WAYS = way("*", 0.02, 0.05) + way("*", 0.2, 0.09, "eu")


def planned(folder: Path, *more: str) -> Plan:
    """The plan of the listed spec with more tables, which passes as its file would."""
    plan = make_plan(specs.asked(folder, specs.LISTED + "".join(more)))
    assert recheck(plan) == ()
    return plan


@pytest.fixture(name="plan", scope="module")
def _plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A plan for requests from two origins, one of them far."""
    return planned(tmp_path_factory.mktemp("plan"), TWO, WAYS)


@pytest.fixture(name="free", scope="module")
def _free(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The same plan for requests from nowhere."""
    return planned(tmp_path_factory.mktemp("free"))


def providers(plan: Plan, workload_class: str) -> dict[str, float]:
    """The part of a class's requests that each provider serves."""
    found: Counter[str] = Counter()
    for share in (s for s in plan.shares if s.workload_class == workload_class):
        found[plan.pool(share.pool).offer.provider] += share.share
    return found


def test_every_class_is_a_class_at_each_origin_with_its_share_of_the_rate(plan: Plan, free: Plan) -> None:
    assert {c.name: (c.origin, c.requests_per_second) for c in plan.workload.classes} == {
        "short@eu": ("eu", 6.0),
        "short@us": ("us", 2.0),
        "long@eu": ("eu", 0.75),
        "long@us": ("us", 0.25),
    }
    assert plan.workload.regardless_of_origin == free.workload.classes


def test_a_trace_is_spread_with_the_rates_of_its_periods(tmp_path: Path) -> None:
    posed = pose(specs.asked(tmp_path, specs.TRACED + TWO))
    of = {c.name: c for c in posed.candidates.workload.classes}
    far, near = (next(c for name, c in of.items() if name.endswith(end)) for end in ("@eu", "@us"))
    assert len(far.requests_per_second_by_period) == 3
    assert far.requests_per_second_by_period == pytest.approx(
        [3 * r for r in near.requests_per_second_by_period]
    )
    assert far.stated_name == near.stated_name


def test_a_class_may_have_an_origin_of_its_own(tmp_path: Path) -> None:
    own = specs.LISTED.replace("ttft_seconds = 4.0", 'ttft_seconds = 4.0\norigin = "lab"')
    posed = pose(specs.asked(tmp_path, own + ONE + '[[origins]]\nname = "lab"\n'))
    assert [(c.name, c.origin) for c in posed.candidates.workload.classes] == [
        ("short@eu", "eu"),
        ("long", "lab"),
    ]


def test_answers_cost_their_bytes_on_the_way_and_nothing_else_is_dearer(plan: Plan, free: Plan) -> None:
    assert plan.network
    tokens = {"eu": 6.0 * 150 + 0.75 * 300, "us": 2.0 * 150 + 0.25 * 300}
    usd = {"eu": 0.09, "us": 0.05}
    for origin, each in tokens.items():
        paid = sum(w.usd_per_hour for w in plan.network.ways if w.origin == origin)
        due = each * BYTES_PER_OUTPUT_TOKEN * 3600 / 1e9 * usd[origin]
        assert float(paid) == pytest.approx(due, abs=2e-6)
    assert plan.usd_per_hour == free.usd_per_hour + plan.egress_usd_per_hour
    told = report.as_text(plan)
    assert f"Egress costs ${plan.egress_usd_per_hour:.2f} /h" in told
    assert "TTFT above is as seen there" in told
    assert codec.decode(Plan, codec.encode(plan), source="test") == plan


def test_fewer_bytes_a_token_cost_less(tmp_path: Path, plan: Plan) -> None:
    asked = specs.asked(tmp_path, specs.LISTED + TWO + WAYS, "workload.bytes_per_output_token=5")
    few = make_plan(asked)
    assert float(few.egress_usd_per_hour) == pytest.approx(
        float(plan.egress_usd_per_hour) * 5 / 325, abs=1e-5
    )


def test_egress_moves_a_class_to_where_answers_leave_for_nothing(tmp_path: Path, free: Plan) -> None:
    assert providers(free, "short") == {"aws": 1.0}
    plan = planned(tmp_path, ONE, way("aws", usd_per_gb=0.6), way("gcp"))
    assert providers(plan, "short@eu")["gcp"] > 0.5
    stayed = free.usd_per_hour + Decimal(repr((8 * 150 + 300) * 325 * 3600 / 1e9 * 0.6))
    assert free.usd_per_hour < plan.usd_per_hour < stayed


def test_a_way_that_takes_all_of_the_time_moves_a_class_and_no_other(tmp_path: Path, free: Plan) -> None:
    plan = planned(tmp_path, ONE, way("aws", 1.0), way("gcp", 0.1))
    assert providers(plan, "short@eu") == {"gcp": 1.0}
    assert "aws" in providers(plan, "long@eu")
    assert plan.usd_per_hour > free.usd_per_hour


def test_a_plan_with_a_class_that_is_too_far_from_a_pool_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Its row has no rate, and the times of a replica that has nothing else to do."""
    plan = planned(tmp_path, ONE, way("aws", 1.5))
    assert {r.workload_class for r in plan.performance if "nothing is left" in r.reason} == {"short@eu"}
    assert codec.decode(Plan, codec.encode(plan), source="plan.json") == plan


def test_rates_are_those_of_a_target_without_the_round_trip(tmp_path: Path) -> None:
    tight = ("targets.ttft_seconds=0.25",)
    far = pose(specs.asked(tmp_path, specs.LISTED + ONE + way("*", 0.125), *tight))
    near = pose(specs.asked(tmp_path, specs.LISTED, "targets.ttft_seconds=0.125"))
    loose = pose(specs.asked(tmp_path, specs.LISTED, *tight))
    rates = [
        {(c.key): c.rate(name) for c in posed.problem.columns}
        for posed, name in ((far, "short@eu"), (near, "short"), (loose, "short"))
    ]
    both = rates[0].keys() & rates[1].keys()
    assert len(both) > 50
    assert all(rates[0][key] == rates[1][key] for key in both)
    assert any(rates[0][key] < rates[2].get(key, 0.0) for key in both)


def test_what_is_promised_has_the_round_trip_in_it(plan: Plan, free: Plan) -> None:
    near, far = ({f.workload_class: f for f in p.forecasts} for p in (free, plan))
    for name in ("short", "long"):
        assert far[f"{name}@eu"].ttft_seconds - far[f"{name}@us"].ttft_seconds == pytest.approx(
            0.18, abs=0.002
        )
        assert far[f"{name}@eu"].ttft_seconds == pytest.approx(near[name].ttft_seconds + 0.2, rel=0.02)
        assert far[f"{name}@eu"].tpot_seconds == pytest.approx(near[name].tpot_seconds, rel=0.02)


def test_of_the_tables_that_fit_the_last_that_gives_a_figure_counts(tmp_path: Path) -> None:
    tables = (
        way("*", 0.3, 0.1)
        + '[[network]]\nplaces = ["aws/us-*"]\nround_trip_seconds = 0.1\n\n'
        + '[[network]]\nplaces = ["us-central1"]\norigins = ["us"]\nusd_per_gb = 0.02\n'
    )
    ways = pose(specs.asked(tmp_path, specs.LISTED + TWO + tables)).ways
    found = {
        (origin, place.split("/")[0]): (told.round_trip_seconds, told.usd_per_gb)
        for (origin, place), told in ways.told.items()
    }
    assert found == {
        ("eu", "aws"): (0.1, Decimal("0.1")),
        ("us", "aws"): (0.1, Decimal("0.1")),
        ("eu", "gcp"): (0.3, Decimal("0.1")),
        ("us", "gcp"): (0.3, Decimal("0.02")),
    }


def test_what_nobody_says_of_a_way_that_is_taken_counts_as_nothing_and_is_told(
    tmp_path: Path, free: Plan
) -> None:
    plan = planned(tmp_path, TWO, '[[network]]\norigins = ["eu"]\nround_trip_seconds = 0.05\n')
    assert plan.usd_per_hour == free.usd_per_hour
    told = [w for w in plan.warnings if "[[network]]" in w]
    assert told == [
        "nobody says usd_per_gb between eu and aws/us-east-1: it is taken as 0 ([[network]])",
        "nobody says round_trip_seconds between us and aws/us-east-1: it is taken as 0 ([[network]])",
        "nobody says usd_per_gb between us and aws/us-east-1: it is taken as 0 ([[network]])",
    ]


def test_a_spec_without_origins_has_a_plan_without_a_network(free: Plan) -> None:
    assert free.network is None
    assert {c.origin for c in free.workload.classes} == {""}
    assert not any(row.round_trip_seconds for row in free.performance)
    raw = codec.to_builtins(free)
    before = {key: value for key, value in raw.items() if key != "network"}
    assert codec.digest(codec.from_builtins(Plan, before, source="test")) == codec.digest(free)


def test_rules_of_a_class_hold_at_all_its_origins(tmp_path: Path) -> None:
    rule = '[[policy.shares]]\nof = "provider"\nnames = ["aws"]\nclasses = ["short"]\nat_most = 0.5\n'
    floor = specs.LISTED.replace("output_tokens = 150", "output_tokens = 150\nquality_floor = 0.5")
    posed = pose(specs.asked(tmp_path, floor + TWO + rule))
    (limit,) = posed.problem.share_limits
    assert limit.classes == ("short@eu", "short@us")
    floors = {f.workload_class: f.share for f in posed.candidates.floors}
    assert floors == {"short@eu": 0.5, "short@us": 0.5, "long@eu": None, "long@us": None}


SERVICE = """
[[overflow]]
name = "paygo"
url = "https://api.example.com/v1"
usd_per_million_input_tokens = 0.01
usd_per_million_output_tokens = 0.03
requests_per_minute = 1200
ttft_seconds = 0.6
tpot_seconds = 0.03
classes = ["short"]
"""


def test_a_service_is_as_far_as_its_table_says_and_bills_no_egress(tmp_path: Path) -> None:
    some = '[[policy.shares]]\nof = "market"\nnames = ["token"]\nclasses = ["short@us"]\nat_least = 0.5\n'
    plan = planned(tmp_path, TWO, WAYS, SERVICE, way("paygo", 0.5, 9.0, "eu"), some)
    assert plan.network
    assert plan.services[0].serves == ("short@us",)
    assert {s.workload_class for s in plan.shares if s.pool == "paygo"} == {"short@us"}
    refused = {r.subject: r.reason for r in plan.refusals}
    assert refused["short@eu on paygo"] == "TTFT of 1.10 s there, 1.00 s is the target"
    assert refused["long@us on paygo"] == "overflow.classes leaves it out"
    assert plan.network.way("eu", "paygo").usd_per_gb == 0
    late = replace(plan.services[0].service, ttft_seconds=0.99)
    slow = replace(plan, services=(replace(plan.services[0], service=late),))
    assert "services" in [v.rule for v in recheck(seal(slow))]


def example() -> str:
    """The spec that the page on origins shows."""
    page = Path(__file__).parents[2] / "docs" / "origins.md"
    return page.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]


def test_in_the_pages_example_each_goes_where_its_answers_leave_for_nothing(tmp_path: Path) -> None:
    plan = make_plan(specs.asked(tmp_path, example()))
    assert recheck(plan) == ()
    assert {"aws", "hyperbolic"} == {p.offer.provider for p in plan.pools}
    assert providers(plan, "chat@eu") == {"hyperbolic": 1.0}, "not a trace of it where bytes cost money"
    assert "aws" in providers(plan, "chat@app")
    assert plan.egress_usd_per_hour == 0


def test_a_router_knows_classes_by_origin_and_measures_against_what_the_way_leaves(plan: Plan) -> None:
    config = from_plan(plan, {}, RouterSettings(origin="us"))
    assert config.origin == "us"
    assert {c.name: c.origin for c in config.classes}["long@eu"] == "eu"
    bounds = {c.name: c.target.ttft_seconds for c in config.classes}
    assert bounds == pytest.approx({"short@eu": 0.8, "short@us": 0.98, "long@eu": 3.8, "long@us": 3.98})
    assert set(config.pools[0].serves) == set(bounds)
    assert from_plan(plan, {}, RouterSettings(origin="mars")).origin == ""
    assert codec.decode(RouterConfig, codec.encode(config), source="test") == config


def test_a_simulation_sees_first_tokens_from_where_requests_come_and_pays_for_egress(
    tmp_path: Path, plan: Plan
) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(codec.encode(plan))
    asked = SimulationAsked(
        spec=specs.asked(tmp_path), plan_file=path, stretch=Stretch(duration_seconds=300.0)
    )
    found = simulate(replace(asked, spec=replace(asked.spec, file=None)), lambda _: None)
    classes = {c.name: c for c in found.classes}
    for name, rate in (("short@eu", 6.0), ("short@us", 2.0)):
        assert classes[name].requests_per_second.measured == pytest.approx(rate, rel=0.15)
    least = {name: c.ttft_percentiles.p50 for name, c in classes.items() if c.ttft_percentiles}
    assert least["short@eu"] - least["short@us"] == pytest.approx(0.18, abs=0.02)
    nodes = sum(p.usd for p in found.pools)
    sent = float(plan.egress_usd_per_hour) * found.seconds / 3600
    assert found.usd - nodes == pytest.approx(sent, rel=0.15)
    assert any("TTFT is as seen where requests come from" in note for note in found.notes)


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        (
            '[[origins]]\nname = "eu"\nshare = 0.5\n',
            "origins[0].share: the shares of [[origins]] add up to 0.5",
        ),
        ('[[origins]]\nname = "eu"\n', "add up to 0, not 1"),
        ('[[origins]]\nname = "EU"\nshare = 1.0\n', "origins[0].name"),
        (ONE + '[[origins]]\nname = "us"\n', "origins[1].name: no request comes from us"),
        (ONE + '[[origins]]\nname = "eu"\n', "there is another origin eu"),
        (ONE + "[[network]]\n", "it says nothing"),
        (ONE + way("aws", 20.0), "network[0].round_trip_seconds"),
        (ONE + way("aws", 0.1, -0.1), "usd_per_gb must be at least 0"),
        (ONE + way("asw"), "unknown place 'asw'"),
        (ONE + way("aws/eu-*"), "network[0].places[0]"),
        (ONE + way("aws", origins="ue"), "unknown origin 'ue'"),
        (way("aws"), "network[0]: the spec has no [[origins]]"),
        (ONE + '[router]\norigin = "uk"\n', "unknown origin 'uk'"),
        ('[router]\norigin = "uk"\n', "router.origin: the spec has no [[origins]]"),
        (ONE + "[[network]]\nround_trip_ms = 90\n", "unknown key"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_its_place(tables: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(HetopsError) as caught:
        pose(specs.asked(tmp_path, specs.LISTED + tables))
    assert told in f"{caught.value.message} {caught.value.hint}"
    assert "hetops.toml:" in caught.value.message


def test_an_origin_of_a_class_that_is_none_is_told_with_the_nearest(tmp_path: Path) -> None:
    text = specs.LISTED.replace("ttft_seconds = 4.0", 'ttft_seconds = 4.0\norigin = "ue"')
    with pytest.raises(
        HetopsError, match=r"unknown origin 'ue' at .*hetops.toml:\d+: workload.classes\[1\]"
    ) as caught:
        pose(specs.asked(tmp_path, text + ONE))
    assert "eu" in caught.value.hint


def _twist(plan: Plan, **changes: object) -> Plan:
    """The plan with its first way changed, sealed again by whoever did it."""
    assert plan.network
    first, *rest = plan.network.ways
    return seal(replace(plan, network=replace(plan.network, ways=(replace(first, **changes), *rest))))


def test_a_plan_whose_egress_was_touched_is_found_out(plan: Plan) -> None:
    assert plan.network
    cheaper = _twist(plan, usd_per_hour=Decimal("0.01"))
    assert [v.rule for v in recheck(cheaper)][:1] == ["egress"]
    assert "costs" in recheck(cheaper)[0].message
    assert [v.rule for v in recheck(_twist(plan, usd_per_gb=Decimal("0.01")))] == ["egress"]
    few = replace(plan, network=replace(plan.network, bytes_per_output_token=5.0))
    assert {v.rule for v in recheck(seal(few))} == {"egress"}
    both = _twist(plan, usd_per_gb=Decimal(0), usd_per_hour=Decimal(0))
    assert [v.rule for v in recheck(both)] == ["cost"]
    gone = replace(plan, network=replace(plan.network, ways=plan.network.ways[1:]))
    assert "network" in {v.rule for v in recheck(seal(gone))}
    assert "network" in {v.rule for v in recheck(seal(replace(plan, network=None)))}


def test_a_plan_whose_way_was_shortened_has_no_rates_for_it(plan: Plan) -> None:
    assert "performance" in {v.rule for v in recheck(_twist(plan, round_trip_seconds=0.001))}


def test_a_day_pays_for_egress_in_each_period_at_its_rates(tmp_path: Path) -> None:
    night = "[policy.day.periods.requests_per_second]\nlong = 0.4\n"
    day = days.planned(tmp_path, more=night + TWO + WAYS, text=days.WAITING)
    busy, quiet = day.periods
    assert quiet.arrivals == pytest.approx({"short@eu": 1.2, "short@us": 0.4, "long@eu": 0.3, "long@us": 0.1})
    assert day.deadlines == {"long@eu": 24.0, "long@us": 24.0}
    for period in (busy, quiet):
        plan = period.plan
        tokens = {
            origin: sum(
                c.requests_per_second * c.output_tokens.mean
                for c in plan.workload.classes
                if c.origin == origin
            )
            for origin in ("eu", "us")
        }
        due = (tokens["eu"] * 0.09 + tokens["us"] * 0.05) * BYTES_PER_OUTPUT_TOKEN * 3600 / 1e9
        assert float(plan.egress_usd_per_hour) == pytest.approx(due, abs=1e-5)
        assert recheck(plan) == ()
    cheaper = replace(busy, plan=_twist(busy.plan, usd_per_hour=Decimal("0.01")))
    assert "egress" in {v.rule for v in recheck_day(seal_day(replace(day, periods=(cheaper, quiet))))}
