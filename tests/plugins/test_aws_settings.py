"""`[providers.aws]`: a wrong field is named with what would be right; a right one means what it says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hetops_aws.provider import AwsProvider
from hetops_aws.settings import read_settings

from hetops.domain.offer import Market
from hetops.errors import ErrorKind, ProviderError
from tests.doubles import aws
from tests.doubles.aws_account import AwsScenario
from tests.plugins.aws_questions import ask, enter, query


@pytest.mark.parametrize(
    ("given", "said", "hint"),
    [
        ({"region": ["us-east-1"]}, "region: no such field", "'regions'"),
        ({"regions": "us-east-1"}, "regions: must be a list of names", "change regions"),
        ({"regions": ["us-east-1", "Ohio"]}, "regions[1]: 'Ohio' is no region", "eu-west-1"),
        ({"regions": ["us-east-1a"]}, "regions[0]: 'us-east-1a' is no region", "eu-west-1"),
        ({"regions": ["cn-north-1"]}, "regions[0]: cn-north-1 lies in a partition", "remove cn-north-1"),
        ({"profile": 3}, "profile: must be a name, not 3", "change profile"),
        ({"profile": ""}, "profile: must be a name, not ''", "change profile"),
        ({"markets": ["spto"]}, "markets[0]: 'spto' is no market of AWS", "'spot'"),
        ({"home_region": "everywhere"}, "home_region: 'everywhere' is no region", "eu-west-1"),
        ({"placement_scores": ["p5.48xlarge"]}, "placement_scores: AWS scores groups", "placement_scores"),
        ({"placement_scores": ["a", "b", "c"]}, "placement_scores[0]: 'a' is no instance type", "p5.48xlarge"),
        ({"capacity_block_hours": 0}, "capacity_block_hours: must be whole hours from 1", "capacity_block_hours"),
        ({"capacity_block_hours": True}, "capacity_block_hours: must be whole hours", "capacity_block_hours"),
        ({"endpoints": {"s3": "http://a"}}, "endpoints.s3: no service that is asked", "pricing"),
        ({"endpoints": {"ec2": "ec2.example"}}, "endpoints.ec2: must be an http or https URL", "endpoints.ec2"),
        ({"endpoints": {"ec2": "http://a:pw@b"}}, "endpoints.ec2: must be an http or https URL", "endpoints.ec2"),
        ({"endpoints": ["http://a"]}, "endpoints: must be a table", "endpoints"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(given: dict[str, Any], said: str, hint: str) -> None:
    with pytest.raises(ProviderError) as raised:
        read_settings(given)
    assert raised.value.message.startswith(f"providers.aws.{said}")
    assert raised.value.kind is ErrorKind.INVALID
    assert hint in raised.value.hint
    assert "pw" not in raised.value.message


def test_fields_of_every_provider_are_let_through_and_absent_ones_have_defaults() -> None:
    read = read_settings({"enabled": True, "usd_per_hour": 3})
    assert (read.regions, read.markets) == ((), (Market.ON_DEMAND, Market.SPOT))
    assert not read.names_regions


def test_a_region_that_boto3_does_not_know_is_an_error_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with aws.running() as cloud:
        enter(cloud, monkeypatch)
        with pytest.raises(ProviderError) as raised:
            asyncio.run(AwsProvider().fetch_offers(query({"regions": ["us-east-1", "eu-wset-1"]})))
        assert cloud.asked == []
    assert raised.value.message == "providers.aws.regions[1]: there is no region 'eu-wset-1'"
    assert "did you mean 'eu-west-1'?" in raised.value.hint


def test_a_pattern_that_no_enabled_region_meets_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with aws.running() as cloud:
        enter(cloud, monkeypatch)
        with pytest.raises(ProviderError) as raised:
            asyncio.run(AwsProvider().fetch_offers(query({"regions": ["ap-*"]})))
    assert raised.value.message == "providers.aws.regions: no enabled region is like ap-*"
    assert raised.value.hint == "enabled are eu-west-1, us-east-1, us-west-2"


def test_each_service_can_have_an_endpoint_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    few = AwsScenario(only_types=("g6.xlarge",), regions=("us-east-1",))
    with aws.running(few) as cloud, aws.running(few) as prices:
        enter(cloud, monkeypatch)
        told = ask({"endpoints": {"pricing": prices.url}})
        assert set(prices.actions()) == {"pricing:GetProducts"}
        assert "pricing:GetProducts" not in cloud.actions()
    assert told.on(Market.ON_DEMAND)
