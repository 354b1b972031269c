"""`hetops plugins`: what is installed beside hetops, and what it brings; the beginning of one's own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from hetops.cli import options


@click.group("plugins", invoke_without_command=True)
@options.file_option
@options.json_option
@click.pass_context
def command(ctx: click.Context, file: Path | None, as_json: bool) -> None:
    """List the plugins with their versions, the providers and engines they bring, and what is wrong with them.

    A broken plugin costs only itself: it is shown with its error, and the exit code stays 0. With a spec, only the
    plugins that it allows are loaded; HETOPS_PLUGINS, names with commas between them, goes before it.
    """
    if ctx.invoked_subcommand:
        return
    from hetops.app.plugins import inventory
    from hetops.domain import codec
    from hetops.reports import plugins as report

    found = inventory(file, Path.cwd(), os.environ)
    if as_json:
        click.echo(json.dumps(codec.to_builtins(found), indent=2))
    else:
        options.show(report.as_text(found))


@command.command("new")
@click.argument("name")
@options.json_option
def new(name: str, as_json: bool) -> None:
    """Write ./hetops-NAME: a whole distribution of a provider NAME, with a cloud of its own and its tests.

    A copy of plugins/hetops-example under your name: it can be installed and passes the contract suite at once.
    """
    from hetops.app.new_plugin import new_plugin
    from hetops.domain import codec
    from hetops.reports import plugins as report

    written = new_plugin(name, Path.cwd())
    if as_json:
        click.echo(json.dumps(codec.to_builtins(written), indent=2))
    else:
        options.show(report.new_as_text(written.folder, written.files))
