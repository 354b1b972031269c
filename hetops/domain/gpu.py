"""GPU type: a kind of accelerator with its memory, bandwidth and speeds. Facts are data in `catalog/`."""

from __future__ import annotations

from dataclasses import dataclass

from hetops.domain.units import BYTES_PER_GB, BYTES_PER_GIB

MIG_COMPUTE_SLICES = 7
"""Into so many at most MIG cuts the multiprocessors of a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSlice:
    """What NVIDIA's MIG cuts out of a GPU: its own multiprocessors, memory and bandwidth, isolated from its neighbours.

    Raises:
        ValueError: the profile is none, or a GPU would have more compute slices than MIG knows.
    """

    of: str
    """The GPU type that is cut."""
    profile: str
    """As `nvidia-smi mig` calls it: `3g.40gb` is three compute slices with 40 GB."""
    parts: int
    """So many of them one GPU is counted as. Any slices that add up to no more than the GPU can be placed on it together; a seventh
    `1g` that would find its place is not counted."""

    def __post_init__(self) -> None:
        compute, letter, _ = self.profile.partition("g.")
        if not letter or not compute.isdigit() or self.parts < 1:
            raise ValueError(f"slice of {self.of}: {self.profile!r} in {self.parts} parts is no MIG profile")
        if int(compute) * self.parts > MIG_COMPUTE_SLICES:
            raise ValueError(f"slice of {self.of}: {self.parts} of {self.profile} do not fit on one GPU")

    @property
    def name(self) -> str:
        """That of the slice as a GPU type of its own."""
        return f"{self.of}-{self.profile}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuType:
    """A kind of accelerator. Speeds are dense peaks; None where the hardware lacks the format.

    `name` is canonical and carries the form factor: H100-SXM is not H100-PCIe. The host core of the local provider
    is the GPU type `CPU`.
    """

    name: str
    vendor: str
    architecture: str
    compute_capability: str
    form_factor: str
    memory_gb: float
    """As the vendor prints it: GiB for HBM, GB for the rest."""
    memory_type: str = ""
    bandwidth_gb_per_second: float
    fp16_tflops: float
    bf16_tflops: float | None = None
    fp8_tflops: float | None = None
    int8_tops: float | None = None
    fp4_tflops: float | None = None
    units_tflops: float | None = None
    """What the matrix units would do in 16 bit where the vendor lets products that are summed in 32 bit have less: a GeForce's half."""
    interconnect: str
    interconnect_gb_per_second: float
    """Both directions together, per GPU."""
    devices: int = 1
    """Devices that software sees of one: an MI250 is two, each with half of its memory, bandwidth and speed."""
    board_watts: float | None = None
    """Power that one GPU may take; None where it is not known."""
    source: str = ""
    mig: GpuSlice | None = None
    """Where it is a slice of another GPU type."""

    def __post_init__(self) -> None:
        for field in ("memory_gb", "bandwidth_gb_per_second", "fp16_tflops", "interconnect_gb_per_second"):
            if not getattr(self, field) > 0:
                raise ValueError(f"GPU type {self.name}: {field} must be above zero")
        if self.devices < 1:
            raise ValueError(f"GPU type {self.name}: devices must be at least 1")

    @property
    def memory_bytes(self) -> float:
        """Memory that programs see: the nominal figure is GiB, of which 1 % is kept (81,920 MiB of an 80 GB A100, 32,607 of a 32 GB
        RTX 5090, 97,887 of a 96 GB RTX PRO 6000); the error correction of GDDR6 takes a sixteenth (22,888 of a 24 GB L4)."""
        whole = self.memory_type.startswith("HBM") or self.memory_type in ("GDDR6X", "GDDR7")
        return self.memory_gb * (BYTES_PER_GIB * 0.99 if whole else BYTES_PER_GB)

    @property
    def nvlink(self) -> bool:
        """Whether GPUs of this type talk over NVLink or Infinity Fabric rather than PCIe."""
        return "PCIe" not in self.interconnect

    @property
    def peer_to_peer(self) -> bool:
        """Whether GPUs of this type copy to one another; else what they exchange passes the host's memory."""
        return "host" not in self.interconnect
