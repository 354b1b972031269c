"""`hetops up`: the fleet up, or as the spec says now."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hetops.cli import asked, options
from hetops.cli.progress import Terminal


@click.command("up")
@click.argument("plan", type=click.Path(path_type=Path), required=False)
@options.file_option
@options.set_option
@options.period_option
@options.yes_option
@options.offline_option
@options.json_option
def command(
    plan: Path | None,
    file: Path | None,
    overrides: tuple[str, ...],
    period: str,
    yes: bool,
    offline: bool,
    as_json: bool,
) -> None:
    """Bring the fleet up, or to what the spec says now.

    Plans anew, or takes the hetops.plan document PLAN; shows what would change and asks. Of a day it takes the period
    that is named, else the one that is now, where policy.day.begins says. A run that was stopped or killed goes on where
    it was. Exit code 4: stopped part-way, what was made is in the state; 5: prices or budget; 8:
    cancelled; 9: another command works on the deployment.
    """
    from hetops.app.up import UpAsked, up
    from hetops.reports import deployment as report

    question = UpAsked(spec=asked.about(file, overrides, offline=offline, period=period), plan_file=plan)
    raised = up(question, Terminal("up", yes=yes))
    if as_json:
        click.echo(json.dumps(report.raised_as_json(raised), indent=2))
    else:
        options.show(report.raised_as_text(raised))
