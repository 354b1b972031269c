"""Every fault at Google: what passes costs nothing, what stays costs the part that it was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetops.errors import ErrorKind
from hetops.offers.collect import Source
from hetops.offers.sources import Collected, SourceState
from tests.doubles.fake_api import Fault, FaultKind
from tests.doubles.gcp import COMPUTE, PROJECT, SKUS
from tests.doubles.meanings import EVERY_TIME, PASSING
from tests.doubles.providers import answering, live_offer
from tests.plugins.gcp_cloud import project

GOOD = live_offer("good")


def collected(folder: Path, *faults: Fault) -> Collected:
    """Google with these faults, asked beside a provider that is well."""
    with project(folder, faults=faults) as standing:
        return standing.collected(Source(name="good", provider=answering("good", GOOD)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_passes_costs_nothing(kind: FaultKind, tmp_path: Path) -> None:
    well = collected(tmp_path / "well")
    found = collected(tmp_path / "fault", Fault(kind=kind))
    assert {o.id for o in found.offers} == {o.id for o in well.offers}
    assert found.coverage == well.coverage


@pytest.mark.parametrize(
    ("path", "part"),
    [
        (f"{COMPUTE}projects/{PROJECT}/aggregated/acceleratorTypes", "GPUs to attach"),
        (f"{COMPUTE}projects/{PROJECT}/regions", "quotas"),
    ],
)
def test_one_list_that_fails_costs_what_it_would_have_told(path: str, part: str, tmp_path: Path) -> None:
    found = collected(tmp_path, Fault(kind=FaultKind.LOGIN_PAGE, path=path, times=EVERY_TIME))
    assert found.sources[0].state is SourceState.LIVE
    assert f"gcp {part}: answered with a web page, not with JSON" in found.coverage


def test_a_catalogue_that_breaks_off_costs_the_prices_behind_the_break(tmp_path: Path) -> None:
    fault = Fault(kind=FaultKind.LOGIN_PAGE, path=SKUS, skip=1, times=EVERY_TIME)
    found = collected(tmp_path, fault)
    report = found.sources[0]
    assert report.state is SourceState.LIVE
    assert "prices: answered with a web page" in report.detail
    regions = {o.region for o in found.offers if o.provider == "gcp"}
    assert regions == {"us-central1"}, "those whose parts all stood on the first page"


def test_a_list_without_an_end_is_found_out(tmp_path: Path) -> None:
    """The same page token again and again."""
    with project(tmp_path, page=0) as endless:
        report = endless.collected().sources[0]
    assert (report.state, report.error_kind) == (SourceState.REFUSED, ErrorKind.INVALID)
    assert "has no end" in report.detail


def test_an_answer_without_any_row_is_no_catalogue(tmp_path: Path) -> None:
    """Something else answers in Google's place."""
    with project(tmp_path, empty=True) as hollow:
        report = hollow.collected().sources[0]
    assert (report.state, report.error_kind) == (SourceState.REFUSED, ErrorKind.INVALID)
    assert report.detail == "prices: answered with an empty list"
