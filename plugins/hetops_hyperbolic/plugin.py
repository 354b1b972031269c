"""The hooks of the Hyperbolic plugin. Hands over objects; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

from hetops.plugin import Provider, hookimpl
from hetops_hyperbolic.provider import HyperbolicProvider


@hookimpl
def register_providers() -> Iterable[Provider]:
    """Hyperbolic."""
    return (HyperbolicProvider(),)
