"""Each provider's driver keeps its files with the deployment."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hetops_local.driver import LocalDriver
from hetops_local.provider import LocalProvider

from hetops.errors import HetopsError, UnknownNameError
from hetops.plugin.manager import Plugins
from hetops.plugin.provider import NodeDriver
from hetops.state import provider_settings
from hetops.state.drivers import drivers
from hetops.state.home import Home
from tests.doubles.providers import TellingProvider, answering


def test_a_driver_is_made_once_for_each_deployment(tmp_path: Path) -> None:
    driver_of = drivers(Plugins(statuses=(), providers=(LocalProvider(),)), Home(root=tmp_path))
    assert isinstance(driver_of("local", "chat"), LocalDriver)
    assert driver_of("local", "chat") is driver_of("local", "chat")
    assert driver_of("local", "chat") is not driver_of("local", "code")


def test_a_driver_gets_what_the_spec_said_of_its_provider_when_its_nodes_were_made(tmp_path: Path) -> None:
    handed: list[Mapping[str, Any]] = []

    class Cloud(TellingProvider):
        def node_driver(self, state_folder: Path, settings: Mapping[str, Any]) -> NodeDriver:
            handed.append(settings)
            return LocalDriver(state_folder)

    home = Home(root=tmp_path)
    folder = home.deployment("chat").create()
    told = {"cloud": {"regions": ["x"], "usd": Decimal("0.1"), "on": True}, "other": {}}
    provider_settings.write(folder.provider_settings, told)
    driver_of = drivers(Plugins(statuses=(), providers=(Cloud("cloud", answering("cloud")._tell),)), home)
    driver_of("cloud", "chat")
    driver_of("cloud", "code")
    assert handed == [told["cloud"], {}]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"cloud": 7}', b"\xff"])
def test_settings_that_cannot_be_read_are_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "providers.json"
    path.write_bytes(content)
    assert provider_settings.read(path) == {}


def test_who_has_none_is_named(tmp_path: Path) -> None:
    driver_of = drivers(Plugins(statuses=(), providers=(answering("planner"),)), Home(root=tmp_path))
    with pytest.raises(HetopsError, match="provider planner does not create single nodes"):
        driver_of("planner", "chat")
    with pytest.raises(UnknownNameError, match="unknown provider 'plannr'"):
        driver_of("plannr", "chat")
