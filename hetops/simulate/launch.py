"""Says how a replica of a pool on an emulated offer is started. Pure; starts nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import msgspec

from hetops.domain.performance import StepTimes
from hetops.domain.plan import PlannedPool
from hetops.errors import SpecError, nearest
from hetops.plugin.engine import Launch, LaunchContext
from hetops.simulate.options import EmulatorOptions, Faults, to_arguments

NAME = "emulator"
"""Its settings stand under `[engine.settings.emulator]`."""

_CUT_SECONDS = 5.0
"""What a server may take beyond its drain to cut what is left and end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorSettings:
    """`[engine.settings.emulator]` of the spec: the speed of time, and the faults to act out."""

    speed: float = 1.0
    prefill_tokens_per_step: int = 2048
    drain_seconds: float = 30.0
    faults: Faults = field(default_factory=Faults)


def emulator_launch(context: LaunchContext) -> Launch:
    """One replica of the pool as an emulated engine.

    Raises:
        SpecError: a setting that the emulator does not have, of the wrong type, or out of range.
        ValueError: the pool carries no step times.
    """
    pool = context.pool
    if pool.step_times is None:
        raise ValueError(f"pool {pool.name} carries no step times to emulate")
    settings = _settings(context.settings)
    options = _options(pool, pool.step_times, settings)
    return Launch(
        argv=(sys.executable, "-m", "hetops.simulate", *to_arguments(options)),
        ready_seconds=60.0 + settings.faults.start_seconds,
        drain_seconds=settings.drain_seconds + _CUT_SECONDS,
    )


def _options(pool: PlannedPool, step_times: StepTimes, settings: EmulatorSettings) -> EmulatorOptions:
    try:
        return EmulatorOptions(
            model=pool.configuration.model,
            gpu=pool.configuration.gpu,
            step_times=step_times,
            max_context_tokens=pool.configuration.max_context_tokens,
            prefill_tokens_per_step=settings.prefill_tokens_per_step,
            speed=settings.speed,
            drain_seconds=settings.drain_seconds,
            faults=settings.faults,
        )
    except ValueError as fault:
        raise SpecError(f"engine.settings.{NAME}: {fault}") from fault


def _settings(given: Mapping[str, Any]) -> EmulatorSettings:
    _known(given, EmulatorSettings)
    if isinstance(faults := given.get("faults"), Mapping):
        _known(faults, Faults, "faults.")
    try:
        return msgspec.convert(dict(given), EmulatorSettings, strict=True)
    except msgspec.ValidationError as fault:
        raise SpecError(f"engine.settings.{NAME}: {fault}") from fault


def _known(given: Iterable[str], table: type, prefix: str = "") -> None:
    """A misspelt fault would otherwise be one that silently never happens."""
    known = {f.name for f in fields(table)}
    for name in given:
        if name not in known:
            near = nearest(name, known, most=1)
            raise SpecError(
                f"engine.settings.{NAME} has no field '{prefix}{name}'",
                hint=f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}",
            )
