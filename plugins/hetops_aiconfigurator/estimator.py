"""Edge: asks aiconfigurator's tables of measured kernels what a benchmark would give. Decides which answers are believed."""

from __future__ import annotations

import importlib
import json
import logging
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hetops.plugin import Benchmark, BenchmarkAnswer, HetopsError, Model, PluginError, Precision, nearest
from hetops_aiconfigurator.question import LEAVE_IT, arguments, precisions
from hetops_aiconfigurator.shape import is_plain, plain_config

_FORMATS = {
    "fp8": Precision.FP8,
    "fp8_block": Precision.FP8,
    "nvfp4": Precision.FP4,
    "mixed_precision": Precision.FP4,
}
"""What it calls the formats of checkpoints that are not their makers' own."""
_TOLD = 160
"""Characters of its own errors that are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What is used of aiconfigurator."""

    estimate: Callable[..., Any]
    """Its answer to one question: TTFT and TPOT in milliseconds."""
    config: Callable[[str], dict[str, Any]]
    """What it reads of a model's `config.json`, by hub id or folder."""
    models: Collection[str]
    """Hub ids whose `config.json` its wheel carries. Others it would fetch."""


def installed() -> Package:
    """The package of this environment; PluginError where there is none."""
    try:
        api = importlib.import_module("aiconfigurator.cli.api")
        common = importlib.import_module("aiconfigurator_core.sdk.common")
        utils = importlib.import_module("aiconfigurator_core.sdk.utils")
    except ImportError as fault:
        raise PluginError(
            "its package is not installed",
            hint="pip install 'hetops[aiconfigurator]' (750 MB, Linux on x86-64), or name no estimator",
        ) from fault
    for name in ("aiconfigurator", "aiconfigurator_core"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return Package(
        estimate=api.cli_estimate,
        config=utils.get_model_config_from_model_path,
        models=common.DefaultHFModels,
    )


class AiConfigurator:
    """aiconfigurator's aggregated mode: prefill and decode in one engine."""

    name = "aiconfigurator"
    margin = 0.36
    """Four of five of 430 published throughputs and steps of one token are within 1.57 times what it answers; the median is off by 17 %."""

    def __init__(self, package: Callable[[], Package] = installed) -> None:
        self._package = package

    def answer(self, asked: Benchmark) -> BenchmarkAnswer:
        """What its tables say; HetopsError where they hold nothing that is believed, PluginError where the package is not installed."""
        question = arguments(asked)
        package = self._package()
        with _in_a_line(asked), _model(asked, package) as model:
            found = package.estimate(**question, **model)
            ttft, tpot = float(found.ttft) / 1e3, float(found.tpot) / 1e3
        return BenchmarkAnswer(
            requests_per_second=asked.concurrency / (ttft + (asked.output_tokens - 1) * tpot),
            ttft_seconds=ttft,
            tpot_seconds=tpot,
        )


@contextmanager
def _in_a_line(asked: Benchmark) -> Iterator[None]:
    """Its errors as ours: without the paths of its tables, which are long."""
    try:
        yield
    except HetopsError:
        raise
    except Exception as fault:
        said = " ".join(str(fault).split())
        said = re.sub(r"\S*/systems/data/", "", said).removeprefix("perf database error: ")
        why = f"{type(fault).__name__}: {said if len(said) <= _TOLD else said[:_TOLD] + '...'}"
        if said.startswith("OOM"):
            why = f"{asked.concurrency} requests at once do not fit, as it counts memory"
        raise HetopsError(f"no answer: {why}", hint=LEAVE_IT) from fault


@contextmanager
def _model(asked: Benchmark, package: Package) -> Iterator[dict[str, Any]]:
    """The model and its precisions in its words: by its shape, or as the checkpoint that is planned with, or as its makers' own."""
    c, model = asked.configuration, asked.model
    if is_plain(model):
        with TemporaryDirectory(prefix="hetops-") as folder:
            (Path(folder) / "config.json").write_text(json.dumps(plain_config(model)))
            yield {"model_path": folder, **precisions(asked)}
        return
    checkpoint = _known(c.checkpoint, package.models)
    if checkpoint and c.weights is _stored(checkpoint, model, package):
        yield {"model_path": checkpoint}
        return
    own = _known(model.hub_id, package.models)
    if own is None:
        raise HetopsError(
            f"models like {model.hub_id} are known by name, and this one is not",
            hint=f"it knows {', '.join(nearest(model.hub_id, package.models)) or 'none like it'}",
        )
    yield {"model_path": own, **precisions(asked)}


def _stored(checkpoint: str, model: Model, package: Package) -> Precision | None:
    """The precision of a checkpoint's weights; None where its `config.json` tells of none that is known."""
    if _base(checkpoint) == _base(model.hub_id):
        return model.native
    return _FORMATS.get(package.config(checkpoint)["raw_config"].get("quant_algo", ""))


def _known(hub_id: str, models: Collection[str]) -> str | None:
    """That id as the wheel has it; an instruct model has the shape of its base."""
    return next((known for known in sorted(models) if _base(known) == _base(hub_id)), None)


def _base(hub_id: str) -> str:
    return re.sub(r"-(instruct|it)$", "", hub_id.lower())
