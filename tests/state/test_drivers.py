"""Each provider's driver keeps its files with the deployment."""

from __future__ import annotations

from pathlib import Path

import pytest
from hetops_local.driver import LocalDriver
from hetops_local.provider import LocalProvider

from hetops.errors import HetopsError, UnknownNameError
from hetops.plugin.manager import Plugins
from hetops.state.drivers import drivers
from hetops.state.home import Home
from tests.doubles.providers import answering


def test_a_driver_is_made_once_for_each_deployment(tmp_path: Path) -> None:
    driver_of = drivers(Plugins(statuses=(), providers=(LocalProvider(),)), Home(root=tmp_path))
    assert isinstance(driver_of("local", "chat"), LocalDriver)
    assert driver_of("local", "chat") is driver_of("local", "chat")
    assert driver_of("local", "chat") is not driver_of("local", "code")


def test_who_has_none_is_named(tmp_path: Path) -> None:
    driver_of = drivers(Plugins(statuses=(), providers=(answering("planner"),)), Home(root=tmp_path))
    with pytest.raises(HetopsError, match="provider planner does not create single nodes"):
        driver_of("planner", "chat")
    with pytest.raises(UnknownNameError, match="unknown provider 'plannr'"):
        driver_of("plannr", "chat")
