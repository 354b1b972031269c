"""What a router reads, and when it reads it again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hetops.domain import codec
from hetops.errors import DocumentError, HetopsError, UsageError
from hetops.router.auth import allowed
from hetops.router.config import RouterSettings, from_plan
from hetops.router.watch import Watcher, read_orders
from tests.doubles import plans


def written(path: Path, keys: str = "") -> Path:
    """A configuration."""
    path.write_bytes(codec.encode(from_plan(plans.plan(), {}, RouterSettings(api_keys_file=keys))))
    return path


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_this_machine_needs_no_keys(tmp_path: Path, host: str) -> None:
    assert read_orders(written(tmp_path / "c"), host, {}).keys is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "router.example"])
def test_everybody_else_does(tmp_path: Path, host: str) -> None:
    with pytest.raises(UsageError, match="without API keys"):
        read_orders(written(tmp_path / "c"), host, {})


def test_keys_are_read_with_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("sk-1\n")
    keys = read_orders(written(tmp_path / "c", str(tmp_path / "keys")), "0.0.0.0", {}).keys
    assert keys is not None
    assert allowed(b"Bearer sk-1", keys)


def test_keys_that_are_no_text_are_an_error_that_shows_nothing_of_them(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"\xff\xfesk-secret")
    with pytest.raises(HetopsError, match="is no text") as caught:
        read_orders(written(tmp_path / "c", str(tmp_path / "keys")), "127.0.0.1", {})
    assert "secret" not in str(caught.value)


def test_a_broken_configuration_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_text("{}")
    with pytest.raises(DocumentError, match=str(path)):
        read_orders(path, "127.0.0.1", {})


def test_a_change_of_either_file_is_told_once(tmp_path: Path) -> None:
    path, keys = tmp_path / "c", tmp_path / "keys"
    path.write_text("1")
    watcher = Watcher(path)
    assert watcher.changed(str(keys))
    assert not watcher.changed(str(keys))
    keys.write_text("k")
    assert watcher.changed(str(keys))
    beside = tmp_path / "new"
    beside.write_text("2")
    os.utime(beside, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    beside.replace(path)
    assert watcher.changed(str(keys)), "another file of the same size and time"
    path.unlink()
    assert watcher.changed(str(keys))
    assert not watcher.changed(str(keys))
