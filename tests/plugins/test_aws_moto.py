"""Against a real moto server for what moto knows from EC2 itself: types, zones, running instances, the caller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from hetops_aws.checks import checked
from hetops_aws.settings import read_settings

from hetops.domain.offer import Market
from tests.doubles import aws, aws_moto
from tests.doubles.aws import AwsCloud
from tests.doubles.aws_account import AwsScenario
from tests.plugins.aws_questions import ask, enter

REGIONS = ("us-east-1", "eu-west-1")


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """A moto server of its own process."""
    with aws_moto.running() as address:
        yield address


@pytest.fixture
def cloud(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    """The double, with moto behind it."""
    with aws.running(AwsScenario(regions=REGIONS), moto=moto) as double:
        enter(double, monkeypatch)
        yield double


def ec2_of(moto: str) -> Any:
    return boto3.client(
        "ec2",
        region_name="us-east-1",
        endpoint_url=moto,
        aws_access_key_id="AKIAFAKE",
        aws_secret_access_key="fake",
    )


@pytest.mark.usefixtures("cloud")
def test_types_are_offered_where_ec2_offers_them(moto: str) -> None:
    told = ask()
    assert told.failures == ()
    by_region = {r: {o.sku for o in told.on(Market.ON_DEMAND, region=r)} for r in REGIONS}
    assert "p5.48xlarge" in by_region["us-east-1"]
    assert by_region["us-east-1"] - by_region["eu-west-1"], "regions differ"
    rows = ec2_of(moto).describe_instance_type_offerings(
        LocationType="availability-zone-id", Filters=[{"Name": "instance-type", "Values": ["g6.xlarge"]}]
    )["InstanceTypeOfferings"]
    (offer,) = told.on(Market.ON_DEMAND, "g6.xlarge", "us-east-1")
    assert offer.notes == "in " + ", ".join(sorted(r["Location"] for r in rows))


@pytest.mark.usefixtures("cloud")
def test_an_instance_that_runs_takes_from_its_quota(moto: str) -> None:
    """Moto tells no `CpuOptions`: those of the type count."""
    ec2, before = ec2_of(moto), left()
    made = ec2.run_instances(ImageId="ami-12c6146b", InstanceType="g6.xlarge", MinCount=2, MaxCount=2)
    assert left() == before - 2 * 4
    ec2.terminate_instances(InstanceIds=[i["InstanceId"] for i in made["Instances"]])
    assert left() == before


@pytest.mark.usefixtures("cloud")
def test_the_checks_name_the_account() -> None:
    settings = read_settings({"regions": ["us-east-1"]})
    results = {r.subject: r for r in checked(settings, seconds=30)}
    assert results["credentials"].detail == "of account 123456789012, from env"
    assert all(r.ok for r in results.values()), results


def left() -> float:
    """vCPUs left of the on-demand quota of the G family in us-east-1."""
    told = ask({"regions": ["us-east-1"], "markets": ["on_demand"]})
    (limits,) = {o.limits for o in told.on(Market.ON_DEMAND, "g6.xlarge")}
    (share,) = limits.quotas
    return share.left
