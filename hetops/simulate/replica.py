"""A replica of a virtual fleet: its engine, and since when it is what it is. Counts its own time; decides nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hetops.domain.configuration import Role
from hetops.simulate.core import EngineCore
from hetops.simulate.engine import Engine
from hetops.simulate.fleet import VirtualPool, VirtualService
from hetops.simulate.record import Record
from hetops.simulate.stated import StatedEngine
from hetops.simulate.timeline import Change, Happening


@dataclass(slots=True, kw_only=True, eq=False)
class Replica:
    """A replica, and since when it is what it is. `core` is its engine, which is another one after it was gone."""

    number: int
    pool: int
    place: VirtualPool | VirtualService
    """The pool that it is of."""
    core: Engine = field(init=False)
    prefills: bool = field(init=False)
    """Whether it does nothing but prompts."""
    armed: float = math.inf
    """When its next event is due in the queue of events."""
    requests: dict[int, None] = field(default_factory=dict)
    changed_at: float = 0.0
    gone: int = 0
    leaving: int = 0
    factors: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.core = _engine(self.place)
        self.prefills = self.place.role is Role.PREFILL

    def count_time(self, record: Record, at: float) -> None:
        """Adds up what the replica was since the last change."""
        seconds, pool = at - self.changed_at, self.pool
        self.changed_at = at
        count = len(self.requests)
        if count:
            record.busy_seconds[pool] += seconds
            record.in_flight_seconds[pool] += seconds * count
        if self.gone:
            record.gone_seconds[pool] += seconds

    def begin_anew(self, record: Record) -> None:
        """A fresh engine in place of the one that is gone, as slow as that was."""
        record.preemptions[self.pool] += self.core.preemptions
        self.requests.clear()
        self.core = _engine(self.place)
        self.armed = math.inf
        if self.factors:
            self.core.slow(math.prod(self.factors), record.now)

    def slow(self, change: Change, at: float) -> None:
        """Slower, or as fast as before that."""
        if change.what is Happening.SLOWER:
            self.factors.append(change.factor)
        else:
            self.factors.remove(change.factor)
        self.core.slow(math.prod(self.factors), at)


def _engine(place: VirtualPool | VirtualService) -> Engine:
    if isinstance(place, VirtualService):
        return StatedEngine(ttft_seconds=place.ttft_seconds, tpot_seconds=place.tpot_seconds)
    return EngineCore(place.step_times)
