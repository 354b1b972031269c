"""Parts of requests: what a replica takes that prefills, or decodes, alone, and what is left of a class's targets for each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hetops.catalog import tables
from hetops.domain.configuration import Role
from hetops.domain.model import Precision
from hetops.domain.performance import StepTimes
from hetops.domain.workload import LatencyTarget, TokenLengths, WorkloadClass
from hetops.performance.rate import sustained
from hetops.performance.roles import Requests, Transfer, apart, part_of, role_times

TIMES = StepTimes(
    weights_seconds=0.01,
    compute_seconds_per_sequence=1e-4,
    kv_seconds_per_token=1e-8,
    overhead_seconds=1e-5,
    prefill_seconds_per_token=1e-4,
    kv_capacity_tokens=400_000,
    max_sequences=64,
    prefill_interference=0.65,
)
LONG = WorkloadClass(
    name="long",
    requests_per_second=1.0,
    input_tokens=TokenLengths.fixed(2000.0),
    output_tokens=TokenLengths.fixed(100.0),
    target=LatencyTarget(ttft_seconds=1.0, tpot_seconds=0.05),
)
LINK = Transfer(kv_bytes_per_token=1e5, gb_per_second=2.0)
"""A tenth of a second for 2,000 tokens."""


def rate(role: Role, c: WorkloadClass = LONG) -> float:
    (found,) = sustained([role_times(TIMES, role)], part_of(c, role, LINK), [4096])
    return found.requests_per_second


def test_a_prompt_takes_the_way_and_leaves_decode_two_tokens_of_time() -> None:
    assert LINK.seconds(2000.0) == pytest.approx(0.1)
    prompt, answer = part_of(LONG, Role.PREFILL, LINK), part_of(LONG, Role.DECODE, LINK)
    assert prompt.target.ttft_seconds == pytest.approx(1.0 - 0.1 - 2 * 0.05)
    assert (answer.target.ttft_seconds, answer.target.tpot_seconds) == (0.05, 0.05)
    assert (prompt.target.tpot_seconds, prompt.output_tokens.mean) == (None, 1.0)
    assert part_of(LONG, Role.MIXED, LINK) is LONG


def test_decode_gets_no_more_than_half_of_what_the_way_leaves() -> None:
    hasty = replace(LONG, target=LatencyTarget(ttft_seconds=0.5, tpot_seconds=2.0))
    assert part_of(hasty, Role.DECODE, LINK).target.ttft_seconds == pytest.approx(0.1)
    assert part_of(hasty, Role.PREFILL, LINK).target.ttft_seconds == pytest.approx(0.2)
    free = replace(LONG, target=LatencyTarget(tpot_seconds=0.05))
    assert part_of(free, Role.PREFILL, LINK).target.ttft_seconds is None


def test_where_the_way_takes_all_of_the_target_neither_part_has_a_rate() -> None:
    slow = replace(LINK, gb_per_second=0.1)
    for role in (Role.PREFILL, Role.DECODE):
        (found,) = sustained([role_times(TIMES, role)], part_of(LONG, role, slow), [4096])
        assert found.requests_per_second == 0.0
        assert found.reason


def test_without_targets_each_part_is_as_fast_as_the_closed_form_of_the_pair() -> None:
    """A prompt takes 0.2 s: 5 a second, less the 2 % that a queue keeps; and decoding as with every place taken."""
    free = replace(LONG, target=LatencyTarget())
    pair = apart(
        TIMES,
        TIMES,
        Requests(input_tokens=2000.0, output_tokens=100.0, kv_bytes_per_token=1e5),
        concurrency=64,
        link_bytes_per_second=2e9,
    )
    assert rate(Role.PREFILL, free) == pytest.approx(0.98 * pair.prefill_requests_per_second, rel=2e-3)
    assert rate(Role.DECODE, free) == pytest.approx(0.98 * pair.decode_requests_per_second, rel=2e-3)


def test_a_replica_that_decodes_alone_is_held_up_by_nobody() -> None:
    """Whole requests stall one another: TPOT of 20 ms leaves few of them, and each takes its prompt's time too."""
    tight = replace(LONG, target=LatencyTarget(ttft_seconds=1.0, tpot_seconds=0.02))
    assert rate(Role.DECODE, tight) > 3 * rate(Role.MIXED, tight)
    assert rate(Role.PREFILL, tight) > rate(Role.MIXED, tight)


@pytest.mark.parametrize(("kv", "each"), [(None, 8.0), (Precision.BF16, 8.0), (Precision.FP8, 4.0)])
def test_kv_caches_of_eight_bits_are_half_as_large(kv: Precision | None, each: float) -> None:
    model = replace(tables.load((), (), ()).model("llama-3.1-8b"), kv_bytes_per_token_16bit=8.0)
    assert Transfer.of(model, kv, 1.0).kv_bytes_per_token == each
