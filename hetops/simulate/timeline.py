"""Decides which replicas a fault hits, and when what of it begins and ends. Pure; chance is handed in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from hetops.errors import HetopsError, UnknownNameError
from hetops.simulate.faults import Fault, Lose, Reclaim, Slow, in_short
from hetops.simulate.fleet import Place, VirtualFleet


class Happening(Enum):
    """What becomes of replicas. Each has its opposite: what was done twice must be undone twice."""

    LEAVING = auto()
    """They get no new requests."""
    STAYING = auto()
    GONE = auto()
    """They and what they were doing are no more."""
    BACK = auto()
    """Others serve in their place, empty."""
    SLOWER = auto()
    """Their steps take `factor` times as long."""
    AS_BEFORE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One moment of the timeline."""

    at_seconds: float
    what: Happening
    replicas: tuple[int, ...]
    factor: float = 1.0


def changes(
    fleet: VirtualFleet, faults: Sequence[Fault], seconds: float, chance: np.random.Generator
) -> tuple[Change, ...]:
    """All that the faults do to the fleet, in order of time; bursts do nothing to it.

    Raises:
        UnknownNameError: a name that no pool of the fleet has.
        HetopsError: more nodes than there are, or a time after the end of the arrivals, which is at `seconds`.
    """
    found: list[Change] = []
    for fault in faults:
        if fault.at_seconds >= seconds:
            raise HetopsError(
                f"{in_short(fault)}: nothing comes after {seconds:,.0f} s",
                hint="choose an earlier at_seconds, or a longer --duration",
            )
        if isinstance(fault, Lose | Reclaim | Slow):
            found += _changes(fault, _hit(fleet, fault, chance))
    return tuple(sorted(found, key=lambda c: c.at_seconds))


def _called(pool: Place, kind: str) -> str:
    """A pool's name of some kind; where no zone is told the whole region is one, as to a policy that survives its loss."""
    if kind == "pool":
        return pool.name
    if kind == "zone":
        return pool.zone or pool.region
    return str(getattr(pool, kind))


def _hit(fleet: VirtualFleet, fault: Lose | Reclaim | Slow, chance: np.random.Generator) -> tuple[int, ...]:
    """The replicas of the nodes that a fault hits."""
    kind, name = fault.place
    named = [_called(pool, kind) for pool in fleet.pools]
    if name not in named:
        raise UnknownNameError(kind, name, dict.fromkeys(filter(None, named)), where=in_short(fault))
    nodes = [
        fleet.node(index, number)
        for index, pool in enumerate(fleet.pools)
        if named[index] == name
        for number in range(pool.nodes)
    ]
    count = len(nodes) if fault.nodes is None else fault.nodes
    if count > len(nodes):
        raise HetopsError(
            f"{in_short(fault)}: {kind} {name} has {len(nodes)} nodes of the plan",
            hint=f"let the fault hit at most {len(nodes)}",
        )
    which = sorted(chance.choice(len(nodes), count, replace=False).tolist())
    return tuple(replica for number in which for replica in nodes[number])


def _changes(fault: Lose | Reclaim | Slow, replicas: tuple[int, ...]) -> Iterator[Change]:
    at = fault.at_seconds
    if isinstance(fault, Reclaim):
        gone = at + fault.notice_seconds
        back = gone + fault.boot_seconds
        yield Change(at_seconds=at, what=Happening.LEAVING, replicas=replicas)
        yield Change(at_seconds=gone, what=Happening.GONE, replicas=replicas)
        yield Change(at_seconds=back, what=Happening.BACK, replicas=replicas)
        yield Change(at_seconds=back, what=Happening.STAYING, replicas=replicas)
        return
    begins, ends = (
        (Happening.SLOWER, Happening.AS_BEFORE)
        if isinstance(fault, Slow)
        else (Happening.GONE, Happening.BACK)
    )
    factor = fault.factor if isinstance(fault, Slow) else 1.0
    yield Change(at_seconds=at, what=begins, replicas=replicas, factor=factor)
    if fault.for_seconds is not None:
        yield Change(at_seconds=at + fault.for_seconds, what=ends, replicas=replicas, factor=factor)
