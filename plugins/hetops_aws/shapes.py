"""Instance types as AWS describes them, and which GPU of the catalogue they hold. Pure; never guesses a GPU.

The number of GPUs is read from `GpuInfo`, never from the size in the name: a g7e.12xlarge has 2 where a g6e.12xlarge
has 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hetops.plugin import Refusal

_TOLERANCE = 0.02

_CANONICAL: tuple[tuple[str, int, str], ...] = (
    ("T4", 16_384, "T4"),
    ("A10G", 22_888, "A10G"),
    ("A10G", 24_576, "A10G"),
    ("L4", 22_888, "L4"),
    ("L4", 24_576, "L4"),
    ("L40S", 45_776, "L40S"),
    ("L40S", 49_152, "L40S"),
    ("V100", 16_384, "V100-16GB-SXM2"),
    ("V100", 32_768, "V100-32GB-SXM2"),
    ("A100", 40_960, "A100-40GB-SXM"),
    ("A100", 81_920, "A100-80GB-SXM"),
    ("H100", 81_920, "H100-SXM"),
    ("H200", 144_384, "H200-SXM"),
    ("NVIDIA", 144_384, "H200-SXM"),
    ("B200", 183_359, "B200"),
    ("B300", 275_040, "B300"),
    ("RTX PRO 4500", 32_768, "RTXPRO4500-Server"),
    ("RTX PRO Server 6000", 98_304, "RTXPRO6000-Server"),
)
"""Name and MiB of one GPU as DescribeInstanceTypes says them (captures of 2024 to 2026), and the canonical name.

Some cards were reported with their nominal memory first; p5e and p5en for a time with the name "NVIDIA".
"""

_FAMILY = re.compile(r"([a-z]+)(\d*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """An instance type. Facts of the type alone: they are the same in every region."""

    name: str
    gpu: str
    """Canonical, or where the table has none the name and memory that AWS gives it."""
    gpu_count: int
    vcpu: int
    memory_gib: float
    architecture: str
    usage_classes: frozenset[str]
    """`on-demand`, `spot`, `capacity-block`: what the type can be rented as, wherever it is."""

    @property
    def nvlink(self) -> bool:
        """Whether its GPUs talk over NVLink: those of the P family do, the G families are PCIe throughout."""
        return self.gpu_count > 1 and family(self.name) == "P"


def family(instance_type: str) -> str:
    """`P` of p5.48xlarge, `G` of g6e.xlarge, `GR` of gr6.4xlarge."""
    return _parts(instance_type)[0]


def generation(instance_type: str) -> str:
    """`P5` of p5en.48xlarge, `P6` of p6-b200.48xlarge."""
    return "".join(_parts(instance_type))


def read_shapes(rows: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Shape], tuple[Refusal, ...]]:
    """The instance types with whole GPUs by name, and why others are left out."""
    shapes: dict[str, Shape] = {}
    refusals: list[Refusal] = []
    for row in rows:
        try:
            shape = read_shape(row)
        except (LookupError, TypeError, ValueError, AttributeError):
            subject = f"aws {row.get('InstanceType', 'an unnamed type')}"
            shape = Refusal(subject=subject, reason="its description cannot be read")
        if isinstance(shape, Refusal):
            refusals.append(shape)
        elif shape is not None:
            shapes[shape.name] = shape
    return shapes, tuple(refusals)


def read_shape(described: Mapping[str, Any]) -> Shape | Refusal | None:
    """An instance type out of its description; None where it has no GPU.

    Raises:
        KeyError, TypeError, ValueError: the description lacks what every one has.
    """
    name = str(described["InstanceType"])
    gpus = described.get("GpuInfo", {}).get("Gpus", ())
    if not gpus:
        return None
    if len(gpus) > 1:
        return Refusal(subject=f"aws {name}", reason="has GPUs of several kinds")
    (gpu,) = gpus
    count = int(gpu.get("Count", 0))
    if count < 1 or float(gpu.get("GpuPartitionSize", 1)) < 1:
        return Refusal(subject=f"aws {name}", reason="a fraction of a GPU, or an unknown count")
    return Shape(
        name=name,
        gpu=canonical(str(gpu.get("Name", "")), int(gpu.get("MemoryInfo", {}).get("SizeInMiB", 0))),
        gpu_count=count,
        vcpu=int(described["VCpuInfo"]["DefaultVCpus"]),
        memory_gib=round(int(described["MemoryInfo"]["SizeInMiB"]) / 1024, 1),
        architecture=next(iter(described.get("ProcessorInfo", {}).get("SupportedArchitectures", ())), ""),
        usage_classes=frozenset(described.get("SupportedUsageClasses", ())),
    )


def canonical(name: str, mib: int) -> str:
    """The catalogue's name of a GPU; where the table has none, AWS's own with its memory, which no catalogue knows."""
    for known, size, gpu in _CANONICAL:
        if name == known and abs(mib - size) <= size * _TOLERANCE:
            return gpu
    return f"{name or 'unnamed GPU'} ({mib} MiB)"


def _parts(instance_type: str) -> tuple[str, str]:
    found = _FAMILY.match(instance_type)
    return (found.group(1).upper(), found.group(2)) if found else ("", "")
