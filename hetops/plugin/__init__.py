"""The door for third parties: everything that a plugin imports from hetops is named here, and nothing else is stable.

The kit for clouds over HTTP needs httpx, which takes longer to load than all the rest together: it is loaded when one of
its names is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hetops.domain.benchmark import Benchmark, BenchmarkAnswer
from hetops.domain.gpu import GpuType
from hetops.domain.model import Checkpoint, Model, Precision
from hetops.domain.offer import Availability, AvailabilityState, Limits, Market, Offer, PriceBasis, QuotaShare
from hetops.domain.performance import Measurement, StepTimes
from hetops.domain.plan import PlannedPool, Refusal
from hetops.domain.units import BYTES_PER_GIB
from hetops.errors import ErrorKind, HetopsError, PluginError, ProviderError, Scope, nearest
from hetops.files import write_whole
from hetops.plugin.checks import finding, invalid_setting, refuse_unknown
from hetops.plugin.engine import Download, Engine, EngineNeeds, FetchesWeights, Launch, LaunchContext
from hetops.plugin.estimator import Estimator
from hetops.plugin.hookspecs import hookimpl
from hetops.plugin.prices import CENTS, usd
from hetops.plugin.provider import (
    Capability,
    CheckResult,
    DeclaresPools,
    DrivesNodes,
    Node,
    NodeDriver,
    NodeRequest,
    NodeState,
    OfferOrReason,
    OfferQuery,
    Provider,
    Quota,
    Topic,
)
from hetops.plugin.surroundings import (
    Clock,
    Credential,
    KeyFile,
    Patience,
    Secret,
    Surroundings,
    read_credential,
)

if TYPE_CHECKING:
    from hetops.plugin.answers import Meaning, Refused
    from hetops.plugin.boot import (
        NETWORKS_SETTING,
        ROUTER_NETWORKS,
        Boot,
        boot_script,
        container_problem,
        networks_setting,
        router_networks,
    )
    from hetops.plugin.http import Api, HttpError, Repeat, Service, understood
    from hetops.plugin.nodes import PATIENCE_SECONDS, CloudDriver, NodeCloud, Waits
    from hetops.plugin.pace import Pace, RealClock

__all__ = [
    "BYTES_PER_GIB",
    "CENTS",
    "NETWORKS_SETTING",
    "PATIENCE_SECONDS",
    "ROUTER_NETWORKS",
    "Api",
    "Availability",
    "AvailabilityState",
    "Benchmark",
    "BenchmarkAnswer",
    "Boot",
    "Capability",
    "CheckResult",
    "Checkpoint",
    "Clock",
    "CloudDriver",
    "Credential",
    "DeclaresPools",
    "Download",
    "DrivesNodes",
    "Engine",
    "EngineNeeds",
    "ErrorKind",
    "Estimator",
    "FetchesWeights",
    "GpuType",
    "HetopsError",
    "HttpError",
    "KeyFile",
    "Launch",
    "LaunchContext",
    "Limits",
    "Market",
    "Meaning",
    "Measurement",
    "Model",
    "Node",
    "NodeCloud",
    "NodeDriver",
    "NodeRequest",
    "NodeState",
    "Offer",
    "OfferOrReason",
    "OfferQuery",
    "Pace",
    "Patience",
    "PlannedPool",
    "PluginError",
    "Precision",
    "PriceBasis",
    "Provider",
    "ProviderError",
    "Quota",
    "QuotaShare",
    "RealClock",
    "Refusal",
    "Refused",
    "Repeat",
    "Scope",
    "Secret",
    "Service",
    "StepTimes",
    "Surroundings",
    "Topic",
    "Waits",
    "boot_script",
    "container_problem",
    "finding",
    "hookimpl",
    "invalid_setting",
    "nearest",
    "networks_setting",
    "read_credential",
    "refuse_unknown",
    "router_networks",
    "understood",
    "usd",
    "write_whole",
]

_ON_DEMAND = {
    "hetops.plugin.answers": ("Meaning", "Refused"),
    "hetops.plugin.boot": (
        "NETWORKS_SETTING",
        "ROUTER_NETWORKS",
        "Boot",
        "boot_script",
        "container_problem",
        "networks_setting",
        "router_networks",
    ),
    "hetops.plugin.http": ("Api", "HttpError", "Repeat", "Service", "understood"),
    "hetops.plugin.nodes": ("PATIENCE_SECONDS", "CloudDriver", "NodeCloud", "Waits"),
    "hetops.plugin.pace": ("Pace", "RealClock"),
}


def __getattr__(name: str) -> Any:
    """Names of the kit for clouds over HTTP, loaded now."""
    for module, names in _ON_DEMAND.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
