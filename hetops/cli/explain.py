"""`hetops explain`: why a fleet is what it is, and what any other would cost."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hetops.cli import asked, options
from hetops.cli.options import Number

QUESTIONS = ("why", "why-not", "infeasible", "breakeven", "class")


@click.command("explain")
@click.argument("question", required=False, default="why", metavar="[QUESTION|PROBLEM]")
@click.argument("subject", required=False, default="", metavar="[NAME]")
@click.option(
    "--problem",
    type=click.Path(path_type=Path),
    help="Ask about this hetops.problem document, not about the spec.",
)
@options.file_option
@options.set_option
@click.option(
    "--time-limit",
    "limit_seconds",
    type=Number(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds to find the fleet in. The searches that the question then takes share as many again, about: each "
    "gets a twelfth of them for every core, one at least.",
)
@options.offline_option
@options.json_option
def command(
    question: str,
    subject: str,
    problem: Path | None,
    file: Path | None,
    overrides: tuple[str, ...],
    limit_seconds: float,
    offline: bool,
    as_json: bool,
) -> None:
    """Say why a plan is what it is. Every figure is found by solving again and stands beside the two it comes from.

    \b
    why               what binds, what a little more of it is worth, and the losers (the default)
    why-not NAME      what a node of a GPU type, offer or provider costs, and which limit pays
    infeasible        every single change that lets a fleet exist, each checked
    breakeven [NAME]  the price at which an offer enters the fleet or leaves it
    class NAME        where a class goes and what it would cost elsewhere

    A file name in place of the question asks why of that hetops.problem document, as --problem does;
    `hetops plan --write-problem FILE` writes one.
    """
    from hetops.app.explain import ExplainAsked, explain
    from hetops.errors import UsageError
    from hetops.reports import explanation as report
    from hetops.solver.questions.explanation import Question

    if question not in QUESTIONS:
        meant_file = Path(question).suffix or "/" in question or Path(question).exists()
        if subject or problem or not meant_file:
            known = f"{', '.join(QUESTIONS[:-1])} or {QUESTIONS[-1]}, or name a problem file"
            raise UsageError(f"no such question {question!r}", hint=f"ask {known}")
        question, problem = "why", Path(question)
    told = explain(
        ExplainAsked(
            spec=asked.about(file, overrides, offline=offline),
            problem_file=problem,
            question=Question(question),
            subject=subject,
            limit_seconds=limit_seconds,
        )
    )
    if as_json:
        click.echo(json.dumps(report.as_json(told.explanation), indent=2))
    else:
        options.show(report.as_text(told.problem, told.explanation))
