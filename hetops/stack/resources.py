"""The resources of the provider `hetops` as a Pulumi program declares them. Names properties, decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pulumi

from hetops.stack.render import NodeDeclaration


class Pool(pulumi.ComponentResource):  # type: ignore[misc]  # the SDK is untyped to us
    """Parent of whatever makes up one pool; its name is the pool's."""

    def __init__(self, name: str) -> None:
        super().__init__("hetops:index:Pool", name)
        self.register_outputs({})


class Router(pulumi.ComponentResource):  # type: ignore[misc]  # the SDK is untyped to us
    """Parent of the router's node and of the files that it reads."""

    def __init__(self, name: str) -> None:
        super().__init__("hetops:index:Router", name)
        self.register_outputs({})


class Node(pulumi.CustomResource):  # type: ignore[misc]  # the SDK is untyped to us
    """One node of any provider that drives nodes. `endpoints` are its replicas' base URLs, known once they answer."""

    name: pulumi.Output[str]
    endpoints: pulumi.Output[list[str]]

    def __init__(self, node: NodeDeclaration, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs: dict[str, Any] = {
            "provider": node.provider,
            "request": msgspec.to_builtins(node.request),
            "usd_per_hour": str(node.usd_per_hour),
        }
        computed = {"name": None, "state": None, "endpoints": None}
        super().__init__("hetops:index:Node", node.logical_name, {**inputs, **computed}, opts)


class File(pulumi.CustomResource):  # type: ignore[misc]  # the SDK is untyped to us
    """A file on this host, changed in place. Its content stands in the state: never a secret."""

    def __init__(
        self, logical_name: str, properties: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Properties are `path`, `content` and `notice_seconds`: how long readers take to notice a change."""
        super().__init__("hetops:index:File", logical_name, dict(properties), opts)
