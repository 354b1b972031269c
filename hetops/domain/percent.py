"""How a share is written as per cent, in whatever text: a blank before the sign. Decides no number of decimals."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # as in `units.py`: loading decimals takes milliseconds
    from decimal import Decimal


def percent(share: float | Decimal, decimals: int = 0) -> str:
    """`12 %` of a share of 0.12, or `12.00 %`."""
    return f"{share:.{decimals}%}".replace("%", " %")


def signed_percent(change: float | Decimal, decimals: int = 0) -> str:
    """A relative change with its sign: `+22 %`, `-1.5 %`."""
    return f"{change:+.{decimals}%}".replace("%", " %")
