"""What a virtual fleet is made of: pools, nodes and replicas, by numbers. Pure values; decides nothing.

Replicas are numbered through the whole fleet, pool by pool and node by node: the number is the name. A service is a pool of
one replica that no node of ours stands behind.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, TypeAlias

from hetops.domain.configuration import Role
from hetops.domain.performance import StepTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualPool:
    """A pool of equal replicas, and where its nodes stand. Names that nobody told are empty."""

    name: str
    step_times: StepTimes
    max_context_tokens: int
    nodes: int = 1
    replicas_per_node: int = 1
    model: str = ""
    role: Role = Role.MIXED
    kv_seconds: float = 0.0
    """How long what it prefilled of a prompt is on its way to where it is decoded, whatever its length; and for each token."""
    kv_seconds_per_token: float = 0.0
    usd_per_hour: float = 0.0
    """Of all its nodes."""
    provider: str = ""
    region: str = ""
    zone: str = ""
    offer: str = ""
    gpu: str = ""

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.replicas_per_node < 1 or self.max_context_tokens < 1:
            raise ValueError(
                f"pool {self.name}: nodes, replicas_per_node and max_context_tokens must be above 0"
            )
        if wrong := next(_impossible(self.step_times), None):
            raise ValueError(f"pool {self.name}: step_times: {wrong}")

    @property
    def replicas(self) -> int:
        """Replicas of all its nodes."""
        return self.nodes * self.replicas_per_node

    @property
    def longest(self) -> int:
        """Most tokens, input and output together, of a request that a replica takes."""
        return min(self.max_context_tokens, self.step_times.longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualService:
    """What answers by the token at its stated pace: to the router a pool of one, with limits that the router keeps."""

    name: str
    ttft_seconds: float
    tpot_seconds: float
    max_context_tokens: int
    model: str = ""
    usd_per_input_token: float = 0.0
    usd_per_output_token: float = 0.0
    role: ClassVar[Role] = Role.MIXED
    nodes: ClassVar[int] = 1
    replicas_per_node: ClassVar[int] = 1
    replicas: ClassVar[int] = 1
    usd_per_hour: ClassVar[float] = 0.0
    region: ClassVar[str] = ""
    zone: ClassVar[str] = ""
    gpu: ClassVar[str] = ""

    @property
    def provider(self) -> str:
        """As policy speaks of it: its provider and its offer are itself."""
        return self.name

    @property
    def offer(self) -> str:
        """Itself."""
        return self.name

    @property
    def longest(self) -> int:
        """Most tokens, input and output together, of a request that it takes."""
        return self.max_context_tokens


Place: TypeAlias = VirtualPool | VirtualService
"""Where requests can go."""


class VirtualFleet:
    """Pools in order, then services, and which replica is of which."""

    def __init__(self, pools: Sequence[Place]) -> None:
        """Raises ValueError without a pool, or with two of one name."""
        if not pools or len({p.name for p in pools}) != len(pools):
            raise ValueError("a fleet needs at least one pool, and each its own name")
        self.pools = tuple(pools)
        self._starts = tuple(itertools.accumulate((p.replicas for p in pools), initial=0))

    @property
    def replicas(self) -> int:
        """Replicas of all pools."""
        return self._starts[-1]

    def pool_index(self, replica: int) -> int:
        """The index of a replica's pool."""
        return bisect.bisect_right(self._starts, replica) - 1

    def replicas_of(self, pool: int) -> range:
        """The replicas of a pool, by its index."""
        return range(self._starts[pool], self._starts[pool + 1])

    def node(self, pool: int, number: int) -> range:
        """The replicas of a pool's node."""
        each, start = self.pools[pool].replicas_per_node, self._starts[pool]
        return range(start + number * each, start + (number + 1) * each)


_MOST_SECONDS = 1e5
"""No step of any engine, nor any part of one, takes longer."""
_RANGES = {
    "shared_weights": (0.0, 1.0),
    "expert_share": (0.0, 1.0),
    "prefill_interference": (0.0, 1.0),
    "window_tokens": (0.0, 1e12),
    "window_share": (0.0, 1.0),
    "prompt_window_share": (0.0, 1.0),
    "forgotten_share": (0.0, 1.0),
    "state_tokens": (0.0, 1e12),
    "attention_groups": (1, 1e3),
    "apart_share": (0.0, 1.0),
    "sharpness": (0.5, 1e3),
    "first_token_factor": (0.0, 1e3),
    "kv_capacity_tokens": (1, 1e12),
    "max_sequences": (1, 1e6),
    "pipeline_stages": (1, 1e3),
}
"""What the fields of `StepTimes` that are no seconds may be."""


def _impossible(times: StepTimes) -> Iterator[str]:
    """What no engine has: a file may hold anything."""
    for name in (f.name for f in fields(times) if f.name != "curve"):
        low, high = _RANGES.get(name, (0.0, _MOST_SECONDS))
        value = getattr(times, name)
        if value is not None and not low <= value <= high:
            yield f"{name} of {value:g} does not lie between {low:g} and {high:g}"
