"""A state that the engine did not write to its end: the copy of the one before counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetops.stack.backend_state import mend, read_state, state_file
from tests.stack.places import Place, inputs

WHOLE = b'{"version": 3, "checkpoint": {}}'
BEFORE = b'{"version": 3, "checkpoint": {"latest": {}}}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = state_file(tmp_path, "hetops", "chat")
    path.parent.mkdir(parents=True)
    path.with_name("chat.json.bak").write_bytes(BEFORE)
    return path


def test_a_whole_state_is_read_and_not_touched(path: Path) -> None:
    path.write_bytes(WHOLE)
    assert read_state(path) == WHOLE
    assert mend(path) == []
    assert path.read_bytes() == WHOLE


def test_without_a_state_there_is_nothing_to_mend(path: Path) -> None:
    assert mend(path) == []
    assert not path.exists()
    with pytest.raises(FileNotFoundError):
        read_state(path)


@pytest.mark.parametrize("length", [0, 1, len(WHOLE) - 1])
def test_a_state_that_is_cut_off_gives_way_to_the_copy(path: Path, length: int) -> None:
    path.write_bytes(WHOLE[:length])
    assert read_state(path) == BEFORE
    (note,) = mend(path)
    assert "the one before it counts" in note
    assert path.read_bytes() == BEFORE


@pytest.mark.parametrize("copy", [None, b"", BEFORE[:-1]])
def test_where_no_copy_is_whole_the_state_is_set_aside(path: Path, copy: bytes | None) -> None:
    kept = path.with_name("chat.json.bak")
    kept.unlink() if copy is None else kept.write_bytes(copy)
    path.write_bytes(WHOLE[:-1])
    assert read_state(path) == WHOLE[:-1]
    (note,) = mend(path)
    assert "found by their names" in note
    assert not path.exists()
    assert path.with_name("chat.json.torn").read_bytes() == WHOLE[:-1]


@pytest.mark.road
@pytest.mark.parametrize("with_copy", [True, False], ids=["copy", "no copy"])
def test_a_fleet_whose_state_was_cut_off_is_gone_on_with_and_removed(place: Place, with_copy: bool) -> None:
    stack = place.stack()
    stack.up(inputs(), place.tell)
    begun = place.running()
    path = state_file(place.folder.backend, "hetops", "chat")
    text = path.read_bytes()
    if not with_copy:
        path.with_name("chat.json.bak").unlink()
    path.write_bytes(text[: len(text) // 2])
    stack = place.stack()
    stack.up(inputs(), place.tell)
    assert "cut off" in place.notes
    assert place.running() == begun, "the nodes that ran are adopted"
    stack.down(place.tell)
    assert place.running() == {}
