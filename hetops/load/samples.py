"""What one request of the generator measured, and many of them as figures. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from hetops.domain.added import ADDED
from hetops.load.schedule import Lengths
from hetops.load.stopping import Interval, interval

PERCENTS = (50, 90, 95, 99)
"""Which percentiles of latencies are told, in this order."""


class Failure(StrEnum):
    """What went wrong with a request."""

    CONNECT = "no connection"
    NO_HTTP = "no HTTP"
    MOVED = "moved (3xx)"
    REFUSED = "refused (4xx)"
    THROTTLED = "throttled (429)"
    ENGINE = "engine error (5xx)"
    TORN = "answer broken off"
    EMPTY = "no token in the answer"
    NONSENSE = "no event stream"
    SILENT = "no answer in time"
    STALLED = "answer stalled"

    @property
    def advice(self) -> str:
        """What to do about it."""
        return _ADVICE.get(self, "look at the engine's own log")


_ADVICE: Mapping[Failure, str] = {
    Failure.CONNECT: "check that it is up at this address, and whether that begins with http:// or https://",
    Failure.NO_HTTP: "check the address: an OpenAI-compatible engine speaks HTTP/1.1 there",
    Failure.MOVED: "give the address that it names",
    Failure.REFUSED: "check the address, the model's name, the longest context and the API key",
    Failure.THROTTLED: "lift its rate limit while it is measured",
    Failure.EMPTY: "check that this address serves chat completions of this model",
    Failure.NONSENSE: "check that this address serves chat completions, and streams them",
    Failure.SILENT: "check that it serves this model, and is idle",
    Failure.STALLED: "look at the engine's own log, and at what stands before it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One request. Times are seconds from the start of the load; a failed one has no latencies."""

    due: float
    """When it was to be sent; the generator itself was late by the rest."""
    started: float
    ended: float
    asked: Lengths
    input_tokens: int = 0
    output_tokens: int = 0
    ttft_seconds: float | None = None
    tpot_seconds: float | None = None
    failure: Failure | None = None
    message: str = ""

    @property
    def seconds(self) -> float:
        """From its start to its end."""
        return self.ended - self.started


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Many requests together. Percentiles are those of `PERCENTS`; none where nothing was measured."""

    requests: int
    input_tokens: float
    """Mean of what the engine counted."""
    output_tokens: float
    seconds: Interval
    """Of a whole request."""
    ttft_seconds: tuple[float, ...]
    tpot_seconds: tuple[float, ...]
    failures: Mapping[Failure, int]
    ttft_mean_seconds: Interval | None = field(default=None, metadata=ADDED)
    tpot_mean_seconds: Interval | None = field(default=None, metadata=ADDED)


def figures(samples: Sequence[Sample], together: int = 1) -> Figures:
    """The figures of the answered requests; the others are counted by what went wrong. `together` were in flight at a time.

    Raises:
        ValueError: none was answered.
    """
    good = sorted((s for s in samples if s.failure is None), key=lambda s: s.ended)
    return Figures(
        requests=len(good),
        seconds=interval([s.seconds for s in good], together),
        input_tokens=float(np.mean([s.input_tokens for s in good])),
        output_tokens=float(np.mean([s.output_tokens for s in good])),
        ttft_seconds=_percentiles(s.ttft_seconds for s in good),
        tpot_seconds=_percentiles(s.tpot_seconds for s in good),
        failures=failures(samples),
        ttft_mean_seconds=_mean((s.ttft_seconds for s in good), together),
        tpot_mean_seconds=_mean((s.tpot_seconds for s in good), together),
    )


def failures(samples: Iterable[Sample]) -> Mapping[Failure, int]:
    """How often what went wrong."""
    return dict(sorted(Counter(s.failure for s in samples if s.failure).items()))


def _mean(values: Iterable[float | None], together: int) -> Interval | None:
    known = [v for v in values if v is not None]
    return interval(known, together) if known else None


def _percentiles(values: Iterable[float | None]) -> tuple[float, ...]:
    known = [v for v in values if v is not None]
    return tuple(float(v) for v in np.percentile(known, PERCENTS)) if known else ()
