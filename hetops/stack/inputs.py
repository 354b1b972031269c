"""What a stack program reads: the plan, the engines' settings, where the router stands. Pure; reads no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hetops.domain.added import ADDED
from hetops.domain.configuration import Role
from hetops.domain.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterInputs:
    """The router of a deployment. Paths are absolute; keys are read by the router and stand nowhere else."""

    host: str = "127.0.0.1"
    port: int = 8080
    config_path: str
    """Where the program writes what the router reads and watches."""
    api_keys_file: str = ""
    observations_file: str = ""
    origin: str = field(default="", metadata=ADDED)
    """Where requests come from that name no origin."""

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise ValueError(f"router: {self.port} is no port, 1 to 65535")
        for path in (self.config_path, self.api_keys_file, self.observations_file):
            if path and not path.startswith("/"):
                raise ValueError(f"router: {path} must be an absolute path")

    @property
    def url(self) -> str:
        """Where clients find the router; IPv6 hosts in brackets, as URLs want them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetInputs:
    """Everything that the program of a fleet depends on: equal inputs declare equal resources."""

    FORMAT: ClassVar[str] = "hetops.fleet"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    plan: Plan
    engines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings by engine name, as in `[engine.NAME]`; `emulator` for emulated offers."""
    router: RouterInputs | None = None
    """None: the fleet without a router."""

    def __post_init__(self) -> None:
        if shared := [pool.name for pool in self.plan.pools if pool.parts_per_node > 1]:
            raise ValueError(f"plan: {shared[0]} shares nodes with other pools, which cannot be started yet")
        if over := [pool.name for pool in self.plan.pools if pool.also]:
            raise ValueError(
                f"plan: replicas of {over[0]} are over several nodes, which cannot be started yet"
            )
        if apart := [p.name for p in self.plan.pools if p.configuration.role is not Role.MIXED]:
            raise ValueError(f"plan: {apart[0]} does a part of each request, which cannot be started yet")
