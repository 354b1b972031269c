"""Plays arrivals through a virtual fleet, event by event: who serves what when. Pure; the same input gives the same output.

Every `Replica` is an engine of its own; who decides which replica gets a request is told as a `Router`. What happens to requests on
a replica that goes is what a proxy does: an answer that has begun breaks off, any other request is sent again. A connection
to a replica that is gone comes to nothing after a while, and so do the router's looks at it.

What a replica has prefilled that does nothing else is sent to one that decodes: the request is at both until it has arrived, and
answers begin only there. Where either end goes before, it is sent again from the start.

Not modelled: time on the network, the router's own, clients that go away.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from hetops.domain.observation import Outcome
from hetops.simulate.arrivals import Arrivals
from hetops.simulate.engine import EventKind, Generation
from hetops.simulate.fleet import VirtualFleet, VirtualPool
from hetops.simulate.links import Links, Way
from hetops.simulate.record import Record, Sample
from hetops.simulate.replica import Replica
from hetops.simulate.router import Router
from hetops.simulate.timeline import Change, Happening

CONNECT_SECONDS = 2.0
"""After which a connection to a replica that is gone is given up."""
TICK_SECONDS = 0.25
"""How often the router looks whether a probe is due."""
MOST_RETRIES = 3
SAMPLES = 240
"""Moments at which queues are looked at, at even distances over the arrivals' time."""
_LOOKED_AFTER_SECONDS = 60.0
"""How long the router's probes go on once all replicas are back: longer than its longest pause."""
_EVENTS_PER_LOOK = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is played: fleet, arrivals, what becomes of the fleet."""

    fleet: VirtualFleet
    arrivals: Arrivals
    changes: Sequence[Change] = ()


class _Kind(IntEnum):
    """What is due; at one moment the fleet changes first."""

    CHANGE = 0
    ENGINE = 1
    ARRIVED = 2
    LOST_CONNECTION = 3
    TICK = 4
    SAMPLE = 5


class _Sent(NamedTuple):
    """A KV cache on its way."""

    order: int
    """Of the event of its arrival."""
    source: int
    target: int
    way: Way


class Replay:
    """One run. `run` plays it and tells now and then how far it is; `record` holds what happened until then."""

    def __init__(self, scenario: Scenario, router: Router) -> None:
        """Nothing is played yet."""
        self._scenario, self._router = scenario, router
        fleet, count = scenario.fleet, len(scenario.arrivals)
        pools = len(fleet.pools)
        self.record = Record.empty(requests=count, pools=pools)
        self._replicas = [
            Replica(number=n, pool=pool, place=place)
            for pool, place in enumerate(fleet.pools)
            for n in fleet.replicas_of(pool)
        ]
        self._links = Links(fleet.replicas)
        self._sent: dict[int, _Sent] = {}
        """KV caches on their way, by request."""
        self._inputs: list[int] = scenario.arrivals.input_tokens.tolist()
        self._outputs: list[int] = scenario.arrivals.output_tokens.tolist()
        self._tried: dict[int, list[int]] = {}
        """Of requests that were sent again."""
        self._order = itertools.count()
        self._due: list[tuple[float, _Kind, int, int, int]] = []
        self._open = 0
        """Requests that are under way."""
        self._samples_left = 0
        self._ticking = False
        self._quiet_at = 0.0

    def run(self) -> Iterator[float]:
        """Plays to the last answer; yields the time that it has come to, every few thousand events."""
        self._schedule()
        times = [*self._scenario.arrivals.at_seconds.tolist(), math.inf]
        coming, due, left = 0, self._due, _EVENTS_PER_LOOK
        while times[coming] < math.inf or self._open or self._samples_left:
            if due and due[0][0] <= times[coming]:
                self._happen()
            else:
                self.record.now = at = times[coming]
                self._send(coming, self._router.first(coming, at), at)
                coming += 1
            left -= 1
            if left == 0:
                left = _EVENTS_PER_LOOK
                yield self.record.now
        self.stop()

    def stop(self) -> None:
        """Ends the run where it is: what is counted by time is counted up to now."""
        at = self.record.now
        for replica in self._replicas:
            replica.count_time(self.record, at)
            self.record.preemptions[replica.pool] += replica.core.preemptions

    def _schedule(self) -> None:
        """What is known from the start to happen."""
        for index, change in enumerate(self._scenario.changes):
            self._push(change.at_seconds, _Kind.CHANGE, index)
        each = self._scenario.arrivals.seconds / SAMPLES
        for number in range(SAMPLES + 1):
            self._push(number * each, _Kind.SAMPLE)
        self._samples_left = SAMPLES + 1

    def _push(self, at: float, kind: _Kind, number: int = 0, replica: int = 0) -> int:
        order = next(self._order)
        heapq.heappush(self._due, (at, kind, order, number, replica))
        return order

    def _happen(self) -> None:
        """The next thing that is due."""
        at, kind, order, number, replica = heapq.heappop(self._due)
        if kind is _Kind.ENGINE and self._replicas[replica].armed != at:
            return
        self.record.now = at
        match kind:
            case _Kind.ENGINE:
                self._work(self._replicas[replica], at)
            case _Kind.CHANGE:
                self._change(self._scenario.changes[number], at)
            case _Kind.ARRIVED:
                if (sent := self._sent.get(number)) and sent.order == order:
                    self._arrive(number, at)
            case _Kind.LOST_CONNECTION:
                self._router.unreachable(replica, at)
                self._open -= 1
                self._send_again(number, replica, at)
            case _Kind.TICK:
                self._tick(at)
            case _Kind.SAMPLE:
                self._sample(at)

    # Requests

    def _send(self, request: int, to: int | None, at: float) -> None:
        """A request to a replica, or to nowhere."""
        if to is None:
            self._over(request, Outcome.REFUSED, at)
            return
        replica = self._replicas[to]
        self.record.pools[request] = replica.pool
        tokens = self._inputs[request], self._outputs[request]
        if replica.gone:
            self._open += 1
            self._push(at + CONNECT_SECONDS, _Kind.LOST_CONNECTION, request, to)
        elif sum(tokens) > self._scenario.fleet.pools[replica.pool].longest:
            self._router.released(request, to)
            self._over(request, Outcome.REFUSED, at)
        else:
            self._open += 1
            answer = 1 if replica.prefills else tokens[1]
            self._submit(
                replica,
                Generation(
                    id=request,
                    input_tokens=tokens[0],
                    output_tokens=answer,
                    cached_tokens=self._router.cached(request),
                ),
                at,
            )

    def _submit(self, replica: Replica, generation: Generation, at: float) -> None:
        replica.count_time(self.record, at)
        replica.requests[generation.id] = None
        replica.core.submit(generation, at)
        self._arm(replica)

    def _leave(self, replica: Replica, request: int, at: float) -> None:
        replica.count_time(self.record, at)
        del replica.requests[request]

    def _send_again(self, request: int, replica: int, at: float) -> None:
        """A request that a replica failed goes to another, where there is one and it was not sent too often."""
        tried = self._tried.setdefault(request, [])
        tried.append(replica)
        to = None if len(tried) > MOST_RETRIES else self._router.again(request, tried, at)
        self._router.released(request, replica)
        if to is None:
            self._over(request, Outcome.ENGINE_ERROR, at)
        else:
            self.record.retries += 1
            self._send(request, to, at)

    def _over(self, request: int, outcome: Outcome, at: float) -> None:
        self.record.outcomes[request] = outcome
        self.record.ended_at[request] = at
        self._tried.pop(request, None)

    def _work(self, replica: Replica, at: float) -> None:
        """The replica's events up to now."""
        replica.armed = math.inf
        for event in replica.core.advance(at):
            if event.kind is EventKind.FINISHED:
                self._finish(event.request, replica, event.at)
            elif event.kind is EventKind.FIRST_TOKEN and not replica.prefills:
                self.record.first_at[event.request] = event.at
        self._arm(replica)

    def _finish(self, request: int, replica: Replica, at: float) -> None:
        """The replica has done its part: all of the answer, or the prompt."""
        if replica.prefills:
            self._hand_over(request, replica, at)
            return
        self._leave(replica, request, at)
        self._open -= 1
        self._router.answered(request, replica.number)
        self._over(request, Outcome.OK, at)

    # From prefill to decode

    def _hand_over(self, request: int, replica: Replica, at: float) -> None:
        """A prompt is prefilled: its KV cache goes to where the answer is made."""
        to = self._router.onward(request, self._tried.get(request, ()), at)
        pool, tokens = self._scenario.fleet.pools[replica.pool], self._inputs[request]
        whole = tokens + self._outputs[request]
        if to is None or whole > self._scenario.fleet.pools[self._replicas[to].pool].longest:
            for number in (replica.number, to):
                if number is not None:
                    self._router.released(request, number)
            self._leave(replica, request, at)
            self._open -= 1
            self._over(request, Outcome.REFUSED, at)
        elif self._replicas[to].gone:
            self._hand_in(request, replica, at)
            self._push(at + CONNECT_SECONDS, _Kind.LOST_CONNECTION, request, to)
        else:
            assert isinstance(pool, VirtualPool)
            seconds = pool.kv_seconds + pool.kv_seconds_per_token * tokens
            way = self._links.send(replica.number, to, seconds, at)
            order = self._push(way.there, _Kind.ARRIVED, request, to)
            self._sent[request] = _Sent(order, replica.number, to, way)

    def _hand_in(self, request: int, source: Replica, at: float) -> None:
        """The replica that prefilled the request has done with it."""
        self._leave(source, request, at)
        self._router.handed(request, source.number)
        self.record.handed[request] = source.pool

    def _arrive(self, request: int, at: float) -> None:
        """A KV cache is there, all of it: but for the last token's nothing is left to prefill."""
        sent = self._sent.pop(request)
        self._hand_in(request, self._replicas[sent.source], at)
        target = self._replicas[sent.target]
        self.record.pools[request] = target.pool
        if target.gone:
            self._open -= 1
            self._router.broke(target.number, at)
            self._send_again(request, target.number, at)
            return
        given, wanted = self._inputs[request], self._outputs[request]
        self._submit(
            target,
            Generation(id=request, input_tokens=given, output_tokens=wanted, cached_tokens=given - 1),
            at,
        )

    def _arm(self, replica: Replica) -> None:
        at = replica.core.next_event_at()
        if at is not None and at != replica.armed:
            replica.armed = at
            self._push(at, _Kind.ENGINE, 0, replica.number)

    # The fleet

    def _change(self, change: Change, at: float) -> None:
        replicas = [self._replicas[number] for number in change.replicas]
        match change.what:
            case Happening.GONE:
                self._lose(replicas, at)
            case Happening.BACK:
                self._bring_back(replicas, at)
            case Happening.LEAVING | Happening.STAYING:
                self._announce(replicas, 1 if change.what is Happening.LEAVING else -1)
            case Happening.SLOWER | Happening.AS_BEFORE:
                for replica in replicas:
                    replica.slow(change, at)
                    self._arm(replica)

    def _announce(self, replicas: Sequence[Replica], notices: int) -> None:
        """Notices that replicas will go, given or, below zero, taken back."""
        for replica in replicas:
            replica.leaving += notices
        self._router.leaving(frozenset(r.number for r in self._replicas if r.leaving))

    def _lose(self, replicas: Sequence[Replica], at: float) -> None:
        """The replicas go, all of them before anything is sent again."""
        broken: list[tuple[int, Replica]] = []
        for replica in replicas:
            replica.count_time(self.record, at)
            replica.gone += 1
            if replica.gone > 1:
                continue
            broken += [(request, replica) for request in replica.requests]
            replica.begin_anew(self.record)
        for request, replica in broken:
            self._open -= 1
            if sent := self._sent.pop(request, None):
                self._router.released(request, sent.target)
                for number in (sent.source, sent.target):
                    self._links.cut(number, sent.way, at)
            self._router.broke(replica.number, at)
            if self.record.first_at[request] < math.inf:
                self._router.released(request, replica.number)
                self._over(request, Outcome.ENGINE_ERROR, at)
            else:
                self._send_again(request, replica.number, at)
        if not self._ticking:
            self._ticking = True
            self._push(at, _Kind.TICK)

    def _bring_back(self, replicas: Sequence[Replica], at: float) -> None:
        for replica in replicas:
            replica.count_time(self.record, at)
            replica.gone -= 1
        self._quiet_at = at + _LOOKED_AFTER_SECONDS

    def _tick(self, at: float) -> None:
        """The router looks after replicas as long as one is gone, and a while longer."""
        for number in self._router.due_probes(at):
            if self._replicas[number].gone:
                self._router.probe_failed(number, at)
            else:
                self._router.probed(number, at)
        self._ticking = any(r.gone for r in self._replicas) or at < self._quiet_at
        if self._ticking:
            self._push(at + TICK_SECONDS, _Kind.TICK)

    def _sample(self, at: float) -> None:
        self._samples_left -= 1
        pools = [self._scenario.fleet.replicas_of(p) for p in range(len(self._scenario.fleet.pools))]
        there = [[self._replicas[n] for n in numbers] for numbers in pools]
        self.record.samples.append(
            Sample(
                at_seconds=at,
                in_flight=tuple(sum(len(r.requests) for r in of) for of in there),
                waiting=tuple(sum(r.core.waiting for r in of) for of in there),
                replicas=tuple(sum(not r.gone for r in of) for of in there),
            )
        )
