"""Every conversion between units. Names carry their unit; only this module and providers' edges convert."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # who estimates needs the numbers alone, and loading decimals takes milliseconds
    from decimal import Decimal

HOURS_PER_MONTH = 730
"""Hours that make a month wherever hetops prints one (365 * 24 / 12)."""

HOURS_PER_DAY = 24

BYTES_PER_GB = 1e9
BYTES_PER_GIB = float(1 << 30)
MINUTES_PER_HOUR = 60.0
SECONDS_PER_HOUR = 3600.0
SECONDS_PER_MINUTE = 60.0


def usd_per_month(usd_per_hour: Decimal) -> Decimal:
    """Price of a month of 730 hours."""
    return usd_per_hour * HOURS_PER_MONTH


def usd_per_million_tokens(usd_per_hour: Decimal | float, tokens_per_second: float) -> float:
    """Cost of a million tokens at a steady rate; infinite where nothing is produced."""
    if tokens_per_second <= 0:
        return float("inf")
    return float(usd_per_hour) / (tokens_per_second * SECONDS_PER_HOUR) * 1e6
