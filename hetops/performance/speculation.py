"""Speculative decoding: what drafting and verifying make of a replica's step times, per token that comes out. Pure.

A step drafts k tokens a sequence and lets the model check them at once: of k + 1 tokens that pass the model, on average
(1 - a^(k+1)) / (1 - a) are kept (Leviathan et al. 2023, Fast Inference from Transformers via Speculative Decoding, eq. 1). Verifying
computes k + 1 times as much and reads weights and KV once; each of the k drafts takes its share of a step of the model.
Reading and computing are added up over drafts and verification before the longer of the two counts, which is exact where one
of them binds throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hetops.domain.configuration import Speculation
from hetops.domain.percent import percent
from hetops.domain.performance import StepTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class PerToken:
    """What a token that is kept takes, in parts of what one of plain decoding does."""

    read: float = 1.0
    """Of reading weights and KV."""
    computed: float = 1.0


PLAIN = PerToken()


def per_token(speculation: Speculation) -> PerToken:
    """Of so many drafted that are checked at once."""
    drafts = speculation.draft_tokens * speculation.draft_share
    kept, checked = speculation.tokens_per_step, speculation.draft_tokens + 1.0
    return PerToken(read=(1.0 + drafts) / kept, computed=(checked + drafts) / kept)


def speculative(times: StepTimes, speculation: Speculation) -> StepTimes:
    """Step times per token kept, out of those of plain decoding; a prompt's prefill is left as it was."""
    each = per_token(speculation)
    overhead = times.overhead_seconds * each.read
    return replace(
        times,
        weights_seconds=times.weights_seconds * each.read,
        expert_share=1.0 - (1.0 - times.expert_share) ** (speculation.draft_tokens + 1.0),
        compute_seconds_per_sequence=times.compute_seconds_per_sequence * each.computed,
        kv_seconds_per_token=times.kv_seconds_per_token * each.read,
        overhead_seconds=overhead,
        overhead_seconds_per_sequence=times.overhead_seconds_per_sequence * each.computed,
        first_token_seconds=max(0.0, times.first_token_seconds + times.overhead_seconds - overhead),
    )


def told(speculation: Speculation) -> str:
    """What a number that rests on speculation says of it."""
    return (
        f"speculative decoding as the spec tells it: {speculation.draft_tokens} tokens drafted,"
        f" {percent(speculation.acceptance)} accepted, {speculation.tokens_per_step:.2f} tokens a step"
    )
