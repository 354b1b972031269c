"""Every fault at every cloud as one table, printed for people: what stays of each, the others unharmed in every cell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hetops_aws.provider import AwsProvider

from hetops.offers.collect import Freshness, Source, Terms, collect
from tests.doubles import aws
from tests.doubles.aws_account import AwsFault, AwsScenario
from tests.doubles.fake_api import Fault, FaultKind
from tests.doubles.meanings import EVERY_TIME, MEANS
from tests.doubles.providers import answering
from tests.plugins.aws_questions import enter
from tests.plugins.clouds import KINDS, query
from tests.plugins.gcp_cloud import project
from tests.plugins.test_faults import GOOD, cell, word

Cell = Callable[[FaultKind, Path], str]


def of_aws(kind: FaultKind, _folder: Path) -> str:
    """AWS in one region, which has the fault; asked beside a provider that is well."""
    sick = AwsScenario(
        only_types=("g6.xlarge",), regions=("us-east-1",), faults=(AwsFault(kind=kind, seconds=86400.0),)
    )
    sources = [
        Source(name="aws", provider=AwsProvider(), settings={"regions": ["us-east-1"]}),
        Source(name="good", provider=answering("good", GOOD)),
    ]
    with aws.running(sick) as cloud, pytest.MonkeyPatch.context() as patch:
        enter(cloud, patch)
        return word(collect(sources, query(), Terms(freshness=Freshness.ASKED, deadline_seconds=6.0)))


def of_gcp(kind: FaultKind, folder: Path) -> str:
    """Google with the fault; asked beside a provider that is well."""
    with project(folder, faults=(Fault(kind=kind, times=EVERY_TIME, seconds=86400.0),)) as standing:
        return word(standing.collected(Source(name="good", provider=answering("good", GOOD))))


def of_one(cloud: str) -> Cell:
    """One of those whose nodes are rented one by one."""
    return lambda kind, folder: cell(cloud, folder, kind)


COLUMNS: dict[str, Cell] = {"aws": of_aws, "gcp": of_gcp, **{name: of_one(name) for name in KINDS}}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_table_of_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("fault that stays", *COLUMNS)]
    for kind in MEANS:
        rows.append((str(kind), *(made(kind, tmp_path / name / kind) for name, made in COLUMNS.items())))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    with capsys.disabled():
        print()
        for row in rows:
            print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    cells = {row[0]: row[1:] for row in rows[1:]}
    assert all(word for words in cells.values() for word in words)
    assert all(word.endswith(" offers") for word in cells[FaultKind.CLOCK_SKEW][1:]), "all but AWS bear it"
