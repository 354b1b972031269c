"""Language model: its shape, and the checkpoints it is served from. Facts are data in `catalog/`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Precision(StrEnum):
    """How weights or the KV cache are stored."""

    FP16 = "fp16"
    BF16 = "bf16"
    FP8 = "fp8"
    INT8 = "int8"
    """Weights and what they are multiplied with (W8A8)."""
    INT8_WEIGHTS = "w8a16"
    """Weights alone, multiplied in 16 bit, as GPTQ of 8 bits; bitsandbytes' eight bits, most of which are multiplied as they are,
    count as these."""
    INT4 = "int4"
    FP4 = "fp4"
    GGUF_Q8_0 = "q8_0"
    GGUF_Q4_K_M = "q4_k_m"
    FP32 = "fp32"

    @property
    def bytes_per_value(self) -> float:
        """Average bytes a stored value takes, scales of block formats included."""
        return _BYTES_PER_VALUE[self]


_BYTES_PER_VALUE = {
    Precision.FP32: 4.0,
    Precision.FP16: 2.0,
    Precision.BF16: 2.0,
    Precision.FP8: 1.0,
    Precision.INT8: 1.0,
    Precision.INT8_WEIGHTS: 1.0,
    Precision.INT4: 0.53,  # group of 128 with one 16-bit scale and one 4-bit zero point
    Precision.FP4: 0.5625,  # NVFP4: a block of 16 shares an 8-bit scale
    Precision.GGUF_Q8_0: 1.0625,  # 32 values and one 16-bit scale
    Precision.GGUF_Q4_K_M: 0.60,  # llama.cpp: 4.83 bits a weight averaged over Llama shapes
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Sparse attention: an index over all tokens before it chooses those that a token attends to. All are kept."""

    tokens: int
    """Chosen at most."""
    index_bytes: float
    """What the index keeps of a token beside its KV, of all layers, whatever the precision of the KV; every step reads it."""
    kv_share: float = 1.0
    """Share of a token's KV that is read of those chosen alone."""
    attention: float
    """Of a prompt's chosen pairs of tokens: heads times head size that compute as much, mean of all layers."""
    other_attention: float
    """The same of all pairs: of the index, and of layers that choose none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A transformer's shape. Parameter counts are in billions; KV bytes are per token at 16 bit."""

    name: str
    hub_id: str
    parameters_b: float
    active_parameters_b: float
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    kv_bytes_per_token_16bit: float
    context_tokens: int
    experts: int = 0
    active_experts: int = 0
    latent_kv: bool = False
    """Multi-head latent attention: one compressed KV entry a token, which every rank holds whole."""
    tied_embeddings: bool = False
    """Whether the output head is the embedding table itself."""
    windowed_layers: int = 0
    """Layers whose tokens attend to the newest `window_tokens` alone; to none but a state of constant size where that is 0
    (linear attention)."""
    window_tokens: int = 0
    state_bytes: float = 0.0
    """What layers without KV keep of a sequence, of all layers, as engines hold it: a state of constant size and the newest inputs
    of its convolutions (linear attention, Mamba)."""
    selection: Selection | None = None
    """How tokens are chosen that a token attends to; None attends to all, or to those within the window."""
    attention_16bit_b: float = 0.0
    """Parameters of attention, in billions, that its checkpoints of four bits keep in 16 bit."""
    native: Precision = Precision.BF16
    """How its makers published the weights."""
    licence: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        for field in (
            "parameters_b",
            "layers",
            "hidden",
            "heads",
            "context_tokens",
            "kv_bytes_per_token_16bit",
        ):
            if not getattr(self, field) > 0:
                raise ValueError(f"model {self.name}: {field} must be above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Weights of a model in one precision, and where they are fetched from.

    `reference` is a hub id, `file:PATH` for a local GGUF, or `package:NAME` for weights that a registry package
    carries.
    """

    model: str
    precision: Precision
    reference: str
    format: str = ""
    """How the weights are stored, where not every engine that serves the precision reads it: `bitsandbytes`."""
    gigabytes: float | None = None
    licence: str = ""
    source: str = ""
