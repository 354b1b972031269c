"""The door for third parties: everything that a plugin imports from hetops is named here, and nothing else is stable."""

from hetops.domain.gpu import GpuType
from hetops.domain.model import Checkpoint, Model, Precision
from hetops.domain.offer import Availability, AvailabilityState, Limits, Market, Offer, PriceBasis
from hetops.domain.performance import Measurement, StepTimes
from hetops.domain.plan import PlannedPool, Refusal
from hetops.domain.units import BYTES_PER_GIB
from hetops.errors import ErrorKind, HetopsError, ProviderError, Scope, nearest
from hetops.files import write_whole
from hetops.plugin.engine import Download, Engine, EngineNeeds, FetchesWeights, Launch, LaunchContext
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
    OfferOrReason,
    OfferQuery,
    Provider,
    Quota,
)

__all__ = [
    "BYTES_PER_GIB",
    "Availability",
    "AvailabilityState",
    "Capability",
    "CheckResult",
    "Checkpoint",
    "DeclaresPools",
    "Download",
    "DrivesNodes",
    "Engine",
    "EngineNeeds",
    "ErrorKind",
    "FetchesWeights",
    "GpuType",
    "HetopsError",
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
    "OfferOrReason",
    "OfferQuery",
    "PlannedPool",
    "Precision",
    "PriceBasis",
    "Provider",
    "ProviderError",
    "Quota",
    "Refusal",
    "Scope",
    "StepTimes",
    "hookimpl",
    "nearest",
    "write_whole",
]
