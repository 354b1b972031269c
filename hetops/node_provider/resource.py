"""What a kind of resource does, apart from gRPC: properties are plain JSON values, errors are ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What stands in a preview for a value that only the real run will know (Pulumi's wire protocol, `rpc.UNKNOWN`)."""

Properties = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What separates a resource from what is wanted of it. `replaced_by` are the properties that force a new one."""

    changed: tuple[str, ...] = ()
    replaced_by: tuple[str, ...] = ()
    delete_first: bool = False
    """The old one must be gone before the new one is made: both would have the same name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """A resource that exists: its id, and its outputs (the inputs among them)."""

    id: str
    outputs: Properties


class Resource(Protocol):
    """One resource type."""

    def check(self, inputs: Properties) -> tuple[tuple[str, str], ...]:
        """(property, reason) of every input that cannot be; values may be UNKNOWN."""
        ...

    def diff(self, outputs: Properties, inputs: Properties) -> Difference:
        """What separates the resource with these outputs from these inputs."""
        ...

    def foresee(self, inputs: Properties, outputs: Properties) -> Properties:
        """The outputs that a create (no outputs yet) or an update would have, UNKNOWN where only it will tell."""
        ...

    async def create(self, inputs: Properties) -> Existing:
        """Makes the resource."""
        ...

    async def read(self, resource_id: str, outputs: Properties) -> Existing | None:
        """The resource as it is now; None where it is gone."""
        ...

    async def update(self, resource_id: str, outputs: Properties, inputs: Properties) -> Properties:
        """Changes the resource in place and returns its outputs."""
        ...

    async def delete(self, resource_id: str, outputs: Properties) -> None:
        """Removes the resource; what is gone is success."""
        ...


def holds_unknown(value: Any) -> bool:
    """Whether a preview does not know the value, or a part of it."""
    if isinstance(value, Mapping):
        return any(holds_unknown(v) for v in value.values())
    if isinstance(value, list | tuple):
        return any(holds_unknown(v) for v in value)
    return bool(value == UNKNOWN)
