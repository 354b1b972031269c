"""Speculative decoding: what drafting and verifying make of a replica's step times, per token that comes out. Pure.

A step drafts k tokens a sequence and lets the model check them at once: of k + 1 tokens that pass the model, on average
(1 - a^(k+1)) / (1 - a) are kept (Leviathan et al. 2023, Fast Inference from Transformers via Speculative Decoding, eq. 1). Verifying
computes k + 1 times as much and reads weights and KV once; each of the k drafts takes its share of a step of the model.
Reading and computing are added up over drafts and verification before the longer of the two counts, which is exact where one
of them binds throughout.
"""

from __future__ import annotations

from dataclasses import replace

from hetops.domain.configuration import Speculation
from hetops.domain.percent import percent
from hetops.domain.performance import StepTimes


def speculative(times: StepTimes, speculation: Speculation) -> StepTimes:
    """Step times per token kept, out of those of plain decoding; a prompt's prefill is left as it was."""
    kept = speculation.tokens_per_step
    drafts = speculation.draft_tokens * speculation.draft_share
    checked = speculation.draft_tokens + 1.0
    overhead = times.overhead_seconds * (1.0 + drafts) / kept
    return replace(
        times,
        weights_seconds=times.weights_seconds * (1.0 + drafts) / kept,
        expert_share=1.0 - (1.0 - times.expert_share) ** checked,
        compute_seconds_per_sequence=times.compute_seconds_per_sequence * (checked + drafts) / kept,
        kv_seconds_per_token=times.kv_seconds_per_token * (1.0 + drafts) / kept,
        overhead_seconds=overhead,
        overhead_seconds_per_sequence=times.overhead_seconds_per_sequence * (checked + drafts) / kept,
        first_token_seconds=max(0.0, times.first_token_seconds + times.overhead_seconds - overhead),
    )


def told(speculation: Speculation) -> str:
    """What a number that rests on speculation says of it."""
    return (
        f"speculative decoding as the spec tells it: {speculation.draft_tokens} tokens drafted,"
        f" {percent(speculation.acceptance)} accepted, {speculation.tokens_per_step:.2f} tokens a step"
    )
