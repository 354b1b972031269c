"""Configuration: how one copy of the model lies on GPUs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hetops.domain.model import Precision


class Role(StrEnum):
    """What a replica does of a request."""

    MIXED = "mixed"
    PREFILL = "prefill"
    DECODE = "decode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One copy of a model: parallelism, precision, engine and its limits.

    On the GPU type `CPU` the tensor parallel degree is the number of threads.
    """

    model: str
    engine: str
    gpu: str
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    weights: Precision
    kv: Precision
    checkpoint: str
    """As `Checkpoint.reference`."""
    max_sequences: int
    """Requests that a replica works on at once."""
    max_context_tokens: int
    """Longest input and output together that a replica takes."""
    role: Role = Role.MIXED

    def __post_init__(self) -> None:
        for name in ("tensor_parallel", "pipeline_parallel", "max_sequences", "max_context_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"configuration: {name} must be at least 1")

    @property
    def gpu_count(self) -> int:
        """GPUs that one replica takes."""
        return self.tensor_parallel * self.pipeline_parallel

    @property
    def id(self) -> str:
        """Unique and stable: model, engine, GPU type, parallelism, precisions, sequences, role where not mixed."""
        parallel = f"tp{self.tensor_parallel}" + (
            f"pp{self.pipeline_parallel}" if self.pipeline_parallel > 1 else ""
        )
        precision = (
            self.weights if self.kv in (Precision.FP16, Precision.BF16) else f"{self.weights}-kv{self.kv}"
        )
        parts = [self.model, self.engine, self.gpu, parallel, str(precision), f"s{self.max_sequences}"]
        return "/".join(parts if self.role is Role.MIXED else [*parts, str(self.role)])
