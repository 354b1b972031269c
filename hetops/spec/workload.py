"""The fields of hetops.toml that say what is to be served, and how fast: classes, traces, targets. No I/O."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated

import msgspec
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
        _demand_price(self.shed_usd_per_request, self.max_shed_share < 1)


class WorkloadSpec(Table, frozen=True, kw_only=True):
    """A trace to make classes of, one for each model, or the classes themselves."""

    trace: str = ""
    """Path of a trace file, relative to this file; where there are several models its column `model` says which is asked for."""
    traces: dict[str, str] = msgspec.field(default_factory=dict)
    """`[workload.traces]`: in place of `trace`, a file for each model, by its name in `[[models]]`."""
    class_count: Annotated[int, Meta(ge=1, le=64)] = 4
    """How many classes a trace is made into; the plan says what error on cost they make."""
    periods: Annotated[int, Meta(ge=1, le=288)] = 1
    """Equal stretches of the trace whose rates are told apart; the busiest is planned for, each with `[policy.day]`."""
    rate_scale: Scale = 1.0
    """Every rate times this, of classes as of traces."""
    length_scale: Scale = 1.0
    """Every length times this, of classes as of traces."""
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
        if sum(map(bool, (self.trace, self.traces, self.classes))) != 1:
            raise ValueError("give one of trace, traces and classes")
        names = [c.name for c in self.classes]
        if len(set(names)) != len(names):
            raise ValueError("the names of classes must differ")


class TargetOverride(Table, frozen=True, kw_only=True):
    """Other targets for classes whose mean lengths lie in a range."""

    model: str = ""
    """Classes that ask for this model; empty means every model's."""
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
    shed_usd_per_request: Money | None = None
    """What a request of theirs costs that is turned away; empty serves all of them, unless the class has a price of its own."""
    max_shed_share: Recovery | None = None
    """The most that may be turned away of what arrives, in any period; empty is all."""

    def __post_init__(self) -> None:
        _demand_batch(self.deadline_hours, self.priority)
        _demand_price(self.shed_usd_per_request, self.max_shed_share is not None)

    def fits(self, model: str, input_tokens: float, output_tokens: float) -> bool:
        """Whether a class of these mean lengths that asks for the model is meant."""
        return (
            self.model in ("", model)
            and self.min_input_tokens <= input_tokens <= (self.max_input_tokens or math.inf)
            and self.min_output_tokens <= output_tokens <= (self.max_output_tokens or math.inf)
        )


def _demand_price(usd_per_request: Decimal | None, limited: bool) -> None:
    if usd_per_request is not None and not usd_per_request > 0:
        raise ValueError("shed_usd_per_request must be above zero: leave it out where all are to be served")
    if limited and usd_per_request is None:
        raise ValueError("max_shed_share needs shed_usd_per_request beside it: what one of them costs")


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
