"""`hetops replay`: a slice of the trace through the router, held against the plan."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hetops.cli import asked, options


@click.command("replay")
@options.file_option
@options.set_option
@click.option(
    "--seconds",
    type=options.Number(min=1),
    default=60.0,
    show_default=True,
    help="How much of the trace is sent, in real time.",
)
@click.option(
    "--start",
    "start_seconds",
    type=options.Number(min=0),
    help="Where the slice begins, in seconds of the trace as the spec scales it; else where it is most like the whole.",
)
@click.option(
    "--rate",
    type=options.Number(min=0, min_open=True),
    metavar="PER SECOND",
    help="Send the slice's lengths at this mean rate, each request by itself, not when they were recorded.",
)
@options.json_option
def command(
    file: Path | None,
    overrides: tuple[str, ...],
    seconds: float,
    start_seconds: float | None,
    rate: float | None,
    as_json: bool,
) -> None:
    """Send a slice of the spec's trace through the router and hold what it measured against the plan.

    Requests go out when they were recorded, as words that mean nothing, of the recorded lengths. Rates, latencies, shares
    and the cost of a million tokens are those that the router observed.
    """
    from hetops.app.replay import Slice, replay
    from hetops.reports import ledger as report

    part = Slice(start_seconds=start_seconds, seconds=seconds, requests_per_second=rate)
    found = replay(asked.about(file, overrides), part, options.say)
    if as_json:
        click.echo(json.dumps(report.as_json(found), indent=2))
    else:
        options.show(report.as_text(found))
