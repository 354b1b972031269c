"""The closed form for planning: step times of configurations, and what they are founded on. Pure after its data is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from hetops.domain.configuration import Configuration
from hetops.domain.gpu import GpuType
from hetops.domain.model import Model
from hetops.domain.performance import Evidence, EvidenceLayer, StepTimes
from hetops.performance.generation import Generation, generation
from hetops.performance.margins import HalfWidths, founded_on
from hetops.performance.memory import fit, forgotten_share, state_tokens, within
from hetops.performance.replica import Replica, family, tuned
from hetops.performance.speculation import speculative
from hetops.performance.stages import at_the_pace_of_the_slowest, even, slowest_over_mean

if TYPE_CHECKING:
    from hetops.performance.form import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Coefficients and their record: 80 % of the errors on GPU types, or publishers, left out lie within the half widths.

    `half_width` is by layer and metric (`throughput`, `tpot`, `ttft`), in natural logarithms.
    """

    source: str
    values: Mapping[str, float]
    half_width: Mapping[str, Mapping[str, float]]
    throughput: Mapping[str, float]
    """Half widths of a benchmark's throughput on measured families by its load (`alone`, `at_once`, `queued`) and the kind of model
    (`dense`, `mixture`), as far as rows tell them: the wider of the two holds."""
    families: tuple[str, ...]
    """GPU families that were measured, AMD's with `old` or `new` software."""

    def layer(self, replica: Replica, at_once: float = 1.0) -> EvidenceLayer:
        """Calibrated where the GPU's family was measured with software like this; formats, sparse attention, attention in data parallel,
        slices of GPUs, and several requests at once of llama.cpp, which none had, are a prior."""
        native_fp4 = replica.weights.bytes_per_value < 0.7 and replica.gpu.fp4_tflops is not None
        unlike = native_fp4 or replica.model.selection is not None or replica.gpu.mig is not None
        unlike = unlike or replica.attention_data_parallel > 1
        unlike = unlike or (replica.generation is Generation.LLAMACPP and at_once > 1)
        known = measured_as(replica) in self.families and not unlike
        return EvidenceLayer.CALIBRATED if known else EvidenceLayer.PRIOR

    def prior(self, source: str) -> Evidence:
        """What an estimate of something rests on that nobody measured."""
        return founded_on(EvidenceLayer.PRIOR, source, HalfWidths(**self.half_width[EvidenceLayer.PRIOR]))

    def evidence(self, replica: Replica, at_once: float = 1.0) -> Evidence:
        """What an estimate of the replica with so many requests rests on; the margins take it to the lower ends of its 80 % intervals."""
        layer = self.layer(replica, at_once)
        source = _SOURCE_OF_SLICES if replica.gpu.mig else _SOURCE[layer]
        if layer is not self.layer(replica):
            source = _SOURCE_OF_SLOTS
        return founded_on(layer, source, HalfWidths(**self.half_width[layer]))


_SOURCE = {
    EvidenceLayer.CALIBRATED: "closed form fitted on published measurements of this GPU family",
    EvidenceLayer.PRIOR: "closed form carried to a GPU family, a format or an attention that was not measured",
}
_SOURCE_OF_SLICES = "closed form of the whole GPU, in proportion to a slice of it, which nobody measured"


_SOURCE_OF_SLOTS = "closed form fitted on lone requests of llama.cpp: nobody measured several at once"


def measured_as(replica: Replica) -> str:
    """The family under which a replica's measurements count; AMD's software of 2024 is another matter than today's."""
    name = family(replica.gpu)
    if replica.gpu.vendor != "amd":
        return name
    return f"{name} {'new' if tuned(replica) else 'old'}"


def replica_of(configuration: Configuration, model: Model, gpu: GpuType) -> Replica:
    """A configuration's replica, on today's version of its engine."""
    return Replica(
        gpu=gpu,
        model=model,
        tensor_parallel=configuration.tensor_parallel,
        pipeline_parallel=configuration.pipeline_parallel,
        attention_data_parallel=configuration.attention_data_parallel,
        weights=configuration.weights,
        kv=configuration.kv,
        generation=generation(configuration.engine),
    )


def step_times(
    configurations: Sequence[Configuration], model: Model, gpus: Mapping[str, GpuType]
) -> tuple[StepTimes, ...]:
    """Step times of one replica of each configuration.

    Raises:
        ValueError: a configuration does not fit into memory.
    """
    capacities = [_capacity(c, model, gpus) for c in configurations]
    plain = plain_step_times(configurations, model, gpus)
    return tuple(
        replace(_as_laid_out(times, c, model), kv_capacity_tokens=capacity)
        for c, times, capacity in zip(configurations, plain, capacities, strict=True)
    )


def plain_step_times(
    configurations: Sequence[Configuration], model: Model, gpus: Mapping[str, GpuType]
) -> tuple[StepTimes, ...]:
    """Step times as if stages were equal, tokens came one a step, and memory were no matter: what the form alone says."""
    if not configurations:
        return ()
    replicas = [replica_of(c, model, gpus[c.gpu]) for c in configurations]
    return times_of(replicas, [c.max_sequences for c in configurations], calibration())


def times_of(
    replicas: Sequence[Replica], max_sequences: Sequence[int], calibration: Calibration
) -> tuple[StepTimes, ...]:
    """Step times of replicas, each with so many places, by a calibration; memory is no matter."""
    from hetops.performance.form import terms
    from hetops.performance.physics import physics

    found, near = terms(physics(replicas), calibration.values), [within(r.model, r.kv, r) for r in replicas]
    return tuple(
        replace(
            _step_times(found, i, max_sequences[i]),
            window_tokens=float(near[i].tokens),
            window_share=near[i].of_kv,
            prompt_window_share=near[i].of_prompts if r.model.selection else None,
            forgotten_share=forgotten_share(r.model, r.generation),
            state_tokens=state_tokens(r.model, r.kv, r.gpu, r),
        )
        for i, r in enumerate(replicas)
    )


def _as_laid_out(times: StepTimes, configuration: Configuration, model: Model) -> StepTimes:
    """With the pace of the slowest stage, and speculation."""
    if configuration.pipeline_parallel > 1:
        layers = even(model, configuration.pipeline_parallel)
        times = at_the_pace_of_the_slowest(times, slowest_over_mean(model, layers))
    return speculative(times, configuration.speculation) if configuration.speculation else times


def _capacity(configuration: Configuration, model: Model, gpus: Mapping[str, GpuType]) -> int:
    lying = fit(configuration, model, gpus[configuration.gpu])
    if lying.reason:
        raise ValueError(lying.reason)
    return lying.kv_capacity_tokens


def _step_times(found: Terms, i: int, max_sequences: int) -> StepTimes:
    return StepTimes(
        weights_seconds=float(found.weights[i]),
        shared_weights=float(found.shared[i]),
        expert_share=float(found.expert_share[i]),
        sharpness=float(found.sharpness[i]),
        compute_seconds_per_sequence=float(found.compute[i]),
        kv_seconds_per_token=float(found.kv[i]),
        overhead_seconds=float(found.overhead[i] + found.step_link[i]),
        overhead_seconds_per_sequence=float(found.link[i] + found.per_sequence[i]),
        prefill_seconds_per_token=float(found.prefill[i] + found.link[i] * found.stages[i]),
        prefill_seconds_per_token_squared=float(found.prefill_squared[i]),
        first_token_seconds=float(found.first_token[i]),
        first_token_factor=float(found.first_token_factor[i]),
        kv_capacity_tokens=0,
        max_sequences=max_sequences,
        prefill_interference=float(found.interference[i]),
        pipeline_stages=int(found.stages[i]),
        attention_groups=int(found.groups[i]),
        apart_share=float(found.apart[i]) if found.groups[i] > 1 else 0.0,
    )


@cache
def calibration() -> Calibration:
    """The shipped calibration: fitted values, what they were fitted on, and how far off they are on what they were not."""
    import json
    from importlib.resources import files

    text = files("hetops.performance").joinpath("coefficients.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return Calibration(
        source=loaded["source"],
        values=loaded["values"],
        half_width=loaded["half_width"],
        throughput=loaded["throughput"],
        families=tuple(loaded["families"]),
    )
