"""A virtual fleet: queues are those of the theory, every request ends once, and faults do what they say and no more."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.domain.observation import Outcome
from hetops.domain.performance import StepCurve
from hetops.simulate.core import EngineCore
from hetops.simulate.engine import EventKind, Generation
from hetops.simulate.replay import CONNECT_SECONDS, SAMPLES
from hetops.simulate.steps import slowed
from hetops.simulate.timeline import Happening
from tests.simulate.fleets import TIMES, arrivals, change, played, pool

ONE_AT_A_TIME = replace(TIMES, max_sequences=1)


def test_one_server_gives_the_waits_of_lindley_s_recursion() -> None:
    chance = np.random.default_rng(1)
    at = np.cumsum(chance.exponential(0.12, 400))
    lengths = chance.integers(100, 1500, 400)
    record, _ = played([pool(step_times=ONE_AT_A_TIME)], arrivals(at.tolist(), lengths.tolist(), 1))
    service = [ONE_AT_A_TIME.prefill_seconds(n) for n in lengths.tolist()]
    free = 0.0
    for request, (came, takes) in enumerate(zip(at.tolist(), service, strict=True)):
        free = max(free, came) + takes
        assert record.first_at[request] == record.ended_at[request] == pytest.approx(free)


def test_the_mean_wait_is_that_of_pollaczek_and_khinchine() -> None:
    chance = np.random.default_rng(2)
    takes = ONE_AT_A_TIME.prefill_seconds(500)
    use = 0.7
    at = np.cumsum(chance.exponential(takes / use, 40_000))
    record, _ = played([pool(step_times=ONE_AT_A_TIME)], arrivals(at.tolist(), 500, 1))
    waited = np.array(record.first_at) - at - takes
    assert waited.mean() == pytest.approx(use * takes / (2 * (1 - use)), rel=0.05)


def test_a_replica_of_a_fleet_is_the_emulated_engine_to_the_last_digit() -> None:
    chance = np.random.default_rng(3)
    at = np.cumsum(chance.exponential(0.05, 300)).tolist()
    tokens = chance.integers(1, 600, (2, 300)).tolist()
    record, _ = played([pool()], arrivals(at, *tokens))
    core = EngineCore(TIMES)
    events = []
    for number, came in enumerate(at):
        events += core.advance(came)
        core.submit(
            Generation(id=number, input_tokens=tokens[0][number], output_tokens=tokens[1][number]), came
        )
    events += core.advance(1e6)
    ended = {e.request: e.at for e in events if e.kind is EventKind.FINISHED}
    assert record.ended_at == pytest.approx([ended[n] for n in range(300)], rel=1e-12)


def test_two_runs_are_equal() -> None:
    coming = arrivals([0.1 * n for n in range(200)], 300, 50)
    changes = (change(3.0, Happening.GONE, 0), change(9.0, Happening.BACK, 0))
    pools = [pool("a"), pool("b", nodes=2)]
    assert played(pools, coming, *changes)[0] == played(pools, coming, *changes)[0]


HAPPENINGS = (
    (Happening.GONE, Happening.BACK),
    (Happening.LEAVING, Happening.STAYING),
    (Happening.SLOWER, Happening.AS_BEFORE),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from([0.0, 0.011, 0.3]), min_size=1, max_size=40),
    st.lists(
        st.tuples(
            st.sampled_from(HAPPENINGS),
            st.floats(0.0, 8.0),
            st.one_of(st.none(), st.floats(0.01, 6.0)),
            st.sets(st.integers(0, 3), min_size=1),
        ),
        max_size=4,
    ),
)
def test_whatever_happens_to_the_fleet_every_request_ends_once_and_nothing_is_held_on_to(
    gaps, faults
) -> None:
    at = list(itertools.accumulate(gaps))
    timeline = []
    for (begins, ends), start, seconds, replicas in faults:
        timeline.append(change(start, begins, *sorted(replicas), factor=2.5))
        if seconds is not None:
            timeline.append(change(start + seconds, ends, *sorted(replicas), factor=2.5))
    timeline.sort(key=lambda c: c.at_seconds)
    coming = arrivals(at, 400, 60)
    record, router = played([pool("a", nodes=2, replicas_per_node=2)], coming, *timeline)
    assert None not in record.outcomes
    for request, outcome in enumerate(record.outcomes):
        assert at[request] <= record.ended_at[request] < math.inf
        assert outcome is not Outcome.OK or record.first_at[request] <= record.ended_at[request]
    assert all(count == 0 for count in router.held.values())
    assert len(record.samples) == SAMPLES + 1
    assert 0 <= record.busy_seconds[0] <= 4 * record.now + 1e-6


def test_what_a_lost_node_had_begun_breaks_off_and_the_rest_goes_elsewhere() -> None:
    # Six requests in turn to two replicas; at 0.5 s the first replica has begun its three, and is gone.
    coming = arrivals([0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.4999], 1000, [400] * 6 + [5])
    record, router = played([pool(nodes=2)], coming, change(0.5, Happening.GONE, 0))
    assert [record.outcomes[n] for n in range(0, 6, 2)] == [Outcome.ENGINE_ERROR] * 3
    assert {record.ended_at[n] for n in range(0, 6, 2)} == {0.5}
    assert [record.outcomes[n] for n in range(1, 6, 2)] == [Outcome.OK] * 3
    assert record.outcomes[6] is Outcome.OK
    assert record.retries == 1
    assert router.told[:4] == [("broke", 0)] * 4


def test_a_connection_to_a_node_that_is_gone_is_given_up_after_a_while_and_tried_elsewhere() -> None:
    record, router = played(
        [pool(nodes=2)], arrivals([0.0, 1.0, 2.0], 1000, 1), change(0.5, Happening.GONE, 0)
    )
    assert ("unreachable", 0) in router.told
    late = record.first_at[2] - 2.0
    assert late == pytest.approx(CONNECT_SECONDS + TIMES.prefill_seconds(1000))
    assert record.outcomes == [Outcome.OK] * 3


def test_a_node_that_comes_back_is_found_by_a_probe_and_serves() -> None:
    coming = arrivals([float(n) for n in range(40)], 100, 1)
    record, router = played([pool()], coming, change(5.5, Happening.GONE, 0), change(20.5, Happening.BACK, 0))
    assert ("probed", 0) in router.told
    refused = [n for n, outcome in enumerate(record.outcomes) if outcome is not Outcome.OK]
    assert refused == list(range(6, 21))
    assert record.gone_seconds == [pytest.approx(15.0)]


def test_a_node_that_leaves_ends_what_it_has_and_gets_no_more() -> None:
    coming = arrivals([0.1 * n for n in range(100)], 200, 30)
    record, router = played([pool("a"), pool("b")], coming, change(4.95, Happening.LEAVING, 0))
    assert record.outcomes == [Outcome.OK] * 100
    assert record.pools[50:] == [1] * 50
    assert not router.told


def test_a_slow_node_takes_that_many_times_as_long_and_then_as_before() -> None:
    coming = arrivals([0.0, 10.0, 30.0], 1000, 100)
    record, _ = played(
        [pool()],
        coming,
        change(5.0, Happening.SLOWER, 0, factor=3.0),
        change(25.0, Happening.AS_BEFORE, 0, factor=3.0),
    )
    takes = [ended - at for ended, at in zip(record.ended_at, coming.at_seconds, strict=True)]
    assert takes[1] == pytest.approx(3.0 * takes[0])
    assert takes[2] == pytest.approx(takes[0])


def test_slow_is_every_time_of_an_engine_and_nothing_else() -> None:
    slow = slowed(TIMES, 2.0)
    assert slow.decode_seconds(4, 500) == pytest.approx(2 * TIMES.decode_seconds(4, 500))
    assert slow.prefill_seconds(700) == pytest.approx(2 * TIMES.prefill_seconds(700))
    assert (slow.kv_capacity_tokens, slow.max_sequences) == (TIMES.kv_capacity_tokens, TIMES.max_sequences)
    measured = replace(TIMES, curve=StepCurve(sequences=(1.0, 4.0), seconds=(0.01, 0.05)))
    assert slowed(measured, 2.0).decode_seconds(4, 500) == pytest.approx(2 * measured.decode_seconds(4, 500))


def test_an_engine_refuses_what_is_longer_than_its_context() -> None:
    record, router = played([pool(max_context_tokens=500)], arrivals([0.0, 1.0], [100, 499], 10))
    assert record.outcomes == [Outcome.OK, Outcome.REFUSED]
    assert router.held == {0: 0}


def test_time_is_counted_for_what_was_busy_in_flight_and_gone() -> None:
    coming = arrivals([0.0, 50.0], 1000, 100)
    record, _ = played([pool("a"), pool("b")], coming)
    alone = TIMES.prefill_seconds(1000) + sum(TIMES.decode_seconds(1, 1000 + k) for k in range(99))
    assert record.busy_seconds == [pytest.approx(alone)] * 2
    assert record.in_flight_seconds == record.busy_seconds
    assert record.gone_seconds == [0.0, 0.0]


def test_stopped_half_way_it_holds_what_was_over_by_then() -> None:
    from hetops.simulate.fleet import VirtualFleet
    from hetops.simulate.replay import Replay, Scenario
    from tests.simulate.fleets import TakingTurns

    coming = arrivals([0.02 * n for n in range(4000)], 200, 20)
    run = Replay(Scenario(fleet=VirtualFleet([pool()]), arrivals=coming), TakingTurns(1))
    reached = next(iter(run.run()))
    run.stop()
    over = [n for n, outcome in enumerate(run.record.outcomes) if outcome]
    assert 0 < len(over) < 4000
    assert all(run.record.ended_at[n] <= reached for n in over)
    assert all(run.record.ended_at[n] == math.inf for n in range(len(over) + 20, 4000))
