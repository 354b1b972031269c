"""`[providers.aws]` of the spec, checked. Decides what the words mean; reads nothing and knows no SDK."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from hetops.plugin import Market, ProviderError, invalid_setting, nearest, refuse_unknown

PROVIDER = "aws"

SERVICES = ("ec2", "pricing", "service-quotas", "sts")
"""What is asked, by boto3's names."""

MARKETS = (Market.ON_DEMAND, Market.SPOT, Market.CAPACITY_BLOCK)

_OWN = (
    "regions",
    "profile",
    "markets",
    "home_region",
    "placement_scores",
    "capacity_block_hours",
    "endpoints",
)
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")
_PATTERN = re.compile(r"[a-z0-9*?-]+")
_INSTANCE_TYPE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
_OTHER_PARTITIONS = ("cn-", "us-gov-", "us-iso")
_LEAST_SCORED = 3
_MOST_BLOCK_HOURS = 182 * 24


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSettings:
    """Where and how AWS is asked. No `regions` means every region that the account has enabled."""

    regions: tuple[str, ...] = ()
    """Names, or patterns with `*` and `?`."""
    profile: str = ""
    """A profile of the AWS configuration files; empty leaves the choice to boto3 (AWS_PROFILE, then default)."""
    markets: tuple[Market, ...] = (Market.ON_DEMAND, Market.SPOT)
    home_region: str = "us-east-1"
    """Where what holds for the whole account is asked."""
    placement_scores: tuple[str, ...] = ()
    """Instance types whose spot placement score is asked, as one group: an account has few such questions a day, and
    AWS always answers a low score for less than three types."""
    capacity_block_hours: int = 24
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Base URLs by service, in place of AWS's own: a proxy of the company, or a double."""

    @property
    def names_regions(self) -> bool:
        """Whether the regions are told by name alone, so that nobody need list them."""
        return bool(self.regions) and not any({"*", "?"} & set(r) for r in self.regions)

    @property
    def pricing_region(self) -> str:
        """The nearest of the three regions that serve the price list of all."""
        area = self.home_region.partition("-")[0]
        return {"eu": "eu-central-1", "ap": "ap-south-1"}.get(area, "us-east-1")


def read_settings(given: Mapping[str, Any]) -> AwsSettings:
    """The settings of a table, with their defaults.

    Raises:
        ProviderError: of kind invalid, naming the field.
    """
    refuse_unknown(PROVIDER, given, _OWN)
    default = AwsSettings()
    return AwsSettings(
        regions=_regions(given),
        profile=_text(given, "profile", default.profile),
        markets=_markets(given) or default.markets,
        home_region=_home_region(given, default.home_region),
        placement_scores=_instance_types(given),
        capacity_block_hours=_hours(given, default.capacity_block_hours),
        endpoints=_endpoints(given),
    )


def _texts(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = given.get(name, ())
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) and v for v in value):
        raise _invalid(name, f"must be a list of names, not {value!r}")
    return tuple(dict.fromkeys(value))


def _text(given: Mapping[str, Any], name: str, default: str) -> str:
    value = given.get(name, default)
    if not isinstance(value, str) or (name in given and not value):
        raise _invalid(name, f"must be a name, not {value!r}")
    return value


def _regions(given: Mapping[str, Any]) -> tuple[str, ...]:
    regions = _texts(given, "regions")
    for at, region in enumerate(regions):
        where = f"regions[{at}]"
        plain = _REGION.fullmatch(region) or (("*" in region or "?" in region) and _PATTERN.fullmatch(region))
        if not plain:
            raise _invalid(where, f"{region!r} is no region", "write it as eu-west-1, or as a pattern: eu-*")
        _of_this_partition(where, region)
    return regions


def _home_region(given: Mapping[str, Any], default: str) -> str:
    region = _text(given, "home_region", default)
    if not _REGION.fullmatch(region):
        raise _invalid("home_region", f"{region!r} is no region", "write it as eu-west-1")
    _of_this_partition("home_region", region)
    return region


def _of_this_partition(where: str, region: str) -> None:
    if region.startswith(_OTHER_PARTITIONS):
        what = "lies in a partition with accounts and prices of its own, which this provider does not read"
        raise _invalid(where, f"{region} {what}", f"remove {region}")


def _markets(given: Mapping[str, Any]) -> tuple[Market, ...]:
    names = _texts(given, "markets")
    for at, name in enumerate(names):
        if name not in MARKETS:
            near = nearest(name, MARKETS, most=1)
            known = f"known are {', '.join(MARKETS)}"
            hint = f"did you mean {near[0]!r}?" if near else known
            raise _invalid(f"markets[{at}]", f"{name!r} is no market of AWS", hint)
    return tuple(Market(name) for name in names)


def _instance_types(given: Mapping[str, Any]) -> tuple[str, ...]:
    types = _texts(given, "placement_scores")
    for at, name in enumerate(types):
        if not _INSTANCE_TYPE.fullmatch(name):
            raise _invalid(f"placement_scores[{at}]", f"{name!r} is no instance type", "write p5.48xlarge")
    if types and len(types) < _LEAST_SCORED:
        what = f"AWS scores groups of instance types: name at least {_LEAST_SCORED} that would do"
        raise _invalid("placement_scores", what)
    return types


def _hours(given: Mapping[str, Any], default: int) -> int:
    hours = given.get("capacity_block_hours", default)
    if type(hours) is not int or not 1 <= hours <= _MOST_BLOCK_HOURS:
        what = f"must be whole hours from 1 to {_MOST_BLOCK_HOURS}, not {hours!r}"
        raise _invalid("capacity_block_hours", what)
    return hours


def _endpoints(given: Mapping[str, Any]) -> dict[str, str]:
    table = given.get("endpoints", {})
    if not isinstance(table, Mapping):
        raise _invalid("endpoints", f"must be a table of URLs by service, not {table!r}")
    for service, url in table.items():
        if service not in SERVICES:
            hint = f"services are {', '.join(SERVICES)}"
            raise _invalid(f"endpoints.{service}", "no service that is asked", hint)
        if not _is_base_url(url):
            raise _invalid(f"endpoints.{service}", "must be an http or https URL without a password in it")
    return dict(table)


def _is_base_url(url: object) -> bool:
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        return False
    return (
        parts is not None
        and parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and parts.password is None
    )


def _invalid(field_name: str, problem: str, hint: str = "") -> ProviderError:
    change = f"change {field_name.partition('[')[0]} under [providers.{PROVIDER}]"
    return invalid_setting(PROVIDER, field_name, problem, hint=hint or change)
