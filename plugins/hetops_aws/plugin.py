"""The hooks of the AWS plugin. Hands over objects; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

from hetops.plugin import Provider, hookimpl
from hetops_aws.provider import AwsProvider


@hookimpl
def register_providers() -> Iterable[Provider]:
    """Amazon EC2."""
    return (AwsProvider(),)
