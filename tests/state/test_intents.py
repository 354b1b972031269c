"""A node is on record before it is created, and as long as it may exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetops.errors import DocumentError, HetopsError
from hetops.plugin.engine import Launch
from hetops.plugin.provider import NodeRequest
from hetops.state import intents
from hetops.state.intents import Intent


def intent(name: str = "chat-l4-0", provider: str = "local") -> Intent:
    launch = Launch(argv=("python", "-m", "engine"), environment=(("A", "b"),), ready_seconds=7.5)
    request = NodeRequest(
        name=name,
        deployment="chat",
        pool="l4",
        sku="gcp/g2-standard-8",
        region="local",
        zone="",
        market="on_demand",
        launches=(launch, launch),
    )
    return Intent(provider=provider, request=request)


def test_what_was_recorded_is_read_back_by_name(tmp_path: Path) -> None:
    for name in ("b", "a"):
        intents.record(tmp_path / "intents", intent(name))
    assert intents.read_all(tmp_path / "intents") == (intent("a"), intent("b"))


def test_recording_again_is_no_change_and_the_last_word_counts(tmp_path: Path) -> None:
    intents.record(tmp_path, intent())
    intents.record(tmp_path, intent(provider="other"))
    assert [i.provider for i in intents.read_all(tmp_path)] == ["other"]


def test_a_withdrawn_intent_is_gone_and_withdrawing_twice_is_success(tmp_path: Path) -> None:
    intents.record(tmp_path, intent())
    for _ in range(2):
        intents.withdraw(tmp_path, "chat-l4-0")
    assert intents.read_all(tmp_path) == ()
    assert intents.read_all(tmp_path / "nowhere") == ()


def test_a_half_written_file_of_a_killed_run_is_no_intent(tmp_path: Path) -> None:
    intents.record(tmp_path, intent())
    (tmp_path / ".chat-l4-1.json.x7q").write_text('{"format"')
    assert len(intents.read_all(tmp_path)) == 1


def test_a_broken_record_is_named_never_passed_over(tmp_path: Path) -> None:
    (tmp_path / "chat-l4-0.json").write_text("{}")
    with pytest.raises(DocumentError, match=r"chat-l4-0\.json: format is None"):
        intents.read_all(tmp_path)


def test_records_are_their_owners_alone(tmp_path: Path) -> None:
    intents.record(tmp_path / "intents", intent())
    assert (tmp_path / "intents").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "intents" / "chat-l4-0.json").stat().st_mode & 0o777 == 0o600


def test_a_record_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HetopsError, match=r"intents in .*file cannot be written"):
        intents.record(tmp_path / "file", intent())


@pytest.mark.parametrize("name", ["", "../else", "a/b", ".hidden"])
def test_a_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name of a node"):
        intents.record(tmp_path, intent(name))
    with pytest.raises(ValueError, match="no name of a node"):
        intents.withdraw(tmp_path, name)
