"""The hooks of the Lambda plugin. Hands over objects; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

from hetops.plugin import Provider, hookimpl
from hetops_lambda.provider import LambdaProvider


@hookimpl
def register_providers() -> Iterable[Provider]:
    """Lambda Cloud."""
    return (LambdaProvider(),)
