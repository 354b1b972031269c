"""The `Engine` protocol: how a serving engine is started for a pool. Pure: it returns what to start, starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from hetops.domain.model import Checkpoint, Model
from hetops.domain.plan import PlannedPool

INHERITED = "HETOPS_INHERITED"
"""Variable of a launch that names others, by commas: those of whoever starts the process that it is to have too.

So a secret reaches a process on this machine and stands in no launch, plan, state or file.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One engine process or container.

    `argv` runs as it is where the provider starts processes; elsewhere it is the container's arguments after
    `image`. The engine serves on `host` and `port` (0: any free port, which it tells through the file named by the
    environment variable HETOPS_ENDPOINT_FILE as one line, its base URL). No secret stands in any field.
    """

    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    image: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    health_path: str = "/health"
    ready_seconds: float = 600.0
    """How long the engine may take until its health path answers 200."""
    drain_seconds: float = 30.0
    """How long running requests may take after SIGTERM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineNeeds:
    """What an engine wants of a configuration space: what it can run, before memory and targets are looked at."""

    gpu_vendors: frozenset[str]
    """`GpuType.vendor` values it runs on: nvidia, amd, cpu."""
    least_compute_capability: float = 0.0
    """Of NVIDIA's GPUs: for older ones the engine as it is shipped has no kernels."""
    amd_architectures: frozenset[str] = frozenset()
    """`GpuType.compute_capability` values of AMD's GPUs that it has kernels for as it is shipped; all where none is named."""
    precisions: frozenset[str]
    formats: frozenset[str] = frozenset()
    """`Checkpoint.format` values that it reads: those of `bitsandbytes` want a package that vLLM's and SGLang's images lack."""
    max_sequences: tuple[int, ...]
    """The concurrency limits worth trying."""
    tensor_parallel: tuple[int, ...]
    pipeline_parallel: tuple[int, ...] = (1,)
    kv_precisions: frozenset[str] = frozenset()
    """Of the KV cache, besides 16 bit."""
    most_drafted: int = 0
    """Tokens that speculative decoding may guess in a step; 0 where there is none."""
    attends_apart: bool = False
    """Whether GPUs of one replica can each attend to requests of their own, while the experts lie over all (attention in data
    parallel); then each runs as many sequences as `max_sequences` says."""
    only_named: bool = False
    """Whether it is planned with only where the spec names it."""
    hands_over: bool = False
    """Whether the KV cache of a prompt can go from one of its replicas, which prefills alone, to another, which decodes."""


@runtime_checkable
class Engine(Protocol):
    """One serving engine."""

    name: str
    needs: EngineNeeds

    def checkpoints(self, model: Model, settings: Mapping[str, Any]) -> tuple[Checkpoint, ...]:
        """Checkpoints that only this engine's settings know (a local GGUF); empty where the catalogue has them all."""
        ...

    def launch(self, context: LaunchContext) -> Launch:
        """How one replica of the pool is started."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """Weights that are not on this host: how much would be fetched, and on which terms. Nobody fetches them unasked."""

    name: str
    megabytes: int
    licence: str


@runtime_checkable
class FetchesWeights(Protocol):
    """An engine whose weights must lie on this host before a replica starts."""

    def missing_weights(self, checkpoint: str) -> Download | None:
        """What would have to be fetched for `Configuration.checkpoint`; None where it lies here, or is no package."""
        ...

    def fetch_weights(self, checkpoint: str) -> None:
        """Fetches it, whole or not at all. Called only after the user agreed to its licence. Raises HetopsError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchContext:
    """What an engine may look at to say how a replica is started."""

    pool: PlannedPool
    deployment: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """`[engine]` of the spec, plain values."""
