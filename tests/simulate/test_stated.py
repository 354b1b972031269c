"""A service in a simulation: it answers at the pace that is stated of it, whatever else it is asked."""

from __future__ import annotations

import pytest

from hetops.domain.observation import Outcome
from hetops.simulate.engine import EventKind, Generation
from hetops.simulate.fleet import VirtualService
from hetops.simulate.stated import StatedEngine
from hetops.simulate.timeline import Happening
from tests.simulate.fleets import arrivals, change, played


def service(name: str = "paygo") -> VirtualService:
    """A service that takes half a second to the first token and 20 ms to every other."""
    return VirtualService(name=name, ttft_seconds=0.5, tpot_seconds=0.02, max_context_tokens=4096)


def test_every_answer_takes_what_is_stated_however_many_are_under_way() -> None:
    record, _ = played([service()], arrivals([0.001 * n for n in range(50)], 1000, [1, 101] * 25))
    assert record.outcomes == [Outcome.OK] * 50
    assert record.first_at == pytest.approx([0.001 * n + 0.5 for n in range(50)])
    assert record.ended_at == pytest.approx([0.001 * n + 0.5 + 2.0 * (n % 2) for n in range(50)])


def test_a_slow_service_takes_longer_for_what_is_asked_from_then_on() -> None:
    engine = StatedEngine(ttft_seconds=0.5, tpot_seconds=0.02)
    engine.submit(Generation(id=1, input_tokens=10, output_tokens=11), 0.0)
    engine.slow(3.0, 0.1)
    engine.submit(Generation(id=2, input_tokens=10, output_tokens=11), 0.2)
    ends = {e.request: e.at for e in engine.advance(10.0) if e.kind is EventKind.FINISHED}
    assert ends == pytest.approx({1: 0.7, 2: 0.2 + 3 * 0.7})
    assert engine.next_event_at() is None


def test_a_service_that_is_gone_breaks_off_what_has_begun_and_is_found_when_it_is_back() -> None:
    coming = arrivals([0.0, 0.9, 2.0, 9.0], 100, 101)
    changes = (change(1.0, Happening.GONE, 0), change(5.0, Happening.BACK, 0))
    record, router = played([service()], coming, *changes)
    assert record.outcomes == [Outcome.ENGINE_ERROR, Outcome.ENGINE_ERROR, Outcome.ENGINE_ERROR, Outcome.OK]
    assert ("unreachable", 0) in router.told
    assert ("probed", 0) in router.told
    assert record.gone_seconds == [4.0]


def test_what_is_longer_than_its_context_is_refused() -> None:
    record, _ = played([service()], arrivals([0.0, 1.0], [4000, 4000], [96, 97]))
    assert record.outcomes == [Outcome.OK, Outcome.REFUSED]
