"""Edge: the requests that AWS is asked, each bounded by filters and paged. Decides nothing about the answers.

A client is boto3's for one service of one region; the answers are its plain dicts. What the IAM policy must allow
stands beside each call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from hetops_aws.prices import PRICE_LIST_FILTERS, SPOT_PRODUCT

Rows = list[dict[str, Any]]

_GPU_FAMILIES = ("p*", "g*")
"""NVIDIA GPUs are in the families whose names begin so; what else does is found out by its description."""

_PAGE = 100
_BIG_PAGE = 1000
_MOST_TYPES_A_REQUEST = 100
_MOST_FILTER_CHARACTERS = 1024
_MOST_REGIONS_A_SCORE = 10
_BLOCK_SEARCH = timedelta(days=14)


class NonsenseError(Exception):
    """An answer that is none of AWS's: a proxy's page, or half a document."""


def enabled_regions(ec2: Any) -> tuple[str, ...]:
    """Every region that the account may use. ec2:DescribeRegions."""
    answer = _own(ec2.describe_regions())
    return tuple(sorted(str(r["RegionName"]) for r in answer.get("Regions", ())))


def offered_types(ec2: Any) -> dict[str, tuple[str, ...]]:
    """The zone ids in which each GPU instance type is offered. ec2:DescribeInstanceTypeOfferings."""
    rows = _paged(
        ec2,
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        _BIG_PAGE,
        LocationType="availability-zone-id",
        Filters=[{"Name": "instance-type", "Values": list(_GPU_FAMILIES)}],
    )
    zones: dict[str, set[str]] = {}
    for row in rows:
        zones.setdefault(str(row["InstanceType"]), set()).add(str(row["Location"]))
    return {name: tuple(sorted(where)) for name, where in zones.items()}


def described_types(ec2: Any, types: Sequence[str]) -> Rows:
    """The descriptions of instance types, which are the same in every region. ec2:DescribeInstanceTypes."""
    return [
        row
        for some in _chunks(sorted(types), _MOST_TYPES_A_REQUEST)
        for row in _own(ec2.describe_instance_types(InstanceTypes=list(some))).get("InstanceTypes", ())
    ]


def price_list(pricing: Any, region: str, types: Sequence[str]) -> list[str]:
    """The rows of the price list for ordinary instances of these types, JSON strings. pricing:GetProducts."""
    filters = [{"Type": "TERM_MATCH", "Field": f, "Value": v} for f, v in PRICE_LIST_FILTERS.items()]
    filters.append({"Type": "TERM_MATCH", "Field": "regionCode", "Value": region})
    rows: list[str] = []
    for some in _joined(sorted(types)):
        wanted = {"Type": "ANY_OF", "Field": "instanceType", "Value": some}
        asked = {"ServiceCode": "AmazonEC2", "FormatVersion": "aws_v1", "Filters": [*filters, wanted]}
        rows.extend(_paged(pricing, "get_products", "PriceList", _PAGE, **asked))
    return rows


def spot_history(ec2: Any, types: Sequence[str], now: datetime) -> Rows:
    """The spot price of each type in each zone now. ec2:DescribeSpotPriceHistory.

    A history that starts now holds exactly the price in force.
    """
    return _paged(
        ec2,
        "describe_spot_price_history",
        "SpotPriceHistory",
        _BIG_PAGE,
        InstanceTypes=sorted(types),
        ProductDescriptions=[SPOT_PRODUCT],
        StartTime=now,
    )


def service_quotas(quotas: Any) -> Rows:
    """The account's quotas of EC2 in the region. servicequotas:ListServiceQuotas."""
    return _paged(quotas, "list_service_quotas", "Quotas", _PAGE, ServiceCode="ec2")


def running_instances(ec2: Any) -> Rows:
    """The GPU instances that hold quota in the region. ec2:DescribeInstances."""
    filters = [
        {"Name": "instance-type", "Values": list(_GPU_FAMILIES)},
        {"Name": "instance-state-name", "Values": ["pending", "running"]},
    ]
    reservations = _paged(ec2, "describe_instances", "Reservations", _BIG_PAGE, Filters=filters)
    return [instance for r in reservations for instance in r.get("Instances", ())]


def placement_scores(ec2: Any, types: Sequence[str], regions: Sequence[str]) -> Rows:
    """How likely a spot instance of any of the types is to be had in each zone. ec2:GetSpotPlacementScores."""
    asked = {"InstanceTypes": sorted(types), "TargetCapacity": 1, "SingleAvailabilityZone": True}
    return [
        row
        for some in _chunks(sorted(regions), _MOST_REGIONS_A_SCORE)
        for row in _paged(
            ec2,
            "get_spot_placement_scores",
            "SpotPlacementScores",
            _PAGE,
            **asked,
            RegionNames=list(some),
        )
    ]


def capacity_blocks(ec2: Any, instance_type: str, hours: int, now: datetime) -> Rows:
    """The blocks of one instance that begin within two weeks. ec2:DescribeCapacityBlockOfferings."""
    return _paged(
        ec2,
        "describe_capacity_block_offerings",
        "CapacityBlockOfferings",
        _PAGE,
        InstanceType=instance_type,
        InstanceCount=1,
        CapacityDurationHours=hours,
        StartDateRange=now,
        EndDateRange=now + _BLOCK_SEARCH + timedelta(hours=hours),
    )


def caller(sts: Any) -> str:
    """The account that the credentials are of. sts:GetCallerIdentity, which nobody can be denied."""
    return str(_own(sts.get_caller_identity())["Account"])


def _paged(client: Any, operation: str, key: str, page: int, **asked: Any) -> list[Any]:
    """All rows of a paged answer."""
    pages = client.get_paginator(operation).paginate(**asked, PaginationConfig={"PageSize": page})
    return [row for answer in pages for row in _rows(_own(answer), key)]


def _rows(answer: dict[str, Any], key: str) -> Iterable[Any]:
    rows = answer.get(key)
    if rows is None:
        raise NonsenseError(f"an answer without {key}")
    return list(rows)


def _own(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer, if AWS gave it: every one of its answers carries the id of its request."""
    if not answer.get("ResponseMetadata", {}).get("RequestId"):
        raise NonsenseError("an answer without a request id")
    return answer


def _joined(names: Sequence[str]) -> Iterator[str]:
    """The names with commas, in as few values as the price list takes."""
    value = ""
    for name in names:
        if len(value) + 1 + len(name) > _MOST_FILTER_CHARACTERS:
            yield value
            value = ""
        value += f",{name}" if value else name
    if value:
        yield value


def _chunks(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (names[at : at + size] for at in range(0, len(names), size))
