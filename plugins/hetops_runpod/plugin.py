"""The hooks of the RunPod plugin. Hands over objects; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

from hetops.plugin import Provider, hookimpl
from hetops_runpod.provider import RunPodProvider


@hookimpl
def register_providers() -> Iterable[Provider]:
    """RunPod."""
    return (RunPodProvider(),)
