"""`hetops down`: the deployment gone."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hetops.cli import asked, options
from hetops.cli.progress import Terminal


@click.command("down")
@options.file_option
@click.option(
    "--deployment", default="", metavar="NAME", help="This one, even where its spec is broken or gone."
)
@options.yes_option
@options.json_option
def command(file: Path | None, deployment: str, yes: bool, as_json: bool) -> None:
    """Remove the deployment: requests drain, nodes go, files go; its history stays.

    Shows what goes and what that saves, and asks for the deployment's name. Finds nodes that a killed command left
    behind as well. Where nothing is up it says so.
    """
    from hetops.app.down import DownAsked, down
    from hetops.reports import deployment as report

    removed = down(DownAsked(spec=asked.about(file), deployment=deployment), Terminal("down", yes=yes))
    if as_json:
        click.echo(json.dumps(report.removed_as_json(removed), indent=2))
    else:
        options.show(report.removed_as_text(removed))
