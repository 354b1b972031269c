"""What a stack says of itself, as small values: steps of a preview, events of a run, outputs, drift. Knows no Pulumi."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hetops.domain.plan import Plan


class StepKind(StrEnum):
    """What happens to one resource."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    """Also anything that an engine newer than this code calls by a name that we do not know."""
    REPLACE = "replace"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One resource and what happens to it. `pool` is empty for what belongs to none."""

    kind: StepKind
    resource_type: str
    name: str
    pool: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """A preview: every resource's step, and the drift that it would mend."""

    steps: tuple[Step, ...]

    def of(self, pool: str) -> tuple[Step, ...]:
        """Steps of one pool that change something."""
        return tuple(s for s in self.steps if s.pool == pool and s.kind is not StepKind.SAME)

    @property
    def any(self) -> bool:
        """Whether a resource changes."""
        return any(s.kind is not StepKind.SAME for s in self.steps)


class Happening(StrEnum):
    """What an event tells."""

    CREATING = "creating"
    UPDATING = "updating"
    DELETING = "deleting"
    DONE = "done"
    """The step under way for this node has ended well."""
    FAILED = "failed"
    NOTE = "note"
    """Something worth knowing that belongs to no node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolEvent:
    """Something that happens while a stack changes; `node` is the logical name, both empty for notes."""

    what: Happening
    pool: str = ""
    node: str = ""
    message: str = ""


class DriftKind(StrEnum):
    """How the real world differs from the state."""

    GONE = "gone"
    FAILED = "failed"
    STRAY = "stray"
    """Exists and no state knows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One node that is not as the state has it."""

    kind: DriftKind
    node: str
    pool: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNode:
    """A node as Pulumi's state has it."""

    id: str
    name: str
    provider: str
    pool: str
    logical_name: str
    state: str = ""
    endpoints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOutputs:
    """What a pool that is up gave: its nodes' names and its replicas' base URLs."""

    nodes: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOutputs:
    """What is up, on whichever backend the stack lies. No plan: nothing is."""

    pools: Mapping[str, PoolOutputs] = field(default_factory=dict)
    router_url: str = ""
    plan: Plan | None = None
