"""Edge: an open loop at a rate, bounded in time, and what came of it. Requests come as users' do, whatever is unanswered.

What it measures is for reading, not for planning: step times are found at a number in flight that is known.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from hetops.load import drive
from hetops.load.drive import Tuned
from hetops.load.samples import Figures, Sample, figures
from hetops.load.schedule import Lengths, poisson

_PATIENCE = 6.0
"""As many times the load's length are answers waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLoop:
    """A replica under Poisson arrivals."""

    configuration: str
    offered_requests_per_second: float
    sent: int
    unanswered: int
    """When the time was over."""
    answered_requests_per_second: float
    """From the first arrival to the last answer."""
    figures: Figures
    late_seconds: float = 0.0
    """How much later than they were due its requests were sent, on average."""


async def at_rate(
    tuned: Tuned, configuration: str, lengths: Sequence[Lengths], rate: float, seconds: float
) -> OpenLoop | None:
    """Requests of these lengths, drawn alike, for so many seconds; None where none was answered."""
    arrivals = poisson(rate, seconds, lengths)
    samples: list[Sample] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds * _PATIENCE):
            await drive.open_loop(tuned, arrivals, on_sample=samples.append)
    answered = [s for s in samples if s.failure is None]
    if not answered:
        return None
    return OpenLoop(
        configuration=configuration,
        offered_requests_per_second=rate,
        sent=len(arrivals),
        unanswered=len(arrivals) - len(samples),
        answered_requests_per_second=len(answered) / max(s.ended for s in answered),
        figures=figures(samples),
        late_seconds=fmean(s.started - s.due for s in samples),
    )
