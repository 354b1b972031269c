"""`hetops solve`: the certified answer to an explicit problem."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hetops.cli import options


@click.command("solve")
@click.argument("problem", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write the solution to this file.")
@options.time_limit_option
@options.json_option
def command(problem: Path, output: Path | None, limit_seconds: float, as_json: bool) -> None:
    """Solve the hetops.problem document PROBLEM: offers, configurations, rates and limits of your own.

    Prints the fleet, the shares, the cost and the proof. Where no fleet exists, the exit code is 6 and the smallest
    change of one limit that lets one exist is named.
    """
    from hetops.app.solve import solve_file, write_solution
    from hetops.reports import solution as report

    solved = solve_file(problem, limit_seconds=limit_seconds)
    if output:
        write_solution(solved, output)
    if as_json:
        click.echo(json.dumps(report.as_json(solved.solution), indent=2))
    else:
        click.echo(report.as_text(solved.problem, solved.solution), nl=False)
