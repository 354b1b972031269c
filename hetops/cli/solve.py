"""`hetops solve`: the certified answer to an explicit problem."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hetops.cli import options


@click.command("solve")
@click.argument("problem", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=options.OutputFile(), help="Also write the solution to this file.")
@click.option(
    "--prove",
    is_flag=True,
    help="Search until the gap is at most 1e-6, without a time limit unless one is given.",
)
@options.time_limit_option
@options.json_option
@click.pass_context
def command(
    ctx: click.Context, problem: Path, output: Path | None, prove: bool, limit_seconds: float, as_json: bool
) -> None:
    """Solve the hetops.problem document PROBLEM: offers, configurations, rates and limits of your own.

    Prints the fleet, the shares, the cost and the proof. Where no fleet exists, the exit code is 6 and the smallest
    change of one limit that lets one exist is named. Ctrl-C prints the best fleet found by then, certified, with its
    gap; the exit code is 8 all the same.
    """
    from hetops.app.solve import solve_file, write_solution
    from hetops.errors import CancelledError
    from hetops.reports import solution as report
    from hetops.solver.highs import OnInterrupt
    from hetops.solver.solution import Ended
    from hetops.solver.solve import PROOF_GAP, Effort

    given = ctx.get_parameter_source("limit_seconds") is not click.core.ParameterSource.DEFAULT
    effort = Effort(
        limit_seconds=limit_seconds if given or not prove else float("inf"),
        most_gap=PROOF_GAP if prove else 1.0,
        on_interrupt=OnInterrupt.TAKE_BEST,
    )
    solved = solve_file(problem, effort=effort)
    if output:
        write_solution(solved, output)
    if as_json:
        click.echo(json.dumps(report.as_json(solved.problem, solved.solution), indent=2))
    else:
        options.show(report.as_text(solved.problem, solved.solution))
    if solved.solution.ended is Ended.INTERRUPTED:
        ctx.exit(CancelledError.exit_code)
