"""`hetops estimate`: what a configuration does under a load, and why; or answers for a file of cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from hetops.cli import options


@click.command("estimate")
@click.option("--cases", type=click.Path(path_type=Path), help="A CSV file of cases: one answer a row.")
@click.option("--model", help="The model, by its name in the catalogue.")
@click.option("--gpu", help="The GPU type.")
@click.option("--engine", default="vllm", show_default=True, help="The engine, today's version.")
@click.option(
    "--tp", type=click.IntRange(min=1), default=1, show_default=True, help="Tensor parallel degree."
)
@click.option("--pp", type=click.IntRange(min=1), default=1, show_default=True, help="Pipeline stages.")
@click.option(
    "--precision", default="bf16", show_default=True, help="Of the weights: bf16, fp8, int8, int4, fp4."
)
@click.option("--kv", default="bf16", show_default=True, help="Precision of the KV cache.")
@click.option("--input", "input_tokens", type=click.FloatRange(min=1), default=1000.0, show_default=True)
@click.option("--output", "output_tokens", type=click.FloatRange(min=1), default=200.0, show_default=True)
@click.option(
    "--concurrency", type=click.FloatRange(min=1), default=16.0, show_default=True, help="Requests at once."
)
@click.option("--plot", type=click.Path(path_type=Path), help="Also write the roofline to this SVG file.")
@options.json_option
def command(cases: Path | None, plot: Path | None, as_json: bool, **asked: Any) -> None:
    """Say what one replica does under a load, which part of a step binds, and how sure that is.

    With --cases FILE, answers every row of a CSV file with the columns of the calibration data: the predicted value of
    the row's metric, its 80 % interval and the evidence; with --json one object a line.
    """
    from hetops.reports import estimate as report

    if cases:
        from hetops.app.calibrate import predict_file

        found = predict_file(cases)
        click.echo(report.cases_as_json_lines(found) if as_json else report.cases_as_text(found), nl=False)
        return
    if not asked["model"] or not asked["gpu"]:
        raise click.UsageError("name --model and --gpu, or a file of --cases")
    from hetops.app.estimate import estimate
    from hetops.files import write_whole

    one = estimate(*_asked(asked))
    if plot:
        write_whole(plot, report.roofline(one.breakdown).encode())
        options.say(f"wrote {plot}")
    if as_json:
        click.echo(json.dumps(report.as_json(one.breakdown, one.memory), indent=2))
    else:
        click.echo(report.as_text(one.breakdown, one.memory), nl=False)


def _asked(asked: dict[str, Any]) -> tuple[Any, Any]:
    from hetops.app.estimate import Subject
    from hetops.domain.model import Precision
    from hetops.performance.breakdown import Load

    known = [str(p) for p in Precision]
    for name in ("precision", "kv"):
        if asked[name] not in known:
            raise click.BadParameter(f"{asked[name]!r} is none of {', '.join(known)}", param_hint=f"--{name}")
    subject = Subject(
        model=asked["model"],
        gpu=asked["gpu"],
        engine=asked["engine"],
        tensor_parallel=asked["tp"],
        pipeline_parallel=asked["pp"],
        weights=Precision(asked["precision"]),
        kv=Precision(asked["kv"]),
    )
    load = Load(
        input_tokens=asked["input_tokens"],
        output_tokens=asked["output_tokens"],
        concurrency=asked["concurrency"],
    )
    return subject, load
