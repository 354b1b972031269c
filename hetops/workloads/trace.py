"""Trace: recorded requests, as arrays, and the pure operations on them. Reads no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetops.errors import TraceError

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """Requests in order of arrival: seconds since the start, tokens in, tokens out; three arrays of one length.

    Raises:
        ValueError: fewer than two requests, arrays of different lengths, times that go back, a request without tokens.
    """

    name: str
    at_seconds: Floats
    input_tokens: Floats
    output_tokens: Floats
    duration_seconds: float | None = None
    """How long was recorded; None where only the arrivals tell."""
    rate_scale: float = 1.0
    length_scale: float = 1.0
    failed_requests: int = 0
    """Requests of the record that failed and are left out."""
    models: tuple[str, ...] = ()
    """Names of models that its requests may ask for; none where it does not say which they do."""
    asked: Labels | None = None
    """Of each request the model that it asks for, by its index in `models`."""

    def __post_init__(self) -> None:
        if not len(self.at_seconds) == len(self.input_tokens) == len(self.output_tokens) >= 2:
            raise ValueError(f"trace {self.name}: needs three arrays of one length, at least two requests")
        if self.at_seconds[0] < 0 or (np.diff(self.at_seconds) < 0).any() or not self.seconds > 0:
            raise ValueError(f"trace {self.name}: times must rise from 0")
        if not (self.input_tokens.min() >= 1 and self.output_tokens.min() >= 1):
            raise ValueError(f"trace {self.name}: every request has at least one token in and out")
        if self.asked is not None and len(self.asked) != len(self):
            raise ValueError(f"trace {self.name}: every request asks for a model, or nobody says so")

    def __len__(self) -> int:
        return len(self.at_seconds)

    @property
    def seconds(self) -> float:
        """How long was recorded: as told, else from the start to one mean gap after the last arrival."""
        if self.duration_seconds is not None:
            return self.duration_seconds
        return float(self.at_seconds[-1]) * len(self) / (len(self) - 1)

    @property
    def requests_per_second(self) -> float:
        """Mean rate over the whole trace."""
        return len(self) / self.seconds

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the record, for whoever reads the plan."""
        told = (
            (self.rate_scale != 1, f"rates times {self.rate_scale:g}"),
            (self.length_scale != 1, f"lengths times {self.length_scale:g}"),
            (self.failed_requests > 0, f"{self.failed_requests:,} failed requests left out"),
        )
        return tuple(text for holds, text in told if holds)


def window(trace: Trace, start_seconds: float, duration_seconds: float | None) -> Trace:
    """The requests that arrive in a stretch of time, counted from its start; None is up to the trace's end.

    Raises:
        TraceError: fewer than two requests fall into it.
    """
    left = trace.seconds - start_seconds
    duration = left if duration_seconds is None else min(duration_seconds, left)
    inside = (trace.at_seconds >= start_seconds) & (trace.at_seconds < start_seconds + duration)
    count = int(inside.sum())
    if count < 2:
        raise TraceError(
            f"{trace.name}: {count} request{'s' * (count != 1)} from {start_seconds:,.0f} s on"
            f" for {max(duration, 0):,.0f} s; a rate needs two",
            hint=f"the trace runs for {trace.seconds:,.0f} s: change workload.start_seconds or duration_seconds",
        )
    return replace(
        trace,
        at_seconds=trace.at_seconds[inside] - start_seconds,
        input_tokens=trace.input_tokens[inside],
        output_tokens=trace.output_tokens[inside],
        duration_seconds=duration,
        asked=None if trace.asked is None else trace.asked[inside],
    )


def of_model(trace: Trace, model: str) -> Trace:
    """The requests that ask for one of the trace's models, over all of its time.

    Raises:
        TraceError: fewer than two do.
    """
    assert trace.asked is not None
    own = trace.asked == trace.models.index(model)
    if (count := int(own.sum())) < 2:
        raise TraceError(
            f"{trace.name}: {count} request{'s' * (count != 1)} for {model}; a rate needs two",
            hint=f"leave {model} out of the models, or take a trace in which more ask for it",
        )
    return replace(
        trace,
        at_seconds=trace.at_seconds[own],
        input_tokens=trace.input_tokens[own],
        output_tokens=trace.output_tokens[own],
        duration_seconds=trace.seconds,
        models=(),
        asked=None,
    )


def together(traces: Mapping[str, Trace]) -> Trace:
    """Traces of several models, by their names, as one that begins with all of them and ends with the shortest."""
    seconds = min(one.seconds for one in traces.values())
    cut = [window(one, 0.0, seconds) for one in traces.values()]
    order = np.argsort(np.concatenate([one.at_seconds for one in cut]), kind="stable")
    at, given, wanted = (
        np.concatenate([getattr(one, name) for one in cut])[order]
        for name in ("at_seconds", "input_tokens", "output_tokens")
    )
    return Trace(
        name=", ".join(dict.fromkeys(one.name for one in cut)),
        at_seconds=at,
        input_tokens=given,
        output_tokens=wanted,
        duration_seconds=seconds,
        models=tuple(traces),
        asked=np.repeat(np.arange(len(cut)), [len(one) for one in cut])[order],
    )


def scale(trace: Trace, *, rate: float = 1.0, length: float = 1.0) -> Trace:
    """The trace with its arrivals `rate` times as frequent and all lengths times `length`, at least one token."""
    return replace(
        trace,
        at_seconds=trace.at_seconds / rate,
        input_tokens=np.maximum(1.0, np.round(trace.input_tokens * length)),
        output_tokens=np.maximum(1.0, np.round(trace.output_tokens * length)),
        duration_seconds=trace.seconds / rate,
        rate_scale=trace.rate_scale * rate,
        length_scale=trace.length_scale * length,
    )
