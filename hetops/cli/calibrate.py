"""`hetops calibrate`: fits the performance model to measurements, and says how well it does."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hetops.cli import options


@click.group("calibrate")
def command() -> None:
    """Fit the performance model to a file of measurements, or say how well it does on one."""


@command.command("fit")
@click.argument("measurements", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the coefficients to this file.")
@options.json_option
def fit(measurements: Path | None, output: Path | None, as_json: bool) -> None:
    """Fit the coefficients to MEASUREMENTS, the shipped ones unless named, and print how well they fit.

    The half widths of the intervals come from leaving out one GPU type, family, publisher or engine generation at a time.
    The same file gives the same coefficients. Takes a minute or two.
    """
    from hetops.app.calibrate import SHIPPED, fit_file, unread_columns, write_coefficients
    from hetops.reports import calibration as report

    if told := unread_columns(measurements or SHIPPED):
        options.say(told)
    found = fit_file(measurements or SHIPPED)
    if output:
        write_coefficients(found.calibration, output)
        options.say(f"wrote {output}")
    if as_json:
        click.echo(json.dumps(report.as_json(found.score), indent=2))
    else:
        options.show(report.as_text(found.score))


@command.command("score")
@click.argument("measurements", type=click.Path(path_type=Path))
@options.json_option
def score(measurements: Path, as_json: bool) -> None:
    """Hold the shipped model against the CSV file MEASUREMENTS: medians, by GPU type, order, intervals."""
    from hetops.app.calibrate import score_file, unread_columns
    from hetops.reports import calibration as report

    if told := unread_columns(measurements):
        options.say(told)
    found = score_file(measurements)
    if as_json:
        click.echo(json.dumps(report.as_json(found), indent=2))
    else:
        options.show(report.as_text(found))
