"""The door for third parties: everything that a plugin imports from hetops is named here, and nothing else is stable."""

from hetops.domain.gpu import GpuType
from hetops.domain.model import Checkpoint, Model, Precision
from hetops.domain.offer import Availability, AvailabilityState, Limits, Market, Offer, PriceBasis
from hetops.domain.performance import Measurement, StepTimes
from hetops.domain.plan import PlannedPool
from hetops.errors import ErrorKind, ProviderError, Scope
from hetops.plugin.engine import Engine, EngineNeeds, Launch, LaunchContext
from hetops.plugin.hookspecs import hookimpl
from hetops.plugin.provider import (
    Capability,
    CheckResult,
    DeclaresPools,
    DrivesNodes,
    Node,
    NodeDriver,
    NodeRequest,
    NodeState,
    OfferQuery,
    Provider,
    Quota,
)

__all__ = [
    "Availability",
    "AvailabilityState",
    "Capability",
    "CheckResult",
    "Checkpoint",
    "DeclaresPools",
    "DrivesNodes",
    "Engine",
    "EngineNeeds",
    "ErrorKind",
    "GpuType",
    "Launch",
    "LaunchContext",
    "Limits",
    "Market",
    "Measurement",
    "Model",
    "Node",
    "NodeDriver",
    "NodeRequest",
    "NodeState",
    "Offer",
    "OfferQuery",
    "PlannedPool",
    "Precision",
    "PriceBasis",
    "Provider",
    "ProviderError",
    "Quota",
    "Scope",
    "StepTimes",
    "hookimpl",
]
