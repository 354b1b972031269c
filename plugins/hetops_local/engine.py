"""The llama.cpp engine on the host's cores: what it can run, and how one replica is started. Starts nothing itself."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hetops.plugin import (
    Checkpoint,
    Download,
    EngineNeeds,
    HetopsError,
    Launch,
    LaunchContext,
    Model,
    nearest,
)
from hetops_local import gguf, weights

_SETTINGS = ("gguf", "ready_seconds", "drain_seconds")
_READY_SECONDS = 120.0
_DRAIN_SECONDS = 30.0
_CUT_SECONDS = 5.0
"""What a server may take beyond its drain to cut what is left and end."""


class LlamaCpp:
    """llama.cpp in a process of its own. Tensor parallel is its number of threads, max_sequences its slots."""

    name = "llamacpp"
    needs = EngineNeeds(
        gpu_vendors=frozenset({"cpu"}),
        precisions=frozenset({"q4_k_m", "q8_0", "fp16", "bf16", "fp32"}),
        max_sequences=(1, 2, 4, 8),
        tensor_parallel=(1, 2, 4, 8, 16, 32),
    )

    def checkpoints(self, model: Model, settings: Mapping[str, Any]) -> tuple[Checkpoint, ...]:
        """The GGUF that `gguf` of `[engine.settings.llamacpp]` names for the model, as its checkpoint; none without it.

        Raises:
            HetopsError: the file is missing, no GGUF, or stored in a precision that is not known here.
        """
        path = _gguf(settings, model.name)
        if path is None:
            return ()
        return (
            Checkpoint(
                model=model.name,
                precision=gguf.read(path).precision,
                reference=f"file:{path}",
                gigabytes=path.stat().st_size / 1e9,
                licence="of the file's own",
                source="gguf of [engine.settings.llamacpp]",
            ),
        )

    def model(self, name: str, settings: Mapping[str, Any]) -> Model | None:
        """The shape of the model in the user's own GGUF, for a name that no catalogue knows; None without a file.

        Raises:
            HetopsError: as `checkpoints`.
        """
        path = _gguf(settings, name)
        return None if path is None else gguf.read(path).model(name)

    def missing_weights(self, checkpoint: str) -> Download | None:
        """As `FetchesWeights.missing_weights`."""
        return weights.missing(checkpoint)

    def fetch_weights(self, checkpoint: str) -> None:
        """As `FetchesWeights.fetch_weights`."""
        weights.fetch(checkpoint)

    def launch(self, context: LaunchContext) -> Launch:
        """How one replica of the pool is started."""
        configuration = context.pool.configuration
        drain_seconds = _seconds(context.settings, "drain_seconds", _DRAIN_SECONDS)
        return Launch(
            argv=(
                *(sys.executable, "-m", "hetops_local.llamacpp"),
                *("--gguf", configuration.checkpoint),
                *("--alias", configuration.model),
                *("--threads", str(configuration.tensor_parallel)),
                *("--slots", str(configuration.max_sequences)),
                *("--context", str(configuration.max_context_tokens)),
                *("--drain-seconds", str(drain_seconds)),
            ),
            ready_seconds=_seconds(context.settings, "ready_seconds", _READY_SECONDS),
            drain_seconds=drain_seconds + _CUT_SECONDS,
        )


def _gguf(settings: Mapping[str, Any], model: str) -> Path | None:
    """The file of a model: a path is that of every model, a table has the paths of some by their names."""
    _known(settings)
    given, field = settings.get("gguf"), "engine.settings.llamacpp.gguf"
    if isinstance(given, Mapping):
        given, field = given.get(model), f"{field}.{model}"
    if given is None:
        return None
    if not isinstance(given, str) or not given:
        raise HetopsError(
            f"{field} must be a path, not {given!r}",
            hint="for several models write a table, with the path of each by its name",
        )
    return Path(os.path.abspath(Path(given).expanduser()))


def _seconds(settings: Mapping[str, Any], name: str, default: float) -> float:
    _known(settings)
    value = settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise HetopsError(
            f"engine.settings.llamacpp.{name} must be a number of seconds above zero, not {value!r}",
            hint=f"leave it out: {default:g} is taken then",
        )
    return float(value)


def _known(settings: Mapping[str, Any]) -> None:
    unknown = sorted(settings.keys() - set(_SETTINGS))
    if unknown:
        near = nearest(unknown[0], _SETTINGS, most=1)
        raise HetopsError(
            f"engine.settings.llamacpp has no field {unknown[0]!r}",
            hint=f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_SETTINGS)}",
        )
