"""Our providers keep the promises that third parties' are held to; the example keeps them in its own tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hetops.plugin.testing import PROMISES_OF_DRIVERS, Promise, Subject
from tests.plugins.subjects import MAKE, subject

FOR_PLANNING = ("aws", "gcp")


@pytest.fixture(params=sorted(MAKE))
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    with subject(request.param, tmp_path) as found:
        if found.name in FOR_PLANNING and request.getfixturevalue("promise") in PROMISES_OF_DRIVERS:
            pytest.skip("it drives no nodes")
        yield found


def test_it_keeps_the_promise(promise: Promise, provider: Subject) -> None:
    promise(provider)
