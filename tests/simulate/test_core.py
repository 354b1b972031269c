"""The emulated engine's core: nothing is lost, nothing is given twice, memory and slots hold, equal calls agree."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hetops.domain.performance import StepTimes
from hetops.simulate.core import EngineCore
from hetops.simulate.engine import Event, EventKind, Generation

TIMES = StepTimes(
    weights_seconds=0.010,
    compute_seconds_per_sequence=0.0005,
    kv_seconds_per_token=1e-7,
    overhead_seconds=0.002,
    prefill_seconds_per_token=0.0001,
    kv_capacity_tokens=10_000,
    max_sequences=4,
)
TERMS = settings(max_examples=150, deadline=None, derandomize=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request and when it comes."""

    at: float
    generation: Generation


@st.composite
def step_times(draw: st.DrawFn) -> StepTimes:
    """Engines small enough that memory and slots run out; figures without a common measure, so that no two things
    happen at one instant by accident of rounding."""
    return StepTimes(
        weights_seconds=draw(st.sampled_from([0.00073, 0.0117])),
        shared_weights=draw(st.sampled_from([1.0, 0.371])),
        expert_share=draw(st.sampled_from([1.0, 0.113])),
        sharpness=draw(st.sampled_from([None, 3.7])),
        compute_seconds_per_sequence=draw(st.sampled_from([0.0, 0.00337])),
        kv_seconds_per_token=draw(st.sampled_from([0.0, 1.0103e-5])),
        overhead_seconds=0.0020309,
        prefill_seconds_per_token=draw(st.sampled_from([1.0711e-6, 1.0337e-4])),
        prefill_seconds_per_token_squared=draw(st.sampled_from([0.0, 1.0909e-7])),
        first_token_seconds=draw(st.sampled_from([0.0, 0.00131])),
        first_token_factor=draw(st.sampled_from([1.0, 1.3717])),
        kv_capacity_tokens=draw(st.integers(40, 200)),
        max_sequences=draw(st.integers(1, 5)),
        prefill_interference=draw(st.sampled_from([0.0, 0.3109, 1.0])),
        pipeline_stages=draw(st.sampled_from([1, 2, 4])),
        window_tokens=draw(st.sampled_from([0.0, 7.0])),
        window_share=draw(st.sampled_from([0.0, 0.5])),
        prompt_window_share=draw(st.sampled_from([None, 0.0, 0.9])),
        forgotten_share=draw(st.sampled_from([0.0, 0.1, 0.5])),
    )


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    """Requests in the order in which they come; each fits into the smallest engine."""
    gaps = draw(st.lists(st.sampled_from([0.0, 0.0010607, 0.0100151, 0.2]), min_size=1, max_size=12))
    at, found = 0.0, []
    for number, gap in enumerate(gaps):
        at += gap
        generation = Generation(
            id=number,
            input_tokens=draw(st.integers(1, 20)),
            output_tokens=draw(st.integers(1, 20)),
            every_token=draw(st.booleans()),
        )
        found.append(Arrival(at=at, generation=generation))
    return found


def play(times: StepTimes, coming: list[Arrival], *, budget: int = 16) -> list[Event]:
    """Every event, from the first request until the engine is idle; limits are held to on the way."""
    core = EngineCore(times, prefill_tokens_per_step=budget)
    events: list[Event] = []
    for arrival in coming:
        events += until(core, arrival.at, times)
        core.submit(arrival.generation, arrival.at)
    events += until(core, None, times)
    assert (core.running, core.waiting) == (0, 0)
    assert core.kv_usage == pytest.approx(0.0, abs=1e-9)
    return events


def until(core: EngineCore, end: float | None, times: StepTimes) -> list[Event]:
    """Events up to a time, or until the engine is idle, looked at whenever something happens."""
    events: list[Event] = []
    while (at := core.next_event_at()) is not None and (end is None or at <= end):
        events += core.advance(at)
        assert core.kv_usage <= 1.0 + 1e-9
        assert core.running <= times.max_sequences
    return events if end is None else events + core.advance(end)


def of(events: list[Event], kind: EventKind) -> dict[int, list[Event]]:
    """Events of a kind, by request."""
    found: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        if event.kind is kind:
            found[event.request].append(event)
    return found


@TERMS
@given(step_times(), arrivals())
def test_every_request_gets_its_tokens_once_and_in_order(times: StepTimes, coming: list[Arrival]) -> None:
    events = play(times, coming)
    first, token, done = (of(events, k) for k in (EventKind.FIRST_TOKEN, EventKind.TOKEN, EventKind.FINISHED))
    for arrival in coming:
        asked = arrival.generation
        (opening,), (closing,) = first[asked.id], done[asked.id]
        assert arrival.at <= opening.at <= closing.at
        assert (opening.tokens, closing.tokens) == (1, asked.output_tokens)
        counts = [e.tokens for e in token[asked.id]]
        assert counts == (list(range(2, asked.output_tokens + 1)) if asked.every_token else [])


@TERMS
@given(step_times(), arrivals())
def test_time_never_goes_back(times: StepTimes, coming: list[Arrival]) -> None:
    at = [event.at for event in play(times, coming)]
    assert at == sorted(at)


@TERMS
@given(step_times(), arrivals())
def test_equal_calls_give_equal_answers(times: StepTimes, coming: list[Arrival]) -> None:
    assert play(times, coming) == play(times, coming)


@TERMS
@given(step_times(), arrivals(), st.floats(0.0005, 0.02))
def test_how_often_the_engine_is_looked_at_changes_nothing(
    times: StepTimes, coming: list[Arrival], tick: float
) -> None:
    often = EngineCore(times, prefill_tokens_per_step=16)
    events: list[Event] = []
    now = 0.0
    for arrival in coming:
        while now + tick < arrival.at:
            now += tick
            events += often.advance(now)
        now = arrival.at
        often.submit(arrival.generation, now)
    while often.next_event_at() is not None:
        now += tick
        events += often.advance(now)
    told = [(e.kind, e.request, e.tokens, round(e.at, 9)) for e in play(times, coming)]
    assert [(e.kind, e.request, e.tokens, round(e.at, 9)) for e in events] == told


@TERMS
@given(step_times(), arrivals())
@example(replace(TIMES, kv_capacity_tokens=41, prefill_interference=0.0),
         [Arrival(at=0.0, generation=Generation(id=i, input_tokens=20, output_tokens=20)) for i in range(3)])  # fmt: skip
def test_to_be_watched_changes_no_time(times: StepTimes, coming: list[Arrival]) -> None:
    def seen(every_token: bool) -> dict[int, float]:
        watched = [replace(a, generation=replace(a.generation, every_token=every_token)) for a in coming]
        return {number: found[0].at for number, found in of(play(times, watched), EventKind.FINISHED).items()}

    assert seen(True) == pytest.approx(seen(False), rel=1e-9)


@TERMS
@given(step_times(), arrivals(), st.integers(0, 11), st.floats(0.0, 0.4))
def test_an_abort_gives_back_all_that_the_request_held(
    times: StepTimes, coming: list[Arrival], victim: int, after: float
) -> None:
    core = EngineCore(times, prefill_tokens_per_step=16)
    events: list[Event] = []
    for arrival in coming:
        events += until(core, arrival.at, times)
        core.submit(arrival.generation, arrival.at)
    end = coming[-1].at + after
    events += until(core, end, times)
    gone = victim % len(coming)
    core.abort(gone, end)
    later = until(core, None, times)
    assert (core.running, core.waiting) == (0, 0)
    assert core.kv_usage == pytest.approx(0.0, abs=1e-9)
    assert gone not in {e.request for e in later}
    finished = set(of(events + later, EventKind.FINISHED))
    assert finished >= {a.generation.id for a in coming} - {gone}


def one(input_tokens: int, output_tokens: int, number: int = 0, **fields: bool) -> Generation:
    return Generation(id=number, input_tokens=input_tokens, output_tokens=output_tokens, **fields)


@pytest.mark.parametrize("squared", [0.0, 1e-8])
def test_an_idle_engine_answers_as_the_closed_form_says(squared: float) -> None:
    times = replace(TIMES, prefill_seconds_per_token_squared=squared)
    core = EngineCore(times, prefill_tokens_per_step=2048)
    core.submit(one(1000, 200), 5.0)
    first, done = core.advance(100.0)
    ttft = times.prefill_seconds(1000)
    assert first.at - 5.0 == pytest.approx(ttft)
    decoding = sum(times.decode_seconds(1, 1000 + k) for k in range(199))
    assert done.at - 5.0 == pytest.approx(ttft + decoding)


def test_equal_requests_share_the_weights_of_each_step() -> None:
    core = EngineCore(TIMES, prefill_tokens_per_step=2048)
    for number in range(4):
        core.submit(one(100, 50, number), 0.0)
    done = [e.at for e in core.advance(100.0) if e.kind is EventKind.FINISHED]
    decoding = sum(TIMES.decode_seconds(4, 100 + k) for k in range(49))
    # The first prompt starts at once, the three that came in the same instant ride on the next step together.
    assert max(done) < 4 * decoding
    assert max(done) > decoding


def test_stages_shorten_the_step_and_not_the_first_token() -> None:
    ttft = {}
    for stages in (1, 4):
        core = EngineCore(replace(TIMES, pipeline_stages=stages), prefill_tokens_per_step=2048)
        core.submit(one(1000, 1), 0.0)
        ttft[stages] = core.advance(10.0)[0].at
    assert ttft[1] <= ttft[4] <= ttft[1] + TIMES.overhead_seconds


def test_a_long_prompt_comes_in_chunks_and_never_stops_who_decodes() -> None:
    core = EngineCore(replace(TIMES, kv_seconds_per_token=0.0), prefill_tokens_per_step=256)
    core.submit(one(100, 200, 0, every_token=True), 0.0)
    core.advance(0.5)
    core.submit(one(4000, 1, 1), 0.5)
    events = core.advance(60.0)
    at = [e.at for e in events if e.request == 0]
    whole_prompt = TIMES.prefill_seconds(4000)
    gap = max(later - earlier for earlier, later in itertools.pairwise(at))
    assert gap == pytest.approx(TIMES.decode_seconds(1, 0) + 255 * TIMES.prefill_seconds_per_token)
    assert gap < whole_prompt / 5
    (first,) = of(events, EventKind.FIRST_TOKEN)[1]
    chunks = -(-4000 // 255)
    assert first.at - 0.5 == pytest.approx(
        4000 * TIMES.prefill_seconds_per_token + chunks * TIMES.decode_seconds(1, 0), abs=0.02
    )


def test_what_overlaps_with_decoding_is_no_faster_than_an_idle_engine() -> None:
    hiding = replace(TIMES, prefill_interference=0.2)
    core = EngineCore(hiding, prefill_tokens_per_step=2048)
    core.submit(one(100, 2000, 0), 0.0)
    core.advance(1.0)
    core.submit(one(4000, 1, 1), 1.0)
    (first,) = of(core.advance(60.0), EventKind.FIRST_TOKEN)[1]
    assert first.at - 1.0 >= 4000 * hiding.prefill_seconds_per_token


def test_the_newest_is_preempted_and_finishes_all_the_same() -> None:
    core = EngineCore(replace(TIMES, kv_capacity_tokens=100))
    core.submit(one(30, 60, 0), 0.0)
    core.submit(one(30, 60, 1), 0.0)
    events = core.advance(60.0)
    assert {e.request for e in events if e.kind is EventKind.PREEMPTED} == {1}
    assert core.preemptions == len(of(events, EventKind.PREEMPTED)[1]) > 0
    done = of(events, EventKind.FINISHED)
    assert done[0][0].at < done[1][0].at
    assert len(of(events, EventKind.FIRST_TOKEN)[1]) == 1


def test_slots_are_given_in_the_order_of_arrival() -> None:
    core = EngineCore(replace(TIMES, max_sequences=1))
    for number in range(5):
        core.submit(one(10, 5, number), 0.0)
    assert (core.running, core.waiting) == (1, 4)
    done = [e.request for e in core.advance(60.0) if e.kind is EventKind.FINISHED]
    assert done == [0, 1, 2, 3, 4]


def test_a_slot_that_is_freed_goes_to_who_waits() -> None:
    core = EngineCore(replace(TIMES, max_sequences=1))
    core.submit(one(10, 5000, 0), 0.0)
    core.submit(one(10, 1, 1), 0.0)
    core.advance(1.0)
    core.abort(0, 1.0)
    events = core.advance(2.0)
    assert [(e.request, e.kind) for e in events] == [(1, EventKind.FIRST_TOKEN), (1, EventKind.FINISHED)]


def test_the_cost_of_a_long_answer_is_that_of_a_short_one() -> None:
    core = EngineCore(replace(TIMES, kv_capacity_tokens=50_000_000))
    core.submit(one(10, 40_000_000), 0.0)
    looks = 0
    while (at := core.next_event_at()) is not None:
        core.advance(at)
        looks += 1
    assert looks < 10


def test_what_cannot_be_is_refused() -> None:
    core = EngineCore(TIMES)
    core.submit(one(10, 10), 1.0)
    with pytest.raises(ValueError, match="is in the engine already"):
        core.submit(one(10, 10), 1.0)
    with pytest.raises(ValueError, match="more than the KV cache of 10000 tokens"):
        core.submit(one(9_999, 2, 1), 1.0)
    with pytest.raises(ValueError, match=r"time 0.5 is before 1"):
        core.advance(0.5)
    with pytest.raises(ValueError, match="at least 1"):
        one(0, 1)
    core.abort(77, 1.0)


def test_what_the_cache_holds_of_a_prompt_is_not_prefilled_again() -> None:
    times = replace(TIMES, prefill_seconds_per_token_squared=1e-8, pipeline_stages=2, first_token_factor=1.5)
    ttft = {}
    for cached in (0, 600):
        core = EngineCore(times, prefill_tokens_per_step=4096)
        core.submit(Generation(id=0, input_tokens=1000, output_tokens=2, cached_tokens=cached), 0.0)
        ttft[cached] = core.advance(10.0)[0].at
    saved = times.prefill_seconds(600) - times.overhead_seconds
    assert ttft[0] - ttft[600] == pytest.approx(saved * (1 / 2 + 0.5 + 1 / 2))
    with pytest.raises(ValueError, match="cached_tokens must be less than input_tokens"):
        Generation(id=0, input_tokens=10, output_tokens=1, cached_tokens=10)


@pytest.mark.parametrize("growth", [1e-300, 1e-18, 1e-12])
def test_steps_that_grow_by_next_to_nothing_are_as_good_as_steps_that_do_not(growth: float) -> None:
    done = {}
    for kv in (0.0, growth):
        core = EngineCore(replace(TIMES, kv_seconds_per_token=kv, prefill_seconds_per_token_squared=kv))
        for number in range(4):
            core.submit(one(100, 500, number), 0.3 * number)
        done[kv] = [e.at for e in core.advance(100.0)]
    assert done[growth] == pytest.approx(done[0.0], rel=1e-6)


def test_a_slowed_engine_takes_its_new_times_from_the_next_step_on_and_its_old_ones_when_it_is_slow_no_more() -> (
    None
):
    core = EngineCore(TIMES)
    core.submit(one(10, 1001), 0.0)
    core.advance(1.0)
    core.slow(3.0, 1.0)
    ends = list(itertools.islice(_step_ends(TIMES, 10, TIMES.prefill_seconds(10)), 1000))
    slow = core.advance(3.0)
    assert slow == []
    core.slow(1.0, 3.0)
    done = core.advance(1000.0)[-1].at
    under_way = next(n for n, at in enumerate(ends) if at > 1.0)
    gaps = [b - a for a, b in itertools.pairwise(ends)]
    at, step = ends[under_way], under_way
    while at <= 3.0:
        at, step = at + 3.0 * gaps[step], step + 1
    assert done == pytest.approx(at + sum(gaps[step:]))


def _step_ends(times: StepTimes, context: int, start: float) -> Iterator[float]:
    at = start
    for tokens in itertools.count(context):
        at += times.decode_seconds(1, tokens)
        yield at
