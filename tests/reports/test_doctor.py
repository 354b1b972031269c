"""A diagnosis as text and JSON, and the exit code that it ends with."""

from __future__ import annotations

import json

import pytest

from hetops.domain import codec
from hetops.reports import doctor as report
from hetops.reports.doctor import Diagnosis, Finding, Group, Verdict


def finding(verdict: Verdict, subject: str = "key", group: Group = Group.PROVIDERS, fix: str = "") -> Finding:
    return Finding(group=group, subject=subject, verdict=verdict, detail="looked at", fix=fix)


ALL = Diagnosis(
    findings=(
        finding(Verdict.OK, "python", Group.ENVIRONMENT),
        finding(Verdict.NOTE, "extra aws", Group.ENVIRONMENT, "pip install 'hetops[aws]'"),
        finding(Verdict.CREDENTIALS, "cloud: key", fix="export CLOUD_KEY=..."),
        finding(Verdict.FAULT, "time", Group.CLOCK, "set the clock"),
    )
)

TEXT = """\
environment
  ok           python      looked at
  note         extra aws   looked at
                           try: pip install 'hetops[aws]'
providers
  credentials  cloud: key  looked at
                           try: export CLOUD_KEY=...
clock
  fault        time        looked at
                           try: set the clock

2 faults to mend: providers cloud: key, clock time
"""


def test_the_text_shows_each_group_with_each_fix_below_its_line() -> None:
    assert report.as_text(ALL) == TEXT


def test_where_all_is_well_the_text_says_so() -> None:
    text = report.as_text(Diagnosis(findings=(finding(Verdict.OK), finding(Verdict.NOTE))))
    assert text.endswith("\nNothing is in the way.\n")


def test_one_fault_is_one_fault() -> None:
    assert "1 fault to mend: providers key" in report.as_text(Diagnosis(findings=(finding(Verdict.FAULT),)))


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([], 0),
        ([Verdict.OK, Verdict.NOTE], 0),
        ([Verdict.FAULT], 1),
        ([Verdict.CREDENTIALS], 3),
        ([Verdict.FAULT, Verdict.CREDENTIALS, Verdict.OK], 3),
    ],
)
def test_the_exit_code_is_that_of_the_worst(verdicts: list[Verdict], code: int) -> None:
    assert Diagnosis(findings=tuple(finding(v) for v in verdicts)).exit_code == code


def test_the_json_says_whether_all_is_well_and_reads_back() -> None:
    raw = report.as_json(ALL)
    assert raw["ok"] is False
    assert codec.decode(Diagnosis, json.dumps(raw), source="test") == ALL
    assert report.as_json(Diagnosis(findings=(finding(Verdict.NOTE),)))["ok"] is True
