"""A frontier as a picture and as CSV."""

from __future__ import annotations

import csv
from decimal import Decimal
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from hetops.reports.frontier import Axis, Frontier, FrontierPoint, as_csv, as_svg


def frontier(*usd_per_hour: str) -> Frontier:
    """A series of points at 1, 2, 3 ... times the targets."""
    return Frontier(
        deployment="walk",
        axis=Axis.TARGETS,
        demand_requests_per_second=1.0,
        points=tuple(
            FrontierPoint(
                headroom=0.15,
                target_factor=float(number),
                usd_per_hour=Decimal(usd),
                requests_per_second=1.0,
                nodes={"L4:1": 2},
                services=("api",),
            )
            for number, usd in enumerate(usd_per_hour, 1)
        ),
    )


def labels(svg: str, anchor: str) -> list[str]:
    """The numbers of an axis: `end` is the one that goes up."""
    texts = ElementTree.fromstring(svg).findall("{*}text")
    found = [t.text or "" for t in texts if t.get("text-anchor") == anchor]
    return [text for text in found if text.replace(".", "").isdecimal()]


def test_axes_are_numbered_in_round_numbers() -> None:
    svg = as_svg(frontier("21.90", "17.31", "13.77", "12.72"))
    assert labels(svg, "end") == ["0", "5", "10", "15", "20"]
    assert labels(svg, "middle") == ["0", "1", "2", "3", "4"]


@given(st.integers(1, 10**10))
def test_an_axis_has_a_few_numbers_whatever_it_costs(cents: int) -> None:
    assert 5 <= len(labels(as_svg(frontier(f"{cents / 100:f}")), "end")) <= 8


def test_a_line_of_the_csv_tells_nodes_and_services() -> None:
    (row,) = csv.DictReader(as_csv(frontier("5")).splitlines())
    assert (row["nodes"], row["services"], row["usd_per_hour"]) == ("L4:1=2", "api", "5")
