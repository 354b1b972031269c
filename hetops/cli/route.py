"""`hetops route`: the router of a deployment, in the foreground."""

from __future__ import annotations

import os
from pathlib import Path

import click

from hetops.cli import options


@click.command("route")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The router's configuration; read again when it changes.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Beyond this machine keys are needed.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: any free one."
)
@options.quiet_option
def command(config: Path, host: str, port: int, quiet: bool) -> None:
    """Run a router: an OpenAI-compatible server that sends each request where the plan says.

    Stops on SIGTERM or Ctrl-C, once running answers are finished. `hetops up` starts one by itself.
    """
    from hetops.app.route import route

    route(config.absolute(), host, port, os.environ, _silent if quiet else options.say)


def _silent(text: str) -> None:
    del text
