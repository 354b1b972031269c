"""A file that a running program watches."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from hetops.errors import HetopsError
from hetops.node_provider.file import FileResource
from hetops.node_provider.resource import UNKNOWN

FILES = FileResource()


def inputs(path: Path, content: str = "one", **fields: Any) -> dict[str, Any]:
    return {"path": str(path), "content": content, "notice_seconds": 0, **fields}


def test_a_file_is_made_with_its_folder_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "router" / "router.json"
    made = asyncio.run(FILES.create(inputs(path)))
    assert made.id == str(path)
    assert path.read_text() == "one"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_an_update_writes_whole_and_lasts_until_readers_noticed(tmp_path: Path) -> None:
    path = tmp_path / "router.json"
    outputs = asyncio.run(FILES.create(inputs(path))).outputs
    old = path.stat().st_ino
    began = time.monotonic()
    updated = asyncio.run(FILES.update(str(path), outputs, inputs(path, "two", notice_seconds=0.2)))
    assert time.monotonic() - began >= 0.2
    assert path.read_text() == updated["content"] == "two"
    assert path.stat().st_ino != old, "renamed over it: readers see the old content or the new"


def test_an_update_of_the_same_content_waits_for_nobody(tmp_path: Path) -> None:
    outputs = asyncio.run(FILES.create(inputs(tmp_path / "f"))).outputs
    began = time.monotonic()
    asyncio.run(FILES.update(str(tmp_path / "f"), outputs, inputs(tmp_path / "f", notice_seconds=30)))
    assert time.monotonic() - began < 5


def test_a_file_that_was_edited_or_removed_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "f"
    outputs = asyncio.run(FILES.create(inputs(path))).outputs
    path.write_text("edited")
    found = asyncio.run(FILES.read(str(path), outputs))
    assert found is not None
    assert FILES.diff(found.outputs, inputs(path)).changed == ("content",)
    path.unlink()
    assert asyncio.run(FILES.read(str(path), outputs)) is None


def test_content_changes_in_place_and_a_path_is_another_file(tmp_path: Path) -> None:
    outputs = inputs(tmp_path / "a")
    assert FILES.diff(outputs, inputs(tmp_path / "a")).changed == ()
    assert FILES.diff(outputs, inputs(tmp_path / "a", "two")).replaced_by == ()
    assert FILES.diff(outputs, inputs(tmp_path / "b")).replaced_by == ("path",)


def test_deleting_what_is_gone_is_success(tmp_path: Path) -> None:
    asyncio.run(FILES.create(inputs(tmp_path / "f")))
    for _ in range(2):
        asyncio.run(FILES.delete(str(tmp_path / "f"), {}))
    assert list(tmp_path.iterdir()) == []


def test_what_the_machine_refuses_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(HetopsError, match="cannot be made"):
        asyncio.run(FILES.create(inputs(tmp_path / "taken" / "f")))
    with pytest.raises(HetopsError, match="cannot be read"):
        asyncio.run(FILES.read(str(tmp_path), {}))
    with pytest.raises(HetopsError, match="cannot be removed"):
        asyncio.run(FILES.delete(str(tmp_path), {}))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_takes_no_files_is_an_error_of_ours(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(HetopsError, match="could not be written"):
        asyncio.run(FILES.create(inputs(tmp_path / "f")))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"path": "router.json"}, ("path", "router.json is not absolute")),
        ({"path": 3}, ("path", "must be text")),
        ({"content": None}, ("content", "must be text")),
        ({"notice_seconds": -1}, ("notice_seconds", "must be a number from 0 to 60")),
        ({"notice_seconds": "1"}, ("notice_seconds", "must be a number from 0 to 60")),
    ],
)
def test_inputs_that_cannot_be_are_refused(wrong: dict[str, Any], told: tuple[str, str]) -> None:
    assert FILES.check({**inputs(Path("/f")), **wrong}) == (told,)


def test_unknown_content_is_not_refused_in_a_preview() -> None:
    given = inputs(Path("/f"), UNKNOWN)
    assert FILES.check(given) == ()
    assert FILES.foresee(given, {}) == given
