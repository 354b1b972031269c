"""`hetops explain`: what every other answer would cost."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from hetops.cli import options


@click.command("explain")
@click.argument("problem", type=click.Path(path_type=Path), required=False)
@options.file_option
@options.set_option
@options.json_option
def command(problem: Path | None, file: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Say why a plan is what it is: the spec's, or the answer to the hetops.problem document PROBLEM.

    Shows the best fleet of each GPU type alone, without each offer and provider in use, and what wider limits would
    change. Every figure is found by solving again. `hetops plan --write-problem FILE` writes the problem of a plan.
    """
    from hetops.app.candidates import Asked
    from hetops.app.explain import explain_file, explain_spec
    from hetops.reports import solution as report

    if problem:
        told = explain_file(problem)
    else:
        now = datetime.now(UTC)
        told = explain_spec(
            Asked(file=file, folder=Path.cwd(), environment=os.environ, now=now, overrides=overrides)
        )
    if as_json:
        raw = report.explained_as_json(told.solution, told.alternatives, told.wider)
        click.echo(json.dumps(raw, indent=2))
    else:
        text = report.explained_as_text(told.problem, told.solution, told.alternatives, told.wider)
        click.echo(text, nl=False)
