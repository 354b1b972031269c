"""Performance: step times of a replica, and the rates that it sustains per class within the targets."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import ClassVar

from hetops.domain.added import ADDED


class EvidenceLayer(StrEnum):
    """Where a number comes from, strongest first."""

    MEASURED = "measured"
    """The user's own benchmark of this configuration."""
    SHIPPED = "shipped"
    """A published measurement carried in the catalogue."""
    ESTIMATOR = "estimator"
    """A plugin's estimator that the spec names."""
    CALIBRATED = "calibrated"
    """The closed form with coefficients fitted on this GPU family and engine."""
    PRIOR = "prior"
    """The closed form with coefficients of another family."""
    GIVEN = "given"
    """Written by hand into an explicit problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a number rests on: the layer, the source, and how far it may be off.

    A margin is the share that, taken off, leads to the lower end of an 80 % interval, 0 to 1; the upper end is the number
    over what is left of one. `margin` is the rate's, and is taken off when planning.
    """

    layer: EvidenceLayer
    source: str
    margin: float = 0.0
    ttft_margin: float = field(default=0.0, metadata=ADDED)
    tpot_margin: float = field(default=0.0, metadata=ADDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCurve:
    """Seconds that a decode step takes with so many sequences: a line between two that were measured, which goes on beyond
    the last, and what the fewest took below them.

    Raises:
        ValueError: not as many seconds as sequences, or either falls.
    """

    sequences: tuple[float, ...]
    seconds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.sequences or len(self.sequences) != len(self.seconds) or min(self.seconds) < 0:
            raise ValueError(
                f"a step curve has seconds for each of its {len(self.sequences)} numbers of sequences"
            )
        if any(b <= a for a, b in pairwise(self.sequences)) or any(b < a for a, b in pairwise(self.seconds)):
            raise ValueError("a step curve rises: more sequences take no less time")

    @property
    def bends(self) -> tuple[float, ...]:
        """By how much the seconds per sequence rise at each of the numbers; from the last on they stay."""
        points = zip(pairwise(self.sequences), pairwise(self.seconds), strict=True)
        slopes = [0.0, *((t - s) / (b - a) for (a, b), (s, t) in points)]
        return (*(b - a for a, b in pairwise(slopes)), 0.0)

    def at(self, sequences: float) -> float:
        """Seconds with so many."""
        risen = (b * max(sequences - a, 0.0) for a, b in zip(self.sequences, self.bends, strict=True))
        return self.seconds[0] + sum(risen)

    def scaled(self, factor: float) -> StepCurve:
        """Steps that take so many times as long."""
        return replace(self, seconds=tuple(one * factor for one in self.seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """How long an engine's steps take in one configuration: all that the emulated engine and the closed form need.

    With B sequences of `context` tokens each in a decode step, seconds = weights | compute * B + kv * context * B
    + overhead + overhead_per_sequence * B + curve at B. Of the weights, a step reads the shared part and those experts that B tokens
    choose. `a | b` is (a^s + b^s)^(1/s) with the sharpness s, the larger of both where there is none.
    Prefill of n tokens: prefill_per_token * n + prefill_per_token_squared * n * n + overhead.
    Source: the closed form of the performance model, or a benchmark; all times are of one whole replica.
    """

    weights_seconds: float
    """Reading all weights once."""
    shared_weights: float = 1.0
    """Share of the weights that every token passes; 1 for dense models."""
    expert_share: float = 1.0
    """Chance that a token passes a given expert."""
    sharpness: float | None = None
    compute_seconds_per_sequence: float
    kv_seconds_per_token: float
    overhead_seconds: float
    overhead_seconds_per_sequence: float = 0.0
    prefill_seconds_per_token: float
    prefill_seconds_per_token_squared: float = 0.0
    first_token_seconds: float = 0.0
    """What a request takes until its first token besides its prefill and a step."""
    first_token_factor: float = 1.0
    """How many times its own prefill that prefill takes beside others' work."""
    kv_capacity_tokens: int
    """Tokens of all running sequences together that the KV cache holds."""
    max_sequences: int
    prefill_interference: float = 1.0
    """Share of a prompt's prefill time by which running sequences are held up (chunked prefill hides the rest)."""
    pipeline_stages: int = 1
    curve: StepCurve | None = field(default=None, metadata=ADDED)
    """What a step takes besides, as measured at some numbers of sequences; none in the closed form."""
    window_tokens: float = field(default=0.0, metadata=ADDED)
    """Newest tokens that windowed layers attend to, or tokens that sparse attention chooses."""
    window_share: float = field(default=0.0, metadata=ADDED)
    """Share of a token's KV that is read of those alone: that of windowed layers."""
    prompt_window_share: float | None = field(default=None, metadata=ADDED)
    """Share of a prompt's attention that is computed with those alone; none told is as of the KV."""
    forgotten_share: float = field(default=0.0, metadata=ADDED)
    """Share of the KV that the engine does not keep beyond that window."""
    state_tokens: float = field(default=0.0, metadata=ADDED)
    """A sequence's state of constant size, in tokens that all layers keep (linear attention, Mamba)."""
    attention_groups: int = field(default=1, metadata=ADDED)
    """Parts of the replica that attend to requests of their own, each with its part of the KV cache: of n requests the fullest of g has
    (n + g - 1) / g, and the others wait for it."""
    apart_share: float = field(default=0.0, metadata=ADDED)
    """Share of `prefill_seconds_per_token` that one of these computes of a prompt, the others of other prompts, if there are any."""

    @property
    def longest(self) -> int:
        """Most tokens that one sequence may have in the KV cache."""
        room = self.kv_capacity_tokens // self.attention_groups - math.ceil(self.state_tokens)
        beyond = room - self.window_tokens
        if beyond <= 0 or not self.forgotten_share:
            return max(room, 0)
        return int(self.window_tokens + beyond / max(1.0 - self.forgotten_share, 1e-6)) - 1

    def kept(self, tokens: float) -> float:
        """What the KV cache holds of a sequence of so many tokens, in tokens that all layers keep."""
        return self.state_tokens + tokens - self.forgotten_share * max(tokens - self.window_tokens, 0.0)

    def attended(self, tokens: float) -> float:
        """The KV of how many of so many tokens the next one reads, by the mean of all bytes."""
        return tokens - self.window_share * max(tokens - self.window_tokens, 0.0)

    def squares(self, tokens: float) -> float:
        """Twice the pairs of tokens that attend to each other in a prompt, by the mean of all that is computed of a pair."""
        return tokens * tokens - self.within_prompts * max(tokens - self.window_tokens, 0.0) ** 2

    @property
    def within_prompts(self) -> float:
        """Share of a prompt's attention that is computed within the window alone."""
        return self.window_share if self.prompt_window_share is None else self.prompt_window_share

    def decode_seconds(self, sequences: float, context_tokens: float) -> float:
        """One decode step of `sequences` sequences that hold `context_tokens` each on average."""
        n = self.paced(sequences)
        experts: float = (1.0 - self.shared_weights) * (
            1.0 - (1.0 - self.expert_share) ** (n / self.pipeline_stages)
        )
        read = self.weights_seconds * (self.shared_weights + experts)
        done = self.compute_seconds_per_sequence * n
        s = self.sharpness
        both: float = max(read, done) if s is None else (read**s + done**s) ** (1.0 / s)
        return (
            both
            + self.kv_seconds_per_token * self.attended(context_tokens) * self.read_for(sequences)
            + self.overhead_seconds
            + self.overhead_seconds_per_sequence * n
            + (self.curve.at(sequences) if self.curve else 0.0)
        )

    def paced(self, sequences: float) -> float:
        """Sequences as which a step takes its time: fewer than stages go through all of these one by one, and the others idle."""
        return max(sequences, float(self.pipeline_stages))

    def read_for(self, sequences: float) -> float:
        """Sequences whose KV takes as long to read, if all parts of the replica shared it, as that of the fullest part."""
        return self.paced(sequences) + (self.attention_groups - 1) * self.pipeline_stages

    def prefill_seconds(self, tokens: float, cached_tokens: float = 0.0, together: float = 1.0) -> float:
        """Prefill of one prompt of `tokens` tokens on an idle replica that has the KV of so many of them already: the others
        still attend to these. Of prompts that go `together` over the parts of a replica each takes so long of it."""
        squares = self.squares(tokens) - self.squares(cached_tokens)
        return (
            self.prefill_seconds_per_token * (tokens - cached_tokens)
            + self.prefill_seconds_per_token_squared * squares
            + self.waiting_seconds(tokens, cached_tokens, together)
            + self.overhead_seconds
        )

    def waiting_seconds(self, tokens: float, cached_tokens: float, together: float) -> float:
        """What each of so many prompts costs the parts of the replica that wait for the fullest of them."""
        if self.attention_groups == 1:
            return 0.0
        squares = self.squares(tokens) - self.squares(cached_tokens)
        linear = self.apart_share * self.prefill_seconds_per_token * (tokens - cached_tokens)
        attention = linear + self.prefill_seconds_per_token_squared * squares
        return (self.attention_groups - 1) / together * attention

    def first_token_delay(self, tokens: float) -> float:
        """What a prompt's first token takes beyond its prefill, whatever else the replica does."""
        return self.first_token_seconds + (self.first_token_factor - 1.0) * self.prefill_seconds(tokens)


class Binding(StrEnum):
    """What keeps a rate from being larger."""

    TPOT = "tpot"
    TTFT = "ttft"
    KV_MEMORY = "kv_memory"
    SEQUENCES = "sequences"
    LINK = "link"
    COMPUTE = "compute"
    MEASURED = "measured"
    GIVEN = "given"


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceRow:
    """What one replica of a configuration does for one class, alone, within its targets.

    `requests_per_second` is the largest rate (0 where the targets cannot be met at all) with its 80 % interval;
    latencies are those at that rate, at the percentiles of the class's target.
    """

    configuration: str
    """`Configuration.id`"""
    workload_class: str
    requests_per_second: float
    requests_per_second_low: float
    requests_per_second_high: float
    ttft_seconds: float
    tpot_seconds: float
    concurrency: float
    binding: Binding
    evidence: Evidence
    reason: str = ""
    """Why the rate is zero, with the numbers."""
    round_trip_seconds: float = field(default=0.0, metadata=ADDED)
    """Between where the requests come from and here: so much is taken off the target's TTFT, and is not in that above."""

    def __post_init__(self) -> None:
        low, at, high = self.requests_per_second_low, self.requests_per_second, self.requests_per_second_high
        if not 0 <= low <= at <= high:
            raise ValueError(
                f"performance of {self.configuration} on {self.workload_class}: 0 <= {low} <= {at} <= {high} fails"
            )

    @property
    def planned_requests_per_second(self) -> float:
        """The rate that a plan may count on: less the evidence's margin, never above the estimate."""
        return self.requests_per_second * (1.0 - self.evidence.margin)


_MANY_FAILED = 0.1


def many_failed(failed: int, sent: int) -> bool:
    """Whether so many of the requests of a benchmark failed that the others tell nothing of the load that was meant: fewer were in flight."""
    return failed > _MANY_FAILED * sent


_LEAST, _MOST = 1e-12, 1e12
"""Figures of a measurement lie between these, in every unit of theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One benchmark result of a configuration and class, written or imported by `hetops bench`: the top layer of evidence.

    Percentiles go from the median as far as they are known; a file of another tool may tell fewer.

    Raises:
        ValueError: a figure that is none: not above zero, or no number.
    """

    FORMAT: ClassVar[str] = "hetops.measurement"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    configuration: str
    offer_sku: str
    host: str
    """What the measurement is valid for: for the local provider a fingerprint of the machine, else the GPU type."""
    input_tokens: float
    output_tokens: float
    concurrency: int
    requests: int
    requests_per_second: float
    ttft_seconds: tuple[float, ...]
    """p50, p90, p95, p99"""
    tpot_seconds: tuple[float, ...]
    """p50, p90, p95, p99"""
    measured_at: str
    engine_version: str = ""

    def __post_init__(self) -> None:
        told = {
            "input_tokens": (self.input_tokens,),
            "output_tokens": (self.output_tokens,),
            "concurrency": (self.concurrency,),
            "requests": (self.requests,),
            "requests_per_second": (self.requests_per_second,),
            "ttft_seconds": self.ttft_seconds or (math.nan,),
            "tpot_seconds": self.tpot_seconds,
        }
        for name, values in told.items():
            if not all(_LEAST <= value <= _MOST for value in values):
                raise ValueError(f"{name} of a measurement is above zero and a number, not {values}")
