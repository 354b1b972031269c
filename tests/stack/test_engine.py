"""The choice of the Pulumi engine, and how one is made: with real files, processes and locks."""

from __future__ import annotations

import gc
import multiprocessing
import os
import re
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hetops.errors import HetopsError
from hetops.stack.engine import (
    ENGINE_VERSION,
    EngineOrigin,
    build_engine,
    cached_engine,
    choose_engine,
    engine_version,
    install,
)
from hetops.stack.engine_download import download_engine
from tests.doubles import programs

SYSTEM = "/usr/bin:/bin"


def surroundings(folder: Path, path: str = SYSTEM) -> dict[str, str]:
    """An environment with a cache of its own."""
    return {"PATH": path, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}


def with_program(folder: Path, name: str, script: str) -> dict[str, str]:
    """An environment on whose PATH stands one program of ours."""
    programs.program(folder / "bin" / name, script)
    return surroundings(folder, f"{folder / 'bin'}:{SYSTEM}")


def quiet(_: str) -> None:
    """Says nothing."""


def good(root: Path) -> None:
    """Makes an engine of the right version."""
    programs.pulumi(root / "bin" / "pulumi", ENGINE_VERSION)


@pytest.mark.parametrize("version", ["3.206.0", "3.259.0", "3.999.1", "3.260.0-dev.1"])
def test_an_engine_on_path_that_fits_the_sdk_is_taken(tmp_path: Path, version: str) -> None:
    environment = with_program(tmp_path, "pulumi", f"echo v{version}")
    chosen = choose_engine(environment)
    assert (chosen.origin, chosen.version) == (EngineOrigin.PATH, version)
    assert chosen.path == tmp_path / "bin" / "pulumi"
    assert chosen.root == tmp_path


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo v3.205.9", "older than 3.206.0"),
        ("echo v2.99.0", "older than 3.206.0"),
        ("echo v4.0.0", "another major version"),
        ("echo", "tells no version"),
        ("printf '\\377'", "does not answer"),
        ("exit 1", "does not answer"),
    ],
)
def test_an_engine_on_path_that_does_not_fit_is_passed_over_and_the_reason_told(
    tmp_path: Path, script: str, why: str
) -> None:
    environment = with_program(tmp_path, "pulumi", script)
    good(cached_engine(environment).parent.parent)
    chosen = choose_engine(environment)
    assert (chosen.origin, chosen.version) == (EngineOrigin.CACHE, ENGINE_VERSION)
    assert why in chosen.reason
    assert "is in the cache" in chosen.reason


def test_without_any_engine_the_error_names_every_way_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(HetopsError, match="no Pulumi engine") as raised:
        choose_engine(surroundings(tmp_path))
    assert "no pulumi on PATH" in raised.value.details
    for way in ("hetops doctor --fix", "hetops doctor --download", "PATH", "Go"):
        assert way in raised.value.hint


def test_a_cache_folder_that_is_not_absolute_is_not_used(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "XDG_CACHE_HOME": "relative"}
    assert cached_engine(environment).is_relative_to(tmp_path / ".cache")


@pytest.mark.road
def test_the_engine_that_is_used_here_runs_and_fits() -> None:
    chosen = choose_engine(os.environ)
    assert engine_version(chosen.path, os.environ) == chosen.version
    assert chosen.path.is_absolute()


def test_an_engine_is_made_once_and_then_found(tmp_path: Path) -> None:
    environment = surroundings(tmp_path)
    made = install(environment, EngineOrigin.BUILD, good, quiet)
    assert (made.origin, made.path) == (EngineOrigin.BUILD, cached_engine(environment))

    def never(_: Path) -> None:
        raise AssertionError("made twice")

    assert install(environment, EngineOrigin.BUILD, never, quiet).origin is EngineOrigin.CACHE
    assert choose_engine(environment).path == made.path


def test_two_builders_at_once_make_one_engine(tmp_path: Path) -> None:
    environment = surroundings(tmp_path)
    begun, told, makes = threading.Event(), threading.Event(), []

    def slow(root: Path) -> None:
        makes.append(root)
        begun.set()
        assert told.wait(10)  # until the second builder has said that it waits
        good(root)

    first = threading.Thread(target=install, args=(environment, EngineOrigin.BUILD, slow, quiet))
    first.start()
    assert begun.wait(10)
    second = install(environment, EngineOrigin.BUILD, slow, lambda _: told.set())
    first.join(10)
    assert len(makes) == 1
    assert second.origin is EngineOrigin.CACHE
    assert engine_version(second.path, environment) == ENGINE_VERSION


def _make_half_then_hang(environment: Mapping[str, str], marker: Path) -> None:
    def half(root: Path) -> None:
        (root / "bin" / "pulumi").write_bytes(b"half")
        marker.touch()
        signal.pause()

    install(environment, EngineOrigin.BUILD, half, quiet)


def test_a_killed_build_leaves_no_engine_and_the_next_one_clears_up(tmp_path: Path) -> None:
    environment, marker = surroundings(tmp_path), tmp_path / "begun"
    child = multiprocessing.get_context("spawn").Process(
        target=_make_half_then_hang, args=(environment, marker)
    )
    child.start()
    _until(marker.exists)
    child.kill()
    child.join(10)
    with pytest.raises(HetopsError, match="no Pulumi engine"):
        choose_engine(environment)
    cache = cached_engine(environment).parent.parent.parent
    assert list(cache.glob(".making-*"))
    install(environment, EngineOrigin.BUILD, good, quiet)
    assert {entry.name for entry in cache.iterdir()} == {".lock", ENGINE_VERSION}


def test_what_is_made_must_be_the_pinned_version(tmp_path: Path) -> None:
    environment = surroundings(tmp_path)
    with pytest.raises(HetopsError, match=r"says it is 3\.1\.0"):
        install(
            environment,
            EngineOrigin.BUILD,
            lambda r: _ignore(programs.pulumi(r / "bin/pulumi", "3.1.0")),
            quiet,
        )
    assert not cached_engine(environment).exists()


def test_a_cache_that_cannot_be_written_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(HetopsError, match="cannot be written") as raised:
        install(surroundings(tmp_path), EngineOrigin.BUILD, good, quiet)
    assert "XDG_CACHE_HOME" in raised.value.hint


def test_a_build_without_go_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(HetopsError, match="no Go on PATH") as raised:
        build_engine(surroundings(tmp_path, str(tmp_path / "empty")), quiet)
    assert "install Go 1.25" in raised.value.hint


def test_the_build_is_pinned_by_the_module_and_tells_its_version(tmp_path: Path) -> None:
    record = tmp_path / "asked"
    go = f"""
        echo "$PWD $GOFLAGS cgo=$CGO_ENABLED $@" > {record}
        mkdir -p $GOMODCACHE $GOCACHE
        while [ "$1" != -o ]; do shift; done
        printf '#!/bin/sh\\necho v{ENGINE_VERSION}\\n' > "$2"; chmod +x "$2" """
    environment = with_program(tmp_path, "go", go) | {"GOFLAGS": "-buildvcs=false"}
    built = build_engine(environment, quiet)
    asked = record.read_text(encoding="utf-8")
    assert built.origin is EngineOrigin.BUILD
    assert "stacks/engine -buildvcs=false -mod=readonly -modcacherw cgo=0 build" in asked
    assert f"version.Version=v{ENGINE_VERSION}" in asked
    left = {path.name for path in cached_engine(environment).parents[2].iterdir()}
    assert left == {".lock", ENGINE_VERSION}, "no cache of Go stays"


@pytest.mark.skipif(not shutil.which("go"), reason="needs Go")
def test_a_build_whose_module_cannot_be_fetched_shows_what_go_said(tmp_path: Path) -> None:
    environment = {**os.environ, **surroundings(tmp_path, os.environ["PATH"])}
    offline = {"GOPROXY": "off", "GOMODCACHE": str(tmp_path / "modules"), "GOFLAGS": ""}
    with pytest.raises(HetopsError, match="build of the Pulumi engine failed") as raised:
        build_engine({**environment, **offline}, quiet)
    assert re.search(r"GOPROXY=off|go\.mod requires go|toolchain", "\n".join(raised.value.details))
    assert not cached_engine(environment).exists()


def test_a_download_that_fails_leaves_nothing_and_names_the_other_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # a port where nobody listens
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert "--fix" in _hint_of_a_failing_download(surroundings(tmp_path))
    assert not cached_engine(surroundings(tmp_path)).parent.parent.exists()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # the SDK leaves its script open when it cannot fetch it
        gc.collect()


def _hint_of_a_failing_download(environment: Mapping[str, str]) -> str:
    with pytest.raises(HetopsError, match="cannot be downloaded") as raised:
        download_engine(environment, quiet)
    return raised.value.hint


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not shutil.which("go"), reason="needs Go")
def test_the_engine_builds_from_its_module(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    built = build_engine(environment, lambda line: print(line, file=sys.stderr))
    assert engine_version(built.path, environment) == ENGINE_VERSION
    assert choose_engine({**environment, "PATH": SYSTEM}).path == built.path


def _ignore(_: object) -> None:
    return None


def _until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
