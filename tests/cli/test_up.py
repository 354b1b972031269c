"""The terminal's side of `up` and `down` where there is no terminal: what is told, and that nothing is asked."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import click
import pytest

from hetops.app.deployment import Proposal
from hetops.cli.progress import Terminal
from hetops.errors import HetopsError
from hetops.plugin.engine import Download
from hetops.reports.deployment import Removal
from hetops.stack.changes import Changes, Happening, PoolEvent
from hetops.stack.diff import fleet_diff
from tests.doubles import plans

PROPOSAL = Proposal(
    before=None,
    after=plans.plan(),
    changes=Changes(steps=()),
    diff=fleet_diff(None, plans.plan(), Changes(steps=())),
)
REMOVAL = Removal(
    deployment="chat", nodes=(("l4", "chat-l4-0"),), strays=("lost",), usd_per_hour=Decimal("0.8")
)
DOWNLOAD = Download(name="paper", megabytes=3, licence="Read it aloud.")


@pytest.fixture(params=[False, True], ids=["talking", "quiet"])
def quiet(request: pytest.FixtureRequest) -> Iterator[bool]:
    """A command line, with or without `-q`."""
    context = click.Context(click.Command("hetops"))
    context.params["quiet"] = request.param
    with context.scope():
        yield request.param


def test_yes_agrees_to_everything_and_shows_it_but_quiet_only_licences(
    quiet: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal("up", yes=True)
    assert terminal.agrees(PROPOSAL)
    assert terminal.lets_go(REMOVAL)
    assert terminal.accepts(DOWNLOAD)
    said = capsys.readouterr()
    assert said.out == ""
    shown = ("2 pools to add", "  -  lost: no state knows it", "Read it aloud.")
    assert [text in said.err for text in shown] == [not quiet, not quiet, True]


def test_without_a_terminal_it_shows_what_it_would_ask_about_and_names_the_flag(
    quiet: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal("down", yes=False)
    for ask in (
        lambda: terminal.agrees(PROPOSAL),
        lambda: terminal.lets_go(REMOVAL),
        lambda: terminal.accepts(DOWNLOAD),
    ):
        with pytest.raises(HetopsError, match="no terminal to ask on") as refused:
            ask()
        assert refused.value.hint == "agree beforehand: hetops down --yes"
    assert "Read it aloud." in capsys.readouterr().err, f"shown although quiet is {quiet}"


@pytest.mark.usefixtures("quiet")
def test_streams_that_were_closed_before_the_start_are_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stderr"):
        monkeypatch.setattr(f"sys.{name}", None)
    assert Terminal("up", yes=True).agrees(PROPOSAL)
    with pytest.raises(HetopsError, match="no terminal to ask on"):
        Terminal("up", yes=False).agrees(PROPOSAL)


def test_each_state_change_is_a_line_with_its_time_unless_quiet(
    quiet: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with Terminal("up", yes=True).watching({"l4": 1}) as tell:
        for what in (Happening.CREATING, Happening.DONE):
            tell(PoolEvent(what=what, pool="l4", node="l4-0"))
    lines = [line.partition("  ")[2] for line in capsys.readouterr().err.splitlines()]
    assert lines == ([] if quiet else ["l4: l4-0 is being made", "l4: l4-0 is ready"])
