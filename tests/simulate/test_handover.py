# ruff: noqa: ARG002 - the signatures are a Router's
"""Prompts handed from replicas that prefill to those that decode: when they are there, and what becomes of them when either end goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from hetops.domain.configuration import Role
from hetops.domain.observation import Outcome
from hetops.performance.roles import role_times
from hetops.simulate.arrivals import Arrivals
from hetops.simulate.fleet import VirtualFleet, VirtualPool
from hetops.simulate.links import Links
from hetops.simulate.record import Record
from hetops.simulate.replay import CONNECT_SECONDS, Replay, Scenario
from hetops.simulate.timeline import Change, Happening
from tests.simulate.fleets import TIMES, TakingTurns, arrivals, change, pool

WAY = 0.5
EACH = 0.001
DECODE = role_times(TIMES, Role.DECODE)


def prefills(name: str = "p", **fields: object) -> VirtualPool:
    """A replica that prefills, whose KV caches take half a second and a millisecond a token."""
    one = pool(name, step_times=role_times(TIMES, Role.PREFILL), role=Role.PREFILL)
    return replace(one, kv_seconds=WAY, kv_seconds_per_token=EACH, **fields)  # type: ignore[arg-type]


def decodes(name: str = "d", **fields: object) -> VirtualPool:
    """A replica that decodes."""
    return replace(pool(name, step_times=DECODE, role=Role.DECODE), **fields)  # type: ignore[arg-type]


@dataclass(slots=True)
class TwoStages:
    """Takes turns among the first replicas for prompts, among the others for answers."""

    prefilling: TakingTurns
    decoding: TakingTurns
    handed_over: list[int] = field(default_factory=list)

    @property
    def held(self) -> dict[int, int]:
        return self.prefilling.held | {n + self.prefilling.replicas: k for n, k in self.decoding.held.items()}

    def first(self, request: int, at: float) -> int | None:
        return self.prefilling.first(request, at)

    def again(self, request: int, tried: Sequence[int], at: float) -> int | None:
        return self.prefilling.again(request, tried, at)

    def onward(self, request: int, tried: Sequence[int], at: float) -> int | None:
        first = self.prefilling.replicas
        to = self.decoding.onward(request, [n - first for n in tried], at)
        return None if to is None else to + first

    def handed(self, request: int, replica: int) -> None:
        self.prefilling.handed(request, replica)
        self.handed_over.append(request)

    def cached(self, request: int) -> int:
        return 0

    def released(self, request: int, replica: int) -> None:
        stage, number = self._stage(replica)
        stage.released(request, number)

    def answered(self, request: int, replica: int) -> None:
        stage, number = self._stage(replica)
        assert stage is self.decoding
        stage.answered(request, number)

    def broke(self, replica: int, at: float) -> None:
        stage, number = self._stage(replica)
        stage.broke(number, at)

    def unreachable(self, replica: int, at: float) -> None:
        stage, number = self._stage(replica)
        stage.unreachable(number, at)

    def leaving(self, replicas: frozenset[int]) -> None:
        raise NotImplementedError

    def due_probes(self, at: float) -> Sequence[int]:
        return ()

    def probed(self, replica: int, at: float) -> None:
        raise NotImplementedError

    def probe_failed(self, replica: int, at: float) -> None:
        raise NotImplementedError

    def _stage(self, replica: int) -> tuple[TakingTurns, int]:
        first = self.prefilling.replicas
        return (self.prefilling, replica) if replica < first else (self.decoding, replica - first)


def played(pools: Sequence[VirtualPool], coming: Arrivals, *changes: Change) -> tuple[Record, TwoStages]:
    """A whole run; whatever became of the requests, nobody holds one in the end."""
    fleet = VirtualFleet(pools)
    first = sum(p.replicas for p in pools if p.role is Role.PREFILL)
    router = TwoStages(TakingTurns(first), TakingTurns(fleet.replicas - first))
    run = Replay(Scenario(fleet=fleet, arrivals=coming, changes=changes), router)
    for _ in run.run():
        pass
    assert not any(router.held.values())
    assert None not in run.record.outcomes
    return run.record, router


def test_an_answer_begins_when_prompt_way_and_a_step_are_over_and_takes_the_decoder_s_steps() -> None:
    record, _ = played([prefills(), decodes()], arrivals([1.0], 1000, 100))
    there = 1.0 + TIMES.prefill_seconds(1000) + WAY + 1000 * EACH
    assert record.first_at[0] == pytest.approx(there + DECODE.overhead_seconds)
    steps = sum(DECODE.decode_seconds(1, 1000 + k) for k in range(99))
    assert record.ended_at[0] - record.first_at[0] == pytest.approx(steps)
    assert (record.outcomes, record.pools, record.handed) == ([Outcome.OK], [1], {0: 0})
    assert record.busy_seconds[0] == pytest.approx(there - 1.0)
    assert record.busy_seconds[1] == pytest.approx(record.ended_at[0] - there)


def test_what_decodes_alone_is_held_up_by_no_prompt() -> None:
    """Beside a long answer come long prompts: every step of it stays as long as decoding takes."""
    coming = arrivals([0.0, *(2.0 + 0.5 * n for n in range(20))], [100, *[4000] * 20], [1000, *[1] * 20])
    apart, _ = played([prefills(), decodes()], coming)
    whole, _ = played_whole(coming)
    alone = sum(DECODE.decode_seconds(1, 100 + k) for k in range(999))
    assert apart.ended_at[0] - apart.first_at[0] == pytest.approx(alone, rel=0.01)
    assert whole.ended_at[0] - whole.first_at[0] > 1.5 * alone


def played_whole(coming: Arrivals) -> tuple[Record, TakingTurns]:
    """The same on one replica of whole requests."""
    fleet = VirtualFleet([pool()])
    router = TakingTurns(1)
    run = Replay(Scenario(fleet=fleet, arrivals=coming), router)
    for _ in run.run():
        pass
    return run.record, router


def test_a_link_sends_one_at_a_time_and_takes_one_at_a_time() -> None:
    links = Links(4)
    assert links.send(0, 2, 1.0, 10.0) == (10.0, 11.0)
    assert links.send(0, 3, 1.0, 10.5) == (11.0, 12.0), "the sender is busy"
    assert links.send(1, 2, 1.0, 10.5) == (11.0, 12.0), "the taker is busy"
    assert links.send(1, 3, 1.0, 20.0) == (20.0, 21.0)


def test_what_goes_no_further_leaves_the_link_to_others_and_takes_no_time_from_those_before() -> None:
    links = Links(4)
    first, second = links.send(0, 2, 2.0, 0.0), links.send(1, 2, 2.0, 0.0)
    links.cut(2, first, 1.0)
    assert links.send(3, 2, 1.0, 1.0).begins == second.there == 4.0, "what waits behind keeps its time"
    others = Links(4)
    first, second = others.send(0, 2, 2.0, 0.0), others.send(1, 2, 2.0, 0.0)
    others.cut(2, second, 1.0)
    assert others.send(3, 2, 1.0, 1.0).begins == first.there == 2.0
    others.cut(2, others.send(0, 2, 5.0, 10.0), 11.0)
    assert others.send(3, 2, 1.0, 11.0).begins == 11.0


@pytest.mark.parametrize("pools", [(prefills(), decodes(nodes=2)), (prefills(nodes=2), decodes())])
def test_prompts_that_are_ready_together_wait_for_one_another_s_way(pools: tuple[VirtualPool, ...]) -> None:
    record, _ = played(pools, arrivals([0.0, 0.0], 10, 2))
    ready = [at - WAY - 10 * EACH for at in record.first_at]
    assert ready[1] - ready[0] == pytest.approx(WAY + 10 * EACH, abs=0.02)


def test_an_answer_breaks_off_with_its_decoder_and_what_had_not_begun_is_prefilled_again() -> None:
    """Two are being answered by the first of two decoders, one is on its way to it when it goes."""
    fleet = [prefills(nodes=3), decodes(nodes=2)]
    coming = arrivals([0.0, 0.0, 2.0, 2.0], 100, 2000)
    record, router = played(fleet, coming, change(2.3, Happening.GONE, 3))
    assert record.outcomes == [Outcome.ENGINE_ERROR, Outcome.OK, Outcome.OK, Outcome.OK]
    assert record.retries == 1
    assert router.handed_over.count(2) == 2
    again = 2.0 + 2 * (TIMES.prefill_seconds(100) + WAY + 100 * EACH)
    assert record.first_at[2] == pytest.approx(again, abs=0.1)


def test_a_prompt_that_was_prefilled_or_on_its_way_is_prefilled_elsewhere_when_its_replica_goes() -> None:
    for at in (0.05, 0.4):
        coming = arrivals([0.0], 1000, 10)
        record, router = played([prefills(nodes=2), decodes()], coming, change(at, Happening.GONE, 0))
        assert record.outcomes == [Outcome.OK]
        assert router.handed_over == [0]
        assert record.first_at[0] == pytest.approx(
            at + TIMES.prefill_seconds(1000) + WAY + 1000 * EACH, abs=0.01
        )


def test_a_decoder_that_is_gone_is_given_up_after_a_while_and_the_prompt_prefilled_again() -> None:
    lost = change(0.0, Happening.GONE, 1)
    record, router = played([prefills(), decodes(nodes=2)], arrivals([0.0], 1000, 10), lost)
    assert record.outcomes == [Outcome.OK]
    assert router.handed_over == [0, 0]
    whole = 2 * TIMES.prefill_seconds(1000) + CONNECT_SECONDS + WAY + 1000 * EACH
    assert record.first_at[0] == pytest.approx(whole, abs=0.01)


def test_without_a_decoder_requests_are_refused() -> None:
    lost = [change(0.0, Happening.GONE, 1)]
    record, _ = played([prefills(), decodes()], arrivals([0.0, 5.0], 1000, 10), *lost)
    assert record.outcomes == [Outcome.REFUSED, Outcome.REFUSED]


def test_what_no_decoder_s_context_holds_is_refused_after_its_prompt() -> None:
    small = decodes(max_context_tokens=500)
    record, _ = played([prefills(), small], arrivals([0.0, 1.0], [600, 100], 10))
    assert record.outcomes == [Outcome.REFUSED, Outcome.OK]
