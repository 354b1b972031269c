"""A missing engine is made in the way that the user asked for, and never where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hetops.app.engine import Way, provide_engine
from hetops.errors import HetopsError
from hetops.stack.engine import ENGINE_VERSION, EngineOrigin
from tests.doubles import programs

GO = f"""\
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\n[ "$1" = version ] && echo v{ENGINE_VERSION}\\n' > "$2"
chmod +x "$2\""""


def environment(folder: Path) -> dict[str, str]:
    """A machine with what lies in bin of the folder, and a cache of its own."""
    path = f"{folder / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin"
    return {"PATH": path, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}


@pytest.mark.parametrize("way", Way)
def test_where_there_is_an_engine_nothing_is_made(way: Way, tmp_path: Path) -> None:
    programs.pulumi(tmp_path / "bin" / "pulumi", ENGINE_VERSION)
    said: list[str] = []
    chosen = provide_engine(environment(tmp_path), way, said.append)
    assert (chosen.origin, said) == (EngineOrigin.PATH, [])
    assert not (tmp_path / "cache").exists()


def test_a_missing_engine_is_built_once_and_found_from_then_on(tmp_path: Path) -> None:
    programs.program(tmp_path / "bin" / "go", GO)
    said: list[str] = []
    built = provide_engine(environment(tmp_path), Way.BUILD, said.append)
    assert built.origin is EngineOrigin.BUILD
    assert ENGINE_VERSION in said[0]
    again = provide_engine(environment(tmp_path), Way.BUILD, said.append)
    assert (again.path, again.origin) == (built.path, EngineOrigin.CACHE)


def test_without_go_the_other_ways_are_named(tmp_path: Path) -> None:
    alone = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}
    with pytest.raises(HetopsError, match="no Go on PATH") as caught:
        provide_engine(alone, Way.BUILD, lambda _: None)
    assert "--download" in caught.value.hint
