"""Who is given requests after which failures, and what brings an endpoint back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hetops.router import health
from hetops.router.health import Circuit, Fault, Health, HealthPolicy

POLICY = HealthPolicy(
    failures_to_open=3, first_pause_seconds=0.5, longest_pause_seconds=10.0, probe_seconds=5.0
)


def after(*faults: Fault, at: float = 100.0) -> Health:
    """A healthy endpoint after so many failed requests."""
    state = health.answered(Health())
    for fault in faults:
        state = health.failed(state, fault, at, POLICY)
    return state


def test_an_endpoint_nobody_heard_of_is_given_requests_and_probed_at_once() -> None:
    assert Health().usable
    assert Health().circuit is Circuit.UNPROVEN
    assert Health().probe_at <= 0


def test_one_refused_connection_is_enough() -> None:
    assert after(Fault.UNREACHABLE).circuit is Circuit.FAILING


def test_bad_answers_must_come_in_a_row() -> None:
    assert after(Fault.BROKEN, Fault.BROKEN).usable
    assert not after(Fault.BROKEN, Fault.BROKEN, Fault.BROKEN).usable
    state = health.answered(after(Fault.BROKEN, Fault.BROKEN))
    assert health.failed(state, Fault.BROKEN, 101.0, POLICY).usable


def test_doubt_brings_the_next_probe_forward() -> None:
    state = health.probed(Health(), 100.0, POLICY)
    assert health.failed(state, Fault.BROKEN, 100.5, POLICY).probe_at == 101.5


def test_an_old_answer_does_not_bring_an_endpoint_back() -> None:
    assert not health.answered(after(Fault.UNREACHABLE)).usable


def test_requests_that_fail_after_it_went_out_do_not_lengthen_the_pause() -> None:
    out = after(Fault.UNREACHABLE)
    assert health.failed(out, Fault.UNREACHABLE, 100.1, POLICY) == out


def test_pauses_double_up_to_the_longest() -> None:
    state, pauses = after(Fault.UNREACHABLE), []
    for _ in range(8):
        pauses.append(state.probe_at - 100.0)
        state = health.probing(state, 100.0, POLICY)
        state = health.probe_failed(state, Fault.UNREACHABLE, 100.0, POLICY)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]


def test_a_probe_brings_it_back_on_probation() -> None:
    back = health.probed(after(Fault.UNREACHABLE), 101.0, POLICY)
    assert back.circuit is Circuit.HEALTHY
    again = health.failed(back, Fault.BROKEN, 102.0, POLICY)
    assert not again.usable
    assert again.probe_at == 103.0, "twice as long as the first time"


def test_an_answered_request_ends_the_probation() -> None:
    back = health.answered(health.probed(after(Fault.UNREACHABLE), 101.0, POLICY))
    assert health.failed(back, Fault.BROKEN, 102.0, POLICY).usable


def test_three_probes_without_an_answer_take_an_engine_out() -> None:
    state, at = health.probed(Health(), 0.0, POLICY), 5.0
    for _ in range(3):
        assert state.usable
        state = health.probe_failed(health.probing(state, at, POLICY), Fault.BROKEN, at, POLICY)
        at = state.probe_at
    assert not state.usable


events = st.lists(st.sampled_from(["answered", "unreachable", "broken", "probed", "missed"]), max_size=40)


@given(events)
def test_an_endpoint_that_is_out_always_has_a_probe_to_come_within_the_longest_pause(
    names: list[str],
) -> None:
    state, at = Health(), 0.0
    for name in names:
        at += 1.0
        match name:
            case "answered":
                state = health.answered(state)
            case "probed":
                state = health.probed(state, at, POLICY)
            case "missed":
                state = health.probe_failed(state, Fault.BROKEN, at, POLICY)
            case "unreachable":
                state = health.failed(state, Fault.UNREACHABLE, at, POLICY)
            case "broken":
                state = health.failed(state, Fault.BROKEN, at, POLICY)
        assert state.usable or state.probe_at <= at + POLICY.longest_pause_seconds
        if not state.usable:
            assert health.probed(state, at, POLICY).usable
