"""Reading a router's file while the router writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetops.errors import HetopsError
from hetops.observations import fetch
from tests.observations.records import file, line, observation


def test_no_file_is_no_observation(tmp_path: Path) -> None:
    assert fetch.read(tmp_path / "observations.jsonl") == ()


def test_all_observations_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    written = [observation(float(at)) for at in (3, 1, 2)]
    assert fetch.read(file(tmp_path / "o.jsonl", written)) == tuple(written)


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = file(tmp_path / "o.jsonl", [observation(1.0)])
    with path.open("ab") as torn:
        torn.write(line(observation(2.0))[:-20])
    assert [o.at for o in fetch.read(path)] == [1.0]


@pytest.mark.parametrize(
    "alien", [b"not json", b'{"format": "hetops.plan", "format_version": "1.0"}', b"\xff"]
)
def test_a_line_of_another_kind_is_left_out(tmp_path: Path, alien: bytes) -> None:
    path = tmp_path / "o.jsonl"
    path.write_bytes(line(observation(1.0)) + alien + b"\n" + line(observation(2.0)))
    assert [o.at for o in fetch.read(path)] == [1.0, 2.0]


def test_a_line_of_a_later_major_version_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    path.write_bytes(line(observation(1.0)).replace(b'"1.0"', b'"2.0"') + line(observation(2.0)))
    assert [o.at for o in fetch.read(path)] == [2.0]


def test_of_a_big_file_whole_blocks_are_joined_without_a_lost_line(tmp_path: Path) -> None:
    written = [observation(float(at)) for at in range(5000)]
    path = file(tmp_path / "o.jsonl", written)
    assert path.stat().st_size > 4 * (256 << 10)
    assert fetch.read(path) == tuple(written)


def test_since_finds_a_long_request_that_was_written_among_later_ones(tmp_path: Path) -> None:
    early = [observation(float(at)) for at in range(3000)]
    long = observation(3000.0, total_seconds=2000.0)
    late = [observation(float(at)) for at in range(3001, 5000)]
    path = file(tmp_path / "o.jsonl", [*early, *late, long])
    found = fetch.read(path, since=2990.0)
    assert [o.at for o in found] == [*(float(at) for at in range(2990, 3000)), *(o.at for o in late), 3000.0]


def test_only_the_end_of_a_big_file_is_read(tmp_path: Path) -> None:
    path = file(tmp_path / "o.jsonl", [observation(float(at)) for at in range(20_000)])
    with path.open("rb") as whole:
        blocks = list(fetch._newest_first(whole, since=19_990.0))
    assert sum(map(len, blocks)) < 4000


def test_a_line_longer_than_a_block_does_not_end_the_reading(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    path.write_bytes(line(observation(1.0)) + b"x" * (600 << 10) + b"\n" + line(observation(2.0)))
    assert [o.at for o in fetch.read(path)] == [1.0, 2.0]


def test_a_folder_in_its_place_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(HetopsError, match="cannot be read"):
        fetch.read(tmp_path)
