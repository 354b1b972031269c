"""When KV caches that go from replicas to others have arrived: each sends one at a time, and takes one at a time. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Way(NamedTuple):
    """When something sets out, and when all of it is there; seconds on the replay's clock."""

    begins: float
    there: float


class Links:
    """The links of a fleet's replicas, by their numbers."""

    def __init__(self, replicas: int) -> None:
        """All are free."""
        self._free_at = [0.0] * replicas

    def send(self, source: int, target: int, seconds: float, at: float) -> Way:
        """What takes so long by itself begins once both ends are free, in the order of the calls."""
        begins = max(at, self._free_at[source], self._free_at[target])
        way = Way(begins, begins + seconds)
        self._free_at[source] = self._free_at[target] = way.there
        return way

    def cut(self, replica: int, way: Way, at: float) -> None:
        """What was on that way to or from the replica goes no further; what waits behind it keeps its time."""
        if self._free_at[replica] == way.there:
            self._free_at[replica] = max(at, way.begins)
