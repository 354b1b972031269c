"""What an offer's money buys, and the order in which offers are shown. Pure; chooses nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from hetops.domain.gpu import GpuType
from hetops.domain.offer import Offer


class Order(StrEnum):
    """By which price offers are sorted, cheapest first."""

    NODE = "node"
    GPU = "gpu"
    MEMORY = "memory"
    COMPUTE = "compute"
    BANDWIDTH = "bandwidth"


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedOffer:
    """An offer with its price per hour of one GPU, of a GB of memory, of a dense 16-bit TFLOPS, of a TB/s."""

    offer: Offer
    usd_per_gpu_hour: Decimal
    usd_per_gb_hour: float
    usd_per_tflops_hour: float
    usd_per_tb_per_second_hour: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuGroup:
    """All offers of one GPU type: the cheapest in the order asked for, how many there are, and from whom."""

    gpu: str
    cheapest: PricedOffer
    offers: int
    providers: tuple[str, ...]
    highest_usd_per_gpu_hour: Decimal


def ranked(
    offers: Iterable[Offer], gpu_types: Mapping[str, GpuType], order: Order
) -> tuple[PricedOffer, ...]:
    """The offers with what their money buys, cheapest first; equal ones by price of the node, then by id."""
    price = _PRICE[order]
    priced = (_priced(offer, gpu_types[offer.gpu]) for offer in offers)
    return tuple(sorted(priced, key=lambda p: (price(p), p.offer.total_usd_per_hour, p.offer.id)))


def grouped(offers: Iterable[PricedOffer]) -> tuple[GpuGroup, ...]:
    """The offers by GPU type, in the order of each type's first offer."""
    by_gpu: dict[str, list[PricedOffer]] = {}
    for priced in offers:
        by_gpu.setdefault(priced.offer.gpu, []).append(priced)
    return tuple(
        GpuGroup(
            gpu=gpu,
            cheapest=found[0],
            offers=len(found),
            providers=tuple(dict.fromkeys(p.offer.provider for p in found)),
            highest_usd_per_gpu_hour=max(p.usd_per_gpu_hour for p in found),
        )
        for gpu, found in by_gpu.items()
    )


def _priced(offer: Offer, gpu: GpuType) -> PricedOffer:
    per_gpu = offer.total_usd_per_hour / offer.gpu_count
    return PricedOffer(
        offer=offer,
        usd_per_gpu_hour=per_gpu,
        usd_per_gb_hour=float(per_gpu) / gpu.memory_gb,
        usd_per_tflops_hour=float(per_gpu) / gpu.fp16_tflops,
        usd_per_tb_per_second_hour=float(per_gpu) / gpu.bandwidth_gb_per_second * 1000.0,
    )


_PRICE: Mapping[Order, Callable[[PricedOffer], float]] = {
    Order.NODE: lambda p: float(p.offer.total_usd_per_hour),
    Order.GPU: lambda p: float(p.usd_per_gpu_hour),
    Order.MEMORY: lambda p: p.usd_per_gb_hour,
    Order.COMPUTE: lambda p: p.usd_per_tflops_hour,
    Order.BANDWIDTH: lambda p: p.usd_per_tb_per_second_hour,
}
