"""`hetops schema`: the JSON Schema of hetops.toml and of every document."""

from __future__ import annotations

import json

import click

from hetops.cli import options


@click.command("schema")
@click.argument("name", metavar="[FORMAT]", default="spec")
@click.option("--list", "as_list", is_flag=True, help="List the formats instead.")
@options.json_option
def command(name: str, as_list: bool, as_json: bool) -> None:
    """Print the JSON Schema of FORMAT: hetops.toml, unless another is named.

    --list names the formats. A schema is JSON with and without --json.
    """
    from dataclasses import asdict

    from hetops.app.schema import formats, schema_of
    from hetops.reports import schema as report

    if as_list and as_json:
        click.echo(json.dumps([asdict(each) for each in formats()], indent=2))
    elif as_list:
        options.show(report.as_text(formats()))
    else:
        click.echo(json.dumps(schema_of(name), indent=2))
