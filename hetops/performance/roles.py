"""Prefill and decode on replicas of their own, with the KV cache handed over: rates of each, and what a request waits. Pure.

A replica that prefills does nothing but prompts, one after the other; one that decodes is never held up by any. In between the
KV of the prompt goes over the link once. None of that is hidden behind the prefill: engines that send layer by layer do better,
so TTFT is at its upper end.
"""

from __future__ import annotations

from dataclasses import dataclass

from hetops.domain.performance import StepTimes


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
