"""Trace: recorded requests, as arrays, and the pure operations on them. Reads no file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetops.errors import TraceError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """Requests in order of arrival: seconds since the first, tokens in, tokens out; three arrays of one length."""

    name: str
    at_seconds: Floats
    input_tokens: Floats
    output_tokens: Floats
    rate_scale: float = 1.0
    length_scale: float = 1.0

    def __len__(self) -> int:
        return len(self.at_seconds)

    @property
    def seconds(self) -> float:
        """From the first arrival to one mean gap after the last, in the trace's scaled time."""
        span = float(self.at_seconds[-1] - self.at_seconds[0])
        return span * len(self) / (len(self) - 1)

    @property
    def requests_per_second(self) -> float:
        """Mean rate over the whole trace."""
        return len(self) / self.seconds


def window(trace: Trace, start_seconds: float, duration_seconds: float | None) -> Trace:
    """The requests that arrive in a stretch of time, counted from its start.

    Raises:
        TraceError: fewer than two requests fall into it.
    """
    end = np.inf if duration_seconds is None else start_seconds + duration_seconds
    inside = (trace.at_seconds >= start_seconds) & (trace.at_seconds < end)
    if int(inside.sum()) < 2:
        raise TraceError(
            f"{trace.name}: {int(inside.sum())} requests between {start_seconds:g} and {end:g} seconds; a rate needs two",
            hint=f"the trace runs from 0 to {trace.at_seconds[-1]:,.0f} seconds: choose another stretch",
        )
    return replace(
        trace,
        at_seconds=trace.at_seconds[inside] - start_seconds,
        input_tokens=trace.input_tokens[inside],
        output_tokens=trace.output_tokens[inside],
    )


def scale(trace: Trace, *, rate: float = 1.0, length: float = 1.0) -> Trace:
    """The trace with its arrivals `rate` times as frequent and all lengths times `length`, at least one token."""
    return replace(
        trace,
        at_seconds=trace.at_seconds / rate,
        input_tokens=np.maximum(1.0, np.round(trace.input_tokens * length)),
        output_tokens=np.maximum(1.0, np.round(trace.output_tokens * length)),
        rate_scale=trace.rate_scale * rate,
        length_scale=trace.length_scale * length,
    )
