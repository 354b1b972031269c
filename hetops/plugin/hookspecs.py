"""The hooks of the entry-point group `hetops`. A hook only hands over objects; the work happens on those objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from hetops.domain.gpu import GpuType
    from hetops.domain.model import Checkpoint, Model
    from hetops.domain.performance import Measurement
    from hetops.plugin.engine import Engine
    from hetops.plugin.estimator import Estimator
    from hetops.plugin.provider import Provider

GROUP = "hetops"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def register_providers() -> Iterable[Provider]:  # type: ignore[empty-body]
    """Sources of offers."""


@hookspec
def register_gpu_types() -> Iterable[GpuType]:  # type: ignore[empty-body]
    """GPU types that the catalogue lacks."""


@hookspec
def register_models() -> Iterable[Model | Checkpoint]:  # type: ignore[empty-body]
    """Models and checkpoints that the catalogue lacks."""


@hookspec
def register_performance_rows() -> Iterable[Measurement]:  # type: ignore[empty-body]
    """Measurements that the plugin ships."""


@hookspec
def register_engines() -> Iterable[Engine]:  # type: ignore[empty-body]
    """Serving engines."""


@hookspec
def register_estimators() -> Iterable[Estimator]:  # type: ignore[empty-body]
    """Performance estimators that a user may name in place of the closed form."""
