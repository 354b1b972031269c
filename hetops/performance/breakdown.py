"""Where the time of one replica goes at one load: seconds of each part of a step, what binds, and the roofline. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar

from hetops.domain.added import ADDED
from hetops.domain.performance import EvidenceLayer, StepTimes
from hetops.performance.cases import Case, Cases, Metric, in_flight
from hetops.performance.estimate import Calibration
from hetops.performance.estimators import Founded
from hetops.performance.form import Terms, compute_efficiency, terms
from hetops.performance.generation import most_sequences
from hetops.performance.margins import widths_of
from hetops.performance.measured import ClosedLoop, closed_loop
from hetops.performance.physics import Physics, physics
from hetops.performance.predict import Prediction, predictions
from hetops.performance.replica import Replica
from hetops.performance.speculation import PLAIN, PerToken

_ROUNDING = 1e-6

MEMORY = "memory"
"""What binds where more requests could run if the KV cache held them."""
STAGE_LINKS, BUBBLE = "stage links", "pipeline bubble"
"""Parts that a pipeline alone has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a decode step."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a phase computes on each byte that it reads, and how fast it does."""

    operations_per_byte: float
    operations_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """What the GPUs of a replica could do at most, what of it is reached, and where decode and prefill stand below."""

    peak_operations_per_second: float
    reached_operations_per_second: float
    bandwidth_bytes_per_second: float
    reached_bytes_per_second: float
    decode: Work
    prefill: Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """A configuration at one load, explained."""

    FORMAT: ClassVar[str] = "hetops.estimate"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    configuration: str
    input_tokens: float
    output_tokens: float
    concurrency: float
    in_flight: float
    """As many of them as the memory and the engine let run at once; the others wait."""
    parts: tuple[Part, ...]
    """Of one decode step with so many in flight; reading weights and computing overlap, and the bubble is what a stage of a pipeline
    idles on average meanwhile."""
    step_seconds: float
    prefill_seconds: float
    binding: str
    """The longest part; `memory` where more could run if the KV cache held them."""
    memory_wait_seconds: float
    """What a request waits for a place in the KV cache; 0 where memory binds nothing."""
    output_tokens_per_second: Prediction
    tpot: Prediction
    ttft: Prediction
    evidence: str
    roofline: Roofline
    evidence_source: str = field(default="", metadata=ADDED)
    """What the three answers rest on, and why a named estimator has none. An estimator tells no parts of a step: these, the step, the
    prompt and the roofline stay the closed form's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """So many requests in flight at once, of these lengths."""

    input_tokens: float
    output_tokens: float
    concurrency: float
    prefix_share: float = 0.0
    """Share of each prompt that the prefix cache holds."""
    spread: float = 0.0
    """Standard deviation of both lengths over their means; 0 makes all requests alike."""

    @property
    def context_tokens(self) -> float:
        """What a running request holds on average."""
        return self.input_tokens + self.output_tokens / 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """A replica's step times by the form alone, and with all that its configuration asks besides: speculation, stages."""

    plain: StepTimes
    whole: StepTimes
    slowest_over_mean: float = 1.0
    """How many times as long as the mean stage of a pipeline its slowest takes."""
    per_token: PerToken = PLAIN
    """Work of a token that comes out, where tokens are drafted."""


def explain(name: str, replica: Replica, load: Load, times: Times, calibration: Calibration) -> Breakdown:
    """The breakdown of one replica under a load. What the form knows nothing of scales its answers as it scales what the
    step times give."""
    p = physics([replica])
    form = terms(p, calibration.values)
    n = float(in_flight(Cases.of([_case(replica, load, Metric.TPOT)]), form)[0])
    running, whole = replace(load, concurrency=n), times.whole
    between = float((p.stages[0] - 1.0) * calibration.values["hop"])
    parts = _parts(form, running, times, between)
    cached = load.prefix_share * load.input_tokens
    prompt = whole.prefill_seconds(load.input_tokens, cached) - whole.overhead_seconds
    scale = _over(_loop(whole, running), _loop(times.plain, replace(running, prefix_share=0.0)))
    ttft = _answer(replica, load, Metric.TTFT, calibration, scale.ttft_seconds)
    places = min(load.concurrency, p.groups[0] * most_sequences(replica.generation.coefficients))
    by_memory = n < places * (1.0 - _ROUNDING)
    unhindered = _answer(replica, running, Metric.TTFT, calibration, scale.ttft_seconds)
    waited = ((ttft.value or 0.0) - (unhindered.value or 0.0)) / 1e3
    return Breakdown(
        configuration=name,
        input_tokens=load.input_tokens,
        output_tokens=load.output_tokens,
        concurrency=load.concurrency,
        in_flight=n,
        parts=parts,
        step_seconds=whole.decode_seconds(n, load.context_tokens),
        prefill_seconds=prompt,
        binding=MEMORY if by_memory else max(parts, key=lambda part: part.seconds).name,
        memory_wait_seconds=max(waited, 0.0) if by_memory else 0.0,
        output_tokens_per_second=_answer(
            replica, load, Metric.OUTPUT, calibration, scale.requests_per_second
        ),
        tpot=_answer(replica, load, Metric.TPOT, calibration, scale.tpot_seconds),
        ttft=ttft,
        evidence=str(calibration.layer(replica, load.concurrency)),
        roofline=_roofline(p, (_decode(p, running, times), _prefill(p, load, prompt)), times, calibration),
    )


def answered_by(found: Breakdown, load: Load, times: StepTimes, founded: Founded) -> Breakdown:
    """A breakdown, made with the closed form's step times, with the answers that others give, and what these rest on."""
    steps, evidence = founded
    told = replace(found, evidence_source=evidence.source)
    if evidence.layer is not EvidenceLayer.ESTIMATOR:
        return told
    running, widths = replace(load, concurrency=found.in_flight), widths_of(evidence)
    scale = _over(_loop(steps, running), _loop(times, running))
    own = _first_token(steps, running) / (_first_token(times, running) - times.overhead_seconds)
    waited = found.memory_wait_seconds * 1e3
    slower = waited * (1.0 / scale.requests_per_second / own - 1.0)
    return replace(
        told,
        evidence=str(evidence.layer),
        memory_wait_seconds=found.memory_wait_seconds / scale.requests_per_second,
        output_tokens_per_second=_answered(
            found.output_tokens_per_second, scale.requests_per_second, widths.throughput
        ),
        tpot=_answered(found.tpot, scale.tpot_seconds, widths.tpot),
        ttft=_answered(replace(found.ttft, value=(found.ttft.value or 0.0) + slower), own, widths.ttft),
    )


def _first_token(times: StepTimes, load: Load) -> float:
    """Seconds of a prompt that waits for no other, alone or beside those that decode."""
    tokens = load.input_tokens
    delay = times.first_token_delay(tokens) if load.concurrency > 1.0 else times.first_token_seconds
    return times.prefill_seconds(tokens, load.prefix_share * tokens) + delay


def _answered(found: Prediction, scale: float, half_width: float) -> Prediction:
    """An estimator's answer: so many times the closed form's."""
    value, factor = (found.value or 0.0) * scale, math.exp(half_width)
    layer = str(EvidenceLayer.ESTIMATOR)
    return replace(found, value=value, low=value / factor, high=value * factor, evidence=layer)


def _parts(t: Terms, load: Load, times: Times, between: float) -> tuple[Part, ...]:
    """A step's parts. Links and overhead are one in step times: they are told apart as the form has them, which has so many seconds
    `between` stages."""
    plain, whole = times.plain, times.whole
    n = whole.paced(load.concurrency)
    links, overhead = (
        float((once + each * n)[0]) for once, each in ((t.step_link, t.link), (t.overhead, t.per_sequence))
    )
    added = whole.overhead_seconds + whole.overhead_seconds_per_sequence * n
    attended = whole.attended(load.context_tokens)
    alike = added / (plain.overhead_seconds + plain.overhead_seconds_per_sequence * n)
    told = {
        "weight bandwidth": whole.weights_seconds * _touched(whole, whole.shared_weights, n),
        "compute": whole.compute_seconds_per_sequence * n,
        "KV bandwidth": whole.kv_seconds_per_token * attended * whole.read_for(n),
        "all-reduce": (links - between) * alike,
        STAGE_LINKS: between * alike,
        "engine overhead": overhead * alike,
        BUBBLE: _idle(times, load.concurrency) * whole.decode_seconds(n, load.context_tokens),
    }
    return tuple(Part(name=name, seconds=seconds) for name, seconds in told.items())


def _idle(times: Times, sequences: float) -> float:
    """Share of a step that the mean stage waits: for the slowest one, and for sequences where there are fewer than stages."""
    busy = min(sequences / times.whole.pipeline_stages, 1.0)
    return 1.0 - busy / times.slowest_over_mean


def _touched(times: StepTimes, shared: float, sequences: float) -> float:
    """Share that a step touches of what every token passes, so much of the whole, and of experts."""
    unchosen = (1.0 - times.expert_share) ** (times.paced(sequences) / times.pipeline_stages)
    touched: float = shared + (1.0 - shared) * (1.0 - unchosen)
    return touched


def _loop(times: StepTimes, load: Load) -> ClosedLoop:
    """What a benchmark gives, by step times."""
    cached = load.prefix_share * load.input_tokens
    return closed_loop(times, load.input_tokens, load.output_tokens, load.concurrency, cached)


def _over(whole: ClosedLoop, plain: ClosedLoop) -> ClosedLoop:
    """One as so many times the other."""
    return ClosedLoop(
        requests_per_second=whole.requests_per_second / plain.requests_per_second,
        ttft_seconds=whole.ttft_seconds / plain.ttft_seconds,
        tpot_seconds=whole.tpot_seconds / plain.tpot_seconds,
    )


def _roofline(p: Physics, work: tuple[Work, Work], times: Times, calibration: Calibration) -> Roofline:
    gpus = p.tensor * p.stages
    decode, prefill = work
    return Roofline(
        peak_operations_per_second=float((p.flops * gpus)[0]),
        reached_operations_per_second=float((p.flops * gpus * compute_efficiency(p, calibration.values))[0]),
        bandwidth_bytes_per_second=float((p.bandwidth * gpus)[0]),
        reached_bytes_per_second=float(p.weight_bytes[0])
        * times.per_token.read
        / times.whole.weights_seconds,
        decode=decode,
        prefill=prefill,
    )


def _decode(p: Physics, load: Load, times: Times) -> Work:
    """A step of all sequences in flight."""
    n, whole, each = load.concurrency, times.whole, times.per_token
    operations = float(2.0 * p.active[0] * n) * each.computed
    attended = whole.attended(load.context_tokens)
    read = float(p.weight_bytes[0] * _touched(whole, float(p.shared[0]), n) + p.kv_bytes[0] * attended * n)
    read *= each.read
    return Work(
        operations_per_byte=operations / read,
        operations_per_second=operations / whole.decode_seconds(n, load.context_tokens),
    )


def _prefill(p: Physics, load: Load, seconds: float) -> Work:
    """A prompt that reads the weights once."""
    computed = (1.0 - load.prefix_share) * load.input_tokens
    operations = float(2.0 * p.active[0] * computed)
    return Work(
        operations_per_byte=operations / float(p.weight_bytes[0]), operations_per_second=operations / seconds
    )


def _answer(
    replica: Replica, load: Load, metric: Metric, calibration: Calibration, scale: float
) -> Prediction:
    found = predictions([_case(replica, load, metric)], calibration)[0]
    times = {name: getattr(found, name) * scale for name in ("value", "low", "high")}
    return replace(found, **times)


def _case(replica: Replica, load: Load, metric: Metric) -> Case:
    """What a benchmark of such a load would measure that goes on and on."""
    return Case(
        id=str(metric),
        replica=replica,
        gpu_count=replica.tensor_parallel * replica.pipeline_parallel,
        input_tokens=load.input_tokens,
        output_tokens=load.output_tokens,
        concurrency=load.concurrency,
        requests_per_second=math.inf,
        metric=metric,
        value=None,
        gpu=replica.gpu.name,
        requests=math.inf,
    )
