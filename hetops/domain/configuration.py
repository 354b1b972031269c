"""Configuration: how one copy of the model lies on GPUs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from hetops.domain.added import ADDED
from hetops.domain.gpu import GpuSlice
from hetops.domain.model import Precision


class Role(StrEnum):
    """What a replica does of a request."""

    MIXED = "mixed"
    PREFILL = "prefill"
    DECODE = "decode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Speculation:
    """Speculative decoding: a draft guesses tokens that the model checks in one step."""

    draft_tokens: int
    """Guessed in each step."""
    acceptance: float
    """Chance that the model agrees with a guess, given that it agreed with those before; 0 to 1."""
    draft_share: float = 0.0
    """What a draft takes of a step of the model, in time and memory: next to none for n-grams and heads of the model itself."""

    def __post_init__(self) -> None:
        if self.draft_tokens < 1:
            raise ValueError("speculation: draft_tokens must be at least 1")
        if not 0 <= self.acceptance < 1 or not 0 <= self.draft_share < 1:
            raise ValueError("speculation: acceptance and draft_share must be at least 0 and below 1")

    @property
    def tokens_per_step(self) -> float:
        """Tokens that a step yields on average, that of the model itself among them."""
        return (1.0 - self.acceptance ** (self.draft_tokens + 1)) / (1.0 - self.acceptance)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageGpus:
    """The GPUs of a stage of a pipeline: so many of one type in one node."""

    gpu: str
    tensor_parallel: int

    def __str__(self) -> str:
        return f"{self.gpu}:{self.tensor_parallel}"


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
    speculation: Speculation | None = None
    mig: GpuSlice | None = field(default=None, metadata=ADDED)
    """Where `gpu` is a slice of a GPU; a replica is then on one."""
    attention_data_parallel: int = field(default=1, metadata=ADDED)
    """Groups of a tensor group's GPUs that each attend to requests of their own, and hold what every token passes; the experts lie
    whole on one GPU each, over all of them. 1 divides everything over all GPUs."""
    stages: tuple[StageGpus, ...] = field(default=(), metadata=ADDED)
    """Of a pipeline over several nodes, in their order; `gpu` and `tensor_parallel` are those of the first."""

    def __post_init__(self) -> None:
        for name in ("tensor_parallel", "pipeline_parallel", "max_sequences", "max_context_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"configuration: {name} must be at least 1")
        if self.attention_data_parallel < 1 or self.tensor_parallel % self.attention_data_parallel:
            raise ValueError("configuration: attention_data_parallel must divide tensor_parallel")
        if self.stages and self.stages[0] != self._first_stage:
            raise ValueError(f"configuration: its first stage is {self.stages[0]}, not {self._first_stage}")
        if self.stages and (len(self.stages) != self.pipeline_parallel or self.mig):
            raise ValueError(
                f"configuration: {len(self.stages)} stages of whole GPUs are a pipeline_parallel of as many"
            )

    @property
    def rented_gpu(self) -> str:
        """The GPU type that is rented for it."""
        return self.mig.of if self.mig else self.gpu

    @property
    def rented_gpus(self) -> frozenset[str]:
        """The GPU types that are rented for all of its stages."""
        return frozenset((self.rented_gpu, *(stage.gpu for stage in self.stages)))

    @property
    def gpu_count(self) -> int:
        """GPUs, or slices of one, that one replica takes."""
        return sum(stage.tensor_parallel for stage in self.each_stage)

    @property
    def each_stage(self) -> tuple[StageGpus, ...]:
        """The GPUs of every stage, one where there is no pipeline."""
        return self.stages or (self._first_stage,) * self.pipeline_parallel

    @property
    def _first_stage(self) -> StageGpus:
        return StageGpus(gpu=self.gpu, tensor_parallel=self.tensor_parallel)

    @property
    def layout(self) -> str:
        """How it lies on its GPUs in short: `tp8`, `tp4pp2`, `tp8adp8` with attention in data parallel; of stages on several nodes
        only how many there are, `pp2`."""
        if self.stages:
            return f"pp{self.pipeline_parallel}"
        stages, groups = self.pipeline_parallel, self.attention_data_parallel
        apart = f"adp{groups}" if groups > 1 else ""
        return f"tp{self.tensor_parallel}{apart}" + (f"pp{stages}" if stages > 1 else "")

    @property
    def kv_format(self) -> str:
        """What replicas must have in common for one to go on with the KV cache of another: model, engine, precisions, speculation."""
        return "/".join((self.model, self.engine, str(self.weights), f"kv{self.kv}", *self._drafted))

    @property
    def id(self) -> str:
        """Unique and stable: model, engine, GPU type or stages on several nodes, parallelism, precisions, sequences, speculation and role
        where there is any."""
        gpu = "+".join(map(str, self.stages)) or self.gpu
        precision = (
            self.weights if self.kv in (Precision.FP16, Precision.BF16) else f"{self.weights}-kv{self.kv}"
        )
        parts = [self.model, self.engine, gpu, self.layout, str(precision), f"s{self.max_sequences}"]
        parts += self._drafted
        return "/".join(parts if self.role is Role.MIXED else [*parts, str(self.role)])

    @property
    def _drafted(self) -> tuple[str, ...]:
        s = self.speculation
        if s is None:
            return ()
        return (f"spec{s.draft_tokens}x{s.acceptance:g}" + f"d{s.draft_share:g}" * (s.draft_share > 0),)
