"""`hetops explain`: what every other answer to an explicit problem would cost."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hetops.cli import options


@click.command("explain")
@click.argument("problem", type=click.Path(path_type=Path))
@options.json_option
def command(problem: Path, as_json: bool) -> None:
    """Say why the answer to the hetops.problem document PROBLEM is what it is.

    Shows the best fleet of each GPU type alone, without each offer and provider in use, and what wider limits would
    change. Every figure is found by solving again. `hetops plan --write-problem FILE` writes the problem of a plan.
    """
    from hetops.app.explain import explain_file
    from hetops.reports import solution as report

    told = explain_file(problem)
    if as_json:
        raw = report.explained_as_json(told.solution, told.alternatives, told.wider)
        click.echo(json.dumps(raw, indent=2))
    else:
        text = report.explained_as_text(told.problem, told.solution, told.alternatives, told.wider)
        click.echo(text, nl=False)
