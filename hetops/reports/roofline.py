"""The roofline of a replica as SVG: what its GPUs could do, what is reached, and where decode and prefill stand. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from hetops.performance.breakdown import Breakdown, Roofline, Work

_WIDTH, _HEIGHT = 640.0, 400.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 84.0, 24.0, 64.0, 56.0
_INTENSITIES = (-1, 4)
"""Operations per byte that the picture shows, as powers of ten."""
_DECADES = 5
"""Powers of ten that it shows of operations a second."""
_UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "G"))


def as_svg(found: Breakdown) -> str:
    """The picture, which needs nothing beside it."""
    line = found.roofline
    scale = _Scale(top=math.ceil(math.log10(line.peak_operations_per_second)))
    points = (
        (line.decode, f"decode, {found.in_flight:.3g} at once: {found.binding} binds"),
        (line.prefill, f"prefill of {found.input_tokens:,.0f} tokens"),
    )
    parts = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" font-family="sans-serif" font-size="12">',
        f"<title>Roofline of {escape(found.configuration)}</title>",
        f'<rect width="{_WIDTH:g}" height="{_HEIGHT:g}" fill="white"/>',
        *_axes(scale),
        _roof(
            line.peak_operations_per_second,
            line.bandwidth_bytes_per_second,
            scale,
            'stroke="#888" stroke-dasharray="4"',
        ),
        _roof(
            line.reached_operations_per_second,
            line.reached_bytes_per_second,
            scale,
            'stroke="#0a5" stroke-width="2"',
        ),
        *(_point(work, text, number, scale) for number, (work, text) in enumerate(points)),
        f'<text x="{_LEFT:g}" y="20" font-weight="bold">{escape(found.configuration)}</text>',
        f'<text x="{_LEFT:g}" y="38" fill="#555">dashed: {_peaks(line)}; solid: what kernels reach of it</text>',
        "</svg>\n",
    )
    return "\n".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """Both axes are logarithms. `top` is the power of ten of operations a second at the upper end."""

    top: int

    def at(self, intensity: float, operations: float) -> tuple[float, float]:
        """Where it lies; what lies beyond the picture lies at its edge."""
        first, last = _INTENSITIES
        x = (math.log10(max(intensity, 1e-300)) - first) / (last - first)
        y = (math.log10(max(operations, 1e-300)) - self.top) / _DECADES + 1.0
        x, y = (min(max(part, 0.0), 1.0) for part in (x, y))
        return _LEFT + x * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - y * (_HEIGHT - _TOP - _BOTTOM)


def _axes(scale: _Scale) -> Iterator[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    for power in range(_INTENSITIES[0], _INTENSITIES[1] + 1):
        x, _ = scale.at(10.0**power, 1.0)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP:g}" y2="{bottom:g}" stroke="#ddd"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 18:g}" text-anchor="middle">{10.0**power:,g}</text>'
    for power in range(scale.top - _DECADES, scale.top + 1):
        _, y = scale.at(1.0, 10.0**power)
        yield f'<line x1="{_LEFT:g}" x2="{right:g}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{_LEFT - 8:g}" y="{y + 4:.1f}" text-anchor="end">{_amount(10.0**power)}FLOP/s</text>'
    middle = (_LEFT + right) / 2
    yield f'<text x="{middle:g}" y="{_HEIGHT - 14:g}" text-anchor="middle">operations per byte read</text>'


def _roof(peak: float, bandwidth: float, scale: _Scale, look: str) -> str:
    """As much as the bandwidth feeds, up to the peak."""
    lowest, first, last = 10.0 ** (scale.top - _DECADES), *(10.0**power for power in _INTENSITIES)
    begin = max(first, lowest / bandwidth)
    corners = ((begin, begin * bandwidth), (peak / bandwidth, peak), (last, peak))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (scale.at(*corner) for corner in corners))
    return f'<polyline points="{points}" fill="none" {look}/>'


def _point(work: Work, text: str, number: int, scale: _Scale) -> str:
    """Its place, and what it is in the corner below the roof, where nothing else can be."""
    x, y = scale.at(work.operations_per_byte, work.operations_per_second)
    colour = ("#c30", "#05a")[number]
    right, line = _WIDTH - _RIGHT - 10, _HEIGHT - _BOTTOM - 30 + 18 * number
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>'
        f'<text x="{right:g}" y="{line:g}" text-anchor="end" fill="{colour}">{escape(text)},'
        f" {_amount(work.operations_per_second)}FLOP/s</text>"
    )


def _peaks(line: Roofline) -> str:
    return (
        f"the GPUs' {_amount(line.peak_operations_per_second)}FLOP/s and"
        f" {line.bandwidth_bytes_per_second / 1e12:.3g} TB/s"
    )


def _amount(value: float) -> str:
    """`2.5 P`, `100 T`: what stands before a unit."""
    size, letter = next((unit for unit in _UNITS if value >= unit[0] * 0.9995), (1.0, ""))
    return f"{value / size:.3g} {letter}"
