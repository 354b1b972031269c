"""A benchmark's table."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import jsonschema

from hetops.app.schema import schema_of
from hetops.load.open_loops import OpenLoop
from hetops.load.stopping import Interval
from hetops.load.trials import BenchResult
from hetops.reports import bench as report
from tests.load.test_trials import result

MEASURED = replace(result(2, 0.5), replicas=2, estimated_requests_per_second=8.0)
BENCH = BenchResult(
    measured_at=datetime(2026, 11, 24, tzinfo=UTC),
    host="a machine",
    results=(MEASURED,),
    measurements=(),
    warnings=("something",),
)


def test_a_row_says_how_far_the_estimate_was_off() -> None:
    (row,) = (line for line in report.as_text(BENCH).splitlines() if line.startswith("any"))
    assert row.split() == [
        *("any", "x", "2", "chat", "40", "8", "2", "2", "4", "/s", "4-4"),
        *("0.12", "s", "0.12", "s", "0.12", "s", "to", "0.12", "s"),
        *("31.2", "ms", "31.2", "ms", "31.2", "ms", "to", "31.2", "ms", "2x"),
    ]


def test_a_rate_that_one_request_told_is_called_unknown() -> None:
    rate = Interval(mean=4.0, low=None, high=None)
    assert "unknown" in report.as_text(replace(BENCH, results=(replace(MEASURED, requests_per_second=rate),)))


def test_what_was_not_measured_is_left_out_and_its_json_keeps_to_its_schema() -> None:
    figures = replace(MEASURED.figures, tpot_seconds=())
    rate = Interval(mean=4.0, low=None, high=None)
    bench = replace(BENCH, results=(replace(MEASURED, figures=figures, requests_per_second=rate),))
    found = report.as_json(bench)
    jsonschema.validate(json.loads(json.dumps(found, allow_nan=False)), schema_of("bench"))
    assert found["results"][0]["figures"]["tpot_seconds"] == ()
    assert " - " in report.as_text(bench)


def test_open_loops_stand_in_a_table_of_their_own() -> None:
    loop = OpenLoop(
        configuration="any",
        offered_requests_per_second=3.0,
        sent=9,
        unanswered=1,
        answered_requests_per_second=2.5,
        figures=MEASURED.figures,
    )
    bench = replace(BENCH, open_loops=(loop,))
    row = report.as_text(bench).splitlines()[-3]
    assert row.split()[:8] == ["any", "3", "/s", "2.5", "/s", "9", "0", "1"]
    found = json.loads(json.dumps(report.as_json(bench)))
    jsonschema.validate(found, schema_of("bench"))
    assert "OPEN LOOP" not in report.as_text(BENCH)


def test_warnings_are_told() -> None:
    assert "warning: something" in report.as_text(BENCH)
