"""Machine types as GPUs, cores, memory and bundled SSD: what one is made of, and on which terms it is sold. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hetops.plugin import Market, Refusal
from hetops_gcp.skus import SLICES

CANONICAL: Mapping[str, str] = {
    "nvidia-tesla-t4": "T4",
    "nvidia-tesla-v100": "V100-16GB-SXM2",
    "nvidia-l4": "L4",
    "nvidia-tesla-a100": "A100-40GB-SXM",
    "nvidia-a100-80gb": "A100-80GB-SXM",
    "nvidia-h100-80gb": "H100-SXM",
    "nvidia-h100-mega-80gb": "H100-SXM",
    "nvidia-h200-141gb": "H200-SXM",
    "nvidia-b200": "B200",
    "nvidia-gb200": "GB200",
    "nvidia-rtx-pro-6000": "RTXPRO6000-Server",
}
"""Accelerator type to canonical GPU: exact matches only."""

WORKSTATION = "-vws"
"""Ends the twins of accelerators that are rented with a licence for virtual workstations."""

_NVLINK = frozenset(
    {"V100-16GB-SXM2", "A100-40GB-SXM", "A100-80GB-SXM", "H100-SXM", "H200-SXM", "B200", "GB200"}
)

_GIB_OF_AN_SSD = 375
_MIB_OF_A_GIB = 1024
_CORES_OF_A_G4 = 48
"""A g4 with fewer for its GPU has a fraction of one, though the API counts it as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Machine types of one make. `priced_as` names the SKUs of their cores and memory."""

    prefix: str
    priced_as: str
    least_on_demand: int = 1
    """GPUs below which Google sells it on the spot market only."""
    not_on_demand: str = ""
    """Why it is never sold on demand; empty where it is."""


SERIES = (
    Series(prefix="a2-", priced_as="A2"),
    Series(prefix="a3-highgpu-", priced_as="A3", least_on_demand=8),
    Series(prefix="a3-edgegpu-", priced_as="A3"),
    Series(prefix="a3-megagpu-", priced_as="A3Plus"),
    Series(
        prefix="a3-ultragpu-",
        priced_as="A3Ultra",
        not_on_demand="sold on the spot market and by reservation, not on demand",
    ),
    Series(
        prefix="a4-highgpu-",
        priced_as="",
        not_on_demand="sold on the spot market and by reservation, not on demand",
    ),
    Series(prefix="g2-standard-", priced_as="G2"),
    Series(prefix="g4-standard-", priced_as="G4"),
)
"""https://cloud.google.com/compute/docs/accelerator-optimized-machines"""

RESERVED_ONLY = ("a4x-",)

_SSDS: Mapping[str, int] = {
    "a2-ultragpu-1g": 1,
    "a2-ultragpu-2g": 2,
    "a2-ultragpu-4g": 4,
    "a2-ultragpu-8g": 8,
    "a3-highgpu-1g": 2,
    "a3-highgpu-2g": 4,
    "a3-highgpu-4g": 8,
    "a3-highgpu-8g": 16,
    "a3-edgegpu-8g": 16,
    "a3-megagpu-8g": 16,
    "a3-ultragpu-8g": 32,
}
"""SSDs of 375 GiB that come with a machine type, where the API does not say (`bundledLocalSsds`).
https://cloud.google.com/compute/docs/disks/local-ssd#lssd_disks_fixed"""

ATTACHED: Mapping[str, tuple[tuple[str, int], ...]] = {
    "nvidia-tesla-t4": (
        ("n1-standard-4", 1),
        ("n1-standard-8", 1),
        ("n1-standard-8", 2),
        ("n1-standard-16", 4),
    ),
    "nvidia-tesla-v100": (
        ("n1-standard-8", 1),
        ("n1-standard-16", 2),
        ("n1-standard-32", 4),
        ("n1-standard-64", 8),
    ),
}
"""Hosts and counts of GPUs that are attached to machines of the N1 series, which have none of their own."""

_N1 = Series(prefix="n1-standard-", priced_as="N1 Predefined")
_ZONE = re.compile(r"zones/([a-z0-9-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine type in one zone."""

    sku: str
    """Its name; with attached GPUs `n1-standard-8+2xT4`."""
    machine_type: str
    zone: str
    series: Series
    accelerator: str
    gpu_count: int
    vcpu: int
    memory_gib: float
    ssd_gib: int
    arm: bool

    @property
    def region(self) -> str:
        """The zone without its letter."""
        return region_of(self.zone)

    @property
    def gpu(self) -> str:
        """The canonical GPU."""
        return CANONICAL[self.accelerator]

    @property
    def nvlink(self) -> bool:
        """Whether its GPUs talk over NVLink: no API says so, the form factor does."""
        return self.gpu_count > 1 and self.gpu in _NVLINK

    @property
    def all_in_one(self) -> bool:
        """Whether the SKU of its GPU holds everything else."""
        return self.accelerator in SLICES

    def not_sold(self, market: Market) -> str:
        """Why it is not sold on a market; empty where it is."""
        if market is not Market.ON_DEMAND:
            return ""
        if self.gpu_count < self.series.least_on_demand:
            return f"below {self.series.least_on_demand} GPUs not sold on demand"
        return self.series.not_on_demand


def region_of(zone: str) -> str:
    """`europe-west4` of `europe-west4-a`."""
    return zone.rpartition("-")[0]


def zone_of(url: str) -> str:
    """The zone that a URL or the key of an aggregated list names."""
    found = _ZONE.search(url)
    return found.group(1) if found else url


def machines_of(
    rows: Mapping[str, list[Any]], accelerators: Mapping[str, list[Any]]
) -> Iterator[Machine | Refusal]:
    """The machines with GPUs of every zone, and those that are no offer. Both lists are by zone."""
    for zone, types in sorted(rows.items()):
        read = [found for row in types if (found := _read(row, zone)) is not None]
        hosts = {one.machine_type: one for one in read if isinstance(one, Machine) and one.series is _N1}
        yield from (one for one in read if not isinstance(one, Machine) or one.series is not _N1)
        yield from _with_attached(hosts, accelerators.get(zone, []))


def _read(row: Any, zone: str) -> Machine | Refusal | None:
    """A row of a zone; None where it has no GPU, or nobody may begin to use it."""
    try:
        name, cores, memory = str(row["name"]), int(row["guestCpus"]), int(row["memoryMb"])
        gpus = row.get("accelerators") or []
        if row.get("deprecated", {}).get("state") in ("DEPRECATED", "OBSOLETE", "DELETED"):
            return None
        host = Machine(
            sku=name,
            machine_type=name,
            zone=zone,
            series=_N1,
            accelerator="",
            gpu_count=0,
            vcpu=cores,
            memory_gib=memory / _MIB_OF_A_GIB,
            ssd_gib=_ssds(row) * _GIB_OF_AN_SSD,
            arm=row.get("architecture") == "ARM64",
        )
        if not gpus:
            return host if name.startswith(_N1.prefix) else None
        return _accelerated(
            host, str(gpus[0]["guestAcceleratorType"]), int(gpus[0]["guestAcceleratorCount"]), len(gpus)
        )
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        return Refusal(subject="gcp machine type", reason=f"it cannot be understood: {fault!r}"[:160])


def _accelerated(host: Machine, accelerator: str, count: int, kinds: int) -> Machine | Refusal:
    name = host.machine_type
    if name.startswith(RESERVED_ONLY):
        return Refusal(subject=f"gcp {name}", reason="sold by reservation only")
    if kinds > 1 or count < 1:
        return Refusal(subject=f"gcp {name}", reason="has GPUs of several kinds, or an unknown count")
    if accelerator not in CANONICAL:
        return Refusal(subject=f"gcp {name}", reason=f"no GPU type is known for {accelerator}")
    series = next((s for s in SERIES if name.startswith(s.prefix)), None)
    if series is None:
        return Refusal(subject=f"gcp {name}", reason="nobody knows how this series is priced")
    if series.priced_as == "G4" and host.vcpu < _CORES_OF_A_G4 * count:
        return Refusal(subject=f"gcp {name}", reason="a fraction of a GPU, or an unknown count")
    return replace(host, series=series, accelerator=accelerator, gpu_count=count)


def _ssds(row: Mapping[str, Any]) -> int:
    told = row.get("bundledLocalSsds")
    return int(told["partitionCount"]) if told else _SSDS.get(str(row["name"]), 0)


def _with_attached(hosts: Mapping[str, Machine], accelerators: list[Any]) -> Iterator[Machine | Refusal]:
    for row in accelerators:
        name = row.get("name") if isinstance(row, Mapping) else None
        if not isinstance(name, str):
            yield Refusal(subject="gcp accelerator type", reason=f"it cannot be understood: {row!r}"[:160])
        elif not name.endswith(WORKSTATION) and name not in CANONICAL:
            yield Refusal(subject=f"gcp {name}", reason="no GPU type is known by this name")
        for host, count in ATTACHED.get(str(name), ()):
            if host in hosts:
                sku = f"{host}+{count}x{CANONICAL[str(name)].partition('-')[0]}"
                yield replace(hosts[host], sku=sku, accelerator=str(name), gpu_count=count)
