"""All configurations of a model on the offered GPU types; what is refused is refused with a reason. Pure."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from hetops.configurations.quality import Floor, Quality
from hetops.domain.configuration import Configuration, Speculation
from hetops.domain.gpu import GpuType
from hetops.domain.model import Checkpoint, Model, Precision
from hetops.domain.plan import Refusal
from hetops.plugin.engine import EngineNeeds


class Why(StrEnum):
    """Why a configuration is not considered."""

    VENDOR = "the engine does not run on this vendor's GPUs"
    NO_KERNELS = "the engine as it is shipped has no kernels for this GPU"
    PRECISION_NOT_ALLOWED = "the spec allows other precisions"
    PRECISION_ENGINE = "the engine cannot serve this precision"
    FORMAT = "the engine as it is shipped does not read weights of"
    PRECISION_HARDWARE = "the GPU has no way to run this precision"
    ATTENTION = "the engines have no kernel for the model's sparse attention on this GPU"
    KV_PRECISION = "the engine cannot hold the KV cache in this precision"
    KV_HARDWARE = "the GPU has no FP8 arithmetic for the KV cache"
    NO_CHECKPOINT = "no checkpoint is known"
    NO_CHECKPOINT_READ = "no checkpoint is known that this engine reads"
    PARALLELISM = "the model's heads or layers cannot be split so"
    MEMORY = "does not fit into memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the spec and the workload ask of configurations."""

    precisions: tuple[Precision, ...] = ()
    max_context_tokens: int
    input_tokens_p90: float = 0.0
    kv: Precision | None = None
    """None is 16 bit."""
    speculation: Speculation | None = None
    """Tried beside plain decoding."""
    floors: tuple[Floor, ...] = ()
    """One a class, where the spec sets any."""

    def quality(self, model: Model) -> Quality:
        """What decides whether a precision is good enough."""
        return Quality(model=model, asked=self.precisions, input_tokens_p90=self.input_tokens_p90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What there is to combine: engines by name, their checkpoints, and GPU types with the largest node of each."""

    model: Model
    checkpoints: tuple[Checkpoint, ...]
    engines: Mapping[str, EngineNeeds]
    gpus: Mapping[str, GpuType]
    largest_node: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enumeration:
    """The configurations worth estimating, and how many were refused for what."""

    configurations: tuple[Configuration, ...]
    refusals: tuple[Refusal, ...] = field(default=())


Fits = Callable[[Configuration, GpuType], str]
"""Why a configuration does not fit into memory; empty where it does."""


def enumerate_configurations(space: Space, rules: Rules, fits: Fits) -> Enumeration:
    """Every combination of engine, GPU type, checkpoint and parallelism that can run."""
    kept: dict[str, Configuration] = {}
    refused: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for engine, gpu, checkpoint in _combinations(space):
        if lacking := no_kernels(space.engines[engine], gpu):
            refused[gpu.name, f"{engine}: {Why.NO_KERNELS} ({lacking})"] += 1
            continue
        why = _precision_refused(checkpoint, space.engines[engine], gpu, space.model, rules)
        if not attends(space.model, gpu):
            refused[gpu.name, Why.ATTENTION] += 1
            continue
        if why:
            refused[gpu.name, f"{checkpoint.precision}: {why}"] += 1
            continue
        for configuration in _layouts(space, engine, gpu, checkpoint, rules):
            split = _splits(configuration, space.model)
            no_room = "" if split else fits(configuration, gpu)
            if split or no_room:
                refused[gpu.name, split or Why.MEMORY] += 1
                examples.setdefault((gpu.name, split or Why.MEMORY), no_room)
            else:
                kept.setdefault(configuration.id, configuration)
    refusals = (*_without_checkpoint(space, rules), *_refusals(refused, examples))
    return Enumeration(configurations=tuple(kept.values()), refusals=refusals)


def _combinations(space: Space) -> Iterator[tuple[str, GpuType, Checkpoint]]:
    """Engine, GPU type and checkpoint, where the engine runs on the GPU's vendor at all."""
    for (engine, needs), gpu_name in itertools.product(space.engines.items(), space.largest_node):
        if space.gpus[gpu_name].vendor in needs.gpu_vendors:
            yield from ((engine, space.gpus[gpu_name], c) for c in _with_dynamic(space, needs))


def no_kernels(needs: EngineNeeds, gpu: GpuType) -> str:
    """Why an engine does not start on a GPU of a vendor that it runs on; empty where it does."""
    has, least, known = gpu.compute_capability, needs.least_compute_capability, needs.amd_architectures
    if gpu.vendor == "nvidia" and float(has) < least:
        return f"compute capability {has}, it wants {least} or more"
    if gpu.vendor == "amd" and known and has not in known:
        return f"architecture {has}, it has those for {', '.join(sorted(known))}"
    return ""


def reads(needs: EngineNeeds, checkpoint: Checkpoint) -> bool:
    """Whether an engine reads a checkpoint's format, whatever its precision."""
    return not checkpoint.format or checkpoint.format in needs.formats


def _with_dynamic(space: Space, needs: EngineNeeds) -> Sequence[Checkpoint]:
    """Of each precision the first checkpoint that the engine reads, else the first, and FP8 made while loading (both GPU engines
    quantize 16-bit weights to FP8 on the fly; to INT8 neither does, but for the experts of a mixture)."""
    first = sorted(space.checkpoints, key=lambda c: not reads(needs, c))
    known = {c.precision: c for c in reversed(first)}
    if Precision.FP8 not in known and Precision.BF16 in known:
        base = known[Precision.BF16]
        made = Checkpoint(
            model=base.model,
            precision=Precision.FP8,
            reference=base.reference,
            source="quantized while loading",
        )
        known[Precision.FP8] = made
    return tuple(known.values())


def _without_checkpoint(space: Space, rules: Rules) -> Iterator[Refusal]:
    """The precisions that the spec allows and no checkpoint has, or engines for which there is none at all."""
    if not space.checkpoints:
        vendors = {space.gpus[name].vendor for name in space.largest_node}
        for engine in (name for name, needs in space.engines.items() if needs.gpu_vendors & vendors):
            yield Refusal(subject=space.model.name, reason=f"{engine}: {Why.NO_CHECKPOINT_READ}", count=1)
    known = {c.precision for needs in space.engines.values() for c in _with_dynamic(space, needs)}
    for precision in rules.precisions:
        if not _among(known, precision):
            yield Refusal(subject=space.model.name, reason=f"{precision}: {Why.NO_CHECKPOINT}", count=1)


def _precision_refused(
    checkpoint: Checkpoint, needs: EngineNeeds, gpu: GpuType, model: Model, rules: Rules
) -> str:
    precision = checkpoint.precision
    if rules.precisions and not _among(rules.precisions, precision):
        return Why.PRECISION_NOT_ALLOWED
    if precision not in needs.precisions:
        return Why.PRECISION_ENGINE
    if not reads(needs, checkpoint):
        return f"{Why.FORMAT} {checkpoint.format}"
    if gpu.vendor != "cpu" and not runs(precision, gpu, model.native):
        return Why.PRECISION_HARDWARE
    return _kv_refused(rules.kv, needs, gpu) or rules.quality(model).refused_for_all(precision, rules.floors)


def _among(precisions: Collection[Precision], one: Precision) -> bool:
    """Whether it is one of them. 16 bit is one: engines serve either format as the one that the GPU has."""
    return one in precisions or (one in _SIXTEEN_BIT and any(p in _SIXTEEN_BIT for p in precisions))


def _kv_refused(kv: Precision | None, needs: EngineNeeds, gpu: GpuType) -> str:
    """16 bit runs everywhere. FP8 is read and written where there is FP8 arithmetic: vLLM from Ada and MI300 on."""
    if kv is None or kv in _SIXTEEN_BIT:
        return ""
    if kv not in needs.kv_precisions:
        return Why.KV_PRECISION
    return "" if gpu.fp8_tflops else Why.KV_HARDWARE


_SIXTEEN_BIT = (Precision.BF16, Precision.FP16)


def runs(precision: Precision, gpu: GpuType, native: Precision = Precision.BF16) -> bool:
    """vLLM's quantization table: FP8 natively from Ada on and weight-only from Turing on; INT8 W8A8 from Turing to Hopper (its
    kernels refuse what comes later); INT8 weights alone from Volta on (GPTQ); INT4 and NVFP4 weights from Turing on, where they are
    unpacked to 16 bit by Marlin, which knows no newest GPU (reports of AWQ on RTX 50: vLLM issue 37387; NVFP4 before Blackwell: SGLang
    PR 19652). Of other vendors' parts 16 bit, and FP8 with arithmetic for it. Models published in MXFP4 (`native`) run from
    Ampere and MI300 on, their weights multiplied in 16 bit where there is no FP4 (vLLM's recipe for gpt-oss). GGUF is llama.cpp's, whose
    kernels know all of NVIDIA's."""
    if precision is native is Precision.FP4:
        return gpu.fp8_tflops is not None or (gpu.vendor == "nvidia" and float(gpu.compute_capability) >= 8.0)
    if gpu.vendor != "nvidia":
        return precision in _SIXTEEN_BIT or (precision is Precision.FP8 and gpu.fp8_tflops is not None)
    capability = float(gpu.compute_capability)
    return {
        Precision.FP16: True,
        Precision.BF16: True,  # served as FP16 where the hardware has no BF16
        Precision.FP8: capability >= 7.5,
        Precision.INT8: 7.5 <= capability < 10.0 and gpu.int8_tops is not None,
        Precision.INT8_WEIGHTS: capability >= 7.0,
        Precision.INT4: capability >= 7.5,
        Precision.FP4: capability >= 7.5,
        Precision.GGUF_Q4_K_M: True,
        Precision.GGUF_Q8_0: True,
    }.get(precision, False)


def attends(model: Model, gpu: GpuType) -> bool:
    """Whether a GPU has kernels for a model's attention. Sparse attention whose keys all heads share (DeepSeek V3.2 and V4, GLM-5)
    has them on Hopper, Blackwell's data-centre parts and MI300 on (FlashMLA and DeepGEMM; vLLM's recipe, its issues 35021 on Ampere
    and 54059 on Ada, and 31936 on RTX PRO, where they are being made)."""
    if gpu.vendor == "cpu" or model.selection is None or not (model.latent_kv or model.kv_heads == 1):
        return True
    if gpu.vendor != "nvidia":
        return gpu.fp8_tflops is not None
    return 9.0 <= float(gpu.compute_capability) < 12.0


def _layouts(
    space: Space, engine: str, gpu: GpuType, checkpoint: Checkpoint, rules: Rules
) -> Iterator[Configuration]:
    """All parallel layouts within one node."""
    needs, largest = space.engines[engine], space.largest_node[gpu.name]
    sixteen = Precision.BF16 if gpu.bf16_tflops else Precision.FP16
    kv = sixteen if rules.kv is None or rules.kv in _SIXTEEN_BIT else rules.kv
    weights = (
        Precision.FP16
        if checkpoint.precision is Precision.BF16 and not gpu.bf16_tflops
        else checkpoint.precision
    )
    drafted = rules.speculation.draft_tokens if rules.speculation else 0
    decoding = (None, rules.speculation) if 0 < drafted <= needs.most_drafted else (None,)
    for (tensor, groups), pipeline, sequences, speculation in itertools.product(
        _shared(needs, space.model), needs.pipeline_parallel, needs.max_sequences, decoding
    ):
        if tensor * pipeline <= largest:
            yield Configuration(
                model=space.model.name,
                engine=engine,
                gpu=gpu.name,
                tensor_parallel=tensor,
                pipeline_parallel=pipeline,
                weights=weights,
                kv=kv,
                checkpoint=checkpoint.reference,
                max_sequences=sequences * groups,
                max_context_tokens=rules.max_context_tokens,
                speculation=speculation,
                mig=gpu.mig,
                attention_data_parallel=groups,
            )


def _shared(needs: EngineNeeds, model: Model) -> Iterator[tuple[int, int]]:
    """GPUs of a stage, and groups of these that attend to requests of their own: all together, or each for itself where they would
    all hold the same KV. Heads divide KV as well, and weights that are held several times would gain nothing."""
    apart = needs.attends_apart and model.latent_kv and model.experts > 0
    for tensor in needs.tensor_parallel:
        yield tensor, 1
        if apart and tensor > 1:
            yield tensor, tensor


def _splits(configuration: Configuration, model: Model) -> str:
    """Threads of a host core split anything; GPUs split whole heads and whole layers."""
    if configuration.engine == "llamacpp":
        return ""
    uneven = model.heads % configuration.tensor_parallel or model.layers < configuration.pipeline_parallel
    return Why.PARALLELISM if uneven else ""


def _refusals(
    refused: Counter[tuple[str, str]], examples: Mapping[tuple[str, str], str]
) -> tuple[Refusal, ...]:
    """Most frequent first; a reason with numbers shows those of its first case."""
    return tuple(
        Refusal(
            subject=gpu, reason=f"{why}: {examples[gpu, why]}" if examples.get((gpu, why)) else why, count=n
        )
        for (gpu, why), n in refused.most_common()
    )


def context_needed(longest_tokens: Iterable[float], asked: int | None, model: Model) -> int:
    """The context a replica must take: what the spec asks, else the longest requests rounded up to 256, never more than
    the model has."""
    wanted = asked or 256 * (int(max(longest_tokens)) // 256 + 1)
    return min(wanted, model.context_tokens)
