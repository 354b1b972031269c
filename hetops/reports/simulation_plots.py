"""Curves over time as SVG that needs nothing beside it. Pure: numbers in, text out; decides scales and ticks.

Colours and text are the page's: curves have the classes `curve-0`, `curve-1`, ..., everything else a class by what it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720.0, 200.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 12.0, 10.0, 26.0
_TICKS = 4
CURVES = 8
"""Curves that a page has colours for; more begin again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A figure over time, None where there is none; one value a time."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time that is marked; None is to the end."""

    name: str
    start: float
    end: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Curves over the same times in seconds, rising, which end at `end`."""

    title: str
    times: tuple[float, ...]
    end: float
    curves: tuple[Curve, ...]
    shown: Callable[[float], str]
    """A value as the axis says it."""
    spans: tuple[Span, ...] = ()
    top: float | None = None
    """Upper end of the scale; None is what the largest value needs."""
    counted: bool = False
    """Whether there are only whole numbers of it: half a replica is no tick."""


def svg(plot: Plot) -> str:
    """The plot. Curves hold each value until the next time, for every value is that of a stretch."""
    scale = _Scale.of(plot)
    parts = (
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(plot.title)}">',
        *(_span(s, scale) for s in plot.spans),
        *_axes(plot, scale),
        *(_curve(c, number, plot, scale) for number, c in enumerate(plot.curves)),
        "</svg>",
    )
    return "\n".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """Where times and values lie in the picture."""

    end: float
    top: float

    @classmethod
    def of(cls, plot: Plot) -> _Scale:
        most = max((v for c in plot.curves for v in c.values if v is not None), default=0.0)
        top = plot.top or _round_up(most)
        return cls(end=max(plot.end, 1e-9), top=math.ceil(top) if plot.counted else top)

    def x(self, seconds: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(seconds / self.end, 1.0)

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * min(value / self.top, 1.0)


def _round_up(value: float) -> float:
    """The next number that makes ticks of few digits."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(
        step * power for step in (1, 1.2, 1.6, 2, 2.4, 3, 4, 6, 8, 10) if step * power >= value * (1 - 1e-9)
    )


def _axes(plot: Plot, scale: _Scale) -> Iterator[str]:
    ticks = _whole_ticks(scale.top) if plot.counted else _TICKS
    for number in range(ticks + 1):
        value = scale.top * number / ticks
        y = scale.y(value)
        yield f'<line class="grid" x1="{_LEFT:g}" x2="{WIDTH - _RIGHT:g}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{_LEFT - 6:g}" y="{y + 4:.1f}" text-anchor="end">{escape(plot.shown(value))}</text>'
    for seconds in _times(scale.end):
        x = scale.x(seconds)
        anchor = "end" if x > WIDTH - 2 * _RIGHT else "middle"
        yield f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 8:g}" text-anchor="{anchor}">{_clock(seconds)}</text>'


def _whole_ticks(top: float) -> int:
    """The most ticks that a scale can have at whole numbers."""
    return next((ticks for ticks in range(_TICKS, 1, -1) if top % ticks == 0), 1)


def _times(end: float) -> Iterator[float]:
    """Round moments, about seven."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
    step = next((s for s in steps if end / s <= 8), math.ceil(end / 8 / 86400) * 86400)
    yield from (float(step * number) for number in range(int(end / step) + 1))


def _clock(seconds: float) -> str:
    """`0:10:00`; below an hour `10:00`."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _span(span: Span, scale: _Scale) -> str:
    x = scale.x(span.start)
    width = scale.x(scale.end if span.end is None else span.end) - x
    return (
        f'<rect class="span" x="{x:.1f}" y="{_TOP:g}" width="{max(width, 1.5):.1f}"'
        f' height="{HEIGHT - _TOP - _BOTTOM:g}"><title>{escape(span.name)}</title></rect>'
    )


def _curve(curve: Curve, number: int, plot: Plot, scale: _Scale) -> str:
    ends = (*plot.times[1:], plot.end)
    path: list[str] = []
    drawing = False
    for start, end, value in zip(plot.times, ends, curve.values, strict=True):
        if value is not None:
            y = scale.y(value)
            path.append(f"{'L' if drawing else 'M'}{scale.x(start):.1f} {y:.1f}H{scale.x(end):.1f}")
        drawing = value is not None
    return f'<path class="curve curve-{number % CURVES}" d="{"".join(path)}"><title>{escape(curve.name)}</title></path>'


def names(curves: Sequence[Curve]) -> tuple[tuple[str, int], ...]:
    """Each curve's name and the number of its colour."""
    return tuple((c.name, number % CURVES) for number, c in enumerate(curves))
