"""A frontier as a document, as text, as CSV and as a picture. Pure."""

from __future__ import annotations

import csv
import io
import math
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from html import escape
from typing import Any, ClassVar

from hetops.domain import codec
from hetops.domain.added import ADDED
from hetops.reports import quantities as q
from hetops.solver.terms import Role

_WIDTH, _HEIGHT, _MARGIN = 720, 420, 64
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's palette, told apart by all kinds of eyes (jfly.uni-koeln.de/color)."""


class Axis(StrEnum):
    """What changes from point to point of a series."""

    TARGETS = "targets"
    """Factors on every latency target; the answer is the least cost."""
    BUDGET = "budget"
    """USD per hour; the answer is the largest rate at the workload's mix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontierPoint:
    """The best fleet at one place, or why there is none."""

    headroom: float
    target_factor: float
    budget_usd_per_hour: Decimal | None = None
    usd_per_hour: Decimal | None = None
    """None where there is no fleet."""
    requests_per_second: float | None = None
    nodes: Mapping[str, int] = field(default_factory=dict)
    """Nodes by GPU type and GPUs a node, `L40S:2`."""
    roles: Mapping[str, tuple[Role, ...]] = field(default_factory=dict, metadata=ADDED)
    """What those do of requests, where prefill and decode are apart."""
    shed_usd_per_hour: Decimal = field(default=Decimal(0), metadata=ADDED)
    """Of the cost, what requests count for that are turned away. Nobody is paid it."""
    services: tuple[str, ...] = ()
    """Those that are paid by the token and get a share."""
    gap: float = 0.0
    rate_scale: float | None = field(default=None, metadata=ADDED)
    """Of a budget: the `workload.rate_scale` at which a plan within it serves the rate, a thousandth of it at most left out."""
    reason: str = ""
    """Why there is no fleet."""

    @property
    def place(self) -> float:
        """Where on the axis."""
        return self.target_factor if self.budget_usd_per_hour is None else float(self.budget_usd_per_hour)

    @property
    def value(self) -> float | None:
        """What is sought there: USD per hour, or requests per second where a budget is given."""
        if self.usd_per_hour is None:
            return None
        return float(self.usd_per_hour) if self.budget_usd_per_hour is None else self.requests_per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """The best that can be had along latency targets or budgets, a series for each headroom."""

    FORMAT: ClassVar[str] = "hetops.frontier"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    deployment: str
    axis: Axis
    demand_requests_per_second: float
    points: tuple[FrontierPoint, ...]
    points_asked: int = 0
    """More than there are where it was stopped; 0 where nobody counted."""
    spec_file: str = field(default="", metadata=ADDED)
    """As `-f` named it; empty where nobody did."""
    overrides: tuple[str, ...] = field(default=(), metadata=ADDED)
    """`KEY.PATH=VALUE`, each as `--set` gave it in place of a field of the spec."""

    @property
    def stopped(self) -> bool:
        """Whether points are missing that were asked for."""
        return len(self.points) < self.points_asked

    @property
    def series(self) -> Mapping[float, tuple[FrontierPoint, ...]]:
        """The points of each headroom, along the axis."""
        headrooms = dict.fromkeys(point.headroom for point in self.points)
        return {h: tuple(p for p in self.points if p.headroom == h) for h in headrooms}


def as_json(told: Frontier) -> dict[str, Any]:
    """The document."""
    return codec.to_builtins(told)


def as_text(told: Frontier) -> str:
    """A row a point."""
    of_budgets = told.axis is Axis.BUDGET
    rows = [
        (
            _place(point),
            q.share(point.headroom),
            "-" if point.usd_per_hour is None else f"{q.usd(point.usd_per_hour)} /h",
            "-" if point.requests_per_second is None else q.rate(point.requests_per_second),
            *(["-" if point.rate_scale is None else f"{point.rate_scale:g}"] if of_budgets else []),
            point.reason or _fleet(point),
        )
        for point in told.points
    ]
    title = f"{told.deployment}: " + (
        f"least cost of {q.rate(told.demand_requests_per_second)} along the latency targets"
        if not of_budgets
        else "largest rate along the budget"
    )
    along = ("budget", "headroom", "cost", "rate", "rate scale")
    headers = (*(along if of_budgets else ("targets", "headroom", "cost", "rate")), "fleet")
    if told.stopped:
        title += f"\nStopped: {len(told.points)} of {told.points_asked} points"
    return f"{title}\n\n{q.table(headers, rows, right=range(len(headers) - 1))}\n{_plan_of_the_last(told)}"


def _plan_of_the_last(told: Frontier) -> str:
    """How to come from a budget's point to a plan, which `up` takes; broken here, for what a page folds no shell reads."""
    point = next((one for one in reversed(told.points) if one.rate_scale is not None), None)
    if point is None:
        return ""
    spec = f" -f {shlex.quote(told.spec_file)}" if told.spec_file else ""
    overrides = (
        *told.overrides,
        f"budget.usd_per_hour={point.budget_usd_per_hour}",
        f"workload.rate_scale={point.rate_scale}",
        f"policy.headroom={point.headroom:g}",
    )
    sets = "".join(f" \\\n    --set {shlex.quote(one)}" for one in overrides)
    return (
        "\nTo run the last; any other has its own budget, rate scale and headroom:\n"
        f"  hetops plan{spec} -o plan.json{sets}\n  hetops up{spec} plan.json\n"
    )


def _fleet(point: FrontierPoint) -> str:
    rented = (f"{n} x {gpu}{_roles(point.roles.get(gpu, ()))}" for gpu, n in sorted(point.nodes.items()))
    shed = f", {q.usd(point.shed_usd_per_hour)} /h of it for what is turned away"
    fleet = " + ".join((*rented, *point.services)) or "none"
    return fleet + shed * bool(point.shed_usd_per_hour)


def _roles(of: tuple[Role, ...]) -> str:
    return f" ({', '.join(of)})" if of else ""


def as_csv(told: Frontier) -> str:
    """A line a point, in the units of the names."""
    out = io.StringIO()
    names = (
        "target_factor",
        "headroom",
        "budget_usd_per_hour",
        "usd_per_hour",
        "requests_per_second",
        "gap",
        "rate_scale",
        "shed_usd_per_hour",
        "nodes",
        "roles",
        "services",
        "reason",
    )
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for point in told.points:
        nodes = " ".join(f"{gpu}={count}" for gpu, count in sorted(point.nodes.items()))
        values = {name: getattr(point, name) for name in names}
        roles = " ".join(f"{gpu}={'+'.join(of)}" for gpu, of in sorted(point.roles.items()))
        values |= {"nodes": nodes, "roles": roles, "services": " ".join(point.services)}
        writer.writerow(["" if values[name] is None else values[name] for name in names])
    return out.getvalue()


def as_svg(told: Frontier) -> str:
    """A line for each headroom; points without a fleet are left out."""
    found = [p for p in told.points if p.value is not None]
    right = max((p.place for p in found), default=1.0)
    top = max((p.value or 0.0 for p in found), default=1.0) or 1.0
    along = "factor on the latency targets" if told.axis is Axis.TARGETS else "budget, USD per hour"
    upward = "USD per hour" if told.axis is Axis.TARGETS else "requests per second"
    lines = "".join(_line(h, of, n, (right, top)) for n, (h, of) in enumerate(told.series.items()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12">'
        f"<title>Frontier of {escape(told.deployment)}</title>"
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>'
        f"{''.join(_grid(right, top))}{lines}"
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 16}" text-anchor="middle">{along}</text>'
        f'<text x="16" y="{_HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 16 {_HEIGHT / 2})">{upward}</text>'
        "</svg>\n"
    )


def _at(x: float, y: float, scale: tuple[float, float]) -> tuple[float, float]:
    inner = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    return _MARGIN + x / scale[0] * inner[0], _HEIGHT - _MARGIN - y / scale[1] * inner[1]


def _grid(right: float, top: float) -> Iterator[str]:
    for along in _round(right):
        x, _ = _at(along, 0.0, (right, top))
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_MARGIN}" y2="{_HEIGHT - _MARGIN}" stroke="#ddd"/>'
        yield f'<text x="{x:.1f}" y="{_HEIGHT - _MARGIN + 16}" text-anchor="middle">{along:.10g}</text>'
    for up in _round(top):
        _, y = _at(0.0, up, (right, top))
        yield f'<line x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{_MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{up:.10g}</text>'


def _round(most: float) -> tuple[float, ...]:
    """Numbers that are read at a glance, from 0 to at most `most`, five to eight of them."""
    power = 10.0 ** math.floor(math.log10(most / 5.0))
    step = next(factor * power for factor in (10, 5, 2.5, 2, 1) if factor * power <= most / 4.0)
    return tuple(step * n for n in range(int(most / step * (1 + 1e-9)) + 1))


def _line(headroom: float, points: tuple[FrontierPoint, ...], number: int, scale: tuple[float, float]) -> str:
    colour = _COLOURS[number % len(_COLOURS)]
    spots = [_at(p.place, p.value, scale) for p in points if p.value is not None]
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in spots)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'
        f'<text x="{_WIDTH - _MARGIN}" y="{24 + 16 * number}" text-anchor="end" fill="{colour}">'
        f"headroom {q.share(headroom)}</text>"
    )


def _place(point: FrontierPoint) -> str:
    if point.budget_usd_per_hour is None:
        return f"x {point.target_factor:g}"
    return f"{q.usd(point.budget_usd_per_hour)} /h"
