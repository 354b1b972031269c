"""Files are whole or untouched, folders are closed to others, errors name the path."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hetops.bundled import folder as bundled
from hetops.errors import HetopsError, nearest
from hetops.files import append_line, make_private, read_bytes, write_whole


def test_a_file_is_replaced_whole_with_the_mode_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old and longer")
    write_whole(path, b"new", mode=0o600)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["a"]


def test_a_reader_of_the_old_file_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_whole(path, b"old")
    with path.open("rb") as reader:
        write_whole(path, b"new")
        assert reader.read() == b"old"


@contextmanager
def room(number_of_bytes: int) -> Iterator[None]:
    """Where no file may grow longer, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (number_of_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_appended_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    append_line(path, b"first")
    with room(100):
        with pytest.raises(OSError, match="too large"):
            append_line(path, b"x" * 99 + b"\n" + b"y" * 99)
        append_line(path, b"second")
    assert path.read_bytes() == b"first\nsecond\n"


def test_where_the_new_file_cannot_take_its_place_the_old_one_stays_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(HetopsError, match=r"a could not be written") as caught:
        write_whole(path, b"new")
    assert caught.value.details == ("the old file, if there was one, is unchanged",)
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_that_takes_no_files_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(HetopsError, match=r"gone/a could not be written: No such file"):
        write_whole(tmp_path / "gone" / "a", b"x")


def test_what_cannot_be_read_is_named_with_its_role(tmp_path: Path) -> None:
    with pytest.raises(HetopsError, match=r"plan .*nowhere cannot be read: No such file"):
        read_bytes(tmp_path / "nowhere", what="plan")


def test_every_folder_that_is_made_is_closed_to_others_and_what_exists_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o755)
    for _ in range(2):
        make_private(tmp_path / "there" / "a" / "b")
    modes = [(tmp_path / p).stat().st_mode & 0o777 for p in ("there", "there/a", "there/a/b")]
    assert modes == [0o755, 0o700, 0o700]
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError):
            make_private(path)


def test_the_files_that_travel_with_the_code_are_found() -> None:
    assert (bundled("stacks") / "fleet" / "Pulumi.yaml").is_file()
    assert bundled("templates").is_dir()


def test_the_nearest_names_come_best_first_whatever_their_case() -> None:
    assert nearest("h100-sxm", ["A100-SXM", "H100-SXM", "H100-PCIe"])[0] == "H100-SXM"
    assert nearest("zzz", ["H100-SXM"]) == ()
