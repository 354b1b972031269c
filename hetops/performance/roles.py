"""Prefill and decode on replicas of their own, with the KV cache handed over: rates of each, and what a request waits. Pure.

A replica that prefills does nothing but prompts, one after the other; one that decodes is never held up by any. In between the
KV of the prompt goes over the link once. None of that is hidden behind the prefill: engines that send layer by layer do better,
so TTFT is at its upper end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hetops.domain.configuration import Role
from hetops.domain.model import Model, Precision
from hetops.domain.performance import StepTimes
from hetops.domain.units import BYTES_PER_GB
from hetops.domain.workload import TokenLengths, WorkloadClass
from hetops.performance.memory import kv_bytes

NO_TIME = 1e-9
"""Seconds of a target of which nothing is left."""
_ONE_TOKEN = TokenLengths.fixed(1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Requests of one kind, and the bytes of KV that a token of theirs takes in a whole replica."""

    input_tokens: float
    output_tokens: float
    cached_tokens: float = 0.0
    kv_bytes_per_token: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """What a pair of replicas does of one kind of requests, each with its own work alone."""

    transfer_seconds: float
    """Of one prompt's KV over the link."""
    prefill_requests_per_second: float
    """Of one replica that prefills."""
    decode_requests_per_second: float
    """Of one replica that decodes, with as many sequences as it was asked about."""
    link_requests_per_second: float
    """Whose KV fits over the link."""
    prefill_per_decode: float
    """Replicas that prefill for each that decodes, for neither to wait."""
    ttft_seconds: float
    """Of a request that meets no other prompt."""
    tpot_seconds: float


def apart(
    prefill: StepTimes,
    decode: StepTimes,
    requests: Requests,
    concurrency: float,
    link_bytes_per_second: float,
) -> Apart:
    """The pair under a load: `concurrency` sequences on the replica that decodes."""
    prompt = prefill.prefill_seconds(requests.input_tokens, requests.cached_tokens)
    context = requests.input_tokens + requests.output_tokens / 2.0
    step = decode.decode_seconds(concurrency, context)
    transfer = requests.input_tokens * requests.kv_bytes_per_token / link_bytes_per_second
    prefills, decodes = prefill.pipeline_stages / prompt, concurrency / (requests.output_tokens * step)
    return Apart(
        transfer_seconds=transfer,
        prefill_requests_per_second=prefills,
        decode_requests_per_second=decodes,
        link_requests_per_second=1.0 / transfer,
        prefill_per_decode=decodes / prefills,
        ttft_seconds=prompt + prefill.first_token_seconds + transfer + step,
        tpot_seconds=step,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What KV caches of a model are, and how fast a replica sends or takes them."""

    kv_bytes_per_token: float
    state_bytes: float = 0.0
    """Of a sequence, however long it is."""
    gb_per_second: float

    @classmethod
    def of(cls, model: Model, kv: Precision | None, gb_per_second: float) -> Transfer:
        """Of a model whose KV cache has this precision; None is 16 bit."""
        each = kv_bytes(model, kv or Precision.BF16)
        return cls(kv_bytes_per_token=each, state_bytes=model.state_bytes, gb_per_second=gb_per_second)

    def seconds(self, tokens: float) -> float:
        """Of a prompt of so many tokens, all of it."""
        return (self.kv_bytes_per_token * tokens + self.state_bytes) / (self.gb_per_second * BYTES_PER_GB)

    @property
    def seconds_per_token(self) -> float:
        """Of each token of a prompt."""
        return self.kv_bytes_per_token / (self.gb_per_second * BYTES_PER_GB)

    def requests_per_second(self, tokens: float) -> float:
        """Prompts of so many tokens that a replica can send, or take."""
        seconds = self.seconds(tokens)
        return 1.0 / seconds if seconds else math.inf


def role_times(times: StepTimes, role: Role) -> StepTimes:
    """Step times of a replica that does this part of requests alone; the other part takes it no time."""
    if role is Role.PREFILL:
        return replace(
            times,
            weights_seconds=0.0,
            compute_seconds_per_sequence=0.0,
            kv_seconds_per_token=0.0,
            overhead_seconds_per_sequence=0.0,
            curve=None,
        )
    if role is Role.DECODE:
        return replace(
            times,
            prefill_seconds_per_token=0.0,
            prefill_seconds_per_token_squared=0.0,
            first_token_seconds=0.0,
            first_token_factor=1.0,
            prefill_interference=0.0,
        )
    return times


def highest_input(c: WorkloadClass) -> float:
    """Tokens of the prompt that a class's target of TTFT is held with."""
    return max(c.input_tokens.percentile(c.target.ttft_percentile), c.input_tokens.mean)


def part_of(c: WorkloadClass, role: Role, transfer: Transfer | None) -> WorkloadClass:
    """A class as a replica of this role sees it: its part of the tokens, and of the time to the first token.

    The KV cache of a prompt at the target's percentile takes its time on the way. Of what is left decoding has two TPOT, for the step
    that is on when the request comes and for its own first one, and half at most; the rest is for the prompt.
    """
    if role is Role.MIXED or transfer is None:
        return c
    first, step = _times_to_first_token(c, transfer)
    if role is Role.DECODE:
        return replace(c, target=replace(c.target, ttft_seconds=step), prefix_share=0.0)
    own = replace(c.target, ttft_seconds=first, tpot_seconds=None)
    return replace(c, target=own, output_tokens=_ONE_TOKEN)


def _times_to_first_token(c: WorkloadClass, transfer: Transfer) -> tuple[float | None, float | None]:
    """What of a class's target is for the prompt, and what for the first step; nothing where it has none."""
    target = c.target
    if target.ttft_seconds is None:
        return None, None
    left = max(target.ttft_seconds - transfer.seconds(highest_input(c)), NO_TIME)
    step = min(target.tpot_seconds or math.inf, left / 4.0)
    return left - 2.0 * step, step
