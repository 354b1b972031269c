"""A simulation as one HTML page with plots, that loads nothing. Pure: the document in, a page out; the template holds its text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import jinja2

from hetops import bundled
from hetops.reports import quantities as q
from hetops.reports.simulation import Moment, SimulatedClass, Simulation
from hetops.reports.simulation_plots import Curve, Plot, Span, names, svg
from hetops.reports.simulation_text import MODEL_HEADS, head, model_row, money, pair, precisely, spread_row

TEMPLATE = "reports/simulation.html.j2"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """A plot as the template takes it."""

    title: str
    svg: str
    names: tuple[tuple[str, int], ...]


def as_html(found: Simulation) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(bundled.folder("templates")),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        found=found,
        head=tuple(head(found)),
        plots=tuple(_Drawn(title=p.title, svg=svg(p), names=names(p.curves)) for p in _plots(found)),
        latencies=[row for c in found.classes for row in _latencies(c)],
        model_heads=MODEL_HEADS,
        models=[model_row(one) for one in found.models],
        money=money(found),
        spread=[spread_row(s) for s in found.spread],
        precisely=precisely,
        pair=pair,
        q=q,
    )


def _latencies(c: SimulatedClass) -> Iterator[tuple[str, ...]]:
    """Rows of the table of classes: class, what, planned, simulated, target, percentiles, whether it is kept."""
    target = c.target
    for name, figure, bound, percentile, all_of in (
        ("TTFT", c.ttft_seconds, target.ttft_seconds, target.ttft_percentile, c.ttft_percentiles),
        ("TPOT", c.tpot_seconds, target.tpot_seconds, target.tpot_percentile, c.tpot_percentiles),
    ):
        values = (all_of.p50, all_of.p90, all_of.p95, all_of.p99) if all_of else (None,) * 4
        yield (
            c.name,
            f"{name} p{percentile:g}",
            *pair(figure, q.seconds),
            q.seconds(bound),
            *(q.seconds(v) for v in values),
            "late" if name in c.late else "",
        )


def _plots(found: Simulation) -> Iterator[Plot]:
    yield _plot(found, "Requests a second", lambda m: {"requests": m.requests_per_second}, q.rate)
    within = _plot(
        found, "Within their targets, of the requests that came", lambda m: {"all": m.within_targets}, q.share
    )
    yield replace(within, top=1.0)
    yield _plot(found, "TTFT at the target's percentile", lambda m: m.ttft_seconds, q.seconds)
    yield _plot(found, "Requests in flight", lambda m: m.in_flight, _count)
    if any(n for m in found.moments for n in m.waiting.values()):
        yield _plot(found, "Of these waiting for a place in an engine", lambda m: m.waiting, _count)
    if found.faults:
        replicas = _plot(found, "Replicas that are there", lambda m: m.replicas, _count)
        yield replace(replicas, counted=True)


def _plot(
    found: Simulation,
    title: str,
    of: Callable[[Moment], Mapping[str, float | int | None]],
    shown: Callable[[float], str],
) -> Plot:
    rows = [of(m) for m in found.moments]
    keys = tuple(rows[0]) if rows else ()
    return Plot(
        title=title,
        times=tuple(m.at_seconds for m in found.moments),
        end=found.seconds,
        curves=tuple(Curve(name=key, values=tuple(row[key] for row in rows)) for key in keys),
        shown=shown,
        spans=tuple(
            Span(name=f.fault, start=f.at_seconds, end=f.until_seconds)
            for f in found.faults
            if f.at_seconds < found.seconds
        ),
    )


def _count(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"
