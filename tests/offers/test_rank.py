"""What money buys is arithmetic on the catalogue's figures, and decides the order of offers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hetops.catalog import tables
from hetops.offers.rank import Order, grouped, ranked
from tests.doubles.providers import live_offer

GPUS = {g.name: g for g in tables.load().gpu_types}
H100 = live_offer("a", "eight", "24.00", gpu_count=8, extra_usd_per_hour=Decimal("0.80"))
L4 = live_offer("b", "one", "0.60", gpu="L4")
T4 = live_offer("b", "two", "0.70", gpu="T4", gpu_count=2)


def test_prices_are_per_gpu_and_per_what_a_gpu_has() -> None:
    (priced,) = ranked([H100], GPUS, Order.GPU)
    assert priced.usd_per_gpu_hour == Decimal("3.10")
    assert priced.usd_per_gb_hour == pytest.approx(3.10 / 80)
    assert priced.usd_per_tflops_hour == pytest.approx(3.10 / GPUS["H100-SXM"].fp16_tflops)
    assert priced.usd_per_tb_per_second_hour == pytest.approx(3.10 / 3.35)


@pytest.mark.parametrize(
    ("order", "first"),
    [(Order.NODE, L4), (Order.GPU, T4), (Order.MEMORY, T4), (Order.COMPUTE, H100), (Order.BANDWIDTH, H100)],
)
def test_each_order_has_its_own_first(order: Order, first) -> None:
    assert ranked([H100, L4, T4], GPUS, order)[0].offer == first
    assert ranked([T4, L4, H100], GPUS, order) == ranked([H100, L4, T4], GPUS, order)


def test_groups_tell_the_cheapest_the_dearest_and_from_whom() -> None:
    dear = live_offer("c", "dear", "0.90", gpu="L4")
    first, second = grouped(ranked([dear, H100, L4], GPUS, Order.GPU))
    assert (first.gpu, first.offers, first.providers, first.cheapest.offer) == ("L4", 2, ("b", "c"), L4)
    assert first.highest_usd_per_gpu_hour == Decimal("0.90")
    assert second.gpu == "H100-SXM"
