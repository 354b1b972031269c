# ruff: noqa: ARG002 - the signatures are a Router's
"""Small virtual fleets, arrivals, and a router that takes turns, for tests of the replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hetops.domain.performance import StepTimes
from hetops.simulate.arrivals import Arrivals
from hetops.simulate.fleet import Place, VirtualFleet, VirtualPool
from hetops.simulate.record import Record
from hetops.simulate.replay import Replay, Scenario
from hetops.simulate.timeline import Change, Happening

TIMES = StepTimes(
    weights_seconds=0.010,
    compute_seconds_per_sequence=0.0005,
    kv_seconds_per_token=1e-7,
    overhead_seconds=0.002,
    prefill_seconds_per_token=0.0001,
    kv_capacity_tokens=20_000,
    max_sequences=8,
)


def pool(name: str = "a", **fields: Any) -> VirtualPool:
    """A pool of one replica; any field may be another."""
    told: dict[str, Any] = {"step_times": TIMES, "max_context_tokens": 8192, "usd_per_hour": 1.0}
    return VirtualPool(name=name, **(told | fields))


def arrivals(
    at: Sequence[float], input_tokens: Sequence[int] | int, output_tokens: Sequence[int] | int
) -> Arrivals:
    """Requests at those times; one length for all, or each its own."""
    return Arrivals(
        at_seconds=np.array(at, dtype=np.float64),
        input_tokens=np.broadcast_to(np.array(input_tokens, dtype=np.int64), len(at)),
        output_tokens=np.broadcast_to(np.array(output_tokens, dtype=np.int64), len(at)),
        seconds=float(at[-1]) + 1.0,
    )


def change(at: float, what: Happening, *replicas: int, factor: float = 1.0) -> Change:
    """One moment of a timeline."""
    return Change(at_seconds=at, what=what, replicas=replicas, factor=factor)


@dataclass(slots=True)
class TakingTurns:
    """Sends requests to the replicas in turn, past those that are out or leave; takes note of all that it is told."""

    replicas: int
    out: set[int] = field(default_factory=set)
    away: frozenset[int] = frozenset()
    held: dict[int, int] = field(default_factory=dict)
    """Requests that are at each replica."""
    told: list[tuple[str, int]] = field(default_factory=list)
    turn: int = -1

    def first(self, request: int, at: float) -> int | None:
        return self._next(())

    def again(self, request: int, tried: Sequence[int], at: float) -> int | None:
        return self._next(tried)

    def onward(self, request: int, tried: Sequence[int], at: float) -> int | None:
        return self._next(tried)

    def handed(self, request: int, replica: int) -> None:
        self.held[replica] -= 1

    def cached(self, request: int) -> int:
        return 0

    def released(self, request: int, replica: int) -> None:
        self.held[replica] -= 1

    def answered(self, request: int, replica: int) -> None:
        self.held[replica] -= 1

    def broke(self, replica: int, at: float) -> None:
        self.told.append(("broke", replica))

    def unreachable(self, replica: int, at: float) -> None:
        self.told.append(("unreachable", replica))
        self.out.add(replica)

    def leaving(self, replicas: frozenset[int]) -> None:
        self.away = replicas

    def due_probes(self, at: float) -> Sequence[int]:
        return sorted(self.out)

    def probed(self, replica: int, at: float) -> None:
        self.told.append(("probed", replica))
        self.out.discard(replica)

    def probe_failed(self, replica: int, at: float) -> None:
        self.out.add(replica)

    def _next(self, tried: Sequence[int]) -> int | None:
        for _ in range(self.replicas):
            self.turn = (self.turn + 1) % self.replicas
            if self.turn not in self.out and self.turn not in self.away and self.turn not in tried:
                self.held[self.turn] = self.held.get(self.turn, 0) + 1
                return self.turn
        return None


def played(pools: Sequence[Place], coming: Arrivals, *changes: Change) -> tuple[Record, TakingTurns]:
    """The record of a whole run with requests in turn, and the router that sent them."""
    fleet = VirtualFleet(pools)
    router = TakingTurns(fleet.replicas)
    run = Replay(Scenario(fleet=fleet, arrivals=coming, changes=changes), router)
    for _ in run.run():
        pass
    return run.record, router
