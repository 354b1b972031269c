"""What a search is spared: how many there were of something, and why some were left out before it began. Counts nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class WhyLeftOut(StrEnum):
    """Why no best fleet needs something that there was to choose from."""

    TOO_SLOW = "within the targets of no class"
    BEATEN_ON_GPU = "beaten in every class on the same GPU type"
    REPLACED = "replaced by others on the GPU types of their stages"
    NOWHERE = "fitting on no node that is offered"
    WAITING = "waiting behind a cheaper offer of equal nodes"
    IDLE = "serving no class that is asked for"
    BEATEN_ON_OFFER = "beaten in every class on the same offer"
    NO_ROOM = "without room for a node within the limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """How many were left out for one reason."""

    why: WhyLeftOut
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """What there was to choose from, and what of it was left out before the search, for each the first reason that applies."""

    of: str
    """What is counted: `configuration`, or `column`, a configuration on an offer."""
    count: int
    """Before anything was left out."""
    left_out: tuple[LeftOut, ...] = ()

    def __post_init__(self) -> None:
        if any(one.count < 1 for one in self.left_out) or self.kept < 0:
            raise ValueError(f"left_out does not add up: {self.count} of a {self.of} less what was left out")

    @property
    def kept(self) -> int:
        """What the search begins with."""
        return self.count - sum(one.count for one in self.left_out)
