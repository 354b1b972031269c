"""The terminal's side of a deployment's commands: what is told, what is asked, how progress looks. All on stderr.

A question is never put where nobody can answer it: without a terminal the command ends and says what to add.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, TextIO

import click

from hetops.reports import page


class Terminal:
    """A `hetops.app.deployment.Talk`. `yes` agrees to everything that is shown."""

    def __init__(self, command: str, *, yes: bool) -> None:
        context = click.get_current_context()
        self._command = command
        self._yes = yes
        self._quiet = bool(context.find_root().params.get("quiet"))
        self._draws = context.color is not False and not self._quiet and _is_terminal(sys.stderr)
        self._writing = threading.Lock()

    def say(self, text: str) -> None:
        """One thing worth knowing, unless the user wants quiet. A reader who is gone stops no work."""
        if not self._quiet:
            with self._writing, contextlib.suppress(OSError):
                click.echo(text, err=True)

    def agrees(self, proposal: Any) -> bool:
        """Shows the diff and asks; `d` shows the whole plan."""
        from hetops.reports import diff, plan

        self._show(diff.as_text(proposal.diff))
        return self._asked("Bring it up?", lambda: plan.as_text(proposal.after))

    def lets_go(self, removal: Any) -> bool:
        """Shows what goes; the deployment's own name is the answer that removes it."""
        from hetops.reports import deployment

        self._show(deployment.removal_as_text(removal))
        if self._yes:
            return True
        self._needs_terminal()
        return bool(self._line(f"Type {removal.deployment} to remove it: ") == removal.deployment)

    def accepts(self, download: Any) -> bool:
        """Shows the licence and the size, quiet or not; `-y` agrees to them."""
        click.echo(f"{download.licence}\n", err=True)
        return self._asked(f"Fetch {download.name} ({download.megabytes} MB) under these terms?")

    @contextlib.contextmanager
    def watching(self, expected: Mapping[str, int]) -> Iterator[Callable[[Any], None]]:
        """One live line a pool on a terminal; elsewhere one line with its time for each state change."""
        from hetops.reports.progress import Progress

        board = _Board(Progress(expected=expected), self.say)
        if not self._draws or not expected:
            yield board.tell
            return
        with _live(board.text):
            yield board.tell_faults

    def _asked(self, question: str, details: Callable[[], str] | None = None) -> bool:
        if self._yes:
            return True
        self._needs_terminal()
        choices = "[y/N/d(etails)]" if details else "[y/N]"
        while True:
            answer = self._line(f"{question} {choices} ").lower()
            if details is None or answer not in ("d", "details"):
                return answer in ("y", "yes")
            click.echo(page.folded(details()), err=True)

    def _show(self, text: str) -> None:
        if not (self._quiet and self._yes):
            click.echo(page.folded(text), err=True)

    def _line(self, question: str) -> str:
        """What the user types; nothing at the end of the input."""
        click.echo(question, err=True, nl=False)
        return sys.stdin.readline().strip()

    def _needs_terminal(self) -> None:
        from hetops.errors import HetopsError

        if not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)):
            raise HetopsError(
                "this needs an answer, and there is no terminal to ask on",
                hint=f"agree beforehand: hetops {self._command} --yes",
            )


def _is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody sits there; a stream that was closed before the start is None."""
    return stream is not None and stream.isatty()


class _Board:
    """The progress so far, told from the engine's thread and read from the one that draws."""

    def __init__(self, progress: Any, say: Callable[[str], None]) -> None:
        self._progress = progress
        self._say = say
        self._began = time.monotonic()

    def tell(self, event: Any) -> None:
        """Takes an event and tells it as a line."""
        from hetops.reports import progress as report

        line = report.line(self._progress, event, datetime.now())
        self._progress = self._progress.after(event)
        self._say(line)

    def tell_faults(self, event: Any) -> None:
        """Takes an event; only what no table shows becomes a line."""
        from hetops.stack.changes import Happening

        if event.what in (Happening.NOTE, Happening.FAILED):
            self.tell(event)
        else:
            self._progress = self._progress.after(event)

    def text(self) -> str:
        """The table as it is now."""
        from hetops.reports import progress as report

        return report.table(self._progress, time.monotonic() - self._began)


@contextlib.contextmanager
def _live(text: Callable[[], str]) -> Iterator[None]:
    """Draws the text anew some times a second, below what else is printed on stderr meanwhile."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    with Live(get_renderable=lambda: Text(text()), console=console, refresh_per_second=8):
        yield
