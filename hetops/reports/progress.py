"""How far a change of a fleet is, pool by pool: events in, lines out. Pure; the clock arrives as values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from hetops.reports import quantities as q
from hetops.stack.changes import Happening, PoolEvent

_BAR_CELLS = 10

_SAID: Mapping[Happening, str] = {
    Happening.CREATING: "is being made",
    Happening.UPDATING: "is changing",
    Happening.DELETING: "is going",
    Happening.DONE: "is done",
    Happening.FAILED: "failed",
}
_DONE: Mapping[Happening, str] = {
    Happening.CREATING: "is ready",
    Happening.UPDATING: "is changed",
    Happening.DELETING: "is gone",
}
"""What the end of each step means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStep:
    """What happens to a node, and whether that is over."""

    doing: Happening
    over: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Every step that was heard of, by pool and node. `expected` is how many steps each pool will have."""

    expected: Mapping[str, int] = field(default_factory=dict)
    steps: Mapping[tuple[str, str], NodeStep] = field(default_factory=dict)

    def after(self, event: PoolEvent) -> Progress:
        """The progress once the event is known; notes change nothing."""
        if event.what is Happening.NOTE or not event.node:
            return self
        key = event.pool, event.node
        before = self.steps.get(key)
        if event.what is Happening.DONE:
            step = NodeStep(doing=before.doing if before else Happening.UPDATING, over=True)
        elif event.what is Happening.FAILED:
            step = NodeStep(doing=before.doing if before else Happening.CREATING, over=True, failed=True)
        else:
            step = NodeStep(doing=event.what)
        return replace(self, steps={**self.steps, key: step})

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Nodes whose step has begun and is not over."""
        return tuple(node for (_, node), step in self.steps.items() if not step.over)


def line(progress: Progress, event: PoolEvent, at: datetime) -> str:
    """One state change as one line with its time; `progress` is as it was before the event."""
    time = f"{at:%H:%M:%S}"
    if event.what is Happening.NOTE or not event.node:
        return f"{time}  {event.message}"
    known = progress.steps.get((event.pool, event.node))
    said = _SAID[event.what]
    if event.what is Happening.DONE and known:
        said = _DONE.get(known.doing, said)
    reason = event.message.partition("\n")[0]
    return f"{time}  {event.pool or '-'}: {event.node} {said}" + (f": {reason}" if reason else "")


def table(progress: Progress, elapsed_seconds: float) -> str:
    """One line a pool: a bar, how many steps are over, what is under way."""
    pools = tuple(dict.fromkeys((*progress.expected, *(pool for pool, _ in progress.steps))))
    width = max((len(p) for p in pools), default=0)
    lines = (_pool_line(progress, pool, width) for pool in pools)
    return "\n".join((*lines, f"{q.seconds(max(elapsed_seconds, 0.1))}"))


def _pool_line(progress: Progress, pool: str, width: int) -> str:
    steps = [s for (name, _), s in progress.steps.items() if name == pool]
    over = sum(s.over and not s.failed for s in steps)
    expected = max(progress.expected.get(pool, 0), len(steps))
    cells = _BAR_CELLS * over // expected if expected else 0
    bar = "█" * cells + "░" * (_BAR_CELLS - cells)
    return f"{pool.ljust(width)}  {bar}  {over} of {expected}{_under_way(steps)}"


def _under_way(steps: list[NodeStep]) -> str:
    doing = Counter(_SAID[s.doing].removeprefix("is ") for s in steps if not s.over)
    failed = sum(s.failed for s in steps)
    told = [f"{count} {what}" for what, count in doing.items()] + [f"{failed} failed"] * bool(failed)
    return "".join(f", {part}" for part in told)
