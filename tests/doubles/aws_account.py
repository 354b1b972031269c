"""What the AWS double rents out: instance types captured from EC2, list prices of the catalogue, and traps in files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from moto.utilities.utils import load_resource

from hetops.catalog.tables import rows
from tests.doubles.fake_api import FaultKind

KEY = "AKIAFAKE4F1D9C27E0B8"
SECRET = "fake-secret-4f1d9c27e0b86a53"
TOKEN = "fake-session-token-4f1d9c27e0b86a53"
"""The credentials that the double takes. Tests look for the last two where no secret may be."""

REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
FOLDER = Path(__file__).parent / "aws_scenarios"
_SHORT = {"northeast": "ne", "southeast": "se"}
QUOTAS: Mapping[str, float] = {
    "Running On-Demand P instances": 384,
    "Running On-Demand G and VT instances": 768,
    "All G and VT Spot Instance Requests": 256,
    "All P4, P3 and P2 Spot Instance Requests": 192,
    "All P5 Spot Instance Requests": 192,
    "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances": 1152,
    "EC2-VPC Elastic IPs": 5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsFault:
    """A fault of the requests of that action and region, so many `times`; empty means every one."""

    kind: FaultKind
    action: str = ""
    region: str = ""
    times: int = 1_000_000
    seconds: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """An action that the policy does not allow, in some regions or all."""

    action: str
    regions: tuple[str, ...] = ()
    code: str = ""
    """An error code of AWS in place of the plain refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsScenario:
    """What the account sees. Prices and types replace or add to what the catalogue and the capture hold."""

    regions: tuple[str, ...] = REGIONS
    only_types: tuple[str, ...] = ()
    """Empty: every GPU type of the capture."""
    zone_count: int = 3
    types: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Descriptions laid over those of the capture, or of types of their own."""
    not_offered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    extra_zones: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Local zones and the like, where every type is offered as well."""
    on_demand: Mapping[str, str | None] = field(default_factory=dict)
    """Prices by type, in every region; null takes the row away."""
    price_rows: tuple[Any, ...] = ()
    """Rows of the price list as they are: objects, or strings where they are spoilt."""
    reserved_terms: int = 2
    spot_share: float = 0.4
    """Of the on-demand price; each zone of a region is a little dearer than the one before."""
    spot_rows: tuple[Mapping[str, Any], ...] = ()
    """Rows of the spot history that come beside the others."""
    quotas: Mapping[str, float] = field(default_factory=lambda: QUOTAS)
    running: tuple[Mapping[str, Any], ...] = ()
    """Instances that run in every region."""
    blocks: tuple[Mapping[str, Any], ...] = ()
    scores: Mapping[str, int] = field(default_factory=dict)
    denied: tuple[Denied, ...] = ()
    faults: tuple[AwsFault, ...] = ()
    page: int = 1000
    """The most rows of one page, whatever is asked."""

    def zones(self, region: str) -> tuple[str, ...]:
        """The ids of the region's zones: `use1-az1`, ..."""
        area, *middle, number = region.split("-")
        short = area + "".join(_SHORT.get(m, m[0]) for m in middle) + number
        return tuple(f"{short}-az{n + 1}" for n in range(self.zone_count))

    def described(self) -> dict[str, Mapping[str, Any]]:
        """Every GPU instance type by name."""
        names = self.only_types or tuple(n for n in captured() if "GpuInfo" in captured()[n])
        found: dict[str, Mapping[str, Any]] = {name: captured()[name] for name in names}
        for name, over in self.types.items():
            found[name] = {"InstanceType": name, **found.get(name, captured()["g6.xlarge"]), **over}
            found[name] = {**found[name], "InstanceType": name}
        return found

    def price(self, instance_type: str) -> str | None:
        """The on-demand price, None where the type is not sold so."""
        return self.on_demand.get(instance_type, listed().get(instance_type))


@cache
def captured() -> dict[str, Any]:
    """EC2's answer to DescribeInstanceTypes, as moto carries it."""
    return dict(load_resource("ec2/resources/instance_types.json"))


@cache
def listed() -> dict[str, str]:
    """On-demand prices of the catalogue's snapshot."""
    return {
        row["instance_type"]: row["list_price_usd_per_hour"]
        for row in rows("instance_types")
        if row["provider"] == "aws" and row["list_price_usd_per_hour"]
    }


def scenario(name: str) -> AwsScenario:
    """The scenario of that name, or of that file."""
    if name == "plain":
        return AwsScenario()
    path = Path(name) if name.endswith(".json") else FOLDER / f"{name}.json"
    try:
        return msgspec.convert(json.loads(path.read_text(encoding="utf-8")), AwsScenario)
    except (OSError, ValueError) as fault:
        known = ", ".join(("plain", *sorted(each.stem for each in FOLDER.glob("*.json"))))
        raise SystemExit(f"no scenario {name}: {fault}; there are {known}") from fault
