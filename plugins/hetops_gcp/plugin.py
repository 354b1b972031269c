"""The hooks of the GCP plugin. Hands over objects; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

from hetops.plugin import Provider, hookimpl
from hetops_gcp.provider import GcpProvider


@hookimpl
def register_providers() -> Iterable[Provider]:
    """Google Compute Engine."""
    return (GcpProvider(),)
