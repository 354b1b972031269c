"""`hetops plugins`: what is installed beside hetops, and what it brings."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from hetops.cli import options


@click.command("plugins")
@options.file_option
@options.json_option
def command(file: Path | None, as_json: bool) -> None:
    """List the plugins with their versions, the providers and engines they bring, and what is wrong with them.

    A broken plugin costs only itself: it is shown with its error, and the exit code stays 0. With a spec, only the
    plugins that it allows are loaded; HETOPS_PLUGINS, names with commas between them, goes before it.
    """
    from hetops.app.plugins import inventory
    from hetops.domain import codec
    from hetops.reports import plugins as report

    found = inventory(file, Path.cwd(), os.environ)
    if as_json:
        click.echo(json.dumps(codec.to_builtins(found), indent=2))
    else:
        click.echo(report.as_text(found), nl=False)
