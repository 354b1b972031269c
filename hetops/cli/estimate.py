"""`hetops estimate`: what a configuration does under a load, and why; or answers for a file of cases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from hetops.cli import options

_AT_ONCE = 16.0


@click.command("estimate")
@click.option("--cases", type=click.Path(path_type=Path), help="A CSV file of cases: one answer a row.")
@click.option("--model", help="The model, by its name in the catalogue, or the path of its config.json.")
@click.option("--gpu", help="The GPU type.")
@click.option(
    "--engine",
    default="vllm",
    show_default=True,
    help="The engine, today's version unless one is told: 'vllm 0.6.3'.",
)
@click.option(
    "--tp", type=click.IntRange(min=1), default=1, show_default=True, help="Tensor parallel degree."
)
@click.option(
    "--attention-dp",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Of a mixture: groups of the --tp GPUs that attend to requests of their own; the experts lie over all.",
)
@click.option("--pp", type=click.IntRange(min=1), default=1, show_default=True, help="Pipeline stages.")
@click.option(
    "--precision",
    help="Of the weights: bf16, fp8, int8, w8a16, int4, fp4; for llamacpp also q8_0, q4_k_m.  [default: as the model's makers published it, mostly bf16]",
)
@click.option("--kv", default="bf16", show_default=True, help="Precision of the KV cache.")
@click.option("--input", "input_tokens", type=options.Number(min=1), default=1000.0, show_default=True)
@click.option("--output", "output_tokens", type=options.Number(min=1), default=200.0, show_default=True)
@click.option(
    "--spread",
    type=options.Number(min=0, max=10),
    default=0.0,
    help="How unequal lengths are: their standard deviation over their mean.",
)
@click.option(
    "--concurrency",
    type=options.Number(min=1),
    help="Requests at once; with --rate the most that run at once.  [default: 16; with --rate 256]",
)
@click.option(
    "--rate",
    type=options.Number(min=0, min_open=True),
    metavar="PER SECOND",
    help="Requests that come independently of one another, instead of so many at once.",
)
@click.option(
    "--ttft",
    type=options.Number(min=0, min_open=True),
    metavar="SECONDS",
    help="Also say the largest rate that keeps this TTFT,",
)
@click.option("--tpot", type=options.Number(min=0, min_open=True), metavar="SECONDS", help="and this TPOT,")
@click.option(
    "--percentile",
    type=options.Number(min=0, max=100, min_open=True, max_open=True),
    default=90.0,
    show_default=True,
    help="for so many of a hundred requests.",
)
@click.option(
    "--prefix-share",
    type=options.Number(min=0, max=1, max_open=True),
    default=0.0,
    help="Share of each prompt in the prefix cache.",
)
@click.option(
    "--speculate",
    nargs=2,
    metavar="DRAFTED ACCEPTANCE",
    type=(click.IntRange(min=1, max=64), options.Number(min=0, max=1, max_open=True)),
    help="Speculative decoding: tokens drafted a step, and the chance that one is accepted: 4 0.7.",
)
@click.option(
    "--draft-share",
    type=options.Number(min=0, max=1, max_open=True),
    default=0.0,
    help="A draft's cost over that of a step of the model.",
)
@click.option(
    "--stages",
    metavar="GPU:TP,...",
    help="A pipeline of unlike stages, instead of --gpu, --tp and --pp: H100-SXM:2,L40S:4.",
)
@click.option(
    "--link",
    type=options.Number(min=0, min_open=True),
    metavar="GB/S",
    help="Between stages (12.5 unless told). Without stages: prefill and decode on replicas of their own over this link.",
)
@click.option(
    "--estimator",
    metavar="NAME",
    help="Ask this estimator of a plugin, as engine.estimator in a spec; the closed form where it has no answer.",
)
@click.option("--plot", type=options.OutputFile(), help="Also write the roofline to this SVG file.")
@options.json_option
def command(cases: Path | None, plot: Path | None, as_json: bool, **asked: Any) -> None:
    """Say what one replica does under a load, which part of a step binds, and how sure that is.

    With --cases FILE, answers every row of a CSV file with the columns of the calibration data: the predicted value of
    the row's metric, its 80 % interval and the evidence; with --json one object a line.
    """
    from hetops.reports import estimate as report

    if cases and asked["estimator"]:
        raise click.UsageError("--estimator is asked about --model on --gpu, not about a file of --cases")
    if cases:
        from hetops.app.calibrate import predict_file, unread_columns

        if told := unread_columns(cases):
            options.say(told)
        found = predict_file(cases)
        if as_json:
            click.echo(report.cases_as_json_lines(found), nl=False)
        else:
            options.show(report.cases_as_text(found))
        return
    _check(asked)
    from hetops.app.estimate import estimate
    from hetops.files import write_whole
    from hetops.reports import roofline

    one = estimate(*_asked(asked))
    if plot:
        write_whole(plot, roofline.as_svg(one.breakdown).encode())
        options.say(f"wrote {plot}")
    if as_json:
        click.echo(json.dumps(report.as_json(one), indent=2))
    else:
        options.show(report.as_text(one))


def _check(asked: dict[str, Any]) -> None:
    if not asked["model"] or bool(asked["gpu"]) == bool(asked["stages"]):
        raise click.UsageError("name --model and --gpu or --stages, or a file of --cases")
    if asked["stages"] and asked["tp"] * asked["pp"] != 1:
        raise click.UsageError("--stages tells the GPUs of each stage: --tp and --pp go with --gpu")
    if asked["stages"] and asked["attention_dp"] > 1:
        raise click.UsageError("--attention-dp goes with --gpu and --tp, not with --stages")
    if asked["stages"] and asked["estimator"]:
        raise click.UsageError(
            "--estimator is asked about equal stages: it goes with --gpu, not with --stages"
        )
    if asked["draft_share"] and not asked["speculate"]:
        raise click.UsageError("--draft-share goes with --speculate")


def _asked(asked: dict[str, Any]) -> tuple[Any, Any, Any]:
    from hetops.app.estimate import Subject
    from hetops.app.under_load import PLACES, Asked
    from hetops.domain.model import Precision
    from hetops.performance.breakdown import Load

    known = [str(p) for p in Precision]
    for name in ("precision", "kv"):
        if asked[name] not in (None, *known):
            raise click.BadParameter(f"{asked[name]!r} is none of {', '.join(known)}", param_hint=f"--{name}")
    subject = Subject(
        model=asked["model"],
        gpu=asked["gpu"],
        engine=asked["engine"],
        tensor_parallel=asked["tp"],
        attention_data_parallel=asked["attention_dp"],
        estimator=asked["estimator"] or "",
        pipeline_parallel=asked["pp"],
        weights=Precision(asked["precision"]) if asked["precision"] else None,
        kv=Precision(asked["kv"]),
        speculation=_speculation(asked),
        stages=tuple(_stages(asked["stages"] or "")),
        link_gb_per_second=asked["link"],
    )
    load = Load(
        input_tokens=asked["input_tokens"],
        output_tokens=asked["output_tokens"],
        concurrency=asked["concurrency"] or (PLACES if asked["rate"] else _AT_ONCE),
        prefix_share=asked["prefix_share"],
        spread=asked["spread"],
    )
    return subject, load, Asked(requests_per_second=asked["rate"], target=_target(asked))


def _target(asked: dict[str, Any]) -> Any:
    from hetops.domain.workload import LatencyTarget

    if asked["ttft"] is None and asked["tpot"] is None:
        return None
    return LatencyTarget(
        ttft_seconds=asked["ttft"],
        ttft_percentile=asked["percentile"],
        tpot_seconds=asked["tpot"],
        tpot_percentile=asked["percentile"],
    )


def _speculation(asked: dict[str, Any]) -> Any:
    from hetops.domain.configuration import Speculation

    if not asked["speculate"]:
        return None
    drafted, acceptance = asked["speculate"]
    return Speculation(draft_tokens=drafted, acceptance=acceptance, draft_share=asked["draft_share"])


def _stages(text: str) -> Iterator[Any]:
    from hetops.domain.configuration import StageGpus

    for part in (one.strip() for one in text.split(",") if text):
        gpu, _, tensor = part.partition(":")
        if not gpu or (tensor and not (tensor.isascii() and tensor.isdecimal())) or tensor == "0":
            raise click.BadParameter(f"{part!r} is no GPU:TP such as L40S:4", param_hint="--stages")
        yield StageGpus(gpu=gpu, tensor_parallel=int(tensor or 1))
