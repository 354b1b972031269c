"""Policy: how a fleet must be spread and what it must bear, and what a plan holds ready for that. Solves nothing.

A rule speaks of a trait of offers: `values` of it together, or, without values, each value that occurs on its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from hetops.domain.added import ADDED
from hetops.domain.offer import Offer, Trait


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRule:
    """How much of each class at most, and at least, is served on offers that have a trait in common."""

    id: str
    trait: Trait
    values: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    """Empty means every class."""
    at_most: float = 1.0
    at_least: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRule:
    """What may fail whole, and the share of each class that the rest still serves within the targets."""

    id: str
    trait: Trait
    values: tuple[str, ...] = ()
    kept_share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackShare:
    """The part of a class that a pool serves while something is lost."""

    workload_class: str
    pool: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LossCover:
    """Who serves what while something is lost."""

    rule: str
    """The id of its `LossRule`."""
    lost: tuple[str, ...]
    """Values of the rule's trait that are gone."""
    shares: tuple[FallbackShare, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rental:
    """Nodes of an offer that are paid for as a whole, in use or not: reserved ones, and blocks that come whole."""

    offer: Offer
    nodes: int
    committed_nodes: int = 0
    """Of them paid for already, whatever the plan."""
    lot_nodes: int = 1
    """They are had in multiples of this."""

    @property
    def usd_per_hour(self) -> Decimal:
        """Cost of all nodes, idle ones too."""
        return self.offer.total_usd_per_hour * self.nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """The way from a fleet that runs into the plan's, and what it counts for."""

    running: Mapping[str, int] = field(default_factory=dict)
    """Nodes that ran, by pool; of one that takes parts of nodes, parts."""
    parts_per_node: Mapping[str, int] = field(default_factory=dict, metadata=ADDED)
    """Of pools that take parts of nodes, how many a node has; a part counts as that part of a node."""
    usd_per_added_node: Decimal = Decimal(0)
    usd_per_removed_node: Decimal = Decimal(0)
    horizon_hours: float = 24.0
    """What is paid once counts as spread over so many hours."""
    max_changed_nodes: int | None = None
    usd_per_hour: Decimal = Decimal(0)
    """What the changes count for in the plan's objective; no bill ever says it."""
    usd_per_hour_from_nothing: Decimal | None = None
    """What the cheapest fleet costs that keeps nothing; None where none was found in time."""

    def added(self, nodes: Mapping[str, int]) -> Fraction:
        """Nodes that a fleet, by pool, has beyond those that ran."""
        return self.whole({pool: max(n - self.running.get(pool, 0), 0) for pool, n in nodes.items()})

    def removed(self, nodes: Mapping[str, int]) -> Fraction:
        """Nodes that ran and that a fleet, by pool, does without."""
        return self.whole({pool: max(n - nodes.get(pool, 0), 0) for pool, n in self.running.items()})

    def whole(self, nodes: Mapping[str, int]) -> Fraction:
        """How many nodes those of pools are together."""
        each = (Fraction(count, self.parts_per_node.get(pool, 1)) for pool, count in nodes.items())
        return sum(each, Fraction(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class TermCost:
    """What a rule does to the fleet: its words, and the cost with it and of the same question without it."""

    text: str
    usd_per_hour: Decimal
    usd_per_hour_without: Decimal | None
    """None where nothing was found in time, or where there is nothing to find."""
    needed: bool = field(default=False, metadata=ADDED)
    """Without it there is no fleet at all."""
