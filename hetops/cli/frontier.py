"""`hetops frontier`: what looser targets, less headroom or more money are worth."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from hetops.cli import asked, options


class _Numbers(click.ParamType[tuple[Decimal, ...]]):
    """Numbers with commas between."""

    name = "NUMBER[,NUMBER]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return tuple(Decimal(word.strip()) for word in value.split(","))
        except InvalidOperation:
            self.fail(f"{value!r} is no list of numbers such as 0.5,1,2", param, ctx)


@click.command("frontier")
@options.file_option
@options.set_option
@click.option("--targets", type=_Numbers(), default=(), help="Factors on every latency target: 0.5,1,2.")
@click.option(
    "--headroom", type=_Numbers(), default=(), help="Shares of every node to leave free: 0,0.15,0.3."
)
@click.option(
    "--budgets", type=_Numbers(), default=(), help="USD per hour: asks for the largest rate at each instead."
)
@click.option("--csv", "csv_file", type=options.OutputFile(), help="Also write the points to this file.")
@click.option("--svg", "svg_file", type=options.OutputFile(), help="Also draw them into this file.")
@options.time_limit_option
@options.offline_option
@options.json_option
@click.pass_context
def command(
    ctx: click.Context,
    file: Path | None,
    overrides: tuple[str, ...],
    targets: tuple[Decimal, ...],
    headroom: tuple[Decimal, ...],
    budgets: tuple[Decimal, ...],
    csv_file: Path | None,
    svg_file: Path | None,
    limit_seconds: float,
    offline: bool,
    as_json: bool,
) -> None:
    """Show what looser latency targets, less headroom or more money are worth: the cheapest fleet at each.

    Each point is solved and certified by itself. With --budgets the largest rate that each budget buys at the
    workload's mix. Changes nothing. Ctrl-C shows the points found by then; the exit code is 8.
    """
    if csv_file and csv_file == svg_file:
        raise click.UsageError("--csv and --svg name the same file")
    from hetops.app.frontier import FrontierAsked, frontier
    from hetops.errors import CancelledError
    from hetops.files import write_whole
    from hetops.reports import frontier as report

    told = frontier(
        FrontierAsked(
            spec=asked.about(file, overrides, offline=offline),
            target_factors=tuple(float(f) for f in targets),
            headrooms=tuple(float(h) for h in headroom),
            budgets_usd_per_hour=budgets,
            limit_seconds=limit_seconds,
        ),
        options.say,
    )
    for path, write in ((csv_file, report.as_csv), (svg_file, report.as_svg)):
        if path:
            write_whole(path, write(told).encode())
            options.say(f"wrote {path}")
    click.echo(json.dumps(report.as_json(told), indent=2) if as_json else report.as_text(told), nl=as_json)
    if told.stopped:
        ctx.exit(CancelledError.exit_code)
