"""What makes a thing that a provider hands over an offer. Asked of every answer, and by the contract suite.

Decides nothing about whether the offer is wanted.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from hetops.domain.offer import Offer

CLOCK_TOLERANCE = timedelta(hours=1)
"""How far a provider's clock may run ahead of ours before its times are nonsense."""


def sound_offer(provider: str, thing: object, *, now: datetime) -> Offer:
    """`thing` as an offer of that provider with every field of its declared type.

    A dataclass takes any value for any field, so the types are checked here, where foreign values come in.

    Raises:
        ValueError: what is wrong with it.
    """
    if not isinstance(thing, Offer):
        raise ValueError(f"of type {type(thing).__name__}")
    offer = _typed(thing)
    if offer.provider != provider:
        raise ValueError(f"belongs to provider {offer.provider!r}")
    if not offer.total_usd_per_hour.is_finite() or offer.extra_usd_per_hour < 0:
        raise ValueError(f"its price is {offer.total_usd_per_hour}")
    if offer.observed_at > now + CLOCK_TOLERANCE:
        raise ValueError(f"its price is of {offer.observed_at:%Y-%m-%d %H:%M %Z}, which is to come")
    return offer


def _typed(offer: Offer) -> Offer:
    try:
        return msgspec.convert(msgspec.to_builtins(offer), Offer, strict=True)
    except (TypeError, ArithmeticError, AttributeError, msgspec.MsgspecError) as fault:
        raise ValueError(str(fault)) from fault
