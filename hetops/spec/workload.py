"""The fields of hetops.toml that say what is to be served, and how fast: classes, traces, targets. No I/O."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from hetops.domain.network import BYTES_PER_OUTPUT_TOKEN
from hetops.domain.workload import Priority
from hetops.spec.table import Hours, Money, Percentile, Positive, Rate, Recovery, Scale, Share, Table


class ClassSpec(Table, frozen=True, kw_only=True):
    """A workload class stated by hand."""

    name: str
    """What the class is called in plans, in the router's answers and in observations."""
    requests_per_second: Rate
    """Rate to plan for: that of the busiest stretch."""
    input_tokens: Positive
    """Length of a prompt."""
    output_tokens: Positive
    """Length of an answer."""
    priority: Priority = Priority.INTERACTIVE
    """Batch work waits for interactive work."""
    task: str = ""
    """What the requests are for, in a word (chat, code, math, reasoning, knowledge, ...)."""
    model: str = ""
    """The model that it asks for, by its name in `[[models]]`; needed where there are several."""
    quality_floor: Recovery | None = None
    """Another floor than its model's."""
    mean_quality: Recovery | None = None
    """Another mean than its model's."""
    shed_usd_per_request: Money | None = None
    """What a request costs that is turned away, though nobody is paid it; empty serves all of them."""
    max_shed_share: Recovery = 1.0
    """The most that may be turned away of what arrives, in any period; only with shed_usd_per_request."""
    prefix_share: Share | None = None
    """Another share than that of `[workload]`."""
    ttft_seconds: Positive | None = None
    """Another target than that of `[targets]`."""
    tpot_seconds: Positive | None = None
    """Another target than that of `[targets]`."""
    deadline_hours: Hours | None = None
    """Batch work may wait so long for a period in which it costs less; only with `[policy.day]`."""
    origin: str = ""
    """Where all its requests come from, by its name in `[[origins]]`; empty spreads them over these."""

    def __post_init__(self) -> None:
        _demand_batch(self.deadline_hours, self.priority)
        if self.shed_usd_per_request is not None and not self.shed_usd_per_request > 0:
            raise ValueError(
                "shed_usd_per_request must be above zero: leave it out where all are to be served"
            )
        if self.max_shed_share < 1 and self.shed_usd_per_request is None:
            raise ValueError("max_shed_share needs shed_usd_per_request beside it: what one of them costs")


class WorkloadSpec(Table, frozen=True, kw_only=True):
    """A trace to make classes of, or the classes themselves."""

    trace: str = ""
    """Path of a trace file, relative to this file."""
    class_count: Annotated[int, Meta(ge=1, le=64)] = 4
    """How many classes a trace is made into; the plan says what error on cost they make."""
    periods: Annotated[int, Meta(ge=1, le=288)] = 1
    """Equal stretches of the trace whose rates are told apart; the busiest is planned for, each with `[policy.day]`."""
    rate_scale: Scale = 1.0
    """Every rate of the trace times this."""
    length_scale: Scale = 1.0
    """Every length of the trace times this."""
    start_seconds: Annotated[float, Meta(ge=0)] = 0.0
    """Where in the trace to begin."""
    duration_seconds: Positive | None = None
    """How much of the trace to take; empty takes the rest."""
    prefix_share: Share = 0.0
    """Share of every prompt's tokens, from its beginning, that engines will find in their prefix caches: what one measured."""
    bytes_per_output_token: Annotated[float, Meta(gt=0, le=1e6)] = BYTES_PER_OUTPUT_TOKEN
    """What a token of an answer takes on its way to `[[origins]]`: streamed, an event and a packet; unstreamed some 5."""
    classes: tuple[ClassSpec, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.trace) == bool(self.classes):
            raise ValueError("give either trace or classes")
        names = [c.name for c in self.classes]
        if len(set(names)) != len(names):
            raise ValueError("the names of classes must differ")


class TargetOverride(Table, frozen=True, kw_only=True):
    """Other targets for classes whose mean lengths lie in a range."""

    min_input_tokens: float = 0.0
    """Classes whose prompts are at least so long on average."""
    max_input_tokens: Positive | None = None
    """And at most so long."""
    min_output_tokens: float = 0.0
    """Classes whose answers are at least so long on average."""
    max_output_tokens: Positive | None = None
    """And at most so long."""
    ttft_seconds: Positive | None = None
    """Their target."""
    tpot_seconds: Positive | None = None
    """Their target."""
    priority: Priority | None = None
    """Their priority."""
    deadline_hours: Hours | None = None
    """How long they may wait, batch work only."""

    def __post_init__(self) -> None:
        _demand_batch(self.deadline_hours, self.priority)


def _demand_batch(deadline_hours: float | None, priority: Priority | None) -> None:
    if deadline_hours is not None and priority is not Priority.BATCH:
        raise ValueError('deadline_hours is for work that may wait: set priority = "batch" beside it')


class TargetsSpec(Table, frozen=True, kw_only=True):
    """Latency targets: time to first token and time per output token, each at a percentile."""

    ttft_seconds: Positive | None = None
    """Time to first token at most; empty sets no bound."""
    ttft_percentile: Percentile = 90.0
    """For so many of a hundred requests."""
    tpot_seconds: Positive | None = None
    """Time per output token at most; empty sets no bound."""
    tpot_percentile: Percentile = 90.0
    """For so many of a hundred requests."""
    overrides: tuple[TargetOverride, ...] = ()
    """Of those that fit a class the last counts, field by field."""
