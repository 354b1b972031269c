"""Plays arrivals through a virtual fleet, event by event: who serves what when. Pure; the same input gives the same output.

Every replica is an `Engine`; who decides which replica gets a request is told as a `Router`. What happens to requests on
a replica that goes is what a proxy does: an answer that has begun breaks off, any other request is sent again. A connection
to a replica that is gone comes to nothing after a while, and so do the router's looks at it.

Not modelled: time on the network, the router's own, clients that go away.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from hetops.domain.observation import Outcome
from hetops.simulate.arrivals import Arrivals
from hetops.simulate.core import EngineCore
from hetops.simulate.engine import Engine, EventKind, Generation
from hetops.simulate.fleet import VirtualFleet, VirtualService
from hetops.simulate.record import Record, Sample
from hetops.simulate.stated import StatedEngine
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


class Router(Protocol):
    """Decides where requests go. Replicas and requests are numbers; None sends a request nowhere."""

    def first(self, request: int, at: float) -> int | None:
        """Where a request goes that has just come."""

    def again(self, request: int, tried: Sequence[int], at: float) -> int | None:
        """Where it goes when the replicas so far have failed it."""

    def cached(self, request: int) -> int:
        """How many tokens of its input, from the beginning, the engine has in its cache."""

    def released(self, request: int, replica: int) -> None:
        """The request is no longer there, and was not answered."""

    def answered(self, request: int, replica: int) -> None:
        """The request was answered to its end, and is no longer there."""

    def broke(self, replica: int, at: float) -> None:
        """A replica broke off a request."""

    def unreachable(self, replica: int, at: float) -> None:
        """A replica took no connection."""

    def leaving(self, replicas: frozenset[int]) -> None:
        """These get no new requests from now on, and all others do."""

    def due_probes(self, at: float) -> Sequence[int]:
        """Replicas to be looked at now."""

    def probed(self, replica: int, at: float) -> None:
        """A replica answered a probe."""

    def probe_failed(self, replica: int, at: float) -> None:
        """A replica did not answer a probe."""


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
    LOST_CONNECTION = 2
    TICK = 3
    SAMPLE = 4


@dataclass(slots=True, kw_only=True, eq=False)
class _Replica:
    """A replica, and since when it is what it is."""

    number: int
    pool: int
    core: Engine
    armed: float = math.inf
    """When its next event is due in the queue of events."""
    requests: dict[int, None] = field(default_factory=dict)
    changed_at: float = 0.0
    gone: int = 0
    leaving: int = 0
    factors: list[float] = field(default_factory=list)


class Replay:
    """One run. `run` plays it and tells now and then how far it is; `record` holds what happened until then."""

    def __init__(self, scenario: Scenario, router: Router) -> None:
        """Nothing is played yet."""
        self._scenario, self._router = scenario, router
        fleet, count = scenario.fleet, len(scenario.arrivals)
        pools = len(fleet.pools)
        self.record = Record.empty(requests=count, pools=pools)
        self._replicas = [
            _Replica(number=n, pool=fleet.pool_index(n), core=self._engine(fleet.pool_index(n)))
            for n in range(fleet.replicas)
        ]
        self._inputs: list[int] = scenario.arrivals.input_tokens.tolist()
        self._outputs: list[int] = scenario.arrivals.output_tokens.tolist()
        self._tried: dict[int, list[int]] = {}
        """Of requests that were sent again."""
        self._order = itertools.count()
        self._due: list[tuple[float, int, int, int, int]] = []
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
            self._count_time(replica, at)
            self.record.preemptions[replica.pool] += replica.core.preemptions

    def _schedule(self) -> None:
        """What is known from the start to happen."""
        for index, change in enumerate(self._scenario.changes):
            self._push(change.at_seconds, _Kind.CHANGE, index)
        each = self._scenario.arrivals.seconds / SAMPLES
        for number in range(SAMPLES + 1):
            self._push(number * each, _Kind.SAMPLE)
        self._samples_left = SAMPLES + 1

    def _push(self, at: float, kind: _Kind, number: int = 0, replica: int = 0) -> None:
        heapq.heappush(self._due, (at, kind, next(self._order), number, replica))

    def _happen(self) -> None:
        """The next thing that is due."""
        at, kind, _, number, replica = heapq.heappop(self._due)
        if kind == _Kind.ENGINE:
            if self._replicas[replica].armed == at:
                self.record.now = at
                self._work(self._replicas[replica], at)
            return
        self.record.now = at
        if kind == _Kind.CHANGE:
            self._change(self._scenario.changes[number], at)
        elif kind == _Kind.LOST_CONNECTION:
            self._router.unreachable(replica, at)
            self._open -= 1
            self._send_again(number, replica, at)
        elif kind == _Kind.TICK:
            self._tick(at)
        else:
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
            self._count_time(replica, at)
            replica.requests[request] = None
            cached = self._router.cached(request)
            replica.core.submit(
                Generation(id=request, input_tokens=tokens[0], output_tokens=tokens[1], cached_tokens=cached),
                at,
            )
            self._arm(replica)

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

    def _work(self, replica: _Replica, at: float) -> None:
        """The replica's events up to now."""
        replica.armed = math.inf
        for event in replica.core.advance(at):
            if event.kind is EventKind.FINISHED:
                self._count_time(replica, event.at)
                del replica.requests[event.request]
                self._open -= 1
                self._router.answered(event.request, replica.number)
                self._over(event.request, Outcome.OK, event.at)
            elif event.kind is EventKind.FIRST_TOKEN:
                self.record.first_at[event.request] = event.at
        self._arm(replica)

    def _arm(self, replica: _Replica) -> None:
        at = replica.core.next_event_at()
        if at is not None and at != replica.armed:
            replica.armed = at
            self._push(at, _Kind.ENGINE, 0, replica.number)

    def _count_time(self, replica: _Replica, at: float) -> None:
        """Adds up what the replica was since the last change."""
        seconds, record, pool = at - replica.changed_at, self.record, replica.pool
        replica.changed_at = at
        count = len(replica.requests)
        if count:
            record.busy_seconds[pool] += seconds
            record.in_flight_seconds[pool] += seconds * count
        if replica.gone:
            record.gone_seconds[pool] += seconds

    # The fleet

    def _engine(self, pool: int) -> Engine:
        one = self._scenario.fleet.pools[pool]
        if isinstance(one, VirtualService):
            return StatedEngine(ttft_seconds=one.ttft_seconds, tpot_seconds=one.tpot_seconds)
        return EngineCore(one.step_times)

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
                    self._slow(replica, change, at)

    def _announce(self, replicas: Sequence[_Replica], notices: int) -> None:
        """Notices that replicas will go, given or, below zero, taken back."""
        for replica in replicas:
            replica.leaving += notices
        self._router.leaving(frozenset(r.number for r in self._replicas if r.leaving))

    def _lose(self, replicas: Sequence[_Replica], at: float) -> None:
        """The replicas go, all of them before anything is sent again."""
        broken: list[tuple[int, _Replica]] = []
        for replica in replicas:
            self._count_time(replica, at)
            replica.gone += 1
            if replica.gone > 1:
                continue
            broken += [(request, replica) for request in replica.requests]
            replica.requests.clear()
            self._replace_engine(replica)
        for request, replica in broken:
            self._open -= 1
            self._router.broke(replica.number, at)
            if self.record.first_at[request] < math.inf:
                self._router.released(request, replica.number)
                self._over(request, Outcome.ENGINE_ERROR, at)
            else:
                self._send_again(request, replica.number, at)
        if not self._ticking:
            self._ticking = True
            self._push(at, _Kind.TICK)

    def _bring_back(self, replicas: Sequence[_Replica], at: float) -> None:
        for replica in replicas:
            self._count_time(replica, at)
            replica.gone -= 1
        self._quiet_at = at + _LOOKED_AFTER_SECONDS

    def _replace_engine(self, replica: _Replica) -> None:
        self.record.preemptions[replica.pool] += replica.core.preemptions
        replica.core = self._engine(replica.pool)
        replica.armed = math.inf
        if replica.factors:
            replica.core.slow(math.prod(replica.factors), self.record.now)

    def _slow(self, replica: _Replica, change: Change, at: float) -> None:
        if change.what is Happening.SLOWER:
            replica.factors.append(change.factor)
        else:
            replica.factors.remove(change.factor)
        replica.core.slow(math.prod(replica.factors), at)
        self._arm(replica)

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
