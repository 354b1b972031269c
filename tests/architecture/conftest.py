"""The syntax trees of what users run, parsed once and held no longer than these tests."""

from __future__ import annotations

import pytest

from tests.architecture.sources import PRODUCT, Source, parsed


@pytest.fixture(scope="package")
def product() -> tuple[Source, ...]:
    """Every file that users run."""
    return tuple(parsed(path) for path in PRODUCT)
