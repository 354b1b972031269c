"""What commands print, for the documentation: their help, and a plan."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from hetops import errors
from hetops.cli.main import COMMANDS, hetops
from tests.cli import process

WIDTH = 100


def reference() -> str:
    """The help of hetops and of every command, as it is printed."""
    group = click.Context(hetops, info_name="hetops", terminal_width=WIDTH, **hetops.context_settings)
    sections = [_section("hetops", hetops.get_help(group))]
    for name in COMMANDS:
        command = hetops.get_command(group, name)
        assert command is not None
        command._help_option = None  # click keeps that of the first context, and a test may have run it alone
        context = click.Context(command, info_name=name, parent=group, terminal_width=WIDTH)
        sections.append(_section(f"hetops {name}", command.get_help(context)))
    return "\n\n".join(sections)


def exit_codes() -> str:
    """The tree of errors with the exit code of each."""
    tree = (errors.__doc__ or "").split("\n\n", maxsplit=1)[1].strip()
    return f"```text\n{tree}\n```"


def plan() -> str:
    """What `hetops plan` prints for the spec that `hetops init` writes."""
    with tempfile.TemporaryDirectory() as folder:
        process.spec(Path(folder))
        run = process.hetops(Path(folder), "plan")
    assert run.returncode == 0, run.stderr
    return f"```text\n{run.stdout.strip()}\n```"


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n```text\n{text.strip()}\n```"
