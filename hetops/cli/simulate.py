"""`hetops simulate`: a trace through a plan's pools in virtual time."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from hetops.cli import asked, options


@click.command("simulate")
@click.argument("plan", required=False, type=click.Path(path_type=Path))
@click.option(
    "--trace",
    "traces",
    multiple=True,
    metavar="[MODEL=]FILE",
    help="The trace to play, of several models with a column model or one for each; else the spec's, cut and scaled as it says;"
    " else an hour of the plan's classes, drawn.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND,FIELD=VALUE,...",
    help="Something that goes wrong: lose, reclaim, slow or burst. Repeatable.",
)
@click.option(
    "--faults", "faults_file", type=click.Path(path_type=Path), help="A TOML file of them, [[fault]] each."
)
@click.option(
    "--rate",
    type=options.Number(min=0, min_open=True, max=1e6),
    metavar="PER SECOND",
    help="Let requests come independently at this mean rate, not when they were recorded.",
)
@click.option(
    "--speed",
    type=options.Number(min=1e-3, max=1e3),
    default=1.0,
    show_default=True,
    help="Let them come so many times as fast as recorded.",
)
@click.option(
    "--start",
    type=options.Number(min=0),
    default=0.0,
    show_default=True,
    help="Where in the trace to begin, in seconds.",
)
@click.option("--duration", type=options.Number(min=0, min_open=True), help="How many seconds of it to play.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="For all that is drawn at random; the same seed gives the same bytes.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1, max=1000),
    default=1,
    show_default=True,
    help="Play it so often, each time with the next seed and the trace's minutes drawn anew, and tell the spread.",
)
@click.option(
    "--unchecked",
    is_flag=True,
    help="Play a plan that somebody changed, whatever limits it breaks; else it is refused, as hetops up does.",
)
@click.option("--html", type=options.OutputFile(), help="Also write a report with plots to this file.")
@options.file_option
@options.set_option
@options.period_option
@options.offline_option
@options.json_option
@click.pass_context
def command(
    ctx: click.Context,
    plan: Path | None,
    traces: tuple[str, ...],
    faults: tuple[str, ...],
    faults_file: Path | None,
    rate: float | None,
    speed: float,
    start: float,
    duration: float | None,
    seed: int,
    seeds: int,
    unchecked: bool,
    html: Path | None,
    file: Path | None,
    overrides: tuple[str, ...],
    period: str,
    offline: bool,
    as_json: bool,
) -> None:
    """Play a trace through the pools of the hetops.plan document PLAN, and hold what comes of it against the plan.

    Nothing is started: engines are the performance model's, requests go where the router's own rule sends them, time is
    virtual. Without PLAN it is the spec's, made as hetops plan makes it. Of a day the plan of one period is played, with
    requests drawn from its classes unless a trace is named.

    \b
    --fault lose,zone=us-east-1a,at_seconds=600,for_seconds=300   all its nodes go, and come back
    --fault reclaim,pool=NAME,at_seconds=600,nodes=2              spot nodes go after a notice; others boot
    --fault slow,gpu=L4,at_seconds=600,factor=3                   a node's steps take three times as long
    --fault burst,at_seconds=600,for_seconds=60,factor=10         ten times as many requests for a minute

    Ctrl-C ends it with what was played until then; the exit code is 8.
    """
    from hetops.app.played_requests import Stretch
    from hetops.app.simulate import SimulationAsked, simulate, write_html
    from hetops.errors import CancelledError
    from hetops.reports.simulation import Ended

    question = SimulationAsked(
        spec=asked.about(file, overrides, offline=offline, period=period),
        plan_file=plan,
        unchecked=unchecked,
        traces=traces,
        faults=faults,
        faults_file=faults_file,
        stretch=Stretch(
            start_seconds=start, duration_seconds=duration, speed=speed, requests_per_second=rate
        ),
        seed=seed,
        runs=seeds,
    )
    with _progress(ctx) as progress:
        found = simulate(question, progress)
    _show(found, as_json=as_json)
    if html:
        write_html(found, html)
        options.say(f"wrote {html}")
    if found.ended is Ended.STOPPED:
        ctx.exit(CancelledError.exit_code)


def _show(found: Any, *, as_json: bool) -> None:
    from hetops.reports.simulation import as_json as document
    from hetops.reports.simulation_text import as_text

    if as_json:
        click.echo(json.dumps(document(found), indent=2))
    else:
        options.show(as_text(found))


@contextlib.contextmanager
def _progress(ctx: click.Context) -> Iterator[Callable[[float], None]]:
    """A bar on stderr where somebody looks at it, gone when the block is left; elsewhere nothing."""
    quiet = bool(ctx.find_root().params.get("quiet"))
    if quiet or ctx.color is False or not (sys.stderr and sys.stderr.isatty()):
        yield _unseen
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("simulating", total=1.0)
        yield lambda share: bars.update(bar, completed=share)


def _unseen(share: float) -> None:
    del share
