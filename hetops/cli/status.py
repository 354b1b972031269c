"""`hetops status`: what runs, held against the plan."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from hetops.cli import asked, options


@click.command("status")
@options.file_option
@click.option("--watch", "every", type=options.Number(min=0.5), metavar="SECONDS", help="Again and again.")
@click.option(
    "--window",
    "window_seconds",
    type=options.Number(min=1),
    default=300.0,
    show_default=True,
    help="Seconds that requests are counted over, since the last up at most.",
)
@options.json_option
def command(file: Path | None, every: float | None, window_seconds: float, as_json: bool) -> None:
    """Hold what runs against the plan: pools, nodes, health, rates, latencies, shares, cost.

    Exit code 1 where nothing serves.
    """
    from hetops.app.status import StatusAsked, status
    from hetops.reports.status import as_json as document
    from hetops.reports.status_text import as_text

    while True:
        found = status(StatusAsked(spec=asked.about(file), window_seconds=window_seconds))
        if every and not as_json:
            click.clear()
        if as_json:
            click.echo(json.dumps(document(found), indent=2))
        else:
            options.show(as_text(found))
        if not every:
            click.get_current_context().exit(found.exit_code)
        time.sleep(every)
