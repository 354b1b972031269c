"""Workload: classes of requests with their rates and latency targets."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import StrEnum

from hetops.domain.added import ADDED


class Priority(StrEnum):
    """Batch work waits for interactive work."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLengths:
    """How long the requests of a class are, in tokens: the mean and percentiles of the distribution."""

    mean: float
    p50: float
    p90: float
    p95: float
    p99: float

    def __post_init__(self) -> None:
        if not self.mean > 0:
            raise ValueError("token lengths: the mean must be above zero")
        if not 0 <= self.p50 <= self.p90 <= self.p95 <= self.p99:
            raise ValueError("token lengths: percentiles must rise")

    @classmethod
    def fixed(cls, tokens: float) -> TokenLengths:
        """Every request has the same length."""
        return cls(mean=tokens, p50=tokens, p90=tokens, p95=tokens, p99=tokens)

    def percentile(self, percent: float) -> float:
        """Length at a percentile, linear between the known ones; at or below 50 the median."""
        known = ((50.0, self.p50), (90.0, self.p90), (95.0, self.p95), (99.0, self.p99))
        if percent <= 50.0:
            return self.p50
        for (low, at_low), (high, at_high) in itertools.pairwise(known):
            if percent <= high:
                return at_low + (at_high - at_low) * (percent - low) / (high - low)
        return self.p99


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyTarget:
    """Bounds on time to first token and time per output token, each at a percentile; None means no bound."""

    ttft_seconds: float | None = None
    ttft_percentile: float = 90.0
    tpot_seconds: float | None = None
    tpot_percentile: float = 90.0

    def __post_init__(self) -> None:
        for name in ("ttft_seconds", "tpot_seconds"):
            bound = getattr(self, name)
            if bound is not None and not bound > 0:
                raise ValueError(f"{name} must be above zero")
        for name in ("ttft_percentile", "tpot_percentile"):
            if not 0 < getattr(self, name) < 100:
                raise ValueError(f"{name} must lie between 0 and 100")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadClass:
    """Requests of like input and output length, with a rate and targets."""

    name: str
    requests_per_second: float
    """The rate planned for: the busiest period's."""
    input_tokens: TokenLengths
    output_tokens: TokenLengths
    target: LatencyTarget
    priority: Priority = Priority.INTERACTIVE
    task: str = ""
    prefix_share: float = 0.0
    """Share of a prompt's tokens, from its beginning, that the engine finds in its prefix cache."""
    requests_per_second_by_period: tuple[float, ...] = ()
    """The rate in each equal period of the trace, in order."""
    origin: str = field(default="", metadata=ADDED)
    """Where its requests come from; empty where the spec names no origins."""
    model: str = field(default="", metadata=ADDED)
    """The model that its requests ask for; empty where there is only one."""

    def __post_init__(self) -> None:
        if not 0 <= self.requests_per_second < float("inf"):
            raise ValueError(f"class {self.name}: requests_per_second must be a number of at least 0")
        if not 0 <= self.prefix_share < 1:
            raise ValueError(f"class {self.name}: prefix_share must be at least 0 and below 1")

    def asks_for(self, model: str) -> bool:
        """Whether a model of that name is the one that its requests ask for."""
        return self.model in ("", model)

    @property
    def stated_name(self) -> str:
        """What the spec or the trace calls it: `chat` for `chat@eu`."""
        return self.name.removesuffix(f"@{self.origin}") if self.origin else self.name

    def named_by(self, names: Collection[str]) -> bool:
        """Whether one of the names means it: its own, or the one that it has at every origin."""
        return self.name in names or self.stated_name in names


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """All classes of a deployment's requests."""

    classes: tuple[WorkloadClass, ...]
    source: str
    """The trace or spec that the classes come from."""
    class_error: float = 0.0
    """Largest relative error on the cost of serving the trace that its classes make, over reference GPUs."""
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        names = [c.name for c in self.classes]
        if not names:
            raise ValueError("a workload needs at least one class")
        if len(set(names)) != len(names):
            raise ValueError("class names must differ")

    @property
    def requests_per_second(self) -> float:
        """Rate of all classes together."""
        return sum(c.requests_per_second for c in self.classes)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that classes ask for, in the order in which they first do; none where there is only one."""
        return tuple(dict.fromkeys(c.model for c in self.classes if c.model))

    @property
    def regardless_of_origin(self) -> tuple[WorkloadClass, ...]:
        """The classes as engines tell them apart: what differs in its origin alone is one class."""
        if not any(c.origin for c in self.classes):
            return self.classes
        merged: dict[WorkloadClass, float] = {}
        for c in self.classes:
            like = replace(
                c, name=c.stated_name, origin="", requests_per_second=0.0, requests_per_second_by_period=()
            )
            merged[like] = merged.get(like, 0.0) + c.requests_per_second
        return tuple(replace(like, requests_per_second=rate) for like, rate in merged.items())
