"""A deployment in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.places import Place, placed


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Clean afterwards, whatever the test left running."""
    with placed(tmp_path) as made:
        yield made
