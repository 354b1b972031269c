"""`hetops plan`: the cheapest fleet that meets the targets."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from hetops.cli import options


@click.command("plan")
@options.file_option
@options.set_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write the plan to this file.")
@click.option(
    "--write-problem",
    "problem",
    type=click.Path(path_type=Path),
    help="Write what the solver is asked to this file, for hetops solve and hetops explain.",
)
@options.time_limit_option
@options.offline_option
@options.json_option
def command(
    file: Path | None,
    overrides: tuple[str, ...],
    output: Path | None,
    problem: Path | None,
    limit_seconds: float,
    offline: bool,
    as_json: bool,
) -> None:
    """Find the cheapest fleet that serves the workload within its latency targets.

    Shows what was considered and refused, the fleet, where each class goes, the losers and how much dearer they are,
    the proof, and what every number rests on. Changes nothing. Where no fleet exists the exit code is 6 and the
    smallest change that lets one exist is named.
    """
    from hetops.app.candidates import Asked
    from hetops.app.plan import answer, pose, write_plan, write_problem
    from hetops.offers.collect import Freshness
    from hetops.reports import plan as report

    asked = Asked(
        file=file,
        folder=Path.cwd(),
        environment=os.environ,
        now=datetime.now(UTC),
        overrides=overrides,
        freshness=Freshness.OFFLINE if offline else Freshness.CACHED,
    )
    posed = pose(asked)
    if problem:
        write_problem(posed, problem)
        options.say(f"wrote {problem}")
    made = answer(posed, limit_seconds=limit_seconds)
    if output:
        write_plan(made, output)
        options.say(f"wrote {output}")
    if as_json:
        click.echo(json.dumps(report.as_json(made), indent=2))
    else:
        click.echo(report.as_text(made), nl=False)
