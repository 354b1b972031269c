"""Every fault at every cloud: what stays of it, the others unharmed in every cell. The table is printed for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hetops_aws.provider import AwsProvider

from hetops.errors import ErrorKind
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

pytestmark = pytest.mark.slow

Cell = Callable[[FaultKind, Path], str]
Cells = dict[tuple[FaultKind, str], str]

AT_AWS = {
    FaultKind.WRONG_CONTENT_TYPE: None,
    FaultKind.LOGIN_PAGE: ErrorKind.TRANSIENT,
    FaultKind.REDIRECT: ErrorKind.TRANSIENT,
    FaultKind.CLOCK_SKEW: ErrorKind.AUTH,
}
"""Where AWS's SDK reads it otherwise: content types do not matter to it, and a clock that is off breaks its signatures."""

THROTTLED = (FaultKind.THROTTLED, FaultKind.THROTTLED_BARE)


def of_aws(kind: FaultKind, _folder: Path) -> str:
    """AWS in one region, which has the fault; asked beside a provider that is well. Its SDK tries again for seconds."""
    sick = AwsScenario(
        only_types=("g6.xlarge",), regions=("us-east-1",), faults=(AwsFault(kind=kind, seconds=86400.0),)
    )
    sources = [
        Source(name="aws", provider=AwsProvider(), settings={"regions": ["us-east-1"]}),
        Source(name="good", provider=answering("good", GOOD)),
    ]
    seconds = 25.0 if kind in THROTTLED else 6.0
    with aws.running(sick) as cloud, pytest.MonkeyPatch.context() as patch:
        enter(cloud, patch)
        return word(collect(sources, query(), Terms(freshness=Freshness.ASKED, deadline_seconds=seconds)))


def of_gcp(kind: FaultKind, folder: Path) -> str:
    """Google with the fault; asked beside a provider that is well."""
    with project(folder, faults=(Fault(kind=kind, times=EVERY_TIME, seconds=86400.0),)) as standing:
        return word(standing.collected(Source(name="good", provider=answering("good", GOOD))))


def of_one(cloud: str) -> Cell:
    """One of those whose nodes are rented one by one."""
    return lambda kind, folder: cell(cloud, folder, kind)


COLUMNS: dict[str, Cell] = {"aws": of_aws, "gcp": of_gcp, **{name: of_one(name) for name in KINDS}}


@pytest.fixture(scope="module")
def cells(request: pytest.FixtureRequest) -> Iterator[Cells]:
    """What became of each; printed past pytest's capture once all are there."""
    found: Cells = {}
    yield found
    rows = [("fault that stays", *COLUMNS)]
    rows += [(str(kind), *(found.get((kind, name), "") for name in COLUMNS)) for kind in MEANS]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print()
        for row in rows:
            print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


@pytest.mark.parametrize("cloud", COLUMNS)
@pytest.mark.parametrize("kind", MEANS)
def test_a_fault_that_stays_is_named_and_costs_its_own_cloud_only(
    kind: FaultKind, cloud: str, cells: Cells, tmp_path: Path
) -> None:
    cells[kind, cloud] = COLUMNS[cloud](kind, tmp_path)
    means = AT_AWS.get(kind, MEANS[kind]) if cloud == "aws" else MEANS[kind]
    assert cells[kind, cloud] == means if means else cells[kind, cloud].endswith(" offers")
