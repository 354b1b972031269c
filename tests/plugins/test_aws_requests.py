"""Every request against the service model of AWS's own SDK: what botocore's stub lets through, AWS understands.

The stub holds our parameters and the canned answers against the model; it knows the shapes of what no emulator answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from hetops_aws import calls
from hetops_aws.prices import read_price_list, read_spot_history

from tests.doubles.aws import NOW

IDS = {"ResponseMetadata": {"RequestId": "4f1d9c27", "HTTPStatusCode": 200}}
FAMILIES = [{"Name": "instance-type", "Values": ["p*", "g*"]}]


def client(service: str) -> Any:
    return boto3.client(
        service, region_name="us-east-1", aws_access_key_id="AKIAFAKE", aws_secret_access_key="fake"
    )


def stubbed(
    service: str,
    operation: str,
    answer: Mapping[str, Any],
    asked: Mapping[str, Any],
    call: Callable[[Any], Any],
) -> Any:
    """What the call makes of the answer, with its request checked."""
    of = client(service)
    with Stubber(of) as stub:
        stub.add_response(operation, {**answer, **IDS}, asked)
        told = call(of)
        stub.assert_no_pending_responses()
    return told


def test_the_price_list_is_asked_for_ordinary_instances_of_one_region() -> None:
    told = stubbed(
        "pricing",
        "get_products",
        {"FormatVersion": "aws_v1", "PriceList": ["{}"]},
        {
            "ServiceCode": "AmazonEC2",
            "FormatVersion": "aws_v1",
            "MaxResults": 100,
            "Filters": [
                {"Type": "TERM_MATCH", "Field": "operatingSystem", "Value": "Linux"},
                {"Type": "TERM_MATCH", "Field": "tenancy", "Value": "Shared"},
                {"Type": "TERM_MATCH", "Field": "preInstalledSw", "Value": "NA"},
                {"Type": "TERM_MATCH", "Field": "capacitystatus", "Value": "Used"},
                {"Type": "TERM_MATCH", "Field": "marketoption", "Value": "OnDemand"},
                {"Type": "TERM_MATCH", "Field": "operation", "Value": "RunInstances"},
                {"Type": "TERM_MATCH", "Field": "locationType", "Value": "AWS Region"},
                {"Type": "TERM_MATCH", "Field": "regionCode", "Value": "eu-west-1"},
                {"Type": "ANY_OF", "Field": "instanceType", "Value": "g6.xlarge,p5.48xlarge"},
            ],
        },
        lambda pricing: calls.price_list(pricing, "eu-west-1", ["p5.48xlarge", "g6.xlarge"]),
    )
    assert told == ["{}"]


def test_a_filter_of_the_price_list_never_grows_too_long() -> None:
    types = [f"p6-b300-and-longer.{n}xlarge" for n in range(100)]
    of = client("pricing")
    with Stubber(of) as stub:
        for _ in range(3):
            stub.add_response("get_products", {"PriceList": [], **IDS}, None)
        seen: list[str] = []
        of.meta.events.register(
            "provide-client-params.pricing.GetProducts",
            lambda params, **_: seen.append(params["Filters"][-1]["Value"]),
        )
        calls.price_list(of, "us-east-1", types)
    assert max(map(len, seen)) < 1024
    assert sorted(",".join(seen).split(",")) == sorted(types)


def test_the_spot_history_starts_now() -> None:
    row = {
        "AvailabilityZone": "us-east-1a",
        "AvailabilityZoneId": "use1-az6",
        "InstanceType": "g6.xlarge",
        "ProductDescription": "Linux/UNIX",
        "SpotPrice": "0.361200",
        "Timestamp": NOW,
    }
    told = stubbed(
        "ec2",
        "describe_spot_price_history",
        {"SpotPriceHistory": [row], "NextToken": ""},
        {
            "InstanceTypes": ["g6.xlarge"],
            "ProductDescriptions": ["Linux/UNIX"],
            "StartTime": NOW,
            "MaxResults": 1000,
        },
        lambda ec2: calls.spot_history(ec2, ["g6.xlarge"], NOW),
    )
    prices = read_spot_history(told, "us-east-1").by_zone_and_type
    assert prices["use1-az6", "g6.xlarge"].usd_per_hour == Decimal("0.361200")


def test_placement_scores_are_asked_of_ten_regions_at_a_time() -> None:
    regions = [f"eu-west-{n}" for n in range(1, 13)]
    of = client("ec2")
    common = {
        "InstanceTypes": ["a.large", "b.large", "c.large"],
        "TargetCapacity": 1,
        "SingleAvailabilityZone": True,
        "MaxResults": 100,
        "RegionNames": ANY,
    }
    score = {"Region": "eu-west-1", "AvailabilityZoneId": "euw1-az1", "Score": 7}
    with Stubber(of) as stub:
        stub.add_response("get_spot_placement_scores", {"SpotPlacementScores": [score], **IDS}, common)
        stub.add_response("get_spot_placement_scores", {"SpotPlacementScores": [], **IDS}, common)
        told = calls.placement_scores(of, ["c.large", "a.large", "b.large"], regions)
        stub.assert_no_pending_responses()
    assert told == [score]


def test_capacity_blocks_are_asked_for_one_instance_and_two_weeks() -> None:
    block = {"InstanceType": "p5.48xlarge", "UpfrontFee": "996.67", "CapacityBlockDurationHours": 24}
    told = stubbed(
        "ec2",
        "describe_capacity_block_offerings",
        {"CapacityBlockOfferings": [block]},
        {
            "InstanceType": "p5.48xlarge",
            "InstanceCount": 1,
            "CapacityDurationHours": 24,
            "StartDateRange": NOW,
            "EndDateRange": datetime(2026, 12, 9, 12, tzinfo=UTC),
            "MaxResults": 100,
        },
        lambda ec2: calls.capacity_blocks(ec2, "p5.48xlarge", 24, NOW),
    )
    assert told == [block]


@pytest.mark.parametrize(
    ("service", "operation", "answer", "asked", "call", "wanted"),
    [
        (
            "ec2",
            "describe_instance_type_offerings",
            {"InstanceTypeOfferings": [{"InstanceType": "g6.xlarge", "Location": "use1-az6"}]},
            {"LocationType": "availability-zone-id", "Filters": FAMILIES, "MaxResults": 1000},
            calls.offered_types,
            {"g6.xlarge": ("use1-az6",)},
        ),
        (
            "ec2",
            "describe_instance_types",
            {"InstanceTypes": [{"InstanceType": "g6.xlarge"}]},
            {"InstanceTypes": ["g6.xlarge"]},
            lambda ec2: calls.described_types(ec2, ["g6.xlarge"]),
            [{"InstanceType": "g6.xlarge"}],
        ),
        (
            "ec2",
            "describe_instances",
            {"Reservations": [{"Instances": [{"InstanceId": "i-1"}]}]},
            {
                "Filters": [*FAMILIES, {"Name": "instance-state-name", "Values": ["pending", "running"]}],
                "MaxResults": 1000,
            },
            calls.running_instances,
            [{"InstanceId": "i-1"}],
        ),
        (
            "service-quotas",
            "list_service_quotas",
            {"Quotas": [{"QuotaName": "x", "Value": 1.0}]},
            {"ServiceCode": "ec2", "MaxResults": 100},
            calls.service_quotas,
            [{"QuotaName": "x", "Value": 1.0}],
        ),
        ("ec2", "describe_regions", {"Regions": [{"RegionName": "a"}]}, {}, calls.enabled_regions, ("a",)),
        ("sts", "get_caller_identity", {"Account": "123456789012"}, {}, calls.caller, "123456789012"),
    ],
)  # fmt: skip
def test_a_request_is_one_that_aws_understands(
    service: str, operation: str, answer: Any, asked: Any, call: Callable[[Any], Any], wanted: Any
) -> None:
    assert stubbed(service, operation, answer, asked, call) == wanted


def test_an_answer_without_a_request_id_is_none_of_aws() -> None:
    of = client("ec2")
    with Stubber(of) as stub:
        stub.add_response("describe_regions", {"Regions": []}, {})
        with pytest.raises(calls.NonsenseError, match="without a request id"):
            calls.enabled_regions(of)


def test_a_price_list_in_the_documented_form_is_read() -> None:
    """Three rows of one type: an ordinary instance, a reservation at 0, a dedicated one."""
    rows = json.loads((Path(__file__).parent / "aws_price_list.json").read_text(encoding="utf-8"))[
        "PriceList"
    ]
    prices = read_price_list(rows, "us-east-1", NOW)
    assert {n: p.usd_per_hour for n, p in prices.by_type.items()} == {"g6.xlarge": Decimal("0.8048000000")}
    assert prices.refusals == ()
