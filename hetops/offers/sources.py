"""Where offers came from, and how far each source can be trusted now. Values only; asks nobody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hetops.domain.offer import Offer
from hetops.domain.plan import Refusal
from hetops.errors import ErrorKind

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


class SourceState(StrEnum):
    """How a source answered."""

    LIVE = "live"
    CACHED = "cached"
    """An earlier answer that still holds; with `--offline`, the last answer whatever its age."""
    LIST = "list"
    """Nobody was asked: the dated list prices of the catalogue, good for a plan only."""
    REFUSED = "refused"
    """Asked in vain. The catalogue's list prices stand in where it has any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """One source: what came of it. `oldest` and `newest` are the times its prices were observed."""

    provider: str
    state: SourceState
    offers: int
    oldest: datetime | None = None
    newest: datetime | None = None
    error_kind: ErrorKind | None = None
    """What a refusal means; None where the provider did not refuse, or failed in a way it does not name."""
    detail: str = ""
    """Why a source refused, in the provider's words, or what failed of it, or is wrong with part of its answer."""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """All offers of all sources, one report for each source asked, and what came back that is no offer."""

    collected_at: datetime
    offers: tuple[Offer, ...]
    sources: tuple[SourceReport, ...]
    refusals: tuple[Refusal, ...] = ()

    @property
    def coverage(self) -> str:
        """One line: how many sources are live, which refused, or a part of which, and why, what stands on a cache or a list."""
        parts = (
            self._live(),
            *(f"{s.provider} refused: {s.detail}" for s in self._in(SourceState.REFUSED)),
            *(f"{s.provider} {s.detail}" for s in self._in(SourceState.LIVE, SourceState.CACHED) if s.detail),
            *(
                f"{s.provider} from cache, {_age(self.collected_at, s)} old"
                for s in self._in(SourceState.CACHED)
            ),
            self._listed(),
        )
        return "; ".join(part for part in parts if part)

    def _in(self, *states: SourceState) -> tuple[SourceReport, ...]:
        return tuple(s for s in self.sources if s.state in states)

    def _live(self) -> str:
        asked = self._in(SourceState.LIVE, SourceState.CACHED, SourceState.REFUSED)
        live = self._in(SourceState.LIVE)
        names = f" ({', '.join(s.provider for s in live)})" if live else ""
        return f"{len(live)} of {len(asked)} source{'s' * (len(asked) != 1)} live{names}" if asked else ""

    def _listed(self) -> str:
        listed = [s for s in self._in(SourceState.LIST, SourceState.REFUSED) if s.oldest and s.newest]
        if not listed:
            return ""
        oldest = min(s.oldest for s in listed if s.oldest)
        newest = max(s.newest for s in listed if s.newest)
        names = ", ".join(s.provider for s in listed)
        dates = f"{oldest:%Y-%m-%d}" + (f" to {newest:%Y-%m-%d}" if newest > oldest else "")
        return f"{names} at list prices of {dates}, plan only"


def _age(now: datetime, source: SourceReport) -> str:
    """`12 min`, of the oldest price."""
    seconds = (now - source.oldest).total_seconds() if source.oldest else 0.0
    for size, unit in ((_DAY, "days"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"
