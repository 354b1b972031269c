"""A stack's state as `pulumi stack export` gives it: nodes, outputs, operations that a kill left open. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hetops.domain import codec
from hetops.domain.plan import Plan
from hetops.stack.changes import KnownNode, PoolOutputs, StackOutputs

NODE_TYPE = "hetops:index:Node"
OWN_TYPES = "hetops:index:"
_FORMAT_VERSION = 3
_STACK_TYPE = "pulumi:pulumi:Stack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The deployment document of an export, format version 3."""

    deployment: Mapping[str, Any]

    @property
    def nodes(self) -> tuple[KnownNode, ...]:
        """Every node, those that wait to be deleted among them."""
        return tuple(_node(r) for r in self._resources if r.get("type") == NODE_TYPE)

    @property
    def outputs(self) -> StackOutputs:
        """What the last `up` that ended well gave.

        Raises:
            DocumentError: the plan among them is of another version.
        """
        stacks = [r for r in self._resources if r.get("type") == _STACK_TYPE]
        given: Mapping[str, Any] = stacks[0].get("outputs", {}) if stacks else {}
        if not given.get("plan"):
            return StackOutputs()
        pools = {
            name: PoolOutputs(nodes=tuple(pool["nodes"]), endpoints=tuple(pool["endpoints"]))
            for name, pool in given.get("pools", {}).items()
        }
        plan = codec.decode(Plan, given["plan"], source="the plan in the stack's outputs")
        return StackOutputs(pools=pools, router_url=given.get("router_url", ""), plan=plan)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing that a destroy would remove."""
        return not self._resources

    @property
    def has_open_operations(self) -> bool:
        """Whether a kill left operations on our resources open."""
        return any(_is_ours(o) for o in self.deployment.get("pending_operations") or ())

    def without_open_operations(self) -> Exported:
        """Our resources' open operations left out: intents on disk lead to whatever they made. Others' stay."""
        kept = [o for o in self.deployment.get("pending_operations") or () if not _is_ours(o)]
        return replace(self, deployment={**self.deployment, "pending_operations": kept})

    @property
    def _resources(self) -> list[Mapping[str, Any]]:
        return self.deployment.get("resources") or []


def from_checkpoint(text: bytes) -> Exported:
    """The state as the file backend keeps it.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    stored = json.loads(text)
    if stored["version"] != _FORMAT_VERSION:
        raise ValueError(f"format version {stored['version']} is not {_FORMAT_VERSION}")
    return Exported(deployment=stored["checkpoint"].get("latest") or {})


def name_of(urn: str) -> str:
    """The logical name at the end of a URN."""
    return urn.rsplit("::", maxsplit=1)[-1]


def type_of(urn: str) -> str:
    """The type of the resource itself, without its parents'."""
    return urn.split("::")[2].rsplit("$", maxsplit=1)[-1]


def pool_of(parent: str) -> str:
    """The pool whose component that URN is (the router's is `router`); empty for any other parent."""
    return name_of(parent) if parent and type_of(parent).startswith(OWN_TYPES) else ""


def _node(resource: Mapping[str, Any]) -> KnownNode:
    outputs, inputs = resource.get("outputs", {}), resource.get("inputs", {})
    return KnownNode(
        id=resource.get("id", ""),
        name=str(outputs.get("name", "")),
        provider=str(inputs.get("provider", "")),
        pool=str(inputs.get("request", {}).get("pool", "")),
        logical_name=name_of(resource["urn"]),
        state=str(outputs.get("state", "")),
        endpoints=tuple(outputs.get("endpoints", ())),
    )


def _is_ours(operation: Mapping[str, Any]) -> bool:
    return str(operation.get("resource", {}).get("type", "")).startswith(OWN_TYPES)
