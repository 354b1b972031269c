"""What of a measurement is to be doubted, in words: failures, answers of other lengths, tokens that came together. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from hetops.load.open_loops import OpenLoop
from hetops.load.samples import Sample, failures
from hetops.load.trials import Trial, TrialResult

_LATE_SHARE = 0.2
"""Of the time to the first token: a client that is later to see it measures itself."""
_SAME_LENGTH = 0.1
"""Answers whose mean length is so near to what was asked are as long as asked."""


def of_load(trial: Trial, samples: Sequence[Sample], late_seconds: float) -> Iterator[str]:
    """What is to be doubted of one load: of all its samples, and of how late this client was to see them."""
    where = f"{trial.workload_class} at {trial.concurrency}"
    if counts := failures(samples):
        told = ", ".join(f"{n} x {what}" for what, n in counts.items())
        yield f"{where}: of {len(samples)} requests failed {told}"
    first = [s.ttft_seconds for s in samples if s.ttft_seconds is not None]
    if first and late_seconds > _LATE_SHARE * median(first):
        yield (
            f"{where}: this client was {late_seconds * 1000:.0f} ms late to see what came: TTFT is too long by so much"
            " and the rate too low; measure from a machine with idle cores"
        )
    if together(samples):
        yield (
            f"{where}: the tokens of an answer came together, so TTFT holds all of it and TPOT is unknown; something"
            " between here and the engine keeps them back, or the engine is too fast to be told"
        )


def of_end(trial: Trial, unanswered: int) -> Iterator[str]:
    """Whom the figures of a load leave out that the time did not suffice for."""
    if unanswered:
        yield (
            f"{trial.workload_class} at {trial.concurrency}: {unanswered} requests had no answer when the time was over, and its"
            " figures are those of faster ones: --seconds gives it more time"
        )


def of_rate(loop: OpenLoop) -> Iterator[str]:
    """What is to be doubted of an open loop: whom its latencies leave out, and how late this client sent."""
    where = f"{loop.configuration} at {loop.offered_requests_per_second:g} requests/s"
    if loop.unanswered:
        yield (
            f"{where}: {loop.unanswered} of {loop.sent} requests were unanswered when the time was over; its latencies"
            " are those of the others, so users see worse"
        )
    first = loop.figures.ttft_seconds
    if first and loop.late_seconds > _LATE_SHARE * first[0]:
        yield (
            f"{where}: requests were sent {loop.late_seconds * 1000:.0f} ms late on average, which its latencies leave"
            " out: this client cannot send at that rate"
        )


def together(samples: Sequence[Sample]) -> bool:
    """Whether most answers of several tokens came in one piece."""
    several = [s for s in samples if s.failure is None and s.output_tokens > 1]
    return sum(s.tpot_seconds is None for s in several) * 2 > len(several)


def of_lengths(engine: str, results: Sequence[TrialResult]) -> Iterator[str]:
    """Whether answers were as long as asked."""
    off = {
        r.trial.workload_class: f"{r.figures.output_tokens:.3g} instead of {r.trial.lengths.output_tokens} tokens"
        for r in results
        if abs(r.figures.output_tokens / r.trial.lengths.output_tokens - 1.0) > _SAME_LENGTH
    }
    if off:
        told = ", ".join(f"{name} {lengths}" for name, lengths in off.items())
        yield f"answers of {engine} are not as long as asked: {told}"
