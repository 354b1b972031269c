"""`hetops bench`: measures configurations, so that plans rest on numbers instead of estimates."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from hetops.cli import asked, options
from hetops.cli.progress import Terminal

_KEY_VARIABLE = "HETOPS_API_KEY"


@click.command("bench")
@options.file_option
@options.set_option
@click.option(
    "--seconds",
    type=options.Number(min=0.1, max=3600),
    default=3.0,
    show_default=True,
    help="How long each load is kept up.",
)
@click.option(
    "--requests",
    type=click.IntRange(min=1),
    default=40,
    show_default=True,
    help="Requests that are enough for a load, where they are done sooner.",
)
@click.option(
    "--precision",
    type=options.Number(min=0, max=1, max_open=True),
    default=0.0,
    help="End a load sooner once its rate is known so well: 0.05 is 5 % to either side at 95 % confidence.",
)
@click.option(
    "--rate",
    "rates",
    multiple=True,
    type=options.Number(min=0, min_open=True, max=1e6),
    metavar="R",
    help="Also send R requests a second to each replica, as users do, for --seconds. Repeatable.",
)
@click.option("--endpoint", metavar="URL", help=f"Measure this engine instead. Its key: {_KEY_VARIABLE}.")
@click.option("--configuration", metavar="ID", help="What runs at the endpoint, or ran for the files.")
@click.option(
    "--import",
    "files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Record results of vllm bench serve, guidellm, genai-perf, aiperf or a CSV. Repeatable.",
)
@click.option(
    "--concurrency", type=click.IntRange(min=1), help="Requests in flight, for files that do not tell."
)
@options.yes_option
@options.json_option
def command(
    file: Path | None,
    overrides: tuple[str, ...],
    seconds: float,
    requests: int,
    precision: float,
    rates: tuple[float, ...],
    endpoint: str | None,
    configuration: str | None,
    files: tuple[Path, ...],
    concurrency: int | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Measure the configurations that this host can run, and record it: plans rest on it from then on.

    Starts each engine, keeps 1, some and as many requests as it has places in flight with the lengths of each class,
    and removes it again. With --endpoint, measures an OpenAI-compatible engine that runs already. With
    --import, starts nothing: what other tools measured is recorded.
    """
    _check(endpoint, configuration, files, concurrency)
    if files:
        _import(asked.about(file, overrides), files, configuration or "", concurrency, as_json)
        return
    from hetops.app.bench import Effort, Endpoint, bench, bench_endpoint
    from hetops.reports import bench as report

    question = asked.about(file, overrides)
    effort = Effort(seconds=seconds, requests=requests, precision=precision, rates=rates)
    talk = Terminal("bench", yes=yes)
    if endpoint and configuration:
        key = os.environ.get(_KEY_VARIABLE, "")
        where = Endpoint(url=endpoint, configuration=configuration, api_key=key)
        measured = bench_endpoint(question, where, effort, talk)
    else:
        measured = bench(question, effort, talk)
    if as_json:
        click.echo(json.dumps(report.as_json(measured), indent=2))
    else:
        options.show(report.as_text(measured))


def _check(
    endpoint: str | None, configuration: str | None, files: tuple[Path, ...], concurrency: int | None
) -> None:
    if files and endpoint:
        raise click.UsageError("--import and --endpoint exclude each other")
    if concurrency and not files:
        raise click.UsageError("--concurrency goes with --import")
    if not files and bool(endpoint) != bool(configuration):
        raise click.UsageError("--endpoint and --configuration go together")


def _import(
    question: Any, files: tuple[Path, ...], configuration: str, concurrency: int | None, as_json: bool
) -> None:
    from hetops.app.bench_import import Imports, bench_import
    from hetops.reports import bench as report

    wanted = Imports(files=files, configuration=configuration, concurrency=concurrency)
    imported = bench_import(question, wanted)
    if as_json:
        click.echo(json.dumps(report.imported_as_json(imported), indent=2))
    else:
        options.show(report.imported_as_text(imported))
