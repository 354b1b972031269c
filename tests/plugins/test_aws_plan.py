"""From live offers of AWS to a plan, which says that nothing can be provisioned on it yet, and to `up`, which refuses."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.app import preconditions
from hetops.app.plan import make_plan
from hetops.domain.offer import PriceBasis
from hetops.errors import PolicyError
from hetops.plugin import manager
from tests.doubles import aws, specs
from tests.doubles.aws import AwsCloud
from tests.doubles.aws_account import AwsScenario
from tests.plugins.aws_questions import enter

SPEC = specs.LISTED.replace(
    "[providers.aws]\n[providers.gcp]\n",
    """[providers.aws]
regions = ["us-east-1", "us-west-2"]
markets = ["on_demand", "spot"]

[offers]
markets = ["on_demand", "spot"]
""",
)


@pytest.fixture(scope="module")
def cloud() -> Iterator[AwsCloud]:
    """L4, L40S and H100 in two regions; quotas for 16 vCPUs of the G family on demand, none on the spot market."""
    scenario = AwsScenario(
        only_types=("g6.xlarge", "g6e.xlarge", "p5.48xlarge"),
        regions=("us-east-1", "us-west-2"),
        quotas={
            "Running On-Demand G and VT instances": 16,
            "All G and VT Spot Instance Requests": 0,
            "All P5 Spot Instance Requests": 0,
        },
    )
    with aws.running(scenario) as double:
        yield double


def test_a_plan_of_live_offers_stays_within_the_quotas_and_up_refuses_it(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    enter(cloud, monkeypatch)
    plan = make_plan(specs.asked(tmp_path, SPEC))
    assert plan.pools
    assert {p.offer.basis for p in plan.pools} == {PriceBasis.LIVE}
    assert {str(p.offer.market) for p in plan.pools} == {"on_demand"}, "no quota on the spot market"
    taken: dict[str, Decimal] = {}
    for pool in plan.pools:
        for share in pool.offer.limits.quotas:
            used = Decimal(pool.nodes) * Decimal(share.per_node)
            taken[share.group] = taken.get(share.group, Decimal(0)) + used
    assert taken
    assert all(vcpu <= 16 for vcpu in taken.values()), taken
    assert "aws is for planning only: up cannot provision on it yet" in plan.warnings
    with pytest.raises(PolicyError, match="aws: for planning only") as refused:
        preconditions.check_providers(plan, manager.load().providers)
    assert "enabled = false under [providers.aws]" in refused.value.hint
