"""`hetops diff`: what an up would change."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hetops.cli import asked, options

CHANGES = 2
"""Exit code with `--detailed-exitcode` where something would change."""


@click.command("diff")
@click.argument("plan", type=click.Path(path_type=Path), required=False)
@options.file_option
@options.set_option
@options.period_option
@click.option("--detailed-exitcode", is_flag=True, help="Exit code 2 where something would change.")
@options.offline_option
@options.json_option
def command(
    plan: Path | None,
    file: Path | None,
    overrides: tuple[str, ...],
    period: str,
    detailed_exitcode: bool,
    offline: bool,
    as_json: bool,
) -> None:
    """Show what an up would change: pools, money, targets, routing, and what drifted meanwhile. Changes nothing.

    Plans anew, or takes the hetops.plan document PLAN; of a day the period that is named, or is now. Then asks Pulumi for a preview and the providers for what runs.
    """
    from hetops.app.diff import DiffAsked, diff
    from hetops.reports import diff as report

    proposal = diff(
        DiffAsked(spec=asked.about(file, overrides, offline=offline, period=period), plan_file=plan)
    )
    if as_json:
        click.echo(json.dumps(report.as_json(proposal.diff), indent=2))
    else:
        options.show(report.as_text(proposal.diff))
    if detailed_exitcode and proposal.diff.has_changes:
        click.get_current_context().exit(CHANGES)
