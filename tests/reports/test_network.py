"""What was measured beside the fleet, as it was where requests come from."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hetops.domain.network import Network, Way
from hetops.domain.plan import Plan
from hetops.observations.merge import summarize
from hetops.reports.ledger import ledger
from hetops.reports.network import at_origins, egress_usd_per_hour
from hetops.stack.changes import Changes
from hetops.stack.diff import fleet_diff
from tests.doubles.plans import plan
from tests.observations.records import observation


def from_eu() -> Plan:
    """The small plan for requests from Europe; bytes from its first pool cost something."""
    small = plan()
    classes = tuple(replace(c, origin="eu") for c in small.workload.classes)
    near, far = (p.name for p in small.pools)
    ways = (
        Way(
            origin="eu",
            destination=near,
            round_trip_seconds=0.1,
            usd_per_gb=Decimal("0.5"),
            usd_per_hour=Decimal("0.01"),
        ),
        Way(origin="eu", destination=far, round_trip_seconds=0.3),
    )
    network = Network(bytes_per_output_token=100.0, ways=ways)
    return replace(small, workload=replace(small.workload, classes=classes), network=network)


def seen(pool: str, ttft_seconds: float | None = 0.2) -> object:
    """An observation of `chat`."""
    return observation(1.0, pool=pool, ttft_seconds=ttft_seconds, output_tokens=1000)


def test_times_to_the_first_token_are_longer_by_the_way() -> None:
    near, far = (p.name for p in plan().pools)
    given = [seen(near), seen(far), seen(near, None), seen("gone")]
    assert [one.ttft_seconds for one in at_origins(from_eu(), given)] == pytest.approx([0.3, 0.5, None, 0.2])
    assert at_origins(plan(), given) == tuple(given)


def test_egress_is_paid_for_the_tokens_that_were_measured() -> None:
    near, far = (p.name for p in plan().pools)
    summary = summarize([seen(near), seen(near), seen(far), seen(far)], since=0.0, until=10.0)
    due = 2 * 1000 / 10 * 100 * 3600 / 1e9 * 0.5
    assert float(egress_usd_per_hour(from_eu(), summary)) == pytest.approx(due)
    assert egress_usd_per_hour(plan(), summary) == 0
    costs = [ledger(p, summary).usd_per_million_tokens.measured for p in (from_eu(), plan())]
    assert costs[0] / costs[1] == pytest.approx(
        float((plan().usd_per_hour + Decimal(due)) / plan().usd_per_hour)
    )


def test_a_diff_tells_egress_apart() -> None:
    diff = fleet_diff(plan(), from_eu(), Changes(steps=()))
    assert (diff.egress_usd_per_hour_before, diff.egress_usd_per_hour_after) == (0, Decimal("0.01"))
    assert diff.usd_per_hour_after - diff.usd_per_hour_before == Decimal("0.01")


def test_a_way_is_told_once_and_is_no_less_than_none() -> None:
    way = Way(origin="eu", destination="a")
    with pytest.raises(ValueError, match="two ways"):
        Network(ways=(way, way))
    with pytest.raises(ValueError, match="round_trip_seconds must be at least 0"):
        Way(origin="eu", destination="a", round_trip_seconds=-1.0)
    assert Network(ways=(way,)).way("us", "a").round_trip_seconds == 0.0
