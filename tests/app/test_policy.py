"""The policy of a spec: what may fail, how classes are spread, what spot and reserved nodes are worth; planned at list prices."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.app.plan import make_plan
from hetops.app.pose import pose
from hetops.domain.offer import Market
from hetops.domain.plan import Plan
from hetops.errors import HetopsError, InfeasibleError
from hetops.reports import plan as report
from hetops.solver.recheck.plan import recheck
from tests.cli.process import hetops
from tests.doubles import specs

SPOT = '[offers]\nmarkets = ["on_demand", "spot"]\n'
BATCH = specs.LISTED.replace("ttft_seconds = 4.0", 'ttft_seconds = 4.0\npriority = "batch"')


def planned(folder: Path, more: str, text: str = specs.LISTED) -> Plan:
    """The plan of the spec with more tables, which passes as its file would."""
    plan = make_plan(specs.asked(folder, text + more))
    assert recheck(plan) == ()
    return plan


def spot_share(plan: Plan, name: str) -> float:
    """Share of a class that spot nodes serve."""
    spot = {p.name for p in plan.pools if p.offer.market is Market.SPOT}
    return sum(s.share for s in plan.shares if s.workload_class == name and s.pool in spot)


def test_without_any_zone_the_rest_serves_what_is_to_be_kept_and_the_plan_says_who_and_at_what_cost(
    tmp_path: Path,
) -> None:
    free = planned(tmp_path, SPOT)
    plan = planned(tmp_path, SPOT + '[[policy.survive]]\nlosing = "zone"\nkept_share = 0.9\n')
    places = {p.offer.place for p in plan.pools}
    assert len(places) > 1
    assert {cover.lost for cover in plan.covers} == {(place,) for place in places}
    for cover in plan.covers:
        left = {p.name for p in plan.pools if p.offer.place not in cover.lost}
        assert {s.pool for s in cover.shares} <= left
        for name in ("short", "long"):
            assert sum(s.share for s in cover.shares if s.workload_class == name) >= 0.9 - 1e-6
    (cost,) = plan.term_costs
    assert cost.usd_per_hour_without == free.usd_per_hour
    assert cost.usd_per_hour == plan.usd_per_hour > free.usd_per_hour
    told = report.as_text(plan)
    assert "Bearing losing any zone with 90 % still served costs" in told
    assert "THEN GOES TO" in told


def test_what_fails_together_is_named_by_patterns(tmp_path: Path) -> None:
    plan = planned(
        tmp_path, SPOT + '[[policy.survive]]\nlosing = "market"\nnames = ["spot"]\nkept_share = 0.5\n'
    )
    assert all(cover.lost == ("spot",) for cover in plan.covers)
    for name in ("short", "long"):
        steady = {p.name for p in plan.pools if p.offer.market is Market.ON_DEMAND}
        assert steady, name


def test_a_cap_on_spot_holds_for_interactive_classes_and_lets_batch_go_anywhere(tmp_path: Path) -> None:
    cap = '[[policy.shares]]\nof = "market"\nnames = ["spot"]\nat_most = 0.25\npriority = "interactive"\n'
    free = planned(tmp_path, SPOT, BATCH)
    plan = planned(tmp_path, SPOT + cap, BATCH)
    assert spot_share(free, "short") > 0.25
    assert spot_share(plan, "short") <= 0.25 + 1e-6
    assert spot_share(plan, "long") > 0.25
    assert any(c.text == "spreading (market spot at most 25 %)" for c in plan.term_costs)


def test_a_least_share_on_demand_holds(tmp_path: Path) -> None:
    least = '[[policy.shares]]\nof = "market"\nnames = ["on_demand"]\nclasses = ["long"]\nat_least = 0.6\n'
    plan = planned(tmp_path, SPOT + least)
    assert spot_share(plan, "long") <= 0.4 + 1e-6


def test_a_least_share_of_what_nobody_offers_is_told(tmp_path: Path) -> None:
    least = '[[policy.shares]]\nof = "market"\nnames = ["spot"]\nat_least = 0.6\n'
    with pytest.raises(InfeasibleError, match=r"policy.shares\[0\] wants at least 60 % on market spot"):
        planned(tmp_path, least)


def test_interruptions_take_their_share_of_spot_nodes_and_of_no_others(tmp_path: Path) -> None:
    often = "[[policy.interruptions]]\nper_hour = 2\nrecovery_minutes = 6\n"
    plan = planned(tmp_path, SPOT + often)
    for pool in plan.pools:
        spot = pool.offer.market is Market.SPOT
        assert pool.lost_share == pytest.approx(0.2 if spot else 0.0)
        most = 0.85 * (1 - pool.lost_share)
        assert plan.certificate.utilisation[pool.name] <= most + 1e-6
    assert plan.usd_per_hour > planned(tmp_path, SPOT).usd_per_hour
    assert "Interruptions: " in report.as_text(plan)


def test_the_last_assumption_that_fits_a_provider_counts_and_one_that_nobody_made_is_told(
    tmp_path: Path,
) -> None:
    own = '[[policy.interruptions]]\nproviders = ["aws"]\nper_hour = 1\nrecovery_minutes = 6\n'
    plan = planned(tmp_path, SPOT + own)
    lost = {p.offer.provider: p.lost_share for p in plan.pools if p.offer.market is Market.SPOT}
    assert lost.get("gcp") == 0.0
    assert lost.get("aws", 0.1) == pytest.approx(0.1)
    assert any("nobody says how often nodes of gcp/" in w for w in plan.warnings)


def test_reserved_nodes_are_used_first_and_paid_for_when_they_are_not(tmp_path: Path) -> None:
    few = planned(tmp_path, '[[reserved]]\noffer = "g6.xlarge"\nnodes = 2\nusd_per_hour = 0.40\n')
    (rental,) = few.rentals
    assert rental.usd_per_hour == Decimal("0.80")
    assert few.idle_nodes(rental) == 0
    many = planned(tmp_path, '[[reserved]]\noffer = "g6.xlarge"\nnodes = 40\nusd_per_hour = 0.40\n')
    (rental,) = many.rentals
    assert many.idle_nodes(rental) > 0
    assert many.usd_per_hour >= Decimal("16.00")
    assert f"{many.idle_nodes(rental)} idle" in report.as_text(many)


def test_reserved_nodes_are_paid_for_in_a_plan_that_does_without_their_provider(tmp_path: Path) -> None:
    specs.written(tmp_path, specs.LISTED + '[[reserved]]\noffer = "g6.xlarge"\nnodes = 3\nusd_per_hour = 1\n')
    run = hetops(tmp_path, "plan", "--offline", "--without", "provider=aws", "--json")
    both = json.loads(run.stdout)
    assert Decimal(both["plan"]["rentals"][0]["nodes"]) == 3
    assert float(both["difference_usd_per_hour"]) >= 0


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ('[[policy.survive]]\nlosing = "provider"\nnames = ["awz"]\n', "unknown provider 'awz'"),
        ('[[policy.survive]]\nlosing = "zone"\nnames = ["us-est-1"]\n', "unknown zone 'us-est-1'"),
        ('[[policy.survive]]\nlosing = "zones"\n', "policy.survive"),
        ('[[policy.survive]]\nlosing = "zone"\nkept_share = 1.1\n', "kept_share"),
        ('[[policy.survive]]\nlosing = "offer"\n', "losing offers needs names"),
        ('[[policy.shares]]\nof = "zone"\n', "it limits nothing"),
        ('[[policy.shares]]\nof = "zone"\nat_least = 0.2\n', "at_least needs names"),
        ('[[policy.shares]]\nof = "zone"\nat_most = 0.5\nclasses = ["shrot"]\n', "unknown class 'shrot'"),
        ("[[policy.interruptions]]\nper_hour = 30\nrecovery_minutes = 2\n", "never serves"),
        ('[[policy.interruptions]]\nproviders = ["gpc"]\nrecovery_minutes = 2\n', "unknown provider 'gpc'"),
        ('[[reserved]]\noffer = "g6.xlrge"\nnodes = 1\n', "unknown offer 'g6.xlrge'"),
        ('[[reserved]]\noffer = "g6.xlarge"\nnodes = 1\n' * 2, "reserved twice"),
        ("[policy.migration]\nusd_per_added_node = -1\n", "must be at least 0"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_its_place(tables: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(HetopsError) as caught:
        pose(specs.asked(tmp_path, specs.LISTED + tables))
    assert told in f"{caught.value.message} {caught.value.hint}"
    assert "hetops.toml:" in caught.value.message


def test_the_command_writes_a_plan_whose_policy_is_checked_again_and_names_what_was_taken_out(
    tmp_path: Path,
) -> None:
    tables = '[[policy.survive]]\nlosing = "provider"\nkept_share = 0.5\n'
    specs.written(tmp_path, specs.LISTED + SPOT + tables)
    run = hetops(tmp_path, "plan", "--offline", "-o", "plan.json")
    assert run.returncode == 0, run.stderr
    assert "Bearing losing any provider with 50 % still served costs" in run.stdout
    raw = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert {lost for cover in raw["covers"] for lost in cover["lost"]} == {"aws", "gcp"}
    raw["covers"] = raw["covers"][1:]
    (tmp_path / "plan.json").write_text(json.dumps(raw), encoding="utf-8")
    refused = hetops(tmp_path, "diff", "plan.json", "--json")
    assert refused.returncode == 5
    assert "it breaks losses" in json.loads(refused.stdout)["message"]
