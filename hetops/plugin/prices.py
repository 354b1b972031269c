"""A provider's price as dollars, or the reason why it is none. Pure; the same words for the same cause everywhere."""

from __future__ import annotations

from decimal import Decimal

CENTS = Decimal("0.01")
"""The unit of prices that come in cents."""


def usd(value: object, *, unit: Decimal = Decimal(1), currency: object = "USD") -> Decimal:
    """The price; `unit` is what one of `value` is worth in dollars.

    Raises:
        ValueError: it is missing, no number, zero, negative, or in another currency.
    """
    if currency != "USD":
        raise ValueError(f"its price is in {currency}, not in USD")
    if value is None or value == "":
        raise ValueError("it has no price")
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"its price is {str(value)[:40]!r}, which is no number")
    price = value * unit
    if price == 0:
        raise ValueError("a price of zero means that it is not sold")
    if price < 0:
        raise ValueError("its price is below zero")
    return price
