"""What one replica answers under a load: by its requests in virtual time, by the closed form, and why. Wires; decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hetops.app import virtual_replica
from hetops.domain.performance import Evidence, StepTimes
from hetops.domain.workload import LatencyTarget, WorkloadClass
from hetops.errors import HetopsError
from hetops.performance.breakdown import Breakdown, Load, Times, answered_by, explain
from hetops.performance.estimate import Calibration
from hetops.performance.estimators import Founded, Unanswered, or_closed_form
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
    by_estimator: Founded | Unanswered | None = None
    """What a plugin's estimator says, where one was named."""

    def answer(self, load: Load, asked: Asked) -> Answer:
        """What it does under the load."""
        widths, of = widths_of(self._evidence(load)), class_of(load, asked)
        roomy = _roomy(self.steps, asked)
        full = saturation(roomy, of, widths)
        if asked.requests_per_second is None:
            found = self._explained(load)
            played = virtual_replica.kept_at_once(self.steps, load)
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

    @property
    def steps(self) -> StepTimes:
        """The estimator's step times, where it has any."""
        return self.by_estimator[0] if isinstance(self.by_estimator, tuple) else self.times.whole

    def _evidence(self, load: Load) -> Evidence:
        """What these rest on."""
        of_form = self.calibration.evidence(self.replica, load.concurrency)
        return or_closed_form(self.by_estimator, (self.times.whole, of_form))[1]

    def _explained(self, load: Load) -> Breakdown:
        found = explain(self.name, self.replica, load, self.times, self.calibration)
        return answered_by(found, load, self.times.whole, (self.steps, self._evidence(load)))

    def _at_rate(self, load: Load, rate: float, full: Saturation, widths: HalfWidths) -> UnderLoad:
        most = HIGHEST_USE * full.requests_per_second.value
        if rate > most:
            raise HetopsError(
                f"{rate:g} requests a second of these lengths are more than one replica completes: {most:.3g}",
                hint="ask for a lower --rate, or for the largest within targets with --ttft and --tpot",
            )

        def played(at: float) -> Replayed:
            return (
                virtual_replica.at_rate(self.steps, load, at) if at <= most else endless(load.output_tokens)
            )

        return at_rate(rate, {pace: played(rate * pace) for pace in paces(widths)}, widths)


def _seconds(found: Prediction) -> Range:
    """A latency, which predictions have in milliseconds."""
    value, low, high = ((number or 0.0) / 1e3 for number in (found.value, found.low, found.high))
    return Range(value=value, low=low, high=high)


def _roomy(steps: StepTimes, asked: Asked) -> StepTimes:
    """With the places that an engine has: so many kept at once are a benchmark's matter, not the engine's."""
    at_once = asked.requests_per_second is None
    return replace(steps, max_sequences=max(PLACES, steps.max_sequences)) if at_once else steps


def class_of(load: Load, asked: Asked) -> WorkloadClass:
    """The requests of a load as a class."""
    return WorkloadClass(
        name="asked",
        requests_per_second=asked.requests_per_second or 0.0,
        input_tokens=lengths(load.input_tokens, load.spread),
        output_tokens=lengths(load.output_tokens, load.spread),
        target=asked.target or LatencyTarget(),
        prefix_share=load.prefix_share,
    )
