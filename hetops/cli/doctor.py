"""`hetops doctor`: what hetops stands on, and how to mend what is wrong with it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

_GROUPS = ("environment", "engine", "plugins", "spec", "providers", "state", "clock")


@click.command("doctor")
@click.argument("groups", nargs=-1, type=click.Choice(_GROUPS), metavar="[GROUP]...")
@click.option("-f", "--file", "spec", type=click.Path(path_type=Path), help="The spec, unless ./hetops.toml.")
@click.option(
    "--fix", is_flag=True, help="Build the Pulumi engine where there is none (needs Go; minutes, once)."
)
@click.option("--download", is_flag=True, help="Fetch the engine from its vendor instead of building it.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def command(
    ctx: click.Context, groups: tuple[str, ...], spec: Path | None, fix: bool, download: bool, as_json: bool
) -> None:
    """Look at everything that hetops stands on: all of it, or the GROUPs named.

    Groups: environment, engine, plugins, spec, providers, state, clock. Exit code 0 where nothing is in the way, 3 where
    credentials that the spec needs are missing, else 1. Needs no network.
    """
    from hetops.app import doctor
    from hetops.reports import doctor as report

    def say(line: str) -> None:
        click.echo(line, err=True)

    if download:
        from hetops.app.doctor_download import download_engine

        download_engine(os.environ, say)
    elif fix:
        doctor.build_engine(os.environ, say)
    around = doctor.Surroundings(environment=os.environ, folder=Path.cwd(), now=datetime.now(UTC), spec=spec)
    diagnosis = doctor.examine(around, tuple(report.Group(g) for g in groups))
    if as_json:
        click.echo(json.dumps(report.as_json(diagnosis), indent=2))
    else:
        click.echo(report.as_text(diagnosis), nl=False)
    ctx.exit(diagnosis.exit_code)
