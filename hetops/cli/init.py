"""`hetops init`: the first hetops.toml of a folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from hetops.cli import options


@click.command("init")
@click.option("--name", default="", help="Name of the deployment, unless the folder's.")
@click.option("--model", default="llama-3.1-8b", show_default=True, help="A model of the catalogue.")
@options.output_option
@options.json_option
def command(name: str, model: str, file: Path | None, as_json: bool) -> None:
    """Write a commented hetops.toml that can be planned at once, and its schema for editors.

    Nothing is overwritten, and no credentials are needed: its prices are dated list prices, its GPUs are emulated on
    this machine until it names a cloud.
    """
    from hetops.app.init import Wish, init
    from hetops.domain import codec

    wish = Wish(folder=Path.cwd(), environment=os.environ, output=file, name=name, model=model)
    written = init(wish)
    if as_json:
        click.echo(json.dumps(codec.to_builtins(written), indent=2))
    else:
        click.echo(written.spec)
        options.say("Edit it, then: hetops plan")
