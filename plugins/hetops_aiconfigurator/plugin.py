"""The hooks of the aiconfigurator plugin. Hands over objects; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

from hetops.plugin import Estimator, hookimpl
from hetops_aiconfigurator.estimator import AiConfigurator


@hookimpl
def register_estimators() -> Iterable[Estimator]:
    """aiconfigurator, whether its package is installed or not."""
    return (AiConfigurator(),)
