"""`hetops doctor`: what hetops stands on, and how to mend what is wrong with it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from hetops.cli import options

_GROUPS = (
    *("environment", "engine", "plugins", "spec", "providers"),
    *("credentials", "permissions", "quotas", "state", "clock"),
)


@click.command("doctor")
@click.argument("groups", nargs=-1, type=click.Choice(_GROUPS), metavar="[GROUP]...")
@options.file_option
@click.option(
    "--fix", "way", flag_value="build", help="Build the engine if there is none (Go, minutes, once)."
)
@click.option("--download", "way", flag_value="download", help="Fetch it from its vendor instead.")
@options.json_option
def command(groups: tuple[str, ...], file: Path | None, way: str | None, as_json: bool) -> None:
    """Look at everything that hetops stands on: all of it, or the GROUPs named.

    Groups: environment, engine, plugins, spec, providers, credentials, permissions, quotas, state, clock. Exit code 0
    where nothing is in the way, 3 where credentials that the spec needs are missing or refused, else 1. Providers are
    asked where there are credentials for them, all at once, and for no longer than 10 s.
    """
    from hetops.app.doctor import Surroundings, examine
    from hetops.reports import doctor as report

    if way:
        from hetops.app.engine import Way, provide_engine

        provide_engine(os.environ, Way(way), options.say)
    around = Surroundings(environment=os.environ, folder=Path.cwd(), now=datetime.now(UTC), spec=file)
    diagnosis = examine(around, tuple(report.Group(g) for g in groups))
    if as_json:
        click.echo(json.dumps(report.as_json(diagnosis), indent=2))
    else:
        options.show(report.as_text(diagnosis))
    click.get_current_context().exit(diagnosis.exit_code)
