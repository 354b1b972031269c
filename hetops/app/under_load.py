"""What one replica answers under a load: by its requests in virtual time, by the closed form, and why. Wires; decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hetops.app import virtual_replica
from hetops.domain.performance import StepTimes
from hetops.domain.workload import LatencyTarget, WorkloadClass
from hetops.errors import HetopsError
from hetops.performance.breakdown import Breakdown, Load, Times, explain
from hetops.performance.estimate import Calibration
from hetops.performance.first_token import HIGHEST_USE
from hetops.performance.intervals import Range
from hetops.performance.margins import HalfWidths, widths_of
from hetops.performance.predict import Prediction
from hetops.performance.replica import Replica
from hetops.performance.under_load import (
    LargestRate,
    Replayed,
    Saturation,
    UnderLoad,
    at_rate,
    endless,
    kept_at_once,
    largest_rate,
    lengths,
    paces,
    saturation,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked about requests beside their lengths."""

    requests_per_second: float | None = None
    """They come independently at this rate; None keeps `Load.concurrency` of them at once."""
    target: LatencyTarget | None = None
    """Wants the largest rate that keeps it."""


NOTHING_MORE = Asked()
PLACES = 256
"""Sequences that vLLM runs at once unless told otherwise; what plans take too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A replica under a load."""

    breakdown: Breakdown
    under_load: UnderLoad
    saturation: Saturation
    largest_rate: LargestRate | None
    """Where a target was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A replica, and what is known of its speed."""

    name: str
    replica: Replica
    times: Times
    calibration: Calibration

    def answer(self, load: Load, asked: Asked) -> Answer:
        """What it does under the load."""
        widths, of = (
            widths_of(self.calibration.evidence(self.replica, load.concurrency)),
            _class_of(load, asked),
        )
        roomy = self._roomy(asked)
        full = saturation(roomy, of, widths)
        if asked.requests_per_second is None:
            found = self._explained(load)
            played = virtual_replica.kept_at_once(self.times.whole, load)
            under = kept_at_once(_seconds(found.ttft), _seconds(found.tpot), played)
        else:
            under = self._at_rate(load, asked.requests_per_second, full, widths)
            found = self._explained(replace(load, concurrency=max(1.0, under.in_flight)))
        return Answer(
            breakdown=found,
            under_load=under,
            saturation=full,
            largest_rate=largest_rate(roomy, of, widths) if asked.target else None,
        )

    def _roomy(self, asked: Asked) -> StepTimes:
        """With the places that an engine has: so many kept at once are a benchmark's matter, not the engine's."""
        whole = self.times.whole
        at_once = asked.requests_per_second is None
        return replace(whole, max_sequences=max(PLACES, whole.max_sequences)) if at_once else whole

    def _explained(self, load: Load) -> Breakdown:
        return explain(self.name, self.replica, load, self.times, self.calibration)

    def _at_rate(self, load: Load, rate: float, full: Saturation, widths: HalfWidths) -> UnderLoad:
        most = HIGHEST_USE * full.requests_per_second.value
        if rate > most:
            raise HetopsError(
                f"{rate:g} requests a second of these lengths are more than one replica completes: {most:.3g}",
                hint="ask for a lower --rate, or for the largest within targets with --ttft and --tpot",
            )

        def played(at: float) -> Replayed:
            return (
                virtual_replica.at_rate(self.times.whole, load, at)
                if at <= most
                else endless(load.output_tokens)
            )

        return at_rate(rate, {pace: played(rate * pace) for pace in paces(widths)}, widths)


def _seconds(found: Prediction) -> Range:
    """A latency, which predictions have in milliseconds."""
    value, low, high = ((number or 0.0) / 1e3 for number in (found.value, found.low, found.high))
    return Range(value=value, low=low, high=high)


def _class_of(load: Load, asked: Asked) -> WorkloadClass:
    return WorkloadClass(
        name="asked",
        requests_per_second=asked.requests_per_second or 0.0,
        input_tokens=lengths(load.input_tokens, load.spread),
        output_tokens=lengths(load.output_tokens, load.spread),
        target=asked.target or LatencyTarget(),
        prefix_share=load.prefix_share,
    )
