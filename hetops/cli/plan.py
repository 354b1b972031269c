"""`hetops plan`: the cheapest fleet that meets the targets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hetops.cli import asked, options


def _restricting(name: str, words: str) -> Callable[[Any], Any]:
    """An option `KEY=NAME,NAME` that can be given several times."""
    return click.option(
        name,
        multiple=True,
        metavar="KEY=NAME[,NAME]",
        help=f"{words} Keys: provider, gpu, offer, region, engine.",
    )


@click.command("plan")
@options.file_option
@options.set_option
@click.option("-o", "--output", type=options.OutputFile(), help="Also write the plan to this file.")
@click.option(
    "--write-problem",
    "problem",
    type=options.OutputFile(),
    help="Write what the solver is asked to this file, for hetops solve and hetops explain.",
)
@_restricting(
    "--without", "Plan without offers or engines of that name, beside the plan with them. Repeatable."
)
@_restricting("--only", "Plan with nothing else, beside the plan with all. Repeatable.")
@click.option("--compare", is_flag=True, help="Show the plan beside that of the spec without --set.")
@click.option(
    "--from-running", is_flag=True, help="Plan from the fleet that runs, as [policy.migration] says."
)
@options.period_option
@options.time_limit_option
@options.offline_option
@options.json_option
@click.pass_context
def command(
    ctx: click.Context,
    file: Path | None,
    overrides: tuple[str, ...],
    output: Path | None,
    problem: Path | None,
    without: tuple[str, ...],
    only: tuple[str, ...],
    compare: bool,
    from_running: bool,
    period: str,
    limit_seconds: float,
    offline: bool,
    as_json: bool,
) -> None:
    """Find the cheapest fleet that serves the workload within its latency targets.

    Shows what was considered and refused, the fleet, where each class goes, the losers and how much dearer they are,
    the proof, and what every number rests on. Changes nothing. Where no fleet exists the exit code is 6 and the
    smallest change that lets one exist is named. Ctrl-C takes the best fleet found by then; the exit code is 8.

    With [policy.day] it is a day: a fleet for each period, the starts between them, and what one fleet all day would
    cost; --period shows, and -o writes, the plan of one period alone.

    With --without, --only or --compare two plans are shown side by side; -o writes the changed one. With
    --from-running the plan keeps what is worth keeping of the deployment as it runs.
    """
    from hetops.app.day import answer_to, write_answer
    from hetops.app.plan import write_problem
    from hetops.app.what_if import pose_under, restrictions
    from hetops.errors import CancelledError
    from hetops.solver.highs import OnInterrupt
    from hetops.solver.solution import Ended
    from hetops.solver.solve import Effort

    if compare and not (overrides or without or only):
        raise click.UsageError(
            "--compare shows what is changed: name a field with --set, or what --without or --only"
        )
    spec = asked.about(file, overrides, offline=offline, period=period)
    if from_running:
        from hetops.app import deployment  # loads the Pulumi SDK, which no other plan needs

        spec = deployment.from_running(spec)
    as_written = replace(asked.about(file, offline=offline), running=spec.running) if compare else None
    question = pose_under(spec, restrictions(without, only), beside=as_written)
    if problem:
        write_problem(question.posed, problem)
        options.say(f"wrote {problem}")
    effort = Effort(limit_seconds=limit_seconds, on_interrupt=OnInterrupt.TAKE_BEST)
    told = answer_to(question, effort, spec)
    if output:
        write_answer(told, output)
        options.say(f"wrote {output}")
    _show(told, as_json)
    if told.ended is Ended.INTERRUPTED:
        ctx.exit(CancelledError.exit_code)


def _show(told: Any, as_json: bool) -> None:
    from hetops.reports import answer as report

    if as_json:
        click.echo(json.dumps(report.as_json(told), indent=2))
    else:
        options.show(report.as_text(told))
