"""The history is only ever appended to: torn lines cost themselves, commands at once never mix theirs."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.errors import HetopsError
from hetops.state import history
from hetops.state.history import Action, HistoryEntry

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def entry(message: str = "", deployment: str = "chat") -> HistoryEntry:
    return HistoryEntry(
        at=AT,
        deployment=deployment,
        action=Action.UP,
        usd_per_hour=Decimal("3.50"),
        nodes={"l4": 2},
        message=message,
    )


def append_many(folder: Path, name: str) -> None:
    for number in range(25):
        history.append(folder, entry(f"{name} {number} " + "x" * 5000))


def test_what_was_appended_is_read_back_in_order(tmp_path: Path) -> None:
    for message in ("one", "two"):
        history.append(tmp_path / "history", entry(message))
    assert history.read(tmp_path / "history", "chat") == (entry("one"), entry("two"))


def test_a_deployment_that_never_was_has_no_history(tmp_path: Path) -> None:
    assert history.read(tmp_path, "chat") == ()


def test_each_deployment_has_its_own(tmp_path: Path) -> None:
    history.append(tmp_path, entry(deployment="chat"))
    history.append(tmp_path, entry(deployment="code"))
    assert [e.deployment for e in history.read(tmp_path, "code")] == ["code"]


@pytest.mark.parametrize("torn", [b'{"format": "hetops.his', b"\xff\xfe", b"[]", b"{}"])
def test_a_torn_line_costs_itself_and_not_the_next_one(tmp_path: Path, torn: bytes) -> None:
    history.append(tmp_path, entry("before"))
    with (tmp_path / "chat.jsonl").open("ab") as file:
        file.write(torn)
    history.append(tmp_path, entry("after"))
    assert [e.message for e in history.read(tmp_path, "chat")] == ["before", "after"]


def test_commands_at_once_do_not_mix_their_lines(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_many, args=(tmp_path, name)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    told = [e.message.rsplit(" ", 1)[0] for e in history.read(tmp_path, "chat")]
    for name in ("a", "b"):
        assert [t for t in told if t.startswith(name)] == [f"{name} {n}" for n in range(25)]
    assert (tmp_path / "chat.jsonl").read_bytes().count(b"\n") == 50


def test_a_message_of_several_lines_stays_one_line(tmp_path: Path) -> None:
    history.append(tmp_path, entry("one\ntwo\u2028three"))
    assert history.read(tmp_path, "chat")[0].message == "one\ntwo\u2028three"


def test_it_is_its_owners_alone(tmp_path: Path) -> None:
    history.append(tmp_path / "history", entry())
    assert (tmp_path / "history").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "history" / "chat.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_history_that_cannot_be_written_or_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HetopsError, match=r"history in .*file cannot be written"):
        history.append(tmp_path / "file", entry())
    (tmp_path / "chat.jsonl").mkdir()
    with pytest.raises(HetopsError, match=r"history .*chat\.jsonl cannot be read"):
        history.read(tmp_path, "chat")
