"""`hetops frontier` as a user calls it: along targets and headroom, along budgets, and wrongly."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from hetops.app.schema import schema_of
from hetops.domain import codec
from hetops.reports.frontier import Frontier
from tests.cli.process import hetops, spec


def test_looser_targets_and_less_headroom_never_cost_more(tmp_path: Path) -> None:
    spec(tmp_path)
    run = hetops(
        tmp_path,
        "frontier",
        "--offline",
        "--json",
        "--targets",
        "0.001,0.5,1,4",
        "--headroom",
        "0,0.3",
        "--svg",
        "f.svg",
    )
    assert run.returncode == 0, run.stderr
    raw = json.loads(run.stdout)
    jsonschema.Draft202012Validator(schema_of("frontier")).validate(raw)
    told = codec.decode(Frontier, run.stdout, source="test")
    tight, *others = told.series[0.3]
    assert tight.usd_per_hour is None
    assert "no configuration on any offer" in tight.reason
    for points in told.series.values():
        costs = [p.usd_per_hour for p in points if p.usd_per_hour is not None]
        assert costs == sorted(costs, reverse=True)
        assert len(costs) == 3
    for full, spare in zip(told.series[0.0], told.series[0.3], strict=True):
        assert full.target_factor == spare.target_factor
        assert (full.value or 0) <= (spare.value or 0)
    assert (others[0].value or 0) > (told.series[0.0][-1].value or 0)
    picture = ElementTree.parse(tmp_path / "f.svg").getroot()
    assert len(picture.findall("{*}polyline")) == 2
    assert len(picture.findall("{*}circle")) == 6


def test_more_money_never_buys_less(tmp_path: Path) -> None:
    spec(tmp_path)
    run = hetops(tmp_path, "frontier", "--offline", "--budgets", "8,0.01,2,4", "--csv", "f.csv")
    assert run.returncode == 0, run.stderr
    assert "$8.00 /h" in run.stdout
    rows = list(csv.DictReader((tmp_path / "f.csv").read_text().splitlines()))
    assert [row["budget_usd_per_hour"] for row in rows] == ["0.01", "2", "4", "8"]
    assert (rows[0]["usd_per_hour"], rows[0]["reason"]) == ("", "no fleet within the limits")
    rates = [float(row["requests_per_second"]) for row in rows[1:]]
    assert rates == sorted(rates)
    assert rates[0] > 0
    assert all(float(r["usd_per_hour"]) <= float(r["budget_usd_per_hour"]) for r in rows[1:])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--targets", "fast"), "'fast' is no list of numbers"),
        (("--targets", ","), "',' is no list of numbers"),
        (("--csv", "nowhere/points.csv"), "there is no folder nowhere"),
        (("--svg", "."), "'.' is a directory"),
        (("--csv", "points", "--svg", "points"), "name the same file"),
        (("--targets", "0,1"), "--targets: factors are above 0"),
        (("--targets", "nan"), "--targets: factors are above 0"),
        (("--headroom", "1"), "--headroom: shares are from 0 to below 1"),
        (("--budgets", "-3"), "--budgets: USD per hour above 0"),
        (("--budgets", "3", "--targets", "1"), "--targets and --budgets: ask for one of them"),
        (("--targets", ",".join(map(str, range(1, 500)))), "499 points are asked for: at most 400"),
    ],
)
def test_a_slip_of_the_pen_is_told(arguments: tuple[str, ...], told: str, tmp_path: Path) -> None:
    spec(tmp_path)
    run = hetops(tmp_path, "frontier", "--offline", *arguments)
    assert run.returncode == 64
    assert told in run.stderr
