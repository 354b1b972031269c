"""What all tests share: the public contract suite, loaded as a third party loads it, how seldom garbage is looked for, and
which tests may run at once.
"""

from __future__ import annotations

import gc
import signal
from typing import Any

import pytest

pytest_plugins = ("hetops.plugin.testing",)

gc.set_threshold(50_000)
"""Collecting makes a million objects that stay: looking through them for garbage took as long as all the rest of it."""

# What a shell runs in the background ignores Ctrl-C and passes that on; tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What was collected stays to the end: no later look for garbage goes through it."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Two processes share the tests by their lanes."""
    from tests.lanes import Lanes

    return Lanes(config, log)
