"""A simulation's text and page: what matters stands in them, and the page loads nothing and escapes everything."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from hetops.app.virtual_fleet import Trial, endpoints, playing
from hetops.domain.workload import LatencyTarget
from hetops.reports.simulation import Ended, PlayedFault, Simulation
from hetops.reports.simulation_html import as_html
from hetops.reports.simulation_plots import Curve, Plot, Span, svg
from hetops.reports.simulation_run import Played
from hetops.reports.simulation_summary import MOST_MOMENTS, Scene, figures, simulation
from hetops.reports.simulation_text import as_text, precisely
from hetops.router.config import from_plan
from hetops.simulate.fleet import VirtualFleet
from hetops.simulate.replay import Scenario
from hetops.simulate.timeline import Happening
from tests.doubles import plans
from tests.simulate.fleets import arrivals, change, pool

PLAN = plans.plan()
FAULT = PlayedFault(fault="slow,at_seconds=20,pool=l4-fp8,factor=20", at_seconds=20.0, until_seconds=40.0)


def run(seed: int = 0, ended: Ended = Ended.WHOLE) -> Played:
    """A minute of the small plan in which its L4s are slow for a while; stopped early where it is to be."""
    fleet = VirtualFleet([pool("l4-fp8", nodes=2, usd_per_hour=1.6), pool("l40s-fp8", usd_per_hour=1.9)])
    coming = arrivals([0.25 * n for n in range(240)], [1000, 1000, 1000, 2000] * 60, [200, 200, 200, 30] * 60)
    changes = (
        change(20.0, Happening.SLOWER, 0, 1, factor=20.0),
        change(40.0, Happening.AS_BEFORE, 0, 1, factor=20.0),
    )
    classes = tuple(
        replace(c, target=LatencyTarget(ttft_seconds=0.5, tpot_seconds=0.05)) for c in PLAN.workload.classes
    )
    trial = Trial(
        scenario=Scenario(fleet=fleet, arrivals=coming, changes=changes),
        config=from_plan(PLAN, endpoints(fleet)),
        classes=classes,
    )
    play = playing(trial)
    if ended is Ended.STOPPED:
        play.replay.stop()
    for _ in play.progress():
        pass
    return Played(
        seed=seed,
        ended=ended,
        fleet=fleet,
        classes=classes,
        arrivals=coming,
        record=play.record,
        served=play.served,
        spilled=play.router.spilled,
    )


RUN = run()
FOUND = simulation(
    PLAN, Scene(trace="requests.csv", faults=(FAULT,), notes=("a <note> & more",)), RUN, (figures(RUN),)
)


def test_the_text_holds_the_plan_s_figures_beside_the_simulated_ones() -> None:
    text = as_text(FOUND)
    assert text.startswith(
        "chat: 240 requests of requests.csv in 60.75 s (240 ok)\nfault: slow,at_seconds=20"
    )
    chat = FOUND.classes[0]
    assert chat.ttft_seconds.measured is not None
    assert re.search(r"\n +TTFT p90 +0\.41 s +[\d.]+ s +0\.50 s  not kept\n", text)
    assert re.search(r"\n +TPOT p90 +20 ms +", text)
    assert "a <note> & more" in text
    assert all(p.name in text for p in FOUND.pools)


def test_attainment_is_the_share_of_requests_that_kept_both_targets() -> None:
    played = run()
    kept = sum(
        ended <= 1e9 and first - at <= 0.5 and (ended - first) / (tokens - 1) <= 0.05
        for first, ended, at, tokens in zip(
            played.record.first_at,
            played.record.ended_at,
            played.arrivals.at_seconds.tolist(),
            played.arrivals.output_tokens.tolist(),
            strict=True,
        )
    )
    assert FOUND.attainment == pytest.approx(kept / 240)
    assert 0 < FOUND.attainment < 1


def test_a_target_is_kept_by_the_share_of_all_requests_that_its_percentile_names() -> None:
    chat = FOUND.classes[0]
    assert chat.late == ("TTFT",)
    enough = replace(chat, ttft_attainment=0.9, tpot_attainment=0.95)
    assert enough.late == ()
    assert replace(enough, ttft_attainment=0.899).late == ("TTFT",)
    assert replace(enough, ttft_attainment=0.1, target=LatencyTarget(tpot_seconds=0.05)).late == ()
    text = as_text(replace(FOUND, classes=(replace(enough, tpot_attainment=0.5), FOUND.classes[1])))
    assert "Targets not kept for chat; " in text
    assert "Targets kept for every class; " in as_text(replace(FOUND, classes=(enough,)))


def test_nothing_is_said_of_the_targets_of_a_class_whose_requests_never_came() -> None:
    silent = replace(FOUND.classes[1], name="code", requests=0, attainment=None)
    kept = replace(FOUND.classes[0], ttft_attainment=1.0, tpot_attainment=1.0)
    text = as_text(replace(FOUND, classes=(kept, silent)))
    assert "Targets kept for every other class (no request of code came); " in text


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100 %"), (0.994, "99.40 %"), (0.99999, "99.999 %"), (0.92, "92 %"), (0.0, "0 %")],
)
def test_a_share_is_never_rounded_to_all(share: float, text: str) -> None:
    assert precisely(share) == text


def test_moments_cover_the_time_and_every_request_once() -> None:
    starts = [m.at_seconds for m in FOUND.moments]
    assert starts == sorted(starts)
    assert len(starts) <= MOST_MOMENTS
    ends = [*starts[1:], FOUND.seconds]
    came = sum(
        m.requests_per_second * (end - start)
        for m, start, end in zip(FOUND.moments, starts, ends, strict=True)
    )
    assert came == pytest.approx(240)


def test_of_several_runs_the_spread_is_told_and_the_first_is_shown() -> None:
    several = simulation(
        PLAN, Scene(trace="requests.csv", runs_asked=2), RUN, (figures(RUN), figures(run(1)))
    )
    assert several.seeds == (0, 1)
    assert "OVER ALL RUNS" in as_text(several)
    assert {s.name for s in several.spread} >= {
        "chat TTFT p90",
        "code within targets",
        "USD per million tokens",
    }
    fewer = simulation(PLAN, Scene(trace="requests.csv", runs_asked=5), RUN, (figures(RUN), figures(run(1))))
    assert fewer.ended is Ended.STOPPED
    assert "Stopped after 2 runs\n" in as_text(fewer)


class _Resources(HTMLParser):
    """Whatever a page would load, and whether its tags close."""

    VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe", "object"):
            self.loaded.append(tag)
        self.loaded += [f"{k}={v}" for k, v in attrs if k in ("src", "href", "xlink:href", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> _Resources:
    """The page, read to its end."""
    resources = _Resources()
    resources.feed(page)
    return resources


def test_the_page_loads_nothing_and_every_tag_closes() -> None:
    page = as_html(FOUND)
    found = read(page)
    assert found.loaded == []
    assert found.open == []
    assert "url(" not in page
    assert "@import" not in page
    assert "://" not in page


def test_the_page_holds_what_the_text_holds_and_names_are_escaped() -> None:
    page = as_html(FOUND)
    assert "a &lt;note&gt; &amp; more" in page
    assert page.count('class="late"') >= 1
    assert page.count("<svg") == 6
    hostile = replace(FOUND, deployment='<script>alert("x")</script>', trace="a&b.csv")
    assert read(as_html(hostile)).loaded == []


def test_every_plot_is_sound_xml_with_a_curve_for_each_pool() -> None:
    drawn = re.findall(r"<svg.*?</svg>", as_html(FOUND), re.DOTALL)
    curves = [len(ElementTree.fromstring(one).findall("path")) for one in drawn]
    assert curves == [1, 1, 2, 2, 2, 2]


def test_a_curve_stays_inside_its_plot_and_has_gaps_where_there_is_nothing() -> None:
    plot = Plot(
        title="t",
        times=(0.0, 10.0, 20.0, 30.0),
        end=40.0,
        curves=(Curve(name="c", values=(1.0, None, 37.0, 2.0)),),
        shown="{:g}".format,
        spans=(Span(name="s", start=30.0, end=1e9),),
    )
    tree = ElementTree.fromstring(svg(plot))
    (path,) = tree.findall("path")
    assert path.attrib["d"].count("M") == 2
    numbers = [float(n) for n in re.findall(r"[\d.]+", path.attrib["d"])]
    assert all(0 <= n <= 720 for n in numbers)
    (rect,) = tree.findall("rect")
    assert float(rect.attrib["x"]) + float(rect.attrib["width"]) <= 720
    ticks = [t.text for t in tree.findall("text")]
    assert ticks[:5] == ["0", "10", "20", "30", "40"]
    assert all(a != b for a, b in itertools.pairwise(ticks))


def test_an_empty_simulation_can_be_drawn() -> None:
    nothing: Simulation = replace(FOUND, moments=(), classes=(), pools=(), faults=())
    assert read(as_html(nothing)).open == []
    assert as_text(nothing)


@pytest.mark.parametrize(
    ("most", "expected"), [(1.0, "0 1"), (2.0, "0 1 2"), (5.0, "0 2 4 6"), (7.0, "0 2 4 6 8")]
)
def test_what_is_counted_has_ticks_at_whole_numbers(most: float, expected: str) -> None:
    curve = Curve(name="c", values=(most,))
    plot = Plot(title="t", times=(0.0,), end=30.0, curves=(curve,), shown="{:g}".format, counted=True)
    ticks = [t.text for t in ElementTree.fromstring(svg(plot)).findall("text")]
    assert ticks[: len(expected.split())] == expected.split()


def test_the_last_moment_is_written_inside_the_picture() -> None:
    plot = Plot(title="t", times=(0.0,), end=1800.0, curves=(), shown="{:g}".format)
    last = ElementTree.fromstring(svg(plot)).findall("text")[-1]
    assert (last.text, last.attrib["text-anchor"]) == ("30:00", "end")
