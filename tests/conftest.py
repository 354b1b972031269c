"""What all tests share: the public contract suite, loaded as a third party loads it, and how seldom garbage is looked for."""

from __future__ import annotations

import gc

pytest_plugins = ("hetops.plugin.testing",)

gc.set_threshold(50_000)
"""Collecting makes a million objects that stay: looking through them for garbage took as long as all the rest of it."""


def pytest_collection_finish() -> None:
    """What was collected stays to the end: no later look for garbage goes through it."""
    gc.freeze()
