"""The limits of a problem that can be lifted, or minimised in place of the cost. Enforces none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LimitKind(StrEnum):
    """A limit that can be lifted."""

    BUDGET = "budget"
    MEAN_BUDGET = "mean budget"
    PROVIDER_BUDGET = "provider budget"
    STOCK = "stock"
    QUOTA = "quota"
    POOLS = "pools"
    SHARE = "most share"
    LEAST_SHARE = "least share"
    QUALITY = "mean quality"
    EVERY_QUALITY = "mean quality of every class"
    SHED = "most shed share"
    LOSS = "loss"
    CHANGES = "changes"
    ADDED_NODES = "added nodes"
    REMOVED_NODES = "removed nodes"
    SERVICE_REQUESTS = "requests of a service"
    SERVICE_TOKENS = "tokens of a service"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit of a problem; `subject` names its provider, offer, quota group, share limit, class, loss, service or link; of nodes
    added and removed it is the number that offers are held to."""

    kind: LimitKind
    subject: str = ""


OF_MANY_ROWS = frozenset(LimitKind) - {
    LimitKind.BUDGET,
    LimitKind.MEAN_BUDGET,
    LimitKind.PROVIDER_BUDGET,
    LimitKind.STOCK,
    LimitKind.QUOTA,
    LimitKind.POOLS,
    LimitKind.CHANGES,
}
"""Limits with several rows even in one stretch."""

OF_WHAT_IS_SERVED = frozenset(
    (
        LimitKind.SHARE,
        LimitKind.LEAST_SHARE,
        LimitKind.QUALITY,
        LimitKind.EVERY_QUALITY,
        LimitKind.LOSS,
    )
)
"""Limits on parts of what is served. While one is minimised, all is served, and what a loss leaves as it comes: the part of a
part that nobody knows yet would be no linear row."""
